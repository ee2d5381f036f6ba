"""The log's writer meets kill -9, power cuts, full and broken disks at every step of what it does.

After each, the log is opened again, brought up to the database, and held against everything that
was ever signed: nothing acknowledged may be missing, and no two checkpoints may contradict.
"""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from consent.errors import LogError
from consent.log import checkpoint, durable, note
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey
from consent.log.reader import LogReader, Tree, from_folder
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.conftest import Requirement

ROOT = Path(__file__).parents[2]
ORIGIN = "log.example/log/2026"
SEED = bytes(range(32))
KEY = NoteKey(ORIGIN, note.ED25519, Ed25519Signer(SEED).public)

ENTRIES = [b"entry %d" % number for number in range(1_200)]
"""The database: what has a place there never changes."""

BEFORE = 254
BATCHES = (255, 256, 258, 560)
"""Sizes after each append: a tile that fills exactly, one that begins, two at once."""

TORN = b"half of what was wri"
"""What a file may hold that was never synced."""


class Unsynced:
    """``os`` without its slowest call: a killed process loses nothing that it wrote, synced or not."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, handle: int) -> None:
        pass


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """For this process, which nobody kills."""
    monkeypatch.setattr(durable, "os", Unsynced())


class Signer(Ed25519Signer):
    """Remembers every checkpoint it ever signed, whether it reached the disk or not."""

    def __init__(self) -> None:
        super().__init__(SEED)
        self.signed: list[Checkpoint] = []

    def sign(self, data: bytes) -> bytes:
        self.signed.append(Checkpoint.parse(data.decode()))
        return super().sign(data)


MEMORY = Path("/dev/shm")
"""Where it is there: a killed process loses nothing of it, and thousands of small files are made at once."""


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with TemporaryDirectory(dir=MEMORY, prefix="atorga-log-") as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 254 entries, whole and durable."""
    folder = tmp_path_factory.mktemp("before") / "log"
    log = LogWriter(folder, ORIGIN, Ed25519Signer(SEED))
    log.append(ENTRIES[:BEFORE])
    log.close()
    return folder


def database(size: int) -> Callable[[int], list[bytes]]:
    """A database that has given places to so many entries."""
    return lambda index: ENTRIES[index : min(index + 300, size)]


def continue_and_check(folder: Path, *, acknowledged: int, signed: list[Checkpoint]) -> None:
    """Opens the log as after a crash, goes on, and holds every checkpoint ever signed against it."""
    signer = Signer()
    log = LogWriter(folder, ORIGIN, signer)
    assert log.size >= acknowledged, "an acknowledged entry is lost"
    log.recover(database(700), 700)
    log.append(ENTRIES[700:701])
    log.close()
    every = [*signed, *signer.signed]
    roots = roots_of(folder, {one.size for one in every})
    for one in every:
        assert roots[one.size] == one.root, f"two histories of {one.size} entries were signed"


def roots_of(folder: Path, sizes: set[int]) -> dict[int, bytes]:
    """The root at each of these sizes, from the entries alone."""
    reader, tree = LogReader(from_folder(folder), KEY), Tree()
    roots = {0: tree.root}
    found: list[bytes] = []
    for run in reader.runs(reader.checkpoint().checkpoint, tree, stops=sorted(sizes)):
        found += run.entries
        roots[tree.size] = tree.root
    assert found == ENTRIES[: len(found)]
    return roots


def work(log: LogWriter, acknowledge: Callable[[int], None]) -> None:
    for size in BATCHES:
        log.append(ENTRIES[log.size : size])
        acknowledge(size)


# ── kill -9, really ──────────────────────────────────────────────────────────────────────────────

KILL_BATCHES = (256, 258)
CHILD = """
import sys
from pathlib import Path
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
log = LogWriter(Path(sys.argv[1]), sys.argv[3], Ed25519Signer(bytes(range(32))))
acknowledged = open(sys.argv[2], "w", buffering=1)
for size in map(int, sys.argv[4:]):
    log.append([b"entry %d" % number for number in range(log.size, size)])
    print(size, file=acknowledged)
"""


@pytest.mark.parametrize("call", ["fsync", "write", "rename", "mkdir"])
def test_killed_at_every_system_call(before: Path, place: Path, call: str, capsys: pytest.CaptureFixture[str]) -> None:
    strace = Requirement()("strace")
    for number in range(1, 200):
        folder, told = place / f"log{number}", place / f"told{number}"
        shutil.copytree(before, folder)
        command = [
            strace, "-f", "-qq", "-o", str(place / "trace"), "-e", f"trace={call}",
            "-e", f"inject={call}:signal=KILL:when={number}",
            sys.executable, "-B", "-c", CHILD, str(folder), str(told), ORIGIN, *map(str, KILL_BATCHES),
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, check=False, timeout=60, cwd=ROOT)
        acknowledged = [int(line) for line in told.read_text().split()] if told.exists() else []
        continue_and_check(folder, acknowledged=max(acknowledged, default=BEFORE), signed=kept(folder))
        shutil.rmtree(folder)
        if ran.returncode == 0:
            assert acknowledged == list(KILL_BATCHES)
            break
        assert ran.returncode in (-9, 137), ran.stderr
    else:
        pytest.fail("the work never came to its end")
    assert number > 1
    report(capsys, f"kill -9 at {call}", number - 1)


def kept(folder: Path) -> list[Checkpoint]:
    """What a killed process has signed is gone with it, but for what others may have read."""
    names = [*folder.glob("checkpoint.*"), folder / "checkpoint"]
    return [checkpoint.verify(path.read_text(), KEY).checkpoint for path in names]


def report(capsys: pytest.CaptureFixture[str], what: str, count: int) -> None:
    """The number of injected faults is a figure that people want to see."""
    with capsys.disabled():
        print(f"  {count} faults ({what})")


# ── disks that are full, broken or without power ─────────────────────────────────────────────────


class PowerCut(BaseException):
    """Nothing after it happens: no handler of ours may run on."""


Fault = Callable[[str], None]
"""Called before each step with its name; raises what shall happen there."""


class Disk:
    """``os`` as the writer sees it: counts steps, lets them fail, and knows what a power cut would leave.

    A file's content survives once it is synced, its name once its folder is. What is not synced may
    survive or not, each on its own: that is what POSIX promises, and some file systems keep no more.
    """

    def __init__(self, root: Path, fault: Fault) -> None:
        self._root = root
        self._fault = fault
        self._paths: dict[int, Path] = {}
        self._synced: set[Path] = set()
        self._names: dict[Path, list[bytes | None]] = {}
        """Name → what may be found under it; the first is what is sure. b"" stands for a folder."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if flags & os.O_CREAT:
            self._fault("open")
        handle = os.open(path, flags, mode)
        self._paths[handle] = Path(path)
        return handle

    def write(self, handle: int, data: bytes) -> int:
        self._fault("write")
        self._synced.discard(self._paths[handle])
        return os.write(handle, data)

    def fsync(self, handle: int) -> None:
        self._fault("fsync")
        path = self._paths[handle]
        if path.is_dir():
            for name, found in self._names.items():
                if name.parent == path:
                    del found[:-1]
        else:
            self._synced.add(path)

    def replace(self, source: Path, target: Path) -> None:
        self._fault("replace")
        content = source.read_bytes() if source in self._synced else TORN
        self._may_be(target).append(content)
        os.replace(source, target)

    def mkdir(self, path: Path) -> None:
        self._fault("mkdir")
        os.mkdir(path)
        self._names[path] = [None, b""]

    def after_power_cut(self, folder: Path, random: Random | None) -> None:
        """What is found afterwards: by ``random`` some of what was not sure, without it none."""
        shutil.copytree(self._root, folder)
        for name, found in sorted(self._names.items()):
            here = folder / name.relative_to(self._root)
            content = found[0] if random is None else random.choice(found)
            if content is None:
                shutil.rmtree(here, ignore_errors=True) if here.is_dir() else here.unlink(missing_ok=True)
            elif here.parent.is_dir() and not here.is_dir():
                here.write_bytes(content)

    def _may_be(self, target: Path) -> list[bytes | None]:
        if target not in self._names:
            self._names[target] = [target.read_bytes() if target.exists() else None]
        return self._names[target]


def fail_at(number: int, fault: BaseException) -> Fault:
    steps = iter(range(1, 1_000_000))

    def step(_: str) -> None:
        if next(steps) == number:
            raise fault

    return step


def test_power_is_cut_at_every_step(
    before: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cuts = 0
    for number in range(1, 2_000):
        folder = place / f"log{number}"
        shutil.copytree(before, folder)
        disk = Disk(folder, fail_at(number, PowerCut()))
        signer, acknowledged = Signer(), [BEFORE]
        ended = True
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", disk)
            log = None
            try:
                log = LogWriter(folder, ORIGIN, signer)
                work(log, acknowledged.append)
            except PowerCut:
                ended = False
            finally:
                if log is not None:
                    log.close()
        if ended:
            break
        for seed in (None, number, number + 1):
            found = place / f"found{number}-{seed}"
            disk.after_power_cut(found, None if seed is None else Random(seed))
            # What was signed and never became durable was shown to nobody who could still have it:
            # the entries under it are the database's, so it must fit nevertheless.
            continue_and_check(found, acknowledged=acknowledged[-1], signed=signer.signed)
            shutil.rmtree(found)
            cuts += 1
        shutil.rmtree(folder)
    assert cuts > 100
    report(capsys, "power cut", cuts)


ERRORS = (errno.EIO, errno.ENOSPC)


@pytest.mark.parametrize("code", ERRORS, ids=lambda code: errno.errorcode[code])
def test_the_disk_fails_once_at_every_step(
    before: Path, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    """The same writer goes on after it has looked at what is there, without a restart."""
    for number in range(1, 2_000):
        folder = place / f"log{number}"
        shutil.copytree(before, folder)
        signer = Signer()
        log = LogWriter(folder, ORIGIN, signer)
        acknowledged = [BEFORE]
        with monkeypatch.context() as patch:
            patch.setattr(durable, "os", Disk(folder, fail_at(number, OSError(code, os.strerror(code)))))
            failed = False
            try:
                work(log, acknowledged.append)
            except OSError:
                failed = True
            if not failed:
                log.close()
                break
            with pytest.raises(LogError, match="reopen"):
                log.append(ENTRIES[log.size : log.size + 1])
            log.reopen()
            assert log.size >= acknowledged[-1]
            log.recover(database(BATCHES[-1]), BATCHES[-1])
            assert log.size == BATCHES[-1]
        log.close()
        continue_and_check(folder, acknowledged=BATCHES[-1], signed=signer.signed)
        shutil.rmtree(folder)
    assert number > 30
    report(capsys, errno.errorcode[code], number - 1)


def test_a_disk_that_stays_broken(before: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged while it lasts; what was acknowledged can be proven all the while."""
    folder = place / "log"
    shutil.copytree(before, folder)
    log = LogWriter(folder, ORIGIN, Ed25519Signer(SEED))

    def broken(_: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", Disk(folder, broken))
        with pytest.raises(OSError, match="Input/output"):
            log.append(ENTRIES[BEFORE:256])
        for _ in range(3):
            with pytest.raises(LogError, match="reopen"):
                log.append(ENTRIES[BEFORE:256])
            with pytest.raises(OSError, match="Input/output"):
                log.reopen()
            assert log.size == BEFORE
            log.prove(17)
    log.reopen()
    log.recover(database(256), 256)
    log.close()
    continue_and_check(folder, acknowledged=256, signed=[])


def test_a_write_that_takes_only_a_part(before: Path, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """POSIX lets write take less than it was given; the rest is not forgotten."""

    class Stingy(Disk):
        def write(self, handle: int, data: bytes) -> int:
            return super().write(handle, bytes(data[:100]))

    folder = place / "log"
    shutil.copytree(before, folder)
    log = LogWriter(folder, ORIGIN, Ed25519Signer(SEED))
    with monkeypatch.context() as patch:
        patch.setattr(durable, "os", Stingy(folder, lambda _: None))
        work(log, lambda _: None)
    log.close()
    continue_and_check(folder, acknowledged=BATCHES[-1], signed=[])
