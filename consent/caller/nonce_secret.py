"""The secret behind proof nonces, one for all processes on one data folder.

A nonce that one worker gave is brought back to another, and survives a restart: so the secret is a
file. Whoever reads it can make nonces, and with them nothing that a signature does not allow.
"""

import os
from contextlib import suppress
from pathlib import Path

from consent.errors import OutOfService
from identity.randomness import Random

SECRET_BYTES = 32
_OWN_ONLY = 0o600


def shared_secret(path: Path, random: Random) -> bytes:
    """What is in ``path``; made once, whichever process is first. Raises OutOfService where it holds something else."""
    if not path.exists():
        _make(path, random(SECRET_BYTES), name=random(8).hex())
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise OutOfService(f"{path.name}: {len(secret)} bytes, expected {SECRET_BYTES}; delete it to have a new one")
    return secret


def _make(path: Path, secret: bytes, *, name: str) -> None:
    temporary = path.with_name(f".{path.name}.{name}")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _OWN_ONLY)
    try:
        os.write(handle, secret)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        # A link takes a name only where nobody has it: of two processes one is first.
        with suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink()
