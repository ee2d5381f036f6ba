"""An auditor's copy of a log: it grows, resumes, never shrinks, and keeps what contradicts it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from consent.errors import LogError, LogInUse
from consent.log import note
from consent.log.mirror import Mirror, Step
from consent.log.note import NoteKey
from consent.log.reader import Fetch, from_folder, verify_period
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.consent_history import random_history

ORIGIN = "log.example/log/2026"
SIGNER = Ed25519Signer(bytes([1]) * 32)
KEY = NoteKey(ORIGIN, note.ED25519, SIGNER.public)
NOW = 1_795_315_110


class Killed(Exception):
    """The process ends here."""


@pytest.fixture
def entries() -> list[bytes]:
    return random_history(5, 1_200).entries


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    return Mirror(tmp_path / "mirror", KEY, max_entry_bytes=80)


def write(folder: Path, entries: list[bytes], origin: str = ORIGIN) -> None:
    log = LogWriter(folder, origin, SIGNER)
    log.append(entries[log.size :])
    log.close()


def extend(mirror: Mirror, log: Path, remote: Fetch | None = None) -> Step:
    signed = verify_period((log / "checkpoint").read_bytes(), KEY)
    return mirror.extend(signed, remote or from_folder(log), now=NOW)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def test_it_grows_by_what_is_new(tmp_path: Path, mirror: Mirror, entries: list[bytes]) -> None:
    asked: list[str] = []
    log = tmp_path / "log"

    def remote(path: str, most: int) -> bytes | None:
        asked.append(path)
        return from_folder(log)(path, most)

    steps = []
    for size in (0, 1, 255, 256, 300, 1_200):
        write(log, entries[:size])
        steps.append(extend(mirror, log, remote))
    assert steps == [Step(0, 0), Step(0, 1), Step(1, 254), Step(255, 1), Step(256, 44), Step(300, 900)]
    assert extend(mirror, log, remote) == Step(1_200, 0)
    assert asked[-4:] == [f"tile/entries/00{n}" for n in (1, 2, 3)] + ["tile/entries/004.p/176"], "nothing twice"
    assert {path.name for path in (tmp_path / "mirror/2026").glob("checkpoint.*")} == {
        f"checkpoint.{size}" for size in (0, 1, 255, 256, 300, 1_200)
    }
    served = files(log)
    kept = files(tmp_path / "mirror/2026")
    assert all(served[path] == kept[path] for path in served if path.startswith("tile/") and ".p/" not in path)
    assert len(mirror.seen.of(KEY)) == 6


def test_what_was_deleted_at_the_log_stays_here(tmp_path: Path, mirror: Mirror, entries: list[bytes]) -> None:
    log = tmp_path / "log"
    write(log, entries)
    extend(mirror, log)
    shutil.rmtree(log / "tile")
    assert extend(mirror, log) == Step(1_200, 0)
    assert mirror.periods() == ["2026"]


def test_a_closed_period_that_came_too_late_is_kept_as_hashes(
    tmp_path: Path, mirror: Mirror, entries: list[bytes]
) -> None:
    log = tmp_path / "log"
    write(log, entries)
    shutil.rmtree(log / "tile/entries")
    assert extend(mirror, log) == Step(0, 1_200)
    assert extend(mirror, log) == Step(1_200, 0)
    assert not (tmp_path / "mirror/2026/tile/entries").exists()


def test_some_entries_missing_are_no_deleted_period(tmp_path: Path, mirror: Mirror, entries: list[bytes]) -> None:
    log = tmp_path / "log"
    write(log, entries)
    (log / "tile/entries/002").unlink()
    with pytest.raises(LogError, match="does not have it"):
        extend(mirror, log)
    assert mirror.checkpoint("2026") is None


@pytest.mark.parametrize("at", range(0, 60, 7))
def test_killed_anywhere_it_goes_on(
    tmp_path: Path, entries: list[bytes], at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process dies at its ``at``-th durable file; the next one ends with the same copy."""
    from consent.log import durable

    log, mirror = tmp_path / "log", Mirror(tmp_path / "mirror", KEY, max_entry_bytes=80)
    write(log, entries[:300])
    extend(mirror, log)
    write(log, entries)
    left = at
    replace = durable.replace

    def dying(path: Path, content: bytes, *, sync_folder: bool = True) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        replace(path, content, sync_folder=sync_folder)

    with monkeypatch.context() as patched:
        patched.setattr(durable, "replace", dying)
        with_kill: Callable[[], Step] = lambda: extend(mirror, log)  # noqa: E731
        try:
            with_kill()
            killed = False
        except Killed:
            killed = True
    assert killed or at > 10
    known = mirror.checkpoint("2026")
    assert known is not None and known.size in (300, 1_200)
    again = Mirror(tmp_path / "mirror", KEY, max_entry_bytes=80)
    extend(again, log)
    whole = Mirror(tmp_path / "whole", KEY, max_entry_bytes=80)
    write(tmp_path / "log2", entries[:300])
    extend(whole, tmp_path / "log2")
    extend(whole, log)
    assert files(tmp_path / "mirror/2026") == files(tmp_path / "whole/2026")


def test_a_poisoned_leftover_is_not_believed(tmp_path: Path, mirror: Mirror, entries: list[bytes]) -> None:
    log = tmp_path / "log"
    write(log, entries[:300])
    extend(mirror, log)
    write(log, entries)
    left = tmp_path / "mirror/2026/tile/entries/002"
    left.write_bytes((log / "tile/entries/003").read_bytes())
    with pytest.raises(LogError, match="does not lead"):
        extend(mirror, log)
    assert not left.exists() and mirror.checkpoint("2026") is not None
    assert extend(mirror, log) == Step(300, 900)


def test_a_host_that_dies_in_the_middle_costs_nothing(tmp_path: Path, mirror: Mirror, entries: list[bytes]) -> None:
    log, served = tmp_path / "log", 2
    write(log, entries)

    def remote(path: str, most: int) -> bytes | None:
        nonlocal served
        served -= 1
        if served < 0:
            raise LogError(f"{path}: cannot be reached")
        return from_folder(log)(path, most)

    with pytest.raises(LogError, match="cannot be reached"):
        extend(mirror, log, remote)
    assert (tmp_path / "mirror/2026/tile/entries/001").exists()
    asked: list[str] = []

    def counting(path: str, most: int) -> bytes | None:
        asked.append(path)
        return from_folder(log)(path, most)

    assert extend(mirror, log, counting) == Step(0, 1_200)
    assert asked == ["tile/entries/002", "tile/entries/003", "tile/entries/004.p/176"]


def test_a_log_that_turns_aside_changes_nothing_and_is_remembered(
    tmp_path: Path, mirror: Mirror, entries: list[bytes]
) -> None:
    write(tmp_path / "log", entries[:600])
    extend(mirror, tmp_path / "log")
    before = files(tmp_path / "mirror/2026")
    for name, other in (
        ("rewritten", random_history(6, 900).entries),
        ("same size", random_history(6, 600).entries),
        ("shorter", entries[:500]),
    ):
        write(tmp_path / name, other)
        with pytest.raises(LogError, match=r"does not lead|two roots|and had 600"):
            extend(mirror, tmp_path / name)
        assert files(tmp_path / "mirror/2026") == before
    assert sorted(one.checkpoint.size for one in mirror.seen.of(KEY)) == [500, 600, 600, 900]


@pytest.mark.parametrize("path", ["tile/entries/001", "tile/0/000", "tile/1/000.p/2", "checkpoint"])
def test_damage_here_is_found_before_anything_is_fetched(
    tmp_path: Path, mirror: Mirror, entries: list[bytes], path: str
) -> None:
    write(tmp_path / "log", entries[:600])
    extend(mirror, tmp_path / "log")
    write(tmp_path / "log", entries)
    kept = tmp_path / "mirror/2026" / path
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 1
    kept.write_bytes(content)

    def never(path: str, most: int) -> bytes | None:
        raise AssertionError(path)

    with pytest.raises(LogError):
        extend(mirror, tmp_path / "log", never)


def test_one_process_at_a_time(mirror: Mirror) -> None:
    import os

    handle = mirror.lock()
    with pytest.raises(LogInUse):
        mirror.lock()
    os.close(handle)
