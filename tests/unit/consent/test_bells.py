"""Bells between processes on one log: who hears, who has died, and that nothing but a bell is ever written to."""

import os
from pathlib import Path

import pytest

from consent.log.bells import Bells


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log-bells"


def test_who_follows_wakes_the_writer_and_is_woken(folder: Path) -> None:
    writer, follower, other = Bells(folder), Bells(folder), Bells(folder)
    assert not follower.ring_writer() and not follower.writer_answers()
    writer.answer_as_writer()
    assert follower.writer_answers() and follower.ring_writer()
    assert writer.wait(1) and not writer.wait(0.01)
    writer.ring_others()
    assert follower.wait(1) and other.wait(1) and not writer.wait(0.01)
    follower.ring_own()
    assert follower.wait(1) and not follower.wait(0.01)
    writer.stop_answering()
    assert not follower.ring_writer() and not follower.writer_answers()
    for bells in (writer, follower, other):
        bells.close()
        bells.close()
    assert [path.name for path in folder.iterdir()] == ["writer"]


def test_another_takes_the_writer_s_bell(folder: Path) -> None:
    first, second = Bells(folder), Bells(folder)
    first.answer_as_writer()
    assert second.ring_writer()
    first.close()
    second.answer_as_writer()
    third = Bells(folder)
    assert third.ring_writer() and second.wait(1)
    second.close()
    third.close()


def test_ringing_without_end_wakes_once_and_blocks_nobody(folder: Path) -> None:
    writer, follower = Bells(folder), Bells(folder)
    writer.answer_as_writer()
    for _ in range(100_000):
        follower.ring_writer()
    assert writer.wait(1)
    while writer.wait(0.01):
        pass
    assert follower.ring_writer() and writer.wait(1)
    writer.close()
    follower.close()


def test_a_bell_that_nobody_hears_is_taken_away(folder: Path) -> None:
    writer = Bells(folder)
    os.mkfifo(folder / "1.0")
    (folder / "2.0").write_text("no bell")
    writer.ring_others()
    assert not (folder / "1.0").exists() and not (folder / "2.0").exists()
    writer.close()


def test_after_its_end_nothing_is_rung(folder: Path) -> None:
    """A handle that was closed may be another file's by now."""
    bells, other = Bells(folder), Bells(folder)
    other.answer_as_writer()
    bells.ring_writer()
    bells.ring_others()
    other.wait(1)
    bells.close()
    files = [(folder.parent / str(number)).open("wb") for number in range(8)]
    bells.ring_own()
    bells.ring_others()
    assert not bells.ring_writer() and not other.wait(0.01)
    for file in files:
        file.close()
        assert Path(file.name).read_bytes() == b""
    other.close()
