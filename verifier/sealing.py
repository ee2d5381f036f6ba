"""What lies in the verifier's files is sealed, and under which secrets.

Three things open a value at rest, and none of them lies beside it: the *sealing key* (a file outside
the database and its backups), and a secret that only the other side has: the name of a request (in
the wallet's link), or the secret of whoever reads the result (a browser's cookie, a programme's
request id). The database holds SHA-256 hashes of these secrets.

 - The private key that opens an encrypted answer: sealed under the request's name, erased when the
   request is answered.
 - The result: sealed (HPKE) to a key made from the reader's secret, since the reader is not there
   when the wallet answers; erased when it is read, or when its time is over.
"""

import os
from hashlib import sha256
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from identity.codec import base64url
from identity.codec.length_prefix import prefixed
from identity.errors import EnvelopeError
from identity.keys.agreement import AgreementPrivateKey
from identity.randomness import Random

KEY_BYTES = 32
NONCE_BYTES = 12

_TAG = "atorga/verifier/v1"


def hashed(secret: str) -> bytes:
    """How the database knows a secret. Secrets have 128 bits or more, so a plain hash gives nothing away."""
    return sha256(secret.encode("utf-8")).digest()


class Sealing:
    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise EnvelopeError(f"sealing key: {len(key)} bytes, expected {KEY_BYTES}")
        self._key = key

    def seal(self, purpose: str, secret: str, plaintext: bytes, *, random: Random) -> bytes:
        nonce = random(NONCE_BYTES)
        return nonce + AESGCM(self._derived(purpose, secret)).encrypt(nonce, plaintext, None)

    def open(self, purpose: str, secret: str, sealed: bytes) -> bytes:
        """Raises EnvelopeError."""
        try:
            return AESGCM(self._derived(purpose, secret)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except (InvalidTag, ValueError):
            raise EnvelopeError("sealed value: does not open under this secret") from None

    def reader_key(self, secret: str) -> AgreementPrivateKey:
        """The key pair of a reader: made again from its secret whenever it reads."""
        return AgreementPrivateKey.from_raw(self._derived("reader", secret))

    def secret(self, purpose: str, secret: str) -> str:
        """A further secret that follows from one: a page shown again names the same request."""
        return base64url.encode(self._derived(purpose, secret))

    def _derived(self, purpose: str, secret: str) -> bytes:
        return HKDF(SHA256(), KEY_BYTES, salt=None, info=prefixed(_TAG, purpose, secret)).derive(self._key)

    def __repr__(self) -> str:
        return "Sealing()"


def sealing_from(path: Path, *, random: Random) -> Sealing:
    """From its key file, made at the first start so that only its owner may read it. Raises OSError, EnvelopeError."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(random(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # Whole or not at all: half a key would make everything sealed so far unreadable.
        temporary.replace(path)
    return Sealing(path.read_bytes())
