"""The key file: the database key, wrapped under the passphrase.

A random database key is encrypted (AES-256-GCM) under a key that Argon2id (RFC 9106) derives from
the passphrase. Two layers, so that a passphrase can change without rewriting the database, and so
that "wrong passphrase" and "damaged database" are told apart. The parameters stand in the file and
are authenticated with it; nobody can lower them unnoticed.

    {"version":1,"kdf":"argon2id","salt":b64,"iterations":3,"memory_kib":65536,"lanes":4,"wrapped":b64}
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from identity.codec import base64url, strict_json
from identity.codec.members import exact_members, integer, text
from identity.errors import EncodingError
from wallet_cli.errors import StoreError

VERSION = 1
KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
MAX_FILE_BYTES = 4096

ITERATIONS = 3
MEMORY_KIB = 65_536
LANES = 4
"""RFC 9106 section 4, second recommended option: about a quarter of a second here."""

MIN_MEMORY_KIB = 64
MAX_MEMORY_KIB = 1_048_576
MAX_ITERATIONS = 16
MAX_LANES = 16
"""Bounds on what a file may ask of this machine: a foreign key file must not exhaust it."""

_MEMBERS = frozenset({"version", "kdf", "salt", "iterations", "memory_kib", "lanes", "wrapped"})


@dataclass(frozen=True, slots=True)
class KeyFile:
    salt: bytes
    iterations: int
    memory_kib: int
    lanes: int
    wrapped: bytes
    """Nonce, then ciphertext and tag."""

    @classmethod
    def create(
        cls,
        passphrase: bytes,
        database_key: bytes,
        *,
        random: Callable[[int], bytes],
        memory_kib: int = MEMORY_KIB,
        iterations: int = ITERATIONS,
        lanes: int = LANES,
    ) -> "KeyFile":
        bare = cls(random(SALT_BYTES), iterations, memory_kib, lanes, b"")
        nonce = random(NONCE_BYTES)
        sealed = AESGCM(bare._wrapping_key(passphrase)).encrypt(nonce, database_key, bare._parameters())
        return cls(bare.salt, iterations, memory_kib, lanes, nonce + sealed)

    def unwrap(self, passphrase: bytes) -> bytes:
        """The database key. Raises StoreError ``wrong_passphrase``."""
        nonce, sealed = self.wrapped[:NONCE_BYTES], self.wrapped[NONCE_BYTES:]
        try:
            return AESGCM(self._wrapping_key(passphrase)).decrypt(nonce, sealed, self._parameters())
        except InvalidTag:
            raise StoreError(
                "wrong_passphrase", "store: the passphrase does not open it; nothing was changed"
            ) from None

    def _wrapping_key(self, passphrase: bytes) -> bytes:
        return Argon2id(
            salt=self.salt,
            length=KEY_BYTES,
            iterations=self.iterations,
            lanes=self.lanes,
            memory_cost=self.memory_kib,
        ).derive(passphrase)

    def _header(self) -> dict[str, Any]:
        return {
            "version": VERSION,
            "kdf": "argon2id",
            "salt": base64url.encode(self.salt),
            "iterations": self.iterations,
            "memory_kib": self.memory_kib,
            "lanes": self.lanes,
        }

    def _parameters(self) -> bytes:
        return strict_json.compact(self._header())

    def format(self) -> bytes:
        return strict_json.compact({**self._header(), "wrapped": base64url.encode(self.wrapped)}) + b"\n"

    @classmethod
    def parse(cls, data: bytes) -> "KeyFile":
        """Raises StoreError ``store_damaged``, and ``store_too_new`` for a later version."""
        what = "key file"
        try:
            obj = strict_json.parse_object(data, what=what, max_bytes=MAX_FILE_BYTES)
            if integer(obj, "version", what=what) > VERSION:
                raise StoreError("store_too_new", f"{what}: version {obj['version']}, this wallet reads {VERSION}")
            exact_members(obj, what=what, required=_MEMBERS)
            if text(obj, "kdf", what=what) != "argon2id":
                raise EncodingError(f"{what}: kdf must be argon2id")
            found = cls(
                base64url.decode(text(obj, "salt", what=what)),
                integer(obj, "iterations", what=what, minimum=1, maximum=MAX_ITERATIONS),
                integer(obj, "memory_kib", what=what, minimum=MIN_MEMORY_KIB, maximum=MAX_MEMORY_KIB),
                integer(obj, "lanes", what=what, minimum=1, maximum=MAX_LANES),
                base64url.decode(text(obj, "wrapped", what=what)),
            )
            if len(found.salt) != SALT_BYTES or len(found.wrapped) != NONCE_BYTES + KEY_BYTES + 16:
                raise EncodingError(f"{what}: salt or wrapped key has another length")
        except EncodingError as fault:
            raise StoreError("store_damaged", f"{fault}; nothing was changed") from None
        return found


def write(path: Path, content: bytes) -> None:
    """Whole or not at all: a new file, synced, renamed over the old one, and the folder synced."""
    fresh = path.with_name(path.name + ".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
