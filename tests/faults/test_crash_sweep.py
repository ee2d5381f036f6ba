"""Store and log, killed at every write and sync, and on disks that fail: no act is lost, no log forks.

``crash_worker`` runs under strace, which injects the faults; here everything that was ever
acknowledged is held against what is found afterwards. The number of injected faults is printed.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from consent.ledger.audit import PeriodLog, audit
from consent.ledger.events import EventStore
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.schema import open_engine, upgrade
from consent.log import checkpoint, note
from consent.log.note import NoteKey
from consent.log.reader import LogReader, Tree, from_folder
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.conftest import Requirement
from tests.faults.crash_worker import MOST_CALLS, NOW
from tests.faults.log_worker import ORIGIN, SEED

ROOT = Path(__file__).parents[2]
KEY = NoteKey(ORIGIN, note.ED25519, Ed25519Signer(SEED).public)
MEMORY = Path("/dev/shm")


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where it is there, in memory: a killed process loses nothing of it, and a sync takes no time."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path, prefix="atorga-crash-") as place:
        (Path(place) / "acknowledged").touch()
        yield Path(place)


def sqlite(folder: Path) -> str:
    url = f"sqlite:///{folder / 'consent.db'}"
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    return url


def run(folder: Path, inject: str, *arguments: str) -> tuple[int, str]:
    """What the worker printed, and the trace."""
    strace, trace = Requirement()("strace"), folder / "trace"
    call = inject.partition(":")[0]
    command = [
        strace, "-f", "-qq", "-o", str(trace), "-e", f"trace={call}", "-e", f"inject={inject}",
        sys.executable, "-B", "-m", "tests.faults.crash_worker", *arguments,
    ]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280, cwd=ROOT)
    assert ran.returncode == 0, f"{ran.stdout} {ran.stderr[-2000:]}"
    return int(ran.stdout.split()[-1]), trace.read_text(errors="replace")


def check(url: str, folder: Path) -> None:
    """Reopens everything and holds it against what was acknowledged, and against every checkpoint ever kept."""
    engine = open_engine(url)
    grants, events = GrantStore(engine), EventStore(engine)
    log = LogWriter(folder / "log", ORIGIN, Ed25519Signer(SEED))
    log.recover(events.leaves_from, events.size())
    entries = log.entries(0, log.size)
    log.close()
    ended: set[str] = set()
    for line in (folder / "acknowledged").read_text().splitlines():
        grant_id, counter, kind, *index = line.split()
        found = events.of_grant(bytes.fromhex(grant_id), int(counter))
        assert found is not None and found.kind == int(kind), "an acknowledged act is lost"
        row = grants.row(bytes.fromhex(grant_id))
        assert row is not None and row.counter >= int(counter), "a row is older than what was acknowledged of it"
        if index:
            leaf = Leaf.from_bytes(entries[int(index[0])])
            assert (leaf.id.hex(), leaf.counter, leaf.kind) == (grant_id, int(counter), int(kind))
            assert found.leaf_index == int(index[0])
        if int(kind) == Kind.WITHDRAW:
            ended.add(grant_id)
    engine.dispose()
    assert ended
    kept = [
        checkpoint.verify(path.read_text(), KEY).checkpoint
        for path in (folder / "log").glob("checkpoint.*")
        if path.suffix[1:].isdecimal()
    ]
    reader, tree = LogReader(from_folder(folder / "log"), KEY), Tree()
    newest = reader.checkpoint()
    roots = {0: tree.root}
    for _ in reader.runs(newest.checkpoint, tree, stops=sorted(one.size for one in kept)):
        roots[tree.size] = tree.root
    assert all(roots[one.size] == one.root for one in kept), "two histories were signed"
    report = audit([PeriodLog(reader, newest)], seen=[], quorum=None, quorum_required=False, now=NOW)
    assert report.passed, report.findings


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[int, str], None]:
    def tell(count: int, what: str) -> None:
        with capsys.disabled():
            print(f"  {count} faults ({what})")

    return tell


# Where the store's writer thread and the log's main thread change something on disk.
SWEEPS = [
    ("writer", "pwrite64"), ("writer", "fdatasync"),
    ("main", "pwrite64"), ("main", "fdatasync"), ("main", "fsync"), ("main", "write"), ("main", "rename"),
]  # fmt: skip


@pytest.mark.parametrize(("thread", "call"), SWEEPS)
def test_killed_at_every_call(folder: Path, thread: str, call: str, tell: Callable[[int, str], None]) -> None:
    url = sqlite(folder)
    killed, trace = run(folder, f"{call}:signal=KILL:when={MOST_CALLS}", "kill", url, str(folder), call, thread)
    assert 2 < killed <= trace.count("SIGKILL")
    check(url, folder)
    tell(killed, f"kill -9 at {call} of {'the store' if thread == 'writer' else 'the log and its places'}")


# More calls apart than one act makes, or it would fail in the same place for ever.
APART = {"pwrite64": 97, "fdatasync": 5, "write": 29, "fsync": 23}


@pytest.mark.parametrize("code", ["EIO", "ENOSPC"])
@pytest.mark.parametrize("call", APART)
def test_a_disk_that_fails_again_and_again(
    folder: Path, call: str, code: str, tell: Callable[[int, str], None]
) -> None:
    """One process goes on after every error, without a restart."""
    url = sqlite(folder)
    failed, trace = run(folder, f"{call}:error={code}:when=10+{APART[call]}", "err", url, str(folder), "200")
    injected = trace.count("(INJECTED)")
    assert failed > 0 and injected > 5
    check(url, folder)
    tell(injected, f"{code} at {call}")


def test_killed_at_every_word_to_postgresql(
    folder: Path, postgresql_url: str, tell: Callable[[int, str], None]
) -> None:
    killed, _ = run(
        folder, f"sendto:signal=KILL:when={MOST_CALLS}", "kill", postgresql_url, str(folder), "sendto", "writer"
    )
    assert killed > 2
    more, _ = run(
        folder, f"sendto:signal=KILL:when={MOST_CALLS}", "kill", postgresql_url, str(folder), "sendto", "main"
    )
    assert more > 2
    check(postgresql_url, folder)
    tell(killed + more, "kill -9 of a service at each message to PostgreSQL")
