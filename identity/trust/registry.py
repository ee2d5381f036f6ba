"""The signed list of parties, WIRE C12.

Verifying a list:

  1. A compact JWS of at most 1 MiB whose header is exactly ``typ``, ``alg``, ``x5c``.
  2. The certificate has a path to the registry's anchor, and is no party's: one that names a host
     or an address was made for that, and must not sign lists (anchors of issuers and verifiers may
     stand in the same file).
  3. ES256 by that certificate's key.
  4. Exact members, limits, every party well formed; no id, issuer or certificate twice.
  5. Not from the future, not expired: a stale list refuses. Its life is at most 31 days.
  6. Not older than a version seen before: whoever can answer for the registry cannot bring back a
     party that was dropped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.codec import strict_json
from identity.codec.members import exact_members, integer
from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, TrustError
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.trust import spec
from identity.trust.chain import format_x5c, read_x5c, verify_chain

# Whoever asks the list for parties finds their type beside it.
from identity.trust.party import Party as Party
from identity.trust.party import parse_party, read_party_id

WHAT = "registry"

MAX_BYTES = 1_048_576
"""WIRE C12. It limits the number of parties too: one needs about 600 bytes."""

MAX_LIFETIME_SECONDS = 31 * 86_400
"""A list that lives for years would make dropping a party impossible where the registry cannot be reached."""

SKEW_SECONDS = 60
"""How far the registry's clock may be ahead of ours. Expiry has no tolerance: it was planned long before."""

_HEADER = frozenset({"typ", "alg", "x5c"})
_MEMBERS = frozenset({"iss", "version", "iat", "exp", "parties"})


@dataclass(frozen=True, slots=True)
class VerifiedRegistry:
    """One version of the list. Every lookup is for an instant and raises TrustError where nobody is listed."""

    issuer: str
    version: int
    issued: int
    expires: int
    compact: str = field(repr=False)
    parties: tuple[Party, ...] = field(repr=False)
    _by_id: Mapping[str, Party] = field(init=False, repr=False, compare=False)
    _by_issuer: Mapping[str, Party] = field(init=False, repr=False, compare=False)
    _by_certificate: Mapping[str, Party] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuses a list in which a lookup would have two answers."""
        certificates = [(x5t, party) for party in self.parties for x5t in party.certificates]
        object.__setattr__(self, "_by_id", _index([(party.id, party) for party in self.parties], "id"))
        object.__setattr__(
            self, "_by_issuer", _index([(party.issuer, party) for party in self.parties if party.issuer], "issuer")
        )
        object.__setattr__(self, "_by_certificate", _index(certificates, "certificate"))

    def party(self, party_id: str, *, now: float) -> Party:
        return self._valid(self._by_id.get(party_id), now, "the party is not listed")

    def by_role(self, role: str, *, now: float) -> list[Party]:
        """May be empty; a stale list still refuses."""
        self.require_current(now)
        return [party for party in self.parties if role in party.roles and party.is_valid(now)]

    def by_issuer(self, issuer: str, *, now: float) -> Party:
        """The party whose credentials carry this ``iss``; its role and types are the caller's to check."""
        return self._valid(self._by_issuer.get(issuer), now, "no party is listed as this issuer")

    def by_certificate(self, x5t: str, *, now: float) -> Party:
        """The party that has a certificate with this ``x5t#S256``."""
        return self._valid(self._by_certificate.get(x5t), now, "the certificate is not listed")

    def key_of(self, party_id: str, role: str, *, now: float) -> PublicKey:
        """The key that signs this party's messages, if it is listed in this role."""
        party = self.party(party_id, now=now)
        if role not in party.roles:
            raise TrustError(f"{WHAT}: {party.id} is not listed as {role}")
        return party.public_key

    def require_current(self, now: float) -> None:
        if now >= self.expires:
            raise TrustError(f"{WHAT}: the list has expired")

    def _valid(self, party: Party | None, now: float, absent: str) -> Party:
        self.require_current(now)
        if party is None:
            raise TrustError(f"{WHAT}: {absent}")
        if not party.is_valid(now):
            raise TrustError(f"{WHAT}: {party.id} is listed for another time")
        return party


def verify_registry(compact: str, *, anchors: Sequence[bytes], now: int, minimum_version: int = 0) -> VerifiedRegistry:
    """A list signed under one of ``anchors`` (DER). Raises TrustError."""
    try:
        # 1
        parsed = jws.parse(compact, what=WHAT, max_bytes=MAX_BYTES)
        # 2
        chain = verify_chain(read_x5c(parsed.header), anchors, at=now)
        if chain.dns_names or chain.uris:
            raise TrustError(f"{WHAT}: signed with a party's certificate, not with one for lists")
        # 1, 3
        verified = jws.verify(parsed, chain.key, typ=spec.TYP, members=_HEADER, what=WHAT)
        # 4
        claims = strict_json.parse_object(verified.payload, what=WHAT, max_bytes=MAX_BYTES)
    except (EncodingError, EnvelopeError) as fault:
        raise TrustError(str(fault)) from None
    registry = _read(claims, compact)
    # 5
    if registry.issued > now + SKEW_SECONDS:
        raise TrustError(f"{WHAT}: the list is from the future")
    registry.require_current(now)
    # 6
    if registry.version < minimum_version:
        raise TrustError(f"{WHAT}: version {registry.version} is older than {minimum_version}, seen before")
    return registry


def sign_registry(claims: Mapping[str, Any], signer: Signer, x5c: Sequence[bytes]) -> str:
    """The list as it is served. ``x5c``: DER, the signer's certificate first, no anchor.

    Raises TrustError where a reader would refuse the claims or where the certificate is another key's.
    """
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
    from cryptography.x509 import load_der_x509_certificate

    key = load_der_x509_certificate(x5c[0]).public_key()
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != signer.public_key.spki_der():
        raise TrustError(f"{WHAT}: the certificate does not belong to the signing key")
    compact = jws.sign(claims, signer, typ=spec.TYP, header={"x5c": format_x5c(x5c)})
    if len(compact) > MAX_BYTES:
        raise TrustError(f"{WHAT}: {len(compact)} bytes, at most {MAX_BYTES} are read")
    _read(claims, compact)
    return compact


def _read(claims: Mapping[str, Any], compact: str) -> VerifiedRegistry:
    """Step 4, and the list's own life."""
    try:
        exact_members(claims, what=WHAT, required=_MEMBERS)
        issuer = read_party_id(claims, "iss", what=WHAT)
        version = integer(claims, "version", what=WHAT, minimum=1)
        issued, expires = integer(claims, "iat", what=WHAT), integer(claims, "exp", what=WHAT)
    except EncodingError as fault:
        raise TrustError(str(fault)) from None
    if not 0 < expires - issued <= MAX_LIFETIME_SECONDS:
        raise TrustError(f"{WHAT}: 'exp' must be at most {MAX_LIFETIME_SECONDS} seconds after 'iat'")
    entries = claims["parties"]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise TrustError(f"{WHAT}: 'parties' must be a list of objects")
    return VerifiedRegistry(issuer, version, issued, expires, compact, tuple(map(parse_party, entries)))


def _index(pairs: list[tuple[str, Party]], what: str) -> Mapping[str, Party]:
    index = dict(pairs)
    if len(index) != len(pairs):
        raise TrustError(f"{WHAT}: a party's {what} stands there twice")
    return index
