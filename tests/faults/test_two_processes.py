"""Two processes on one data folder: one writes the log, the other follows, and goes on when the writer is killed."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from consent.errors import LogInUse
from consent.ledger.events import EventStore
from consent.ledger.schema import open_engine, upgrade
from consent.log import checkpoint, note
from consent.log.note import NoteKey
from consent.log.reader import LogReader, Tree, from_folder
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.faults.log_worker import ORIGIN, SEED

ROOT = Path(__file__).parents[2]
KEY = NoteKey(ORIGIN, note.ED25519, Ed25519Signer(SEED).public)
PATIENCE_SECONDS = 60.0


class Worker:
    def __init__(self, url: str, folder: Path, name: str) -> None:
        self.told = folder / name
        self.told.touch()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.log_worker", url, str(folder / "log"), str(self.told)],
            stdin=subprocess.PIPE,
            stderr=(folder / f"{name}.stderr").open("wb"),
            cwd=ROOT,
        )

    @property
    def state(self) -> str:
        """As it was when it started."""
        return self.told.read_text().partition("\n")[0]

    @property
    def acknowledged(self) -> list[tuple[int, str, float]]:
        lines = self.told.read_text().split("\n")[1:-1]
        return [(int(index), grant_id, float(took)) for index, grant_id, took in (line.split() for line in lines)]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(30) == 0


def soon(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    upgrade(engine)
    engine.dispose()
    return f"sqlite:///{tmp_path / 'consent.db'}"


@pytest.fixture
def start(url: str, tmp_path: Path) -> Iterator[Callable[[], Worker]]:
    workers: list[Worker] = []

    def start() -> Worker:
        workers.append(Worker(url, tmp_path, f"worker{len(workers)}"))
        soon(lambda: workers[-1].state != "" or workers[-1].process.poll() is not None)
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.kill()


def check_log(folder: Path, workers: list[Worker], url: str) -> None:
    """Every acknowledged event is where its proof said; all checkpoints ever kept are of one history."""
    kept = [
        checkpoint.verify(path.read_text(), KEY).checkpoint
        for path in folder.glob("checkpoint.*")
        if path.suffix[1:].isdecimal()
    ]
    reader, tree, entries = LogReader(from_folder(folder), KEY), Tree(), list[bytes]()
    roots = {0: tree.root}
    for run in reader.runs(reader.checkpoint().checkpoint, tree, stops=sorted(one.size for one in kept)):
        entries += run.entries
        roots[tree.size] = tree.root
    assert all(roots[one.size] == one.root for one in kept), "two histories were signed"
    for worker in workers:
        for index, grant_id, _ in worker.acknowledged:
            assert entries[index][4:20].hex() == grant_id, "an acknowledged event is lost"
    engine = open_engine(url)
    assert EventStore(engine).size() == len(entries)
    engine.dispose()


def test_one_writes_the_other_follows_and_takes_over(
    start: Callable[[], Worker], url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = start()
    second = start()
    assert (first.state, second.state) == ("running", "following")
    with pytest.raises(LogInUse):
        LogWriter(tmp_path / "log", ORIGIN, Ed25519Signer(SEED))
    soon(lambda: min(len(first.acknowledged), len(second.acknowledged)) > 100)
    first.kill()
    before = len(second.acknowledged)
    killed = time.monotonic()
    soon(lambda: len(second.acknowledged) > before + 4)
    pause = time.monotonic() - killed
    third = start()
    assert third.state == "following"
    soon(lambda: len(third.acknowledged) > 50)
    second.kill()
    before = len(third.acknowledged)
    soon(lambda: len(third.acknowledged) > before + 50)
    third.stop()
    took = sorted(took for worker in (first, second) for _, _, took in worker.acknowledged)
    followed = sorted(took for _, _, took in second.acknowledged[: before // 2])
    with capsys.disabled():
        print(
            f"  {url.partition(':')[0]}: commit to proof p50 {took[len(took) // 2]:.1f} ms, "
            f"followed p50 {followed[len(followed) // 2]:.1f} ms, went on {pause * 1000:.0f} ms after kill -9"
        )
    check_log(tmp_path / "log", [first, second, third], url)


def test_three_that_start_at_once(url: str, tmp_path: Path) -> None:
    workers = [Worker(url, tmp_path, f"at-once-{number}") for number in range(3)]
    try:
        soon(lambda: all(len(worker.acknowledged) > 20 for worker in workers))
        # Whoever starts while the writer does waits for its bell.
        states = sorted(worker.state for worker in workers)
        assert states[2] == "running" and set(states[:2]) <= {"following", "halted"}
        for worker in workers:
            worker.stop()
        check_log(tmp_path / "log", workers, url)
    finally:
        for worker in workers:
            if worker.process.poll() is None:
                worker.kill()
