"""The process that holds the keys of keyed hashes (`identity.keys.keyed_hash` says why it is one).

    python -m identity.keys.keyed_hash_process --keys FILE --socket PATH [--with-parent]

The key file is ``{"scope": b64 of 32 bytes}`` and nobody's but its owner's (0600, else the process
does not start). The socket is open to its owner and group: in production the process runs under
an account of its own, the web workers are in its group, and the key file is in neither their
reach nor the database's backups.
"""

import argparse
import os
import secrets
import signal
import socketserver
import stat
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from identity.clock import Clock
from identity.codec import base64url, strict_json
from identity.errors import EncodingError, IdentityError, KeyMaterialError, KeyUnavailable
from identity.keys.keyed_hash import (
    ANSWER_SECONDS,
    KEY_BYTES,
    MALFORMED,
    TOO_FAST,
    UNKNOWN_SCOPE,
    InProcessKeyedHash,
    KeyedHash,
    format_answer,
    frame,
    parse_question,
    read_frame,
    socket_address,
)
from identity.randomness import Random

HASHES_PER_SECOND = 20_000
"""A hundred issuances of pairwise identifiers a second. To try all DNI numbers for one organisation
takes an hour and a half at this rate, and shows."""

BURST_HASHES = 40_000

MAX_KEY_FILE_BYTES = 16_384
PARENT_CHECK_SECONDS = 1.0


class Bucket:
    """How many hashes may be given out now: refilled at a steady rate up to a burst."""

    def __init__(self, clock: Clock, *, per_second: float, burst: float) -> None:
        self._clock = clock
        self._per_second = per_second
        self._burst = burst
        self._left = burst
        self._at = clock()
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        with self._lock:
            now = self._clock()
            self._left = min(self._burst, self._left + max(0.0, now - self._at) * self._per_second)
            self._at = now
            if count > self._left:
                return False
            self._left -= count
            return True


def answer(question: bytes, keys: KeyedHash, bucket: Bucket) -> bytes:
    """The answer to one question; never raises on what a client sends."""
    try:
        scope, messages = parse_question(question)
    except EncodingError:
        return _refusal(MALFORMED)
    if not bucket.take(len(messages)):
        return _refusal(TOO_FAST)
    try:
        return format_answer(keys.hashes(scope, messages))
    except KeyUnavailable:
        return _refusal(UNKNOWN_SCOPE)


def _refusal(code: str) -> bytes:
    return strict_json.compact({"error": code})


class KeyedHashServer(socketserver.ThreadingUnixStreamServer):
    """Serves one question a connection."""

    daemon_threads = True

    def __init__(self, path: Path, keys: KeyedHash, bucket: Bucket) -> None:
        self.keys = keys
        self.bucket = bucket
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        before = os.umask(0o117)
        try:
            with socket_address(path) as address:
                super().__init__(address, _Handler)
        finally:
            os.umask(before)

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing is printed: a traceback could show a question."""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, KeyedHashServer)
        self.request.settimeout(ANSWER_SECONDS)
        try:
            question = read_frame(self.request)
        except (EncodingError, OSError):
            return
        self.request.sendall(frame(answer(question, self.server.keys, self.server.bucket)))


def make_keys(path: Path, scopes: Sequence[str], random: Random) -> None:
    """A new key file. An existing one is never touched: the identifiers made with it would all change."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    content = strict_json.compact({scope: base64url.encode(random(KEY_BYTES)) for scope in scopes})
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content + b"\n")
        stream.flush()
        os.fsync(stream.fileno())
    os.link(temporary, path)  # raises FileExistsError where there is one
    temporary.unlink()


def read_keys(path: Path) -> dict[str, bytes]:
    """Raises KeyMaterialError."""
    what = "key file of keyed hashes"
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            content = stream.read(MAX_KEY_FILE_BYTES + 1)
    except OSError as fault:
        raise KeyMaterialError(f"{what}: {fault.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyMaterialError(f"{what}: others than its owner may read it, mode 0600 is expected")
    try:
        found: Mapping[str, object] = strict_json.parse_object(content, what=what, max_bytes=MAX_KEY_FILE_BYTES)
        return {scope: base64url.decode(str(key), what=what) for scope, key in found.items()}
    except EncodingError as fault:
        raise KeyMaterialError(str(fault)) from None


def serve(keys: Path, path: Path, *, clock: Clock = time.monotonic) -> KeyedHashServer:
    """A server that is ready; the caller runs it. Raises KeyMaterialError, OSError."""
    bucket = Bucket(clock, per_second=HASHES_PER_SECOND, burst=BURST_HASHES)
    return KeyedHashServer(path, InProcessKeyedHash(read_keys(keys)), bucket)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="keyed-hash", description="Computes keyed hashes; shows no key.")
    parser.add_argument("--keys", type=Path, required=True, help="key file, readable by its owner only")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--socket", type=Path, help="where to listen")
    what.add_argument("--make", metavar="SCOPE", nargs="+", help="make the key file, which must not exist, and end")
    parser.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")
    given = parser.parse_args(arguments)
    try:
        if given.make:
            make_keys(given.keys, given.make, secrets.token_bytes)
            return 0
        server = serve(given.keys, given.socket)
    except (IdentityError, OSError) as fault:
        sys.stderr.write(f"keyed-hash: {fault}\n")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    if given.with_parent:
        threading.Thread(target=_follow_parent, args=(os.getppid(), server), daemon=True).start()
    with server:
        # The socket file stays: a process that has already taken this one's place would lose its own.
        server.serve_forever(poll_interval=0.2)
    return 0


def _follow_parent(parent: int, server: KeyedHashServer) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_SECONDS)
    server.shutdown()


if __name__ == "__main__":
    sys.exit(main())
