"""Reading a log from its files: partial ones that are gone, and every kind of file that is not what was signed."""

from pathlib import Path

import pytest

from consent.errors import LogError
from consent.log import checkpoint, note
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.reader import LogReader, Tree, from_folder, verify_period
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

ORIGIN = "log.example/log/2026"
SIGNER = Ed25519Signer(bytes(32))
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
ENTRIES = [b"entry %8d" % number for number in range(70_000)]
ENTRY_BYTES = 2 + len(ENTRIES[0])


def read(folder: Path, signed: VerifiedCheckpoint | None = None, stops: tuple[int, ...] = ()) -> list[bytes]:
    reader = LogReader(from_folder(folder), KEY, max_entry_bytes=20)
    tree = Tree()
    entries: list[bytes] = []
    for run in reader.runs((signed or reader.checkpoint()).checkpoint, tree, stops=stops):
        assert run.index == len(entries)
        entries += run.entries
        assert tree.size == len(entries)
    return entries


@pytest.fixture(scope="module")
def long_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70,000 entries, the example of tlog-tiles: three levels of tiles, partial ones at each."""
    folder = tmp_path_factory.mktemp("long")
    log = LogWriter(folder, ORIGIN, SIGNER)
    log.append(ENTRIES)
    log.close()
    return folder


def test_it_reads_what_was_written(long_log: Path) -> None:
    assert read(long_log) == ENTRIES
    assert read(long_log, stops=(0, 1, 255, 256, 257, 300, 69_999, 70_000, 80_000)) == ENTRIES


def test_roots_at_stops(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, ORIGIN, SIGNER)
    roots = {}
    for size in (1, 255, 256, 257, 600, 601):
        log.append(ENTRIES[log.size : size])
        roots[size] = checkpoint.verify(log.signed_checkpoint, log.key).root
    log.close()
    reader, tree = LogReader(from_folder(tmp_path), KEY), Tree()
    seen = {}
    for _ in reader.runs(reader.checkpoint().checkpoint, tree, stops=sorted(roots)):
        seen[tree.size] = tree.root
    assert {size: seen[size] for size in roots} == roots


@pytest.mark.parametrize(
    ("path", "at"),
    [
        ("tile/entries/000", 3),
        ("tile/entries/136", ENTRY_BYTES * 200 + 5),
        ("tile/entries/136", ENTRY_BYTES * 200),
        ("tile/entries/273.p/112", -1),
        ("tile/0/000", 0),
        ("tile/0/273.p/112", -1),
        ("tile/1/000", 31),
        ("tile/1/001.p/17", 32),
        ("tile/2/000.p/1", 0),
    ],
)
def test_a_flipped_byte(long_log: Path, path: str, at: int) -> None:
    target = long_log / path
    good = target.read_bytes()
    bad = bytearray(good)
    bad[at] ^= 1
    try:
        target.write_bytes(bad)
        with pytest.raises(LogError):
            read(long_log)
    finally:
        target.write_bytes(good)


def test_the_entry_is_named(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, ORIGIN, SIGNER)
    log.append([*ENTRIES[:299], b"entry        X"])
    log.close()
    good = (tmp_path / "tile/entries/001.p/44").read_bytes()
    (tmp_path / "tile/entries/001.p/44").write_bytes(good[:-1] + b"Y")
    with pytest.raises(LogError, match="entry 299"):
        read(tmp_path)


@pytest.mark.parametrize(
    "path", ["tile/entries/100", "tile/entries/273.p/112", "tile/0/100", "tile/1/000", "tile/2/000.p/1"]
)
@pytest.mark.parametrize("damage", ["missing", "short", "long"])
def test_files_that_are_missing_or_cut(long_log: Path, path: str, damage: str) -> None:
    target = long_log / path
    good = target.read_bytes()
    try:
        target.unlink()
        if damage != "missing":
            target.write_bytes(good[:-ENTRY_BYTES] if damage == "short" else good + good[-ENTRY_BYTES:])
        with pytest.raises(LogError):
            read(long_log)
    finally:
        target.write_bytes(good)


def test_partial_files_may_be_gone_once_full_ones_are_there(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, ORIGIN, SIGNER)
    log.append(ENTRIES[:300])
    early = verify_period(log.signed_checkpoint, KEY)
    log.append(ENTRIES[300:520])
    log.close()
    for gone in ("tile/0/001.p/44", "tile/entries/001.p/44"):
        (tmp_path / gone).unlink()
    assert read(tmp_path, early) == ENTRIES[:300]
    full = tmp_path / "tile/0/001"
    full.write_bytes(full.read_bytes()[:-32])
    with pytest.raises(LogError):
        read(tmp_path, early)


def test_large_files_are_not_read(tmp_path: Path) -> None:
    log = LogWriter(tmp_path, ORIGIN, SIGNER)
    log.append([bytes(21)] * 256)
    log.close()
    with pytest.raises(LogError, match="more than"):
        read(tmp_path)


def test_another_period_is_read_under_its_own_name(tmp_path: Path) -> None:
    for origin in ("log.example/log/2027", "log.example/other/2027", "elsewhere.example/log/2027"):
        log = LogWriter(tmp_path / origin, origin, SIGNER)
        log.close()
    reader = LogReader(from_folder(tmp_path / "log.example/log/2027"), KEY)
    assert reader.checkpoint().checkpoint.origin == "log.example/log/2027"
    for origin in ("log.example/other/2027", "elsewhere.example/log/2027"):
        with pytest.raises(LogError, match="origin"):
            LogReader(from_folder(tmp_path / origin), KEY).checkpoint()


@pytest.mark.parametrize("content", [b"", b"\xff\n\n\n", b"x" * 20_000, b"a\n1\n\n"])
def test_what_is_no_checkpoint(content: bytes) -> None:
    with pytest.raises(LogError):
        verify_period(content, KEY)
