"""A five-minute-old copy of the database is restored while the log went on: nothing that has ended is used again."""

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from consent.errors import LogError
from consent.grant.decision import State
from consent.grant.detail import Frequency
from consent.ledger.audit import PeriodLog, audit
from consent.ledger.events import EventStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.proof import verify_leaf_proof
from consent.ledger.restoring import Restoring
from consent.log.note import NoteKey
from consent.log.reader import LogReader, from_folder
from consent.service.catching_up import CatchingUp
from identity.codec import base64url
from identity.status.spec import SHARD_ENTRIES
from tests.consent_city import DAY, ORIGIN, ConsentCity, Held, Wallet
from tests.unit.consent.service.test_feed import backfill

FIVE_MINUTES = 300


class Restored:
    """A city that is stopped, copied, and started again from its copy."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = ConsentCity(folder)
        self.city.declare_all()
        self.wallet = Wallet(self.city).enrolled()

    def restart(self) -> ConsentCity:
        self.city.close()
        return self._start()

    def _start(self, **changes: Any) -> ConsentCity:
        self.city = ConsentCity(self.folder, keys=self.city.keys, clock=self.city.clock, **changes)
        self.wallet.city = self.city
        return self.city

    def copy(self) -> None:
        self.city.close()
        shutil.copy(self.folder / "consent.db", self.folder / "copy.db")
        self.city = ConsentCity(self.folder, keys=self.city.keys, clock=self.city.clock)
        self.wallet.city = self.city
        self.city.clock.now += FIVE_MINUTES  # type: ignore[attr-defined]

    def restore(self, **changes: Any) -> ConsentCity:
        self.city.close()
        for path in self.folder.glob("consent.db*"):
            path.unlink()
        (self.folder / "copy.db").rename(self.folder / "consent.db")
        return self._start(**changes)

    def give(self) -> Held:
        held = self.wallet.give()
        self.logged(held, 1)
        return held

    def logged(self, held: Held, counter: int) -> None:
        assert self.city.office.sequencer.wait(base64url.decode(held.id), counter, seconds=10) is not None

    def use(self, held: Held) -> int:
        use = self.city.use_request(held.id)
        answer = self.city.use(use)
        if answer.status_code == 200:
            self.city.prove(answer, use, self.wallet)
        return answer.status_code

    def reasons(self, held: Held) -> list[str]:
        use = self.city.use_request(held.id)
        return [reason.code for reason in self.city.answer(self.city.use(use), use).reasons]  # type: ignore[union-attr]

    def audited(self) -> list[Leaf]:
        reader = LogReader(from_folder(self.folder / "log"), NoteKey(ORIGIN, 1, self.city.keys.log.public))
        log = PeriodLog(reader, reader.checkpoint())
        report = audit([log], seen=[], quorum=None, quorum_required=False, now=int(self.city.clock()) + 7_200)
        assert report.passed, report.findings
        events = EventStore(self.city.engine)
        assert events.size() >= log.checkpoint.size
        leaves = [Leaf.from_bytes(raw) for raw in self.city.office.sequencer.writer.entries(0, log.checkpoint.size)]
        assert events.leaves_from(0, at_most=len(leaves)) == [leaf.to_bytes() for leaf in leaves]
        return leaves

    def row(self, held: Held) -> Any:
        return self.city.office.reading._grants.row(base64url.decode(held.id))


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Restored]:
    made = Restored(tmp_path)
    yield made
    made.city.close()


def test_no_use_comes_after_what_was_withdrawn(restored: Restored) -> None:
    ended, narrowed, paused, used, resumed = (restored.give() for _ in range(5))
    restored.copy()
    late = restored.give()
    assert restored.use(ended) == 200 and restored.use(used) == 200
    restored.wallet.withdraw(ended)
    restored.wallet.withdraw(narrowed, "household.size")
    restored.wallet.act(paused, 1, "pause")
    restored.wallet.act(resumed, 1, "pause")
    restored.wallet.act(resumed, 2, "resume")
    restored.city.clock.now += 3_600  # type: ignore[attr-defined]
    restored.city.office.sequencer.wake()
    restored.logged(narrowed, 2)
    city = restored.restore()
    assert city.office.sequencer.state == "running"
    assert restored.reasons(ended) == ["withdrawn"]
    assert restored.reasons(paused) == ["paused"]
    # A leaf does not tell what resolutions an amendment left: the resident looks, and resumes.
    assert restored.reasons(narrowed) == ["paused"]
    assert restored.reasons(late) == ["unknown_grant"]
    assert (restored.use(used), restored.use(resumed)) == (200, 200)
    assert (restored.row(used).uses, restored.row(used).counter, restored.row(resumed).counter) == (2, 3, 4)
    leaves = restored.audited()
    assert not [leaf for leaf in leaves[-2:] if leaf.id == base64url.decode(ended.id)]


def test_an_old_act_cannot_be_shown_again(restored: Restored) -> None:
    """Acts are counted up: the stored number is beyond every act that the log has seen."""
    held = restored.give()
    restored.copy()
    first = restored.wallet.act(held, 1, "pause")
    second = restored.wallet.act(held, 2, "resume")
    restored.wallet.act(held, 3, "pause")
    assert (first.status_code, second.status_code) == (200, 200)
    restored.restore()
    assert restored.row(held).act == 3
    again = restored.wallet.act(held, 2, "resume")
    assert (again.status_code, again.json()["act"]) == (409, 3)
    assert restored.reasons(held) == ["paused"]
    assert restored.wallet.act(held, 4, "resume").status_code == 200
    assert restored.use(held) == 200
    restored.audited()


def test_no_number_is_given_out_twice(restored: Restored) -> None:
    """A service that has seen items 1 to 3 would pass over other ones under these numbers."""
    first = restored.give()
    restored.city.office.duties.feeding.round(True)
    restored.copy()
    place = restored.row(restored.give()).status_index
    assert restored.wallet.withdraw(first).is_success
    city = restored.city
    city.office.duties.feeding.round(True)
    assert [item.sequence for item in backfill(city, 0).items] == [1, 2, 3]
    city = restored.restore()
    later = restored.give()
    assert restored.row(later).status_index // SHARD_ENTRIES > place // SHARD_ENTRIES
    city.office.duties.feeding.round(True)
    kept, fresh = backfill(city, 0), backfill(city, 3)
    assert [item.sequence for item in kept.items] == [1], "a page ends before the gap"
    assert fresh.first > 1_000 and later.id in {item.grant_id for item in fresh.items}


def test_limits_do_not_begin_anew(restored: Restored) -> None:
    detail = restored.city.detail(frequency=Frequency(1, DAY))
    held = restored.wallet.give(restored.city.ask(detail))
    restored.logged(held, 1)
    restored.copy()
    assert restored.use(held) == 200
    assert restored.reasons(held) == ["frequency"]
    restored.restore()
    assert (restored.row(held).uses, restored.row(held).window_uses) == (1, 1)
    assert restored.reasons(held) == ["frequency"], "the window of the last use is still open"
    restored.city.clock.now += DAY + 60  # type: ignore[attr-defined]
    restored.city.registry = restored.city.keys.listed(restored.city.clock())
    assert restored.use(held) == 200


def test_a_grant_whose_text_is_lost_is_closed_for_ever(restored: Restored) -> None:
    restored.copy()
    request = restored.city.ask()
    held = restored.wallet.give(request)
    restored.logged(held, 1)
    restored.restore()
    assert restored.row(held).state == State.INVALIDATED
    answer = restored.wallet.call("GET", f"/me/grants/{held.id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_grant")
    assert restored.wallet.call("GET", "/me/grants").json() == {"grants": []}
    assert restored.wallet.withdraw(held).status_code == 202
    restored.audited()


def test_what_the_copy_had_and_had_not_logged_keeps_its_place(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A closing that waited in the copy was logged meanwhile."""
    first, second = restored.give(), restored.give()
    restored.wallet.withdraw(first)
    restored.logged(first, 2)
    promised = restored.wallet.withdraw(second).json()
    assert "promise" in promised
    restored.copy()
    restored.city.clock.now += 3_600  # type: ignore[attr-defined]
    restored.city.office.sequencer.wake()
    restored.logged(second, 2)
    size = restored.city.office.sequencer.writer.size
    restored.restore()
    assert restored.city.office.sequencer.writer.size == size
    assert restored.wallet.withdraw(second).json()["counter"] == 2
    assert [leaf.kind for leaf in restored.audited()].count(Kind.WITHDRAW) == 2


def test_what_was_taken_back_while_it_was_behind_stands(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    held, other = restored.give(), restored.give()
    restored.copy()
    assert restored.use(held) == 200 and restored.use(other) == 200
    restored.wallet.act(other, 1, "pause")

    def unreadable(*_: object, **__: object) -> None:
        raise OSError("entries cannot be read")

    with monkeypatch.context() as patch:
        patch.setattr(CatchingUp, "__call__", unreadable)
        city = restored.restore()
        assert city.office.sequencer.state == "behind"
        assert city.use(city.use_request(held.id)).status_code == 503
        withdrawn = restored.wallet.withdraw(held).json()
        assert (withdrawn["state"], withdrawn["counter"]) == ("withdrawn", 2)
        # First an attribute, then all: two events that the log knows nothing of.
        assert restored.wallet.withdraw(other, "household.size").json()["counter"] == 2
        assert restored.wallet.withdraw(other).json()["state"] == "withdrawn"
    restored.restart()
    assert restored.reasons(held) == ["withdrawn"] and restored.reasons(other) == ["withdrawn"]
    restored.city.clock.now += 7_200  # type: ignore[attr-defined]
    restored.city.office.sequencer.wake()
    restored.logged(held, 3)
    restored.logged(other, 4)
    assert restored.city.office.sequencer.wait_for_size(10, seconds=10)
    ends = {leaf.id: leaf.counter for leaf in restored.audited() if leaf.kind is Kind.WITHDRAW}
    assert ends == {base64url.decode(held.id): 3, base64url.decode(other.id): 4}


def test_a_withdrawal_under_the_taking_in_gets_its_own_proof(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its counter is another leaf's by the time its answer is made: that leaf's proof is not its proof."""
    held = restored.give()
    restored.copy()
    assert restored.use(held) == 200
    with monkeypatch.context() as patch:
        patch.setattr(CatchingUp, "__call__", _unreadable)
        city = restored.restore()
    sequencer = city.office.sequencer
    real = sequencer.wait

    def wait(grant_id: bytes, counter: int, *, seconds: float) -> Any:
        if sequencer.state == "behind":
            sequencer._take_in()
        return real(grant_id, counter, seconds=seconds)

    monkeypatch.setattr(sequencer, "wait", wait)
    answer = restored.wallet.withdraw(held).json()
    assert (answer["state"], answer["counter"]) == ("withdrawn", 3)
    proven = verify_leaf_proof(answer["proof"], city.vkey).leaf
    assert (proven.kind, proven.counter) == (Kind.WITHDRAW, 3)
    restored.audited()


def _unreadable(*_: object, **__: object) -> None:
    raise OSError("entries cannot be read")


def test_a_crash_in_the_middle_goes_on_where_it_stopped(restored: Restored, monkeypatch: pytest.MonkeyPatch) -> None:
    held = restored.give()
    restored.copy()
    assert restored.use(held) == 200
    restored.wallet.act(held, 1, "pause")
    restored.wallet.withdraw(held)
    monkeypatch.setattr("consent.service.catching_up.RUN", 1)
    real, calls = Restoring.take_in, []

    def failing(self: Restoring, *arguments: Any, **more: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise OSError("disk full")
        return real(self, *arguments, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Restoring, "take_in", failing)
        assert restored.restore().office.sequencer.state == "behind"
    assert restored.restart().office.sequencer.state == "running"
    assert restored.reasons(held) == ["withdrawn"]
    restored.audited()


def test_a_database_with_another_history_takes_in_nothing(restored: Restored) -> None:
    held = restored.give()
    restored.copy()
    restored.use(held)
    with closing(sqlite3.connect(restored.folder / "copy.db")) as database, database:
        database.execute("UPDATE event SET leaf = zeroblob(80) WHERE leaf_index = 3")
    city = restored.restore()
    assert city.office.sequencer.state == "failed"
    with pytest.raises(LogError):
        city.office.logbook.sequencer._catch_up(city.office.sequencer.writer)  # type: ignore[misc]


def test_several_processes_serve_nothing_before_it_is_taken_in(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = restored.give()
    restored.copy()
    restored.wallet.withdraw(held)
    restored.logged(held, 2)

    def slow(*_: object, **__: object) -> None:
        raise OSError("entries cannot be read yet")

    with monkeypatch.context() as patch:
        patch.setattr(CatchingUp, "__call__", slow)
        first = restored.restore()
        second = ConsentCity(restored.folder, keys=first.keys, clock=first.clock)
        try:
            assert (first.office.sequencer.state, second.office.sequencer.state) == ("behind", "halted")
            for city in (first, second):
                assert city.use(city.use_request(held.id)).status_code == 503
            time.sleep(0.2)
            assert second.office.sequencer.state == "halted"
        finally:
            second.close()
