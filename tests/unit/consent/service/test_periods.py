"""One log is closed and the next opened: what was given goes on, what was proven stays proven."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from consent.errors import LogError, LogInUse, StoreBehindLog
from consent.ledger.audit import PeriodLog, audit
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.proof import period_vkey, verify_leaf_proof
from consent.log.note import NoteKey
from consent.log.reader import LogReader, from_folder
from consent.log.writer import LogWriter
from consent.service.periods import Periods
from identity.codec import base64url
from tests.consent_city import DAY, NOW, ORIGIN, ConsentCity, Held, Wallet

NEXT = ORIGIN.replace("2026", "2027")
RETENTION = 90 * DAY


class Years:
    """The same service, started anew under other periods."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.city = ConsentCity(folder, retention_seconds=RETENTION)
        self.city.declare_all()
        self.wallet = Wallet(self.city).enrolled()

    def turn(self, origin: str = NEXT, **changes: Any) -> ConsentCity:
        self.city.close()
        self.city = ConsentCity(
            self.folder,
            keys=self.city.keys,
            clock=self.city.clock,
            origin=origin,
            **{"retention_seconds": RETENTION, **changes},
        )
        # A wallet keeps the key that it pinned at enrolment.
        self.city.vkey = NoteKey(ORIGIN, 1, self.city.keys.log.public).format()
        self.wallet.city = self.city
        return self.city

    def logged(self, held: Held, counter: int) -> int:
        found = self.city.office.sequencer.wait(base64url.decode(held.id), counter, seconds=10)
        assert found is not None
        return found.index

    @property
    def closed(self) -> Path:
        return self.folder / "log-closed" / "2026"


@pytest.fixture
def years(tmp_path: Path) -> Iterator[Years]:
    made = Years(tmp_path)
    yield made
    made.city.close()


def period_log(folder: Path, origin: str, years: Years) -> PeriodLog:
    reader = LogReader(from_folder(folder), NoteKey(origin, 1, years.city.keys.log.public))
    return PeriodLog(reader, reader.checkpoint())


def test_the_next_log_begins_with_the_last_checkpoint_of_the_one_before(years: Years) -> None:
    held = years.wallet.give()
    assert years.logged(held, 1) == 3
    city = years.turn()
    assert city.office.sequencer.wait_for_size(0, seconds=10)
    first = Leaf.from_bytes(city.office.sequencer.writer.entry(0))
    assert first.kind is Kind.PREVIOUS and first.minute == NOW // 60
    use = city.use_request(held.id)
    proven = city.prove(city.use(use), use, years.wallet)
    assert proven is not None and years.logged(held, 2) == 1
    logs = [period_log(years.closed, ORIGIN, years), period_log(years.folder / "log", NEXT, years)]
    report = audit(logs, seen=[], quorum=None, quorum_required=False, now=NOW)
    assert report.passed and report.leaves_read == 6, report.findings
    assert years.city.get("/log/checkpoint").text.startswith(f"{NEXT}\n2\n")


def test_receipts_of_the_closed_log_verify_by_the_pinned_key(years: Years) -> None:
    held = years.wallet.give()
    years.logged(held, 1)
    city = years.turn()
    served = years.wallet.call("GET", f"/me/receipts/{held.receipt.rpartition('/')[2]}").json()
    verified = verify_leaf_proof(served["tlog_proof"], city.vkey)
    assert (served["leaf_index"], verified.index, verified.checkpoint.checkpoint.origin) == (3, 3, ORIGIN)
    timeline = years.wallet.call("GET", "/me/timeline").json()["items"]
    assert [item["leaf_index"] for item in timeline] == [3]
    years.wallet.withdraw(held)
    timeline = years.wallet.call("GET", "/me/timeline?after=3").json()["items"]
    # Places count on over periods: 4 is the leaf that links the two logs.
    assert [(item["kind"], item["leaf_index"]) for item in timeline] == [("withdraw", 5)]


def test_what_was_committed_and_not_logged_comes_into_the_next_log(
    years: Years, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = years.wallet.give()
    years.logged(held, 1)
    other = years.wallet.give()
    years.logged(other, 1)
    years.wallet.withdraw(held)
    promised = years.wallet.withdraw(other).json()
    assert "promise" in promised
    city = years.turn()
    city.clock.now += 3_600  # type: ignore[attr-defined]
    city.office.sequencer.wake()
    assert city.office.sequencer.wait_for_size(1, seconds=10)
    leaf = Leaf.from_bytes(city.office.sequencer.writer.entry(1))
    assert (leaf.kind, leaf.id) == (Kind.WITHDRAW, base64url.decode(other.id))


def test_the_periods_are_served(years: Years) -> None:
    years.logged(years.wallet.give(), 1)
    assert years.city.get("/log/periods").json() == {
        "retention_seconds": RETENTION,
        "periods": [{"period": "2026", "first": 0, "size": None, "closed": None, "entries": "kept"}],
    }
    city = years.turn()
    assert city.get("/log/periods").json()["periods"] == [
        {"period": "2026", "first": 0, "size": 4, "closed": NOW, "entries": "kept"},
        {"period": "2027", "first": 4, "size": None, "closed": None, "entries": "kept"},
    ]
    closed = city.get("/log/2026/checkpoint").text
    assert closed.startswith(f"{ORIGIN}\n4\n") and city.get("/log/2027/checkpoint").text.startswith(NEXT)
    assert city.get("/log/2026/tile/entries/000.p/4").status_code == 200
    for path in ("2025/checkpoint", "..%2F/checkpoint", "log-closed/checkpoint"):
        assert city.get(f"/log/{path}").status_code == 404


def test_entries_are_deleted_after_their_retention_and_proofs_stay(years: Years) -> None:
    held = years.wallet.give()
    years.logged(held, 1)
    city = years.turn()
    periods = city.office.logbook.periods
    assert periods.delete_due() == []
    city.clock.now += RETENTION - 1  # type: ignore[attr-defined]
    assert periods.delete_due() == [] and (years.closed / "tile" / "entries").is_dir()
    city.clock.now += 1  # type: ignore[attr-defined]
    assert periods.delete_due() == ["2026"] and periods.delete_due() == []
    assert not (years.closed / "tile" / "entries").exists()
    assert city.get("/log/2026/tile/entries/000.p/4").status_code == 404
    assert city.get("/log/2026/tile/0/000.p/4").status_code == 200
    assert city.get("/log/periods").json()["periods"][0]["entries"] == "deleted"
    turns: list[Callable[[], ConsentCity]] = [lambda: city, years.turn]
    for turn in turns:
        again = turn()
        again.registry = again.keys.listed(again.clock())
        served = years.wallet.call("GET", f"/me/receipts/{held.receipt.rpartition('/')[2]}").json()
        assert verify_leaf_proof(
            served["tlog_proof"], period_vkey(served["tlog_proof"], again.vkey)
        ).leaf.id == base64url.decode(held.id)


def test_the_writer_tidies_up(years: Years, monkeypatch: pytest.MonkeyPatch) -> None:
    years.logged(years.wallet.give(), 1)
    city = years.turn()
    city.clock.now += RETENTION  # type: ignore[attr-defined]
    pruned: list[LogWriter] = []
    monkeypatch.setattr(LogWriter, "prune", lambda self: pruned.append(self))
    housekeeping = city.office.logbook.housekeeping
    housekeeping.once()
    assert pruned == [city.office.sequencer.writer] and not (years.closed / "tile" / "entries").exists()
    monkeypatch.setattr(Periods, "delete_due", lambda _: pytest.fail("looked for again at once"))
    housekeeping.once()
    city.office.sequencer.stop()
    housekeeping.once()
    assert len(pruned) == 2, "who does not write tidies nothing"


def test_without_a_retention_entries_are_kept(years: Years) -> None:
    city = years.turn(retention_seconds=None)
    city.clock.now += 100 * 365 * DAY  # type: ignore[attr-defined]
    assert city.office.logbook.periods.delete_due() == []


def test_a_writer_of_the_old_period_is_not_overtaken(years: Years) -> None:
    """The service itself writes it here."""
    with pytest.raises(LogInUse, match="another process still writes period 2026"):
        open_periods(years, NEXT)


def open_periods(years: Years, origin: str) -> int:
    old = years.city.office.logbook.periods
    again = Periods(
        years.folder / "log",
        origin,
        years.city.keys.log,
        store=old._store,
        events=old._events,
        clock=years.city.clock,
        retention_seconds=None,
    )
    return again.open()


@pytest.mark.parametrize("step", ["_store.turn_over", "os.rename", "after"])
def test_a_crash_at_any_step_is_made_good_on_the_next_start(
    years: Years, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    held = years.wallet.give()
    years.logged(held, 1)
    years.city.office.stop()

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    store = years.city.office.logbook.periods._store
    with monkeypatch.context() as patch:
        if step == "_store.turn_over":
            patch.setattr(store, "turn_over", crash)
        elif step == "os.rename":
            patch.setattr(os, "rename", crash)
        else:
            patch.setattr(Periods, "_first_place", crash)
        with pytest.raises(Crash):
            open_periods(years, NEXT)
    city = years.turn()
    assert city.office.sequencer.wait_for_size(0, seconds=10)
    use = city.use_request(held.id)
    city.prove(city.use(use), use, years.wallet)
    logs = [period_log(years.closed, ORIGIN, years), period_log(years.folder / "log", NEXT, years)]
    report = audit(logs, seen=[], quorum=None, quorum_required=False, now=NOW)
    assert report.passed and report.leaves_read == 6, report.findings


def test_another_log_is_not_closed(years: Years) -> None:
    years.city.office.stop()
    with pytest.raises(LogError, match="another log's"):
        open_periods(years, "elsewhere.example/log/2027")


def test_a_database_that_knows_no_period_closes_none(years: Years) -> None:
    years.turn()
    years.city.office.stop()
    with years.city.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM log_period")
    with pytest.raises(StoreBehindLog, match="knows no period"):
        open_periods(years, ORIGIN.replace("2026", "2028"))


def test_a_database_with_other_places_closes_nothing(years: Years) -> None:
    """An old copy was restored just when the period was to be turned over."""
    held = years.wallet.give()
    years.logged(held, 1)
    years.city.office.stop()
    with years.city.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM event WHERE leaf_index = 3")
    with pytest.raises(StoreBehindLog):
        open_periods(years, NEXT)
    assert not years.closed.exists()


def test_a_closed_log_that_was_damaged_proves_nothing(years: Years) -> None:
    held = years.wallet.give()
    years.logged(held, 1)
    city = years.turn()
    shutil.rmtree(years.closed / "tile" / "0")
    answer = years.wallet.call("GET", f"/me/receipts/{held.receipt.rpartition('/')[2]}")
    assert answer.status_code == 503
    assert city.office.logbook.periods.folder_of("2026") == years.closed
    assert city.office.logbook.periods.folder_of("../log") is None
