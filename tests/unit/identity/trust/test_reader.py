"""The list over time: newest kept, older refused, stale refused, outages survived."""

import stat
import threading
import time
from pathlib import Path

import pytest

from identity.errors import TrustError
from identity.trust.reader import REFRESH_SECONDS, RETRY_SECONDS, RegistryReader
from tests.unit.identity.trust.conftest import NOW, Answers, Certified, City, Clock, party

URL = "https://registry.example/list"
CITY = City()
OLD = CITY.list(party(id="urn:atorga:party:old"), version=3)
NEW = CITY.list(version=4)


def reader(answers: Answers, clock: Clock, kept: Path | None = None) -> RegistryReader:
    return RegistryReader(URL, fetcher=answers, anchors=[CITY.registry_root.der], clock=clock, kept=kept)


def test_asks_once_and_again_after_a_while() -> None:
    answers, clock = Answers({URL: OLD}), Clock()
    read = reader(answers, clock)
    assert [read.current().version for _ in range(3)] == [3, 3, 3] and len(answers.asked) == 1
    answers.answers[URL] = NEW
    clock.now += REFRESH_SECONDS - 1
    assert read.current().version == 3
    clock.now += 1
    assert read.current().version == 4 and len(answers.asked) == 2


def test_older_version_is_not_taken_back() -> None:
    answers, clock = Answers({URL: NEW}), Clock()
    read = reader(answers, clock)
    assert read.current().version == 4
    answers.answers[URL] = OLD
    clock.now += REFRESH_SECONDS
    assert read.current().version == 4


def test_newer_version_counts_and_not_when_it_was_signed() -> None:
    answers, clock = Answers({URL: OLD}), Clock()
    read = reader(answers, clock)
    read.current()
    answers.answers[URL] = CITY.list(version=4, iat=NOW - 20)
    clock.now += REFRESH_SECONDS
    assert read.current().version == 4


def test_the_same_list_again_is_no_failure() -> None:
    answers, clock = Answers({URL: OLD}), Clock()
    read = reader(answers, clock)
    for asked in (1, 2):
        assert read.current().version == 3 and len(answers.asked) == asked
        clock.now += REFRESH_SECONDS - 1
        assert read.current().version == 3 and len(answers.asked) == asked
        clock.now += 1


def test_same_version_signed_earlier_is_not_taken_back() -> None:
    answers, clock = Answers({URL: CITY.list(version=4, iat=NOW, exp=NOW + 7_200)}), Clock()
    read = reader(answers, clock)
    assert read.current().expires == NOW + 7_200
    answers.answers[URL] = NEW
    clock.now += REFRESH_SECONDS
    assert read.current().expires == NOW + 7_200


@pytest.mark.parametrize("bad", [None, "x", b"\xff", CITY.list(version=9)[:-4] + "AAAA"])
def test_failed_refresh_keeps_the_last_good_one_until_it_expires(bad: str | bytes | None) -> None:
    answers, clock = Answers({URL: OLD}), Clock()
    read = reader(answers, clock)
    read.current()
    if bad is None:
        del answers.answers[URL]
    else:
        answers.answers[URL] = bad
    clock.now = NOW + 3_599
    assert read.current().version == 3
    clock.now = NOW + 3_600
    with pytest.raises(TrustError, match="expired"):
        read.current()


def test_nothing_known_refuses_and_says_why_and_is_not_asked_by_every_call() -> None:
    answers, clock = Answers(), Clock()
    read = reader(answers, clock)
    for _ in range(3):
        with pytest.raises(TrustError, match=r"no list is known.*cannot be reached"):
            read.current()
    assert len(answers.asked) == 1
    clock.now += RETRY_SECONDS
    answers.answers[URL] = OLD
    assert read.current().version == 3


def test_list_of_another_registry() -> None:
    stranger = Certified("stranger", ca=True)
    read = RegistryReader(URL, fetcher=Answers({URL: OLD}), anchors=[stranger.der], clock=Clock())
    with pytest.raises(TrustError, match="no list is known"):
        read.current()


def test_clock_set_back_does_not_silence_the_refresh() -> None:
    answers, clock = Answers({URL: CITY.list(iat=NOW - 86_400 * 3, exp=NOW + 3_600)}), Clock()
    read = reader(answers, clock)
    read.current()
    clock.now -= 86_400
    read.current()
    assert len(answers.asked) == 2


def test_kept_copy_survives_a_restart_without_network(tmp_path: Path) -> None:
    kept = tmp_path / "list"
    assert reader(Answers({URL: NEW}), Clock(), kept).current().version == 4
    assert kept.read_text() == NEW and [path.name for path in tmp_path.iterdir()] == ["list"]
    assert stat.S_IMODE(kept.stat().st_mode) & 0o022 == 0
    assert reader(Answers(), Clock(), kept).current().version == 4


def test_restart_does_not_forget_the_newest_version(tmp_path: Path) -> None:
    kept = tmp_path / "list"
    kept.write_text(NEW)
    assert reader(Answers({URL: OLD}), Clock(), kept).current().version == 4


def test_expired_kept_copy_still_forbids_older_ones(tmp_path: Path) -> None:
    kept = tmp_path / "list"
    kept.write_text(CITY.list(version=5, iat=NOW - 7_200, exp=NOW - 3_600))
    read = reader(Answers({URL: NEW}), Clock(), kept)
    with pytest.raises(TrustError, match="older than 5"):
        read.current()


@pytest.mark.parametrize("content", ["", "x", NEW[:-4] + "AAAA", "\xff" * 10])
def test_damaged_kept_copy_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    kept = tmp_path / "list"
    kept.write_bytes(content.encode("latin-1"))
    with pytest.raises(TrustError, match="no list is known"):
        reader(Answers(), Clock(), kept).current()
    assert reader(Answers({URL: OLD}), Clock(), kept).current().version == 3
    assert kept.read_text() == OLD


def test_list_is_used_where_it_cannot_be_kept(tmp_path: Path) -> None:
    read = reader(Answers({URL: OLD}), Clock(), tmp_path / "missing" / "list")
    assert read.current().version == 3


def test_file_is_written_only_for_a_new_list(tmp_path: Path) -> None:
    kept, clock = tmp_path / "list", Clock()
    read = reader(Answers({URL: OLD}), clock, kept)
    read.current()
    kept.unlink()
    clock.now += REFRESH_SECONDS
    read.current()
    assert not kept.exists()


def test_many_threads_ask_the_registry_once_and_none_waits_for_a_refresh() -> None:
    clock = Clock()
    entered, release = threading.Event(), threading.Event()

    class Slow(Answers):
        def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
            entered.set()
            assert release.wait(10)
            return super().get(url, accept=accept, max_bytes=max_bytes)

    answers = Slow({URL: OLD})
    read = reader(answers, clock)
    versions: list[int] = []
    threads = [threading.Thread(target=lambda: versions.append(read.current().version)) for _ in range(8)]
    for thread in threads:
        thread.start()
    assert entered.wait(10)
    release.set()
    for thread in threads:
        thread.join(10)
    assert versions == [3] * 8 and len(answers.asked) == 1
    # Now one thread is held up in a refresh; the others go on with what is known.
    entered.clear()
    release.clear()
    clock.now += REFRESH_SECONDS
    held = threading.Thread(target=read.current)
    held.start()
    assert entered.wait(10)
    began = time.monotonic()
    assert read.current().version == 3 and time.monotonic() - began < 5
    release.set()
    held.join(10)
    assert len(answers.asked) == 2
