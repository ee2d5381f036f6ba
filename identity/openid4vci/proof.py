"""Checking key proofs of type ``jwt`` (appendices F.1 and F.4), all of one request together.

  1. Each is a JWT of its type, its ``alg`` one of our metadata.
  2. The key stands in the header as ``jwk``, public, and nothing else names a key.
  3. The signature is by that key.
  4. ``aud`` is our identifier, as a text (F.1).
  5. ``iss``, where it is there, is the client; after anonymous access it must not be there (F.1).
  6. ``nonce`` is there, ours and fresh, in every proof (sections 7.2 and 8.2).
  7. ``iat`` is near our time; the nonce is what says how old the proof is (section 13.8).
  8. All keys are distinct: each copy gets one of its own (section 8.3).

Left to the caller: that the nonces were not spent by another request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, KeyMaterialError, ProtocolError
from identity.keys.public_key import PublicKey
from identity.openid4vci import numeric_date
from identity.openid4vci.nonces import Nonces
from identity.openid4vci.spec import INVALID_NONCE, INVALID_PROOF, PROOF_ALGORITHMS, PROOF_TYP

SKEW_SECONDS = 300

_WHAT = "key proof"


@dataclass(frozen=True, slots=True)
class VerifiedProofs:
    """Keys whose owners asked this issuer for credentials just now."""

    keys: tuple[PublicKey, ...]
    nonces: frozenset[str]


def verify(proofs: Sequence[str], *, issuer: str, client_id: str | None, now: float, nonces: Nonces) -> VerifiedProofs:
    """``client_id`` None = the token came by anonymous access. Raises ProtocolError."""
    found = [_verify(proof, issuer, client_id, now) for proof in proofs]
    for _, nonce in found:
        # 6; last, so that who made other mistakes hears of those first
        if not nonces.accepts(nonce):
            raise ProtocolError(INVALID_NONCE, f"{_WHAT}: the nonce is not one of ours, or too old")
    # 8
    if len({key.thumbprint for key, _ in found}) != len(found):
        raise _refused("a key is there twice")
    return VerifiedProofs(tuple(key for key, _ in found), frozenset(nonce for _, nonce in found))


def _verify(compact: str, issuer: str, client_id: str | None, now: float) -> tuple[PublicKey, str]:
    try:
        parsed = jws.parse(compact, what=_WHAT)
        key = _key(parsed.header)
        # 1, 3
        claims = jws.verify(parsed, key, typ=PROOF_TYP, algorithms=PROOF_ALGORITHMS, what=_WHAT).claims(what=_WHAT)
        issued_at = numeric_date.read(claims, "iat", what=_WHAT)
    except (EncodingError, EnvelopeError, KeyMaterialError) as fault:
        raise ProtocolError(INVALID_PROOF, str(fault)) from None
    # 4
    if claims.get("aud") != issuer:
        raise _refused("aud is not this issuer's identifier")
    # 5
    if "iss" in claims and (client_id is None or claims["iss"] != client_id):
        raise _refused("iss is not the client, or there although the access was anonymous")
    # 6
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not nonce:
        raise _refused("has no nonce; the nonce endpoint gives one")
    # 7
    if abs(issued_at - now) > SKEW_SECONDS:
        raise _refused(f"iat is more than {SKEW_SECONDS} s from our time")
    return key, nonce


def _key(header: dict[str, Any]) -> PublicKey:
    """Step 2. An attestation beside it is not read: nothing is given for it."""
    jwk = header.get("jwk")
    if not isinstance(jwk, dict) or "kid" in header or "x5c" in header:
        raise _refused("the header must name the key as jwk, and in no other way")
    return PublicKey.from_jwk_members(jwk)


def _refused(reason: str) -> ProtocolError:
    return ProtocolError(INVALID_PROOF, f"{_WHAT}: {reason}")
