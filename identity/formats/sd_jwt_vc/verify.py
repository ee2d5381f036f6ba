"""Verifying an SD-JWT VC (draft-ietf-oauth-sd-jwt-vc-24 section 2.4; RFC 9901 section 7).

  1. The form: an SD-JWT+KB where a presentation is expected, an SD-JWT where an issued credential
     is (RFC 9901 sections 7.2 and 7.3: whether to bind is never the sender's choice).
  2. ``typ`` is dc+sd-jwt; ``iss`` and ``vct`` are there (sections 2.2.1, 2.2.2.1).
  3. The caller names the key of this issuer for this type, or refuses (section 2.5).
  4. Signature and disclosures (RFC 9901 section 7.1).
  5. No claim that controls validity is selectively disclosed, nor anything inside one (section 2.2.2.3).
  6. ``exp``, ``nbf``, ``iat`` hold now; there is no ``aud`` (RFC 7519 sections 4.1.3 to 4.1.6).
  7. ``cnf``, ``status`` and ``aka_vcts``, where they are, have a form that we understand.
  8. The key binding, with the key of ``cnf`` (RFC 9901 section 7.3 step 5).

Left to the caller: fetching and checking the status list that ``status`` names, and whether these
are the type and the claims that were asked for.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any

from identity.envelope import jws
from identity.errors import CredentialError
from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt import verify as core
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt.compact import UnverifiedSdJwt
from identity.formats.sd_jwt.spec import ELLIPSIS, SD
from identity.formats.sd_jwt_vc import credential
from identity.formats.sd_jwt_vc.spec import NEVER_DISCLOSABLE, TYP
from identity.keys.public_key import PublicKey

IssuerKey = Callable[[Mapping[str, Any], str, str], PublicKey]
"""From JOSE header, ``iss`` and ``vct``, all unverified, the key that may have signed; raises TrustError."""


@dataclass(frozen=True, slots=True)
class VerifiedSdJwtVc:
    """A credential that a trusted issuer signed and that was valid when it was verified."""

    iss: str
    vct: str
    aka_vcts: tuple[str, ...]
    claims: dict[str, Any]
    """Processed: what is open and what was disclosed, ``iss``, ``vct``, ``cnf`` and the like included."""
    disclosed_paths: tuple[Location, ...]
    """Where what was disclosed selectively stands in ``claims``."""
    holder_key: PublicKey | None
    status: tuple[str, int] | None
    """Address of the status list and index in it; NOT checked here."""
    exp: int | None
    iat: int | None
    header: dict[str, Any]
    key_binding: core.VerifiedKeyBinding | None
    """None from ``verify_issuer_signed``; always there from ``verify``."""


def verify(
    presentation: str,
    *,
    issuer_key: IssuerKey,
    audience: str,
    nonce: str,
    now: int,
    max_kb_age_seconds: int = core.MAX_KEY_BINDING_AGE_SECONDS,
    skew_seconds: int = core.SKEW_SECONDS,
    algorithms: AbstractSet[str] = jws.ES256_ONLY,
) -> VerifiedSdJwtVc:
    """A presentation made for ``audience`` and ``nonce``.

    Raises CredentialError, SdJwtError, EnvelopeError, and what ``issuer_key`` raises.
    """
    # 1
    parts = compact.parse(presentation, what=credential.WHAT)
    if parts.key_binding_jwt is None:
        raise CredentialError("SD-JWT VC: has no KB-JWT, key binding is required")
    # 2 to 6
    sd_jwt = _issuer_signed(parts, issuer_key, now, skew_seconds, algorithms)
    # 7
    holder_key = credential.holder_key(sd_jwt.claims)
    if holder_key is None:
        raise CredentialError("SD-JWT VC: has no cnf, key binding is required")
    # 8
    key_binding = core.verify_key_binding(
        sd_jwt,
        holder_key,
        audience=audience,
        nonce=nonce,
        now=now,
        max_age_seconds=max_kb_age_seconds,
        skew_seconds=skew_seconds,
        algorithms=algorithms,
    )
    return _verified(sd_jwt, holder_key, key_binding)


def verify_issuer_signed(
    sd_jwt: str,
    *,
    issuer_key: IssuerKey,
    now: int,
    skew_seconds: int = core.SKEW_SECONDS,
    algorithms: AbstractSet[str] = jws.ES256_ONLY,
) -> VerifiedSdJwtVc:
    """A credential as its issuer hands it to the wallet; one with a KB-JWT is refused. Raises as ``verify``."""
    # 1
    parts = compact.parse(sd_jwt, what=credential.WHAT)
    if parts.key_binding_jwt is not None:
        raise CredentialError("SD-JWT VC: has a KB-JWT, expected a credential as issued")
    # 2 to 6
    verified = _issuer_signed(parts, issuer_key, now, skew_seconds, algorithms)
    # 7
    return _verified(verified, credential.holder_key(verified.claims), None)


def _issuer_signed(
    parts: UnverifiedSdJwt, issuer_key: IssuerKey, now: int, skew_seconds: int, algorithms: AbstractSet[str]
) -> core.VerifiedSdJwt:
    # 2
    header, payload = parts.issuer_jwt.header, parts.payload
    if header.get("typ") != TYP:
        raise CredentialError(f"SD-JWT VC: typ is not {TYP}")
    iss, vct = credential.name(payload, "iss"), credential.name(payload, "vct")
    # 3
    key = issuer_key(header, iss, vct)
    # 4
    sd_jwt = core.verify(parts, key, typ=TYP, algorithms=algorithms, what=credential.WHAT)
    # 5
    for location in sd_jwt.disclosed:
        if location[0] in NEVER_DISCLOSABLE:
            raise CredentialError(f"SD-JWT VC: {location[0]!r} must not be selectively disclosed")
    for name in NEVER_DISCLOSABLE & payload.keys():
        if isinstance(payload[name], (dict, list)) and _holds_digests(payload[name]):
            raise CredentialError(f"SD-JWT VC: {name!r} must not hold digests")
    # 6
    _check_dates(sd_jwt.claims, now, skew_seconds)
    return sd_jwt


def _check_dates(claims: Mapping[str, Any], now: int, skew_seconds: int) -> None:
    exp, nbf, iat = (credential.date(claims, member) for member in ("exp", "nbf", "iat"))
    if exp is not None and exp <= now - skew_seconds:
        raise CredentialError("SD-JWT VC: has expired")
    if nbf is not None and nbf > now + skew_seconds:
        raise CredentialError("SD-JWT VC: is not valid yet")
    if iat is not None and iat > now + skew_seconds:
        raise CredentialError("SD-JWT VC: was issued in the future")
    if "aud" in claims:
        # RFC 7519 section 4.1.3: who is not named there must refuse; a credential names nobody.
        raise CredentialError("SD-JWT VC: has an aud, a credential is addressed to nobody")


def _holds_digests(value: Any) -> bool:
    """Digests without disclosures as well: a hidden member of ``cnf`` is one we cannot judge."""
    if isinstance(value, dict):
        return SD in value or ELLIPSIS in value or any(map(_holds_digests, value.values()))
    return isinstance(value, list) and any(map(_holds_digests, value))


def _verified(
    sd_jwt: core.VerifiedSdJwt, holder_key: PublicKey | None, key_binding: core.VerifiedKeyBinding | None
) -> VerifiedSdJwtVc:
    claims = sd_jwt.claims
    return VerifiedSdJwtVc(
        iss=claims["iss"],
        vct=claims["vct"],
        aka_vcts=credential.other_types(claims),
        claims=claims,
        disclosed_paths=sd_jwt.disclosed,
        holder_key=holder_key,
        status=credential.status(claims),
        exp=claims.get("exp"),
        iat=claims.get("iat"),
        header=sd_jwt.header,
        key_binding=key_binding,
    )
