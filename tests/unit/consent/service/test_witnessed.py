"""Database and tiles restored together from an old copy: only a witness can tell."""

import secrets
import shutil
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from consent.errors import LogError, StoreBehindLog
from consent.log import checkpoint, note
from consent.log.checkpoint import Checkpoint
from consent.log.note import UnverifiedNote
from consent.log.writer import LogWriter
from consent.service.witnessed import Witnessed
from identity.errors import FetchError
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_city import ORIGIN, ConsentCity, Keys, Wallet

URL = "https://witness.example"


class Remembering:
    """A witness's monitoring side that tells what it is told to tell."""

    def __init__(self) -> None:
        self.content: str | None = None
        self.asked: list[str] = []

    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        self.asked.append(url)
        if self.content is None:
            raise FetchError("fetch: witness.example answered 404, expected 200")
        return self.content.encode()


@pytest.fixture
def witness() -> Remembering:
    return Remembering()


def signed(keys: Keys, size: int, root: bytes, origin: str = ORIGIN) -> str:
    text = Checkpoint(origin, size, root).format()
    return UnverifiedNote(text, (note.sign(text, origin, keys.log.public, keys.log),)).format()


def test_a_copy_of_yesterday_serves_no_use(tmp_path: Path, witness: Remembering) -> None:
    live, yesterday = tmp_path / "live", tmp_path / "yesterday"
    live.mkdir()
    compare = Witnessed([URL], witness).compare
    city = ConsentCity(live, compare=compare)
    city.declare_all()
    wallet = Wallet(city).enrolled()
    held = wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    city.close()
    shutil.copytree(live, yesterday, ignore=shutil.ignore_patterns("log-bells"))
    city = ConsentCity(live, keys=city.keys, compare=compare)
    wallet.city = city
    use = city.use_request(held.id)
    city.prove(city.use(use), use, wallet)
    witness.content = city.office.sequencer.writer.signed_checkpoint
    city.close()

    before = sorted(path.name for path in (yesterday / "log").iterdir())
    city = ConsentCity(yesterday, keys=city.keys, compare=compare)
    wallet.city = city
    assert city.use(city.use_request(held.id)).status_code == 503
    assert wallet.withdraw(held).json()["state"] == "withdrawn"
    assert sorted(path.name for path in (yesterday / "log").iterdir()) == before, "nothing was signed"
    city.close()
    address = f"{URL}/{sha256(ORIGIN.encode()).hexdigest()}/checkpoint"
    assert set(witness.asked) == {address}


@pytest.fixture
def log(tmp_path: Path) -> LogWriter:
    log = LogWriter(tmp_path, ORIGIN, Ed25519Signer(bytes(32)))
    log.append([b"one", b"two", b"three"])
    return log


@pytest.fixture
def keys() -> Keys:
    return Keys(log_seed=bytes(32))


def test_what_agrees(log: LogWriter, keys: Keys, witness: Remembering) -> None:
    compare = Witnessed([URL, f"{URL}/two/"], witness).compare
    compare(log)
    witness.content = log.signed_checkpoint
    compare(log)
    log.append([b"four"])
    compare(log)
    witness.content = signed(keys, 0, checkpoint_root(log, 0))
    compare(log)


def checkpoint_root(log: LogWriter, size: int) -> bytes:
    return sha256(b"").digest() if size == 0 else checkpoint.verify(log.signed_checkpoint, log.key).root


@pytest.mark.parametrize(("size", "error"), [(4, StoreBehindLog), (3, LogError), (2, LogError), (1, LogError)])
def test_what_contradicts(log: LogWriter, keys: Keys, witness: Remembering, size: int, error: type[LogError]) -> None:
    witness.content = signed(keys, size, secrets.token_bytes(32))
    with pytest.raises(error):
        Witnessed([URL], witness).compare(log)


@pytest.mark.parametrize(
    "content",
    [
        "", "x", lambda: signed(Keys(), 99, bytes(32)),
        lambda: signed(Keys(log_seed=bytes(32)), 99, bytes(32), "x.y/log/1"),
    ],
)  # fmt: skip
def test_what_proves_nothing_stops_nothing(
    log: LogWriter, witness: Remembering, content: str | Callable[[], str]
) -> None:
    """A witness that makes a size up has not our signature under it."""
    witness.content = content if isinstance(content, str) else content()
    Witnessed([URL], witness).compare(log)


def test_a_contradiction_found_later_stops_the_log(tmp_path: Path, witness: Remembering) -> None:
    city = ConsentCity(tmp_path, compare=Witnessed([URL], witness).compare)
    city.declare_all()
    witness.content = signed(city.keys, 1_000, bytes(32))
    city.office.sequencer.compare_again()
    deadline = time.monotonic() + 5
    while city.post_jws("/requests", city.request()).status_code != 503:
        assert time.monotonic() < deadline
    city.close()
