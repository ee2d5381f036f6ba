"""The caller proof (WIRE C1): a JWT over method, address and body, by a key the server knows.

Shaped like DPoP (RFC 9449), with a digest of the body: it proves who sent *this* request.
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Any

from consent import spec
from consent.errors import MessageError, ProofNonceNeeded
from consent.signed_message import JWK_HEADER, KID_HEADER, exact, reading
from identity.codec import base64url, members
from identity.envelope import jws
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.randomness import Random

MAX_AGE_SECONDS = 60
_WHAT = "caller proof"
_MAX_PROOF = 4_096
_REQUIRED = frozenset({"htm", "htu", "iat", "jti", "nonce"})


@dataclass(frozen=True, slots=True)
class VerifiedCaller:
    """Whoever sent the request holds this key."""

    key: PublicKey

    @property
    def thumbprint(self) -> str:
        return self.key.thumbprint


def sign_proof(
    signer: Signer,
    *,
    method: str,
    url: str,
    nonce: str,
    now: int,
    random: Random,
    body: bytes = b"",
    with_jwk: bool = False,
) -> str:
    """``url`` without query and fragment; ``with_jwk`` at enrolment only."""
    claims: dict[str, Any] = {
        "htm": method,
        "htu": url.partition("?")[0].partition("#")[0],
        "iat": now,
        "jti": base64url.encode(random(16)),
        "nonce": nonce,
    }
    if body:
        claims["digest"] = base64url.encode(sha256(body).digest())
    key = signer.public_key
    named: dict[str, Any] = {"jwk": key.jwk()} if with_jwk else {"kid": key.thumbprint}
    return jws.sign(claims, signer, typ=spec.TYP_PROOF, header=named)


def verify_proof(
    proof: str | None,
    *,
    method: str,
    url: str,
    body: bytes,
    now: int,
    accepts_nonce: Callable[[str], bool],
    spend: Callable[[str, str], bool],
    key_for: Callable[[str], PublicKey | None] | None,
) -> VerifiedCaller:
    """Raises MessageError, and ProofNonceNeeded where only the nonce is missing or old.

    1. One proof, of bounded size and strict form.
    2. The key: by ``kid`` one that ``key_for`` knows; where ``key_for`` is None, by ``jwk`` (enrolment).
    3. Its signature, type, exact header.
    4. Method, address without query, and the digest of the body, where there is one.
    5. Within 60 s of now.
    6. A nonce of this server.
    7. (key, jti) was not seen: last, so that a refused proof spends nothing.
    """
    # 1
    if not proof:
        raise MessageError(f"{_WHAT}: the header {spec.REQUEST_PROOF_HEADER} is missing")
    with reading(_WHAT):
        parsed = jws.parse(proof, what=_WHAT, max_bytes=_MAX_PROOF)
        # 2
        key = _key(parsed.header, key_for)
        # 3
        header = JWK_HEADER if key_for is None else KID_HEADER
        claims = jws.verify(parsed, key, typ=spec.TYP_PROOF, members=header, what=_WHAT).claims(what=_WHAT)
        exact(claims, _WHAT, _REQUIRED - {"nonce"}, frozenset({"digest", "nonce"}))
        jti = members.identifier(claims, "jti", what=_WHAT)
        issued = members.integer(claims, "iat", what=_WHAT)
    # 4
    if claims["htm"] != method or claims["htu"] != url:
        raise MessageError(f"{_WHAT}: made for another method or address")
    expected = base64url.encode(sha256(body).digest()) if body else None
    if claims.get("digest") != expected:
        raise MessageError(f"{_WHAT}: made for another body")
    # 5
    if abs(now - issued) > MAX_AGE_SECONDS:
        raise MessageError(f"{_WHAT}: iat is more than {MAX_AGE_SECONDS} s away")
    # 6
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not accepts_nonce(nonce):
        raise ProofNonceNeeded(f"{_WHAT}: a fresh nonce of this server is needed")
    # 7
    if not spend(key.thumbprint, jti):
        raise MessageError(f"{_WHAT}: jti was used before")
    return VerifiedCaller(key)


def _key(header: dict[str, Any], key_for: Callable[[str], PublicKey | None] | None) -> PublicKey:
    if key_for is None:
        jwk = header.get("jwk")
        if not isinstance(jwk, dict):
            raise MessageError(f"{_WHAT}: the header must carry the key as jwk")
        return PublicKey.from_jwk(jwk)
    kid = header.get("kid")
    key = key_for(kid) if isinstance(kid, str) else None
    if key is None or not compare_digest(key.thumbprint, str(kid)):
        raise MessageError(f"{_WHAT}: the key is not known here")
    return key
