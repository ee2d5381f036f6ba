"""The one writer: what a crash, a full disk or an old database may and may not lead to."""

import secrets
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from consent.errors import LogError, LogInUse
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import Placed, Placing
from consent.log.writer import LogWriter
from consent.service.catalogue import Catalogue
from consent.service.catching_up import CatchingUp
from identity.codec import base64url
from tests.consent_city import ORIGIN, ConsentCity, Wallet


def leaves(city: ConsentCity) -> list[Leaf]:
    log = city.office.sequencer.writer
    return [Leaf.from_bytes(log.entry(index)) for index in range(log.size)]


@pytest.fixture
def open_again(wallet: Wallet) -> Iterator[Any]:
    """Closes the service and opens another one over the same folder."""
    opened: list[ConsentCity] = []

    def again(**changes: Any) -> ConsentCity:
        city = wallet.city
        city.office.stop()
        city.engine.dispose()
        opened.append(ConsentCity(city.folder, keys=city.keys, clock=city.clock, **changes))
        wallet.city = opened[-1]
        return opened[-1]

    yield again
    for city in opened:
        city.close()


def test_it_goes_on_where_it_stopped(wallet: Wallet, open_again: Any) -> None:
    held = wallet.give()
    size = wallet.city.office.sequencer.writer.size
    city = open_again()
    use = city.use_request(held.id)
    city.prove(city.use(use), use, wallet)
    assert leaves(city)[-1].counter == 2 and len(leaves(city)) >= size + 1


def test_what_was_committed_and_not_yet_logged_is_logged_on_start(
    wallet: Wallet, open_again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = wallet.give()
    wallet.city.office.sequencer.wait_for_size(3, seconds=5)
    monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
    monkeypatch.setattr("consent.service.withdrawing.LOG_SECONDS", 0.01)
    assert "promise" in wallet.withdraw(held).json()
    monkeypatch.undo()
    city = open_again()
    assert city.office.sequencer.wait_for_size(4, seconds=5)
    assert leaves(city)[-1].kind is Kind.WITHDRAW


def test_what_was_placed_and_not_yet_written_is_written_on_start(
    wallet: Wallet, open_again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between the database and the tiles."""
    held = wallet.give()
    city = wallet.city
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    city.office.sequencer.stop()
    wallet.withdraw(held)
    assert len(Placing(city.engine, secrets.token_bytes).place(now=60_000).leaves) == 1
    assert open_again().office.sequencer.writer.size == 5


def test_a_database_that_is_behind_serves_no_use_and_takes_withdrawals(
    wallet: Wallet, open_again: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the entries it lacks cannot be had either (``test_restored`` has them)."""

    def unreadable(*_: object) -> None:
        raise OSError("entries cannot be read")

    monkeypatch.setattr(CatchingUp, "__call__", unreadable)
    city = wallet.city
    held = wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    city.office.stop()
    city.engine.dispose()
    copy = city.folder / "copy.db"
    shutil.copy(city.folder / "consent.db", copy)
    again = open_again()
    use = again.use_request(held.id)
    again.prove(again.use(use), use, wallet)
    again.office.stop()
    again.engine.dispose()
    for stale in city.folder.glob("consent.db*"):
        stale.unlink()
    copy.rename(city.folder / "consent.db")
    before = sorted(path for path in (city.folder / "log").rglob("*"))
    behind = open_again()
    answer = behind.use(behind.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert behind.post_jws("/requests", behind.request()).status_code == 503
    withdrawn = wallet.withdraw(held)
    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    assert "promise" in withdrawn.json()
    assert sorted(path for path in (city.folder / "log").rglob("*")) == before, "nothing was signed"


def test_a_second_process_is_refused(wallet: Wallet) -> None:
    with pytest.raises(LogInUse):
        LogWriter(wallet.city.folder / "log", ORIGIN, wallet.city.keys.log)


def test_a_full_disk_is_survived(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    city = wallet.city
    held = wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    monkeypatch.setattr("consent.service.sequencer.RETRY_SECONDS", 0.01)
    failures = iter([OSError("disk full"), OSError("disk full"), OperationalError("", {}, Exception("locked"))])
    real = LogWriter._write_all

    def failing(self: LogWriter, files: Any) -> None:
        fault = next(failures, None)
        if fault is not None:
            raise fault
        real(self, files)

    monkeypatch.setattr(LogWriter, "_write_all", failing)
    use = city.use_request(held.id)
    city.prove(city.use(use), use, wallet)


def test_files_that_contradict_stop_the_log(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    city = wallet.city
    held = wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    (city.folder / "log" / "checkpoint.5").write_text("another history that was signed")
    answer = city.use(city.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert city.post_jws("/requests", city.request()).status_code == 503
    assert wallet.withdraw(held).json()["state"] == "withdrawn"


def test_an_unforeseen_end_is_an_end(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever ends the thread, nothing is served as if it ran."""
    city = wallet.city
    wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)

    def broken(self: Placing, *, now: int) -> Placed:
        raise LogError("contradiction")

    monkeypatch.setattr(Placing, "place", broken)
    city.office.sequencer.wake()
    deadline = time.monotonic() + 5
    while city.post_jws("/requests", city.request()).status_code != 503:
        assert time.monotonic() < deadline


def test_old_places_are_found_in_the_database(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.log_news.KEPT_PLACES", 1)
    first, second = wallet.give(), wallet.give()
    city = wallet.city
    assert city.office.sequencer.wait_for_size(5, seconds=5)
    for held in (first, second):
        logged = city.office.sequencer.wait(base64url.decode(held.id), 1, seconds=0.05)
        assert logged is not None and leaves(city)[logged.index].id == base64url.decode(held.id)
    assert city.office.sequencer.wait(bytes(16), 1, seconds=0.01) is None
    assert city.office.sequencer.find(bytes(16), 1) is None


def test_the_catalogue_is_read_again_after_a_restart(wallet: Wallet, open_again: Any) -> None:
    city = open_again()
    assert len(city.get("/declarations").json()["declarations"]) == 2
    assert city.post_jws("/requests", city.request()).status_code == 201


def test_what_another_process_declared_is_seen_within_a_second(wallet: Wallet) -> None:
    city = wallet.city
    other = Catalogue(city.office.declaring._store, city.clock, check_procedure=lambda declaration: None)
    assert len(other.declarations()) == 2
    city.declare(city.purpose_declaration(version=2))
    city.clock.now += 1  # type: ignore[attr-defined]
    assert len(other.declarations()) == 3


def test_the_folder_of_opening_keys_is_its_owners(wallet: Wallet) -> None:
    assert (wallet.city.folder / "opening").stat().st_mode & 0o077 == 0


def test_a_take_over_that_meets_a_full_disk_is_tried_again(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever follows takes the lock, cannot write what is missing, and can a moment later."""
    city = wallet.city
    held = wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    second = ConsentCity(city.folder, keys=city.keys, clock=city.clock)
    try:
        failures = iter([OSError("disk full"), OSError("disk full")])
        real = LogWriter._write_all

        def failing(self: LogWriter, files: Any) -> None:
            fault = next(failures, None)
            if fault is not None:
                raise fault
            real(self, files)

        place = Placing.place
        monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
        monkeypatch.setattr("consent.service.withdrawing.LOG_SECONDS", 0.01)
        wallet.withdraw(held)
        # A leaf that has its place and is in no file: the first thing that a new writer writes.
        assert len(place(Placing(city.engine, secrets.token_bytes), now=60_000).leaves) == 1
        monkeypatch.setattr(LogWriter, "_write_all", failing)
        city.office.sequencer.stop()
        until = time.monotonic() + 10
        while second.office.sequencer.state != "running":
            assert time.monotonic() < until, second.office.sequencer.state
            time.sleep(0.01)
        assert next(failures, None) is None and leaves(second)[-1].kind is Kind.WITHDRAW
    finally:
        second.close()
