"""The keyed-hash process: what it computes, what it never shows, and when it refuses."""

import hmac
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from identity.codec import strict_json
from identity.errors import EncodingError, KeyMaterialError, KeyUnavailable
from identity.keys.keyed_hash import (
    MAX_FRAME_BYTES,
    InProcessKeyedHash,
    KeyedHashClient,
    frame,
    parse_answer,
    read_frame,
    socket_address,
)
from identity.keys.keyed_hash_process import Bucket, KeyedHashServer, answer, main, make_keys, read_keys, serve

ROOT = Path(__file__).parents[3]
KEYS = {"pairwise": bytes(range(32)), "subject": bytes(range(32, 64))}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    drawn = iter(KEYS.values())
    make_keys(tmp_path / "keys.json", list(KEYS), lambda _: next(drawn))
    return tmp_path / "keys.json"


@pytest.fixture
def server(keys: Path, tmp_path: Path) -> Iterator[KeyedHashServer]:
    # deeper than what the kernel takes as the address of a socket
    path = tmp_path / ("deep" * 30) / "socket"
    server = serve(keys, path)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ("deep" * 30) / "socket"


def test_process_and_library_agree(server: KeyedHashServer, path: Path) -> None:
    messages = [b"person and organisation", b"", b"x" * 1_024, b""]
    expected = [hmac.digest(KEYS["pairwise"], message, sha256) for message in messages]
    assert KeyedHashClient(path).hashes("pairwise", messages) == expected
    assert InProcessKeyedHash(KEYS).hashes("pairwise", messages) == expected


def test_scopes_share_nothing(server: KeyedHashServer, path: Path) -> None:
    client = KeyedHashClient(path)
    assert client.hashes("pairwise", [b"x"]) != client.hashes("subject", [b"x"])
    with pytest.raises(KeyUnavailable, match="unknown_scope"):
        client.hashes("another", [b"x"])
    with pytest.raises(KeyUnavailable):
        InProcessKeyedHash(KEYS).hashes("another", [b"x"])


def test_nobody_answers(tmp_path: Path) -> None:
    with pytest.raises(KeyUnavailable):
        KeyedHashClient(tmp_path / "nothing").hashes("pairwise", [b"x"])


def test_socket_is_not_for_everybody(server: KeyedHashServer, path: Path) -> None:
    assert path.stat().st_mode & 0o007 == 0


def test_rate_is_limited() -> None:
    now = [0.0]
    bucket = Bucket(lambda: now[0], per_second=10, burst=20)
    assert bucket.take(20) and not bucket.take(1)
    now[0] = 0.5
    assert bucket.take(5) and not bucket.take(1)
    now[0] = 100.0
    assert not bucket.take(21) and bucket.take(20)
    refused = answer(b'{"scope":"pairwise","messages":["eA"]}', InProcessKeyedHash(KEYS), bucket)
    assert strict_json.parse(refused, what="answer") == {"error": "too_fast"}


@pytest.mark.parametrize(
    "question",
    [
        b"",
        b"[]",
        b"{",
        b'{"scope":"pairwise"}',
        b'{"scope":"pairwise","messages":[]}',
        b'{"scope":"pairwise","messages":["!"]}',
        b'{"scope":"pairwise","messages":[1]}',
        b'{"scope":"pairwise","scope":"pairwise","messages":["eA"]}',
        b'{"scope":"pairwise","messages":["eA"],"key":1}',
        b'{"scope":"pairwise","messages":["' + b"A" * 1_400 + b'"]}',
        b'{"scope":"pairwise","messages":[' + b'"eA",' * 256 + b'"eA"]}',
    ],
)
def test_malformed_questions(question: bytes) -> None:
    bucket = Bucket(lambda: 0.0, per_second=0, burst=1_000)
    found = strict_json.parse(answer(question, InProcessKeyedHash(KEYS), bucket), what="answer")
    assert found == {"error": "malformed"}


def test_oversized_and_cut_frames_end_the_connection(server: KeyedHashServer, path: Path) -> None:
    for sent in ((MAX_FRAME_BYTES + 1).to_bytes(4, "big"), b"\0\0\0\x09short"):
        with socket_address(path) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.connect(address)
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == b""
    assert KeyedHashClient(path).hashes("subject", [b"x"]), "and the process goes on"


def test_answers_are_checked() -> None:
    """A process that is not ours must not make a worker issue a short identifier."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(frame(b'{"hashes":["eA"]}'))
        assert read_frame(ours) == b'{"hashes":["eA"]}'
    for data in (b'{"hashes":["eA"]}', b'{"hashes":[]}', b'{"hashes":[1]}', b"{}", b"nothing"):
        with pytest.raises(EncodingError):
            parse_answer(data, count=1)


def test_key_files(keys: Path) -> None:
    assert read_keys(keys) == KEYS
    assert keys.stat().st_mode & 0o777 == 0o600
    with pytest.raises(FileExistsError):
        make_keys(keys, ["pairwise"], lambda size: bytes(size))
    assert read_keys(keys) == KEYS
    keys.chmod(0o640)
    with pytest.raises(KeyMaterialError, match="0600"):
        read_keys(keys)


@pytest.mark.parametrize("content", [b"", b"{}x", b'{"a":"AA=="}', b'{"a":1}'])
def test_broken_key_files(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "keys.json"
    path.touch(mode=0o600)
    path.write_bytes(content)
    with pytest.raises(KeyMaterialError):
        InProcessKeyedHash(read_keys(path))


def test_keys_are_long_and_never_shared() -> None:
    with pytest.raises(KeyMaterialError, match="31 bytes"):
        InProcessKeyedHash({"a": bytes(31)})
    with pytest.raises(KeyMaterialError, match="share"):
        InProcessKeyedHash({"a": bytes(32), "b": bytes(32)})
    assert "AAAA" not in repr(InProcessKeyedHash({"a": bytes(32)})) and "\\x00" not in repr(
        InProcessKeyedHash({"a": bytes(32)})
    )


def test_as_a_process(keys: Path, tmp_path: Path) -> None:
    path = tmp_path / "s"
    command = [sys.executable, "-m", "identity.keys.keyed_hash_process", "--keys", str(keys), "--socket", str(path)]
    with subprocess.Popen([*command, "--with-parent"], cwd=ROOT, stderr=subprocess.PIPE) as running:
        try:
            for _ in range(200):
                try:
                    found = KeyedHashClient(path).hashes("pairwise", [b"x"])
                    break
                except KeyUnavailable:
                    threading.Event().wait(0.05)
            assert found == [hmac.digest(KEYS["pairwise"], b"x", sha256)]
        finally:
            running.terminate()
        assert running.wait(10) == 0
        assert running.stderr is not None and running.stderr.read() == b""
    broken = subprocess.run([*command[:-3], str(tmp_path / "none"), "--socket", str(path)], cwd=ROOT, check=False,
                            capture_output=True)  # fmt: skip
    assert broken.returncode == 2 and b"keyed-hash:" in broken.stderr


def test_a_key_file_is_made_once(tmp_path: Path) -> None:
    keys = tmp_path / "hashes.json"
    assert main(["--keys", str(keys), "--make", "account", "other"]) == 0
    made = read_keys(keys)
    assert made.keys() == {"account", "other"} and made["account"] != made["other"]
    assert main(["--keys", str(keys), "--make", "account"]) == 2
    assert read_keys(keys) == made, "another key would change every identifier"
