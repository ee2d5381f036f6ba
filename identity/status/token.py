"""The Status List Token in JWT form (draft-ietf-oauth-status-list-21 section 5.1).

Verifying (section 8.3):

  1. A compact JWS of limited size, ``typ`` statuslist+jwt, ES256 by the key that the caller allows
     for this address.
  2. ``sub`` is the address that was asked, character by character.
  3. ``iat`` is there and not in the future; ``exp``, where it is, is ahead; ``nbf`` is reached; there
     is no ``aud``: a list is addressed to nobody (RFC 7519 section 4.1.3).
  4. It was not signed too long ago, whatever ``exp`` says: an old list hides what was revoked since.
  5. ``ttl``, where it is, is a positive number.
  6. ``bits`` and ``lst`` give a list, which does not unfold beyond a limit.

Left to the caller: how long a copy may be used after fetching (`checker`), and what a value means.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.codec import base64url, strict_json
from identity.codec.members import integer, mapping, text
from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, StatusUnavailable, TrustError
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.status import spec
from identity.status.status_list import StatusList
from identity.trust.chain import format_x5c

WHAT = "status list"

MAX_TOKEN_BYTES = 2 * 2**20
"""A million entries at one percent need 20 kB; a full list of ours with random bits 240 kB."""

MAX_AGE_SECONDS = 7 * 86_400
"""Since ``iat``. Copies of credentials live no longer either."""

SKEW_SECONDS = 60
"""How far the signer's clock may be ahead of ours."""

KeyFor = Callable[[Mapping[str, Any], str], PublicKey]
"""From the unverified JOSE header and the address, the key that may sign this list; raises TrustError."""


@dataclass(frozen=True, slots=True)
class VerifiedStatusList:
    """A list that whom we trust for this address signed; what its ``exp`` allows is checked at each read."""

    uri: str
    iat: int
    exp: int | None
    ttl: float | None
    """Seconds for which a copy may be kept; None where the signer does not say."""
    statuses: StatusList

    def get(self, index: int) -> int:
        """Raises StatusUnavailable outside the list (section 8.3 step 6)."""
        try:
            return self.statuses.get(index)
        except EncodingError as fault:
            raise StatusUnavailable(str(fault)) from None

    def require_current(self, now: float) -> None:
        """Steps 3 and 4, again. Raises StatusUnavailable."""
        if self.exp is not None and now >= self.exp:
            raise StatusUnavailable(f"{WHAT}: has expired")
        if now - self.iat > MAX_AGE_SECONDS:
            raise StatusUnavailable(f"{WHAT}: was signed more than {MAX_AGE_SECONDS} seconds ago")


def sign_status_list(
    statuses: StatusList,
    *,
    uri: str,
    signer: Signer,
    x5c: Sequence[bytes],
    iat: int,
    exp: int,
    ttl: int,
    aggregation_uri: str | None = None,
) -> str:
    """The token served at ``uri``. ``x5c``: DER, the signer's certificate first, no anchor (HAIP 1.0 section 6.1).

    Without certificates the header names the key by its thumbprint: readers know it from a list of parties.
    """
    if not iat < exp or ttl < 1:
        raise EncodingError(f"{WHAT}: 'exp' must be after 'iat', and 'ttl' positive")
    body: dict[str, Any] = {spec.BITS: statuses.bits, spec.LST: base64url.encode(statuses.compress())}
    if aggregation_uri is not None:
        body[spec.AGGREGATION_URI] = aggregation_uri
    claims = {"sub": uri, "iat": iat, "exp": exp, "ttl": ttl, spec.STATUS_LIST: body}
    header = {"x5c": format_x5c(x5c)} if x5c else {"kid": signer.public_key.thumbprint}
    return jws.sign(claims, signer, typ=spec.TYP, header=header)


def verify_status_list(token: str, *, uri: str, key_for: KeyFor, now: int) -> VerifiedStatusList:
    """Raises StatusUnavailable: what is not proven is not known."""
    try:
        # 1
        parsed = jws.parse(token, what=WHAT, max_bytes=MAX_TOKEN_BYTES)
        verified = jws.verify(parsed, key_for(parsed.header, uri), typ=spec.TYP, what=WHAT)
        claims = strict_json.parse_object(verified.payload, what=WHAT, max_bytes=MAX_TOKEN_BYTES)
        # 2
        if text(claims, "sub", what=WHAT) != uri:
            raise StatusUnavailable(f"{WHAT}: is the one of another address")
        # 3
        iat = integer(claims, "iat", what=WHAT)
        exp = integer(claims, "exp", what=WHAT) if "exp" in claims else None
        nbf = integer(claims, "nbf", what=WHAT) if "nbf" in claims else iat
        if max(iat, nbf) > now + SKEW_SECONDS:
            raise StatusUnavailable(f"{WHAT}: is from the future")
        if "aud" in claims:
            raise StatusUnavailable(f"{WHAT}: has an aud, a list is addressed to nobody")
        # 5, 6
        made = VerifiedStatusList(uri, iat, exp, _ttl(claims), _statuses(claims))
    except (EncodingError, EnvelopeError, TrustError) as fault:
        raise StatusUnavailable(str(fault) if str(fault).startswith(WHAT) else f"{WHAT}: {fault}") from None
    # 3, 4
    made.require_current(now)
    return made


def _ttl(claims: Mapping[str, Any]) -> float | None:
    if "ttl" not in claims:
        return None
    ttl = claims["ttl"]
    if not isinstance(ttl, int | float) or isinstance(ttl, bool) or not ttl > 0:
        raise EncodingError(f"{WHAT}: 'ttl' must be a positive number")
    return float(min(ttl, MAX_AGE_SECONDS))


def _statuses(claims: Mapping[str, Any]) -> StatusList:
    body = mapping(claims, spec.STATUS_LIST, what=WHAT)
    compressed = text(body, spec.LST, what=WHAT, max_length=MAX_TOKEN_BYTES)
    bits = integer(body, spec.BITS, what=WHAT, minimum=1, maximum=8)
    return StatusList.from_compressed(base64url.decode(compressed, what=f"{WHAT}: {spec.LST!r}"), bits)
