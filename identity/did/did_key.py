"""did:key (W3C CCG, v0.9): P-256, P-384, P-521, Ed25519 and X25519.

Not done, on purpose: RSA, secp256k1 and BLS12-381 keys, with which nothing of ours signs; and
``?publicKeyFormat=``: documents always show JWKs.
"""

from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from identity.did import multibase
from identity.did.document import AGREEMENT, SIGNING, Method, document
from identity.errors import DidError
from identity.keys.agreement import KEY_BYTES, AgreementPublicKey
from identity.keys.public_key import PublicKey

PREFIX = "did:key:"

_CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 33),
    "P-384": (ec.SECP384R1(), 49),
    "P-521": (ec.SECP521R1(), 67),
}
"""Curve and length of a compressed point."""


def create(key: PublicKey | AgreementPublicKey) -> str:
    """Raises DidError for an RSA key."""
    return PREFIX + _identifier(key)


def key_of(did: str) -> PublicKey:
    """The key that verifies signatures of ``did``. Raises DidError."""
    key = _key(did)
    if isinstance(key, AgreementPublicKey):
        raise DidError("did:key: is a key for agreement, expected one that signs")
    return key


def resolve(did: str) -> dict[str, Any]:
    """The DID document. Raises DidError.

    An Ed25519 key brings the X25519 key derived from it (section 3.1.3); a NIST key agrees by itself.
    """
    key, identifier = _key(did), did.removeprefix(PREFIX)
    if isinstance(key, AgreementPublicKey):
        return document(did, Method(identifier, key.jwk(), AGREEMENT))
    if key.curve == "Ed25519":
        agreement = _derived(key)
        return document(
            did,
            Method(identifier, key.jwk(), SIGNING),
            Method(_identifier(agreement), agreement.jwk(), AGREEMENT),
        )
    return document(did, Method(identifier, key.jwk(), SIGNING + AGREEMENT))


def _identifier(key: PublicKey | AgreementPublicKey) -> str:
    if isinstance(key, AgreementPublicKey):
        return multibase.encode_key("X25519", key.raw)
    match key.cryptography_key:
        case Ed25519PublicKey() as inner:
            return multibase.encode_key("Ed25519", inner.public_bytes_raw())
        case ec.EllipticCurvePublicKey() as inner:
            return multibase.encode_key(str(key.curve), inner.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
    raise DidError("did:key: RSA keys have none here")


def _key(did: str) -> PublicKey | AgreementPublicKey:
    if not did.startswith(PREFIX):
        raise DidError(f"did:key: does not begin with {PREFIX}")
    curve, raw = multibase.decode_key(did.removeprefix(PREFIX))
    expected = _CURVES[curve][1] if curve in _CURVES else KEY_BYTES
    if len(raw) != expected:
        raise DidError(f"did:key: the {curve} key has {len(raw)} bytes, expected {expected}")
    if curve == "X25519":
        return AgreementPublicKey(raw)
    if curve == "Ed25519":
        return PublicKey(Ed25519PublicKey.from_public_bytes(raw))
    try:
        return PublicKey(ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[curve][0], raw))
    except ValueError:
        raise DidError(f"did:key: the point is not on {curve}") from None


def _derived(key: PublicKey) -> AgreementPublicKey:
    # Imported here: a wallet command that meets no Ed25519 document does not load libsodium.
    from nacl.exceptions import CryptoError
    from nacl.signing import VerifyKey

    inner = key.cryptography_key
    assert isinstance(inner, Ed25519PublicKey)
    try:
        return AgreementPublicKey(bytes(VerifyKey(inner.public_bytes_raw()).to_curve25519_public_key()))
    except CryptoError:
        raise DidError("did:key: the Ed25519 key is not a point of prime order") from None
