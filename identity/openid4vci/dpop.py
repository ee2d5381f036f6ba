"""Checking a DPoP proof (RFC 9449 section 4.3).

   1. One header field, one well-formed JWT (steps 1 and 2).
   2. ``typ`` dpop+jwt, an allowed ``alg``, a public ``jwk`` without private members (4, 5, 7).
   3. The signature is by that key (6).
   4. ``htm`` is the method; ``htu`` the address without query and fragment (8, 9).
   5. ``nonce`` is one of this server's, and fresh (10); without one the client is told to ask again.
   6. ``iat`` is near our time (11); ``jti`` is there.
   7. With an access token ``ath`` is its hash (12).

Left to the caller: that the token is bound to this key, and that (key, jti) was not seen before.
The nonce says when the proof was made; ``iat`` may therefore be minutes off, as wallets' clocks are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlsplit

from identity.codec import base64url
from identity.codec.members import digest, text
from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, KeyMaterialError, ProtocolError
from identity.keys.public_key import PublicKey
from identity.openid4vci import numeric_date
from identity.openid4vci.nonces import Nonces
from identity.openid4vci.spec import DPOP_ALGORITHMS, DPOP_TYP, INVALID_DPOP_PROOF, USE_DPOP_NONCE

MAX_PROOF_BYTES = 4_096
MAX_JTI = 128

SKEW_SECONDS = 300
"""Of the client's clock."""

_WHAT = "DPoP proof"


@dataclass(frozen=True, slots=True)
class VerifiedDpop:
    """A proof whose signer holds the key ``thumbprint`` now."""

    thumbprint: str
    jti: str


def verify(
    fields: Sequence[str], *, method: str, url: str, now: float, nonces: Nonces, access_token: str | None = None
) -> VerifiedDpop:
    """``fields`` are the DPoP header fields of the request. Raises ProtocolError."""
    if len(fields) != 1:
        raise _refused(f"{len(fields)} header fields, expected one")
    try:
        # 1
        proof = jws.parse(fields[0], what=_WHAT, max_bytes=MAX_PROOF_BYTES)
        # 2
        jwk = proof.header.get("jwk")
        if not isinstance(jwk, dict):
            raise _refused("the header must carry the key as jwk")
        key = PublicKey.from_jwk_members(jwk)
        # 3
        claims = jws.verify(proof, key, typ=DPOP_TYP, algorithms=DPOP_ALGORITHMS, what=_WHAT).claims(what=_WHAT)
        # 4
        if text(claims, "htm", what=_WHAT) != method:
            raise _refused(f"htm is not {method}")
        if _normal(text(claims, "htu", what=_WHAT)) != _normal(url):
            raise _refused("htu is not the address of this request")
        issued_at, jti = (
            numeric_date.read(claims, "iat", what=_WHAT),
            text(claims, "jti", what=_WHAT, max_length=MAX_JTI),
        )
        # 5
        nonce = claims.get("nonce")
        if not isinstance(nonce, str) or not nonces.accepts(nonce):
            raise ProtocolError(USE_DPOP_NONCE, f"{_WHAT}: needs the nonce of this answer's DPoP-Nonce header")
        # 6
        if abs(issued_at - now) > SKEW_SECONDS:
            raise _refused(f"iat is more than {SKEW_SECONDS} s from our time")
        # 7
        if access_token is not None:
            expected = base64url.encode(sha256(access_token.encode("utf-8")).digest())
            if digest(claims, "ath", what=_WHAT) != expected:
                raise _refused("ath is not the hash of the access token")
    except (EncodingError, EnvelopeError, KeyMaterialError) as fault:
        raise ProtocolError(INVALID_DPOP_PROOF, str(fault)) from None
    return VerifiedDpop(key.thumbprint, jti)


def _normal(url: str) -> tuple[str, str, int | None, str]:
    """Scheme, host, port and path (RFC 3986 sections 6.2.2 and 6.2.3), as far as an address of ours can vary."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise _refused("htu is not an address") from None
    default = {"https": 443, "http": 80}.get(parts.scheme)
    return parts.scheme, parts.hostname or "", default if port is None else port, parts.path or "/"


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(INVALID_DPOP_PROOF, f"{_WHAT}: {reason}")
