"""Sealing under a secret that somebody else keeps: a code or token, of which only a hash stays here.

    name  = SHA-256("atorga/issuer/name/v1" ‖ secret)           the row's key
    key   = HKDF-SHA-256(secret, info "atorga/issuer/seal/v1")  AES-256-GCM, the name as associated data

Who holds the database, and every key file of the server with it, can open nothing until the wallet
comes back with the secret. The secrets have 32 random bytes, so that neither step needs to be slow.
"""

from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from identity.codec import base64url
from identity.errors import EncodingError
from identity.randomness import Random

SECRET_BYTES = 32
_NONCE_BYTES = 12


def fresh(random: Random) -> str:
    """A new code or token, 43 characters."""
    return base64url.encode(random(SECRET_BYTES))


def name(secret: str) -> bytes:
    """What the secret's row is found by. Any text has one: a wrong secret is simply not there."""
    return sha256(b"atorga/issuer/name/v1" + secret.encode("utf-8")).digest()


def seal(secret: str, plaintext: bytes, random: Random) -> bytes:
    nonce = random(_NONCE_BYTES)
    return nonce + AESGCM(_key(secret)).encrypt(nonce, plaintext, name(secret))


def unseal(secret: str, sealed: bytes) -> bytes:
    """Raises EncodingError where these do not belong together."""
    try:
        return AESGCM(_key(secret)).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name(secret))
    except (InvalidTag, ValueError):
        raise EncodingError("sealed row: does not belong to its secret") from None


def _key(secret: str) -> bytes:
    return HKDF(SHA256(), 32, salt=None, info=b"atorga/issuer/seal/v1").derive(secret.encode("utf-8"))
