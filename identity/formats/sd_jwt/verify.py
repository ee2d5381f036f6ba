"""Verifying an SD-JWT and its key binding (RFC 9901 sections 7.1 and 7.3).

``verify``, in this order, since nothing of an unsigned text is worth reading further:
  1. The parts were told apart within limits of size and count (7.1 step 1): ``compact.parse`` did it.
  2. ``typ``, ``alg`` and signature of the Issuer-signed JWT, under the key that the caller trusts
     for this issuer (7.1 step 2; that the key is this issuer's is the caller's to know).
  3. Digests and disclosures match one to one (7.1 steps 3 to 5): ``processing.process``.
  Left to the caller: which claims are required, and their dates (7.1 step 6).

``verify_key_binding`` (7.3 step 5):
  1. There is a KB-JWT; the caller asked for one, whatever was sent.
  2. ``typ`` is kb+jwt, ``alg`` allowed, signature by the holder's key.
  3. ``sd_hash`` is over this SD-JWT and these disclosures.
  4. ``aud`` and ``nonce`` are those of this transaction.
  5. ``iat`` is neither older than the limit nor in the future.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any

from identity.codec import base64url
from identity.codec.members import integer
from identity.envelope import jws
from identity.errors import EncodingError, SdJwtError
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt.compact import UnverifiedSdJwt
from identity.formats.sd_jwt.processing import hash_function, process
from identity.formats.sd_jwt.spec import HASHES, KB_JWT_TYP
from identity.keys.public_key import PublicKey

SKEW_SECONDS = 60
"""How far two honest clocks may be apart."""

MAX_KEY_BINDING_AGE_SECONDS = 300
"""As long as a request of ours is open; an older KB-JWT was made for another one."""


@dataclass(frozen=True, slots=True)
class VerifiedSdJwt:
    """Signed by the issuer's key; its disclosures belong to it."""

    parts: UnverifiedSdJwt
    """What was verified. Its KB-JWT is not: see ``verify_key_binding``."""
    header: dict[str, Any]
    claims: dict[str, Any]
    """The Processed SD-JWT Payload."""
    disclosed: tuple[Location, ...]
    """Where each disclosure stands in ``claims``."""


@dataclass(frozen=True, slots=True)
class VerifiedKeyBinding:
    """Made by the holder's key, for this verifier and this nonce, over exactly these disclosures."""

    claims: dict[str, Any]
    issued_at: int


def verify(
    sd_jwt: UnverifiedSdJwt,
    issuer_key: PublicKey,
    *,
    typ: str | None,
    algorithms: AbstractSet[str] = jws.ES256_ONLY,
    what: str = "SD-JWT",
) -> VerifiedSdJwt:
    """Raises EnvelopeError (typ, alg, signature) and SdJwtError (disclosures)."""
    # 2
    jws.verify(sd_jwt.issuer_jwt, issuer_key, typ=typ, algorithms=algorithms, what=what)
    # 3
    processed = process(sd_jwt.payload, sd_jwt.disclosures)
    return VerifiedSdJwt(sd_jwt, sd_jwt.issuer_jwt.header, processed.claims, tuple(processed.disclosures))


def verify_key_binding(
    sd_jwt: VerifiedSdJwt,
    holder_key: PublicKey,
    *,
    audience: str,
    nonce: str,
    now: int,
    max_age_seconds: int = MAX_KEY_BINDING_AGE_SECONDS,
    skew_seconds: int = SKEW_SECONDS,
    algorithms: AbstractSet[str] = jws.ES256_ONLY,
    what: str = "KB-JWT",
) -> VerifiedKeyBinding:
    """Raises SdJwtError, and EnvelopeError (form, typ, alg, signature)."""
    parts = sd_jwt.parts
    # 1
    if parts.key_binding_jwt is None:
        raise SdJwtError(f"{what}: is missing, key binding is required")
    # 2
    parsed = jws.parse(parts.key_binding_jwt, what=what)
    claims = jws.verify(parsed, holder_key, typ=KB_JWT_TYP, algorithms=algorithms, what=what).claims(what=what)
    # 3
    hashed = HASHES[hash_function(parts.payload)](parts.without_key_binding.encode("ascii"))
    if claims.get("sd_hash") != base64url.encode(hashed.digest()):
        raise SdJwtError(f"{what}: sd_hash is not over the SD-JWT that was presented")
    # 4
    if claims.get("aud") != audience:
        raise SdJwtError(f"{what}: aud is not this verifier")
    found = claims.get("nonce")
    if not isinstance(found, str) or not compare_digest(found.encode("utf-8"), nonce.encode("utf-8")):
        raise SdJwtError(f"{what}: nonce is not the one of this request")
    # 5
    try:
        issued_at = integer(claims, "iat", what=what)
    except EncodingError as fault:
        raise SdJwtError(str(fault)) from None
    if issued_at > now + skew_seconds:
        raise SdJwtError(f"{what}: iat lies {issued_at - now} s in the future")
    if issued_at < now - max_age_seconds:
        raise SdJwtError(f"{what}: made {now - issued_at} s ago, at most {max_age_seconds} s are accepted")
    return VerifiedKeyBinding(claims, issued_at)
