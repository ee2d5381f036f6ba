"""Keyed hashes of what must not be read back: one key a scope, in a process of its own.

A keyed hash of a DNI beside its key is no secret: there are only 10^8 numbers. So the keys lie in a
file that the web workers cannot read, a process of its own computes with them
(`identity.keys.keyed_hash_process`), and it counts: whoever takes over a worker can ask for hashes
no faster than the process gives them out.

    hash = HMAC-SHA-256(key of the scope, message)

Scopes never share a key: two of them say nothing about each other. On the socket each way a
message is 4 bytes of length, big-endian, and JSON:

    {"scope": "pairwise", "messages": [b64, …]}  →  {"hashes": [b64, …]}  or  {"error": code}
"""

import hmac
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from identity.codec import base64url, strict_json
from identity.codec.members import text
from identity.errors import EncodingError, KeyMaterialError, KeyUnavailable

KEY_BYTES = 32
HASH_BYTES = 32

MAX_MESSAGES = 256
"""In one question: a shard of pairwise identifiers has 200."""

MAX_MESSAGE_BYTES = 1_024
MAX_FRAME_BYTES = 524_288
"""`MAX_MESSAGES` of `MAX_MESSAGE_BYTES`, as base64url."""

ANSWER_SECONDS = 5.0

MAX_SOCKET_PATH_BYTES = 100

UNKNOWN_SCOPE = "unknown_scope"
TOO_FAST = "too_fast"
MALFORMED = "malformed"


class KeyedHash(Protocol):
    """Computes keyed hashes of one scope. Raises KeyUnavailable where it cannot, now or ever."""

    def hashes(self, scope: str, messages: Sequence[bytes]) -> list[bytes]:
        """One hash a message, in their order."""
        ...


class InProcessKeyedHash:
    """The keys in this process: for the process that serves them, and for tests."""

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        for scope, key in keys.items():
            if len(key) != KEY_BYTES:
                raise KeyMaterialError(f"keyed hash: the key of {scope!r} has {len(key)} bytes, expected {KEY_BYTES}")
        if len(set(keys.values())) != len(keys):
            raise KeyMaterialError("keyed hash: two scopes share a key")
        self._keys = dict(keys)

    def hashes(self, scope: str, messages: Sequence[bytes]) -> list[bytes]:
        key = self._keys.get(scope)
        if key is None:
            raise KeyUnavailable("keyed hash: there is no key for this scope")
        return [hmac.digest(key, message, sha256) for message in messages]

    def __repr__(self) -> str:
        return f"InProcessKeyedHash({', '.join(sorted(self._keys))})"


class KeyedHashClient:
    """Asks the process at a Unix socket; one connection a question, since questions are rare and batched."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hashes(self, scope: str, messages: Sequence[bytes]) -> list[bytes]:
        try:
            with (
                socket_address(self._path) as address,
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
            ):
                connection.settimeout(ANSWER_SECONDS)
                connection.connect(address)
                connection.sendall(frame(format_question(scope, messages)))
                return parse_answer(read_frame(connection), count=len(messages))
        except (OSError, EncodingError) as fault:
            # The path and the cause are ours; no message is in them.
            raise KeyUnavailable(f"keyed hash: its process does not answer ({type(fault).__name__})") from None


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """The path, or a short name for it: the kernel takes 107 bytes, and data folders lie deep."""
    if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def format_question(scope: str, messages: Sequence[bytes]) -> bytes:
    return strict_json.compact({"scope": scope, "messages": [base64url.encode(message) for message in messages]})


def parse_question(data: bytes) -> tuple[str, list[bytes]]:
    """Raises EncodingError."""
    what = "keyed hash question"
    obj = strict_json.parse_object(data, what=what, max_bytes=MAX_FRAME_BYTES)
    if obj.keys() != {"scope", "messages"}:
        raise EncodingError(f"{what}: members must be exactly scope and messages")
    found = obj["messages"]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_MESSAGES:
        raise EncodingError(f"{what}: 'messages' must be a list of 1 to {MAX_MESSAGES}")
    if not all(isinstance(one, str) and len(one) <= MAX_MESSAGE_BYTES * 4 // 3 + 3 for one in found):
        raise EncodingError(f"{what}: a message must have at most {MAX_MESSAGE_BYTES} bytes")
    return text(obj, "scope", what=what, max_length=64), [base64url.decode(one, what=what) for one in found]


def format_answer(hashes: Sequence[bytes]) -> bytes:
    return strict_json.compact({"hashes": [base64url.encode(one) for one in hashes]})


def parse_answer(data: bytes, *, count: int) -> list[bytes]:
    """Raises EncodingError, and KeyUnavailable where the process refuses."""
    what = "keyed hash answer"
    obj: dict[str, Any] = strict_json.parse_object(data, what=what, max_bytes=MAX_FRAME_BYTES)
    if "error" in obj:
        raise KeyUnavailable(f"keyed hash: refused ({text(obj, 'error', what=what, max_length=32)})")
    found = obj.get("hashes")
    if not isinstance(found, list) or len(found) != count or not all(isinstance(one, str) for one in found):
        raise EncodingError(f"{what}: expected {count} hashes")
    hashes = [base64url.decode(one, what=what) for one in found]
    if any(len(one) != HASH_BYTES for one in hashes):
        raise EncodingError(f"{what}: a hash has not {HASH_BYTES} bytes")
    return hashes


def frame(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def read_frame(connection: socket.socket) -> bytes:
    """Raises EncodingError for a frame that is too long or cut off, OSError where the other side fails."""
    size = int.from_bytes(_read(connection, 4), "big")
    if size > MAX_FRAME_BYTES:
        raise EncodingError(f"frame: {size} bytes, at most {MAX_FRAME_BYTES} are read")
    return _read(connection, size)


def _read(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        part = connection.recv(min(size - len(found), 65_536))
        if not part:
            raise EncodingError("frame: cut off")
        found += part
    return bytes(found)
