"""HPKE (RFC 9180) base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, empty aad.

A sealed value is b64(enc || ciphertext) (WIRE, first section). ``info`` says what the value is for,
so that a value moved elsewhere does not open.
"""

from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from identity.codec import base64url
from identity.errors import EncodingError, EnvelopeError
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey

MAX_SEALED_CHARACTERS = 131_072
"""A sealed value never exceeds the largest body that carries one."""


@cache
def _suite() -> Suite:
    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_128_GCM)


def seal(recipient: AgreementPublicKey, info: bytes, plaintext: bytes) -> str:
    return base64url.encode(_suite().encrypt(plaintext, recipient.cryptography_key, info))


def open_sealed(private: AgreementPrivateKey, info: bytes, sealed: str, *, what: str = "sealed value") -> bytes:
    """Raises EnvelopeError where it was sealed to another key, for another purpose, or changed."""
    if len(sealed) > MAX_SEALED_CHARACTERS:
        raise EnvelopeError(f"{what}: {len(sealed)} characters, at most {MAX_SEALED_CHARACTERS} are read")
    try:
        raw = base64url.decode(sealed, what=what)
        return _suite().decrypt(raw, private.cryptography_key, info)
    except EncodingError as fault:
        raise EnvelopeError(str(fault)) from None
    except (InvalidTag, ValueError):
        raise EnvelopeError(f"{what}: cannot be opened with this key for this purpose") from None
