"""What group commit promises, on every store: together when it goes well, each alone when it does not."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from threading import Barrier, Event
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from consent.errors import LedgerConflict, OutOfService
from consent.ledger import wal, writer
from consent.ledger.schema import open_direct, open_engine, turn_of, turns_of, upgrade
from consent.ledger.statements import Direct, Statements
from consent.ledger.writer import Writer

SECONDS = 10.0


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgresql":
        engine = open_engine(request.getfixturevalue("postgresql_url"))
    else:
        engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
        upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def group(engine: Engine) -> Iterator[Writer]:
    made = Writer(engine)
    yield made
    made.stop()


class Held:
    """Keeps the writer busy, so that what is handed in meanwhile is one batch."""

    def __init__(self, group: Writer) -> None:
        self._go, begun = Event(), Event()

        def wait(_: Statements) -> None:
            begun.set()
            self._go.wait(SECONDS)

        self._first = group.submit(wait)
        assert begun.wait(SECONDS)

    def release(self) -> None:
        self._go.set()
        self._first.result(SECONDS)


ADD = text("INSERT INTO party (number, party_id) VALUES (:number, :name)")


def add(number: int, *, then: Exception | None = None) -> writer.Work[int]:
    def work(connection: Statements) -> int:
        connection.execute(ADD, {"number": number, "name": f"party {number}"})
        if then is not None:
            raise then
        return number

    return work


def parties(engine: Engine) -> list[int]:
    with engine.begin() as connection:
        return list(connection.execute(text("SELECT number FROM party ORDER BY number")).scalars())


def together(group: Writer, *works: writer.Work[Any]) -> "list[Future[Any]]":
    held = Held(group)
    futures = [group.submit(work, key=bytes([place])) for place, work in enumerate(works)]
    held.release()
    return futures


def test_what_is_answered_is_there(engine: Engine, group: Writer) -> None:
    assert group.run(add(1)) == 1
    assert parties(engine) == [1]


def test_one_that_is_refused_takes_no_other_with_it(engine: Engine, group: Writer) -> None:
    futures = together(
        group, add(1), add(2, then=LedgerConflict("taken")), add(1), add(3, then=OSError("disk")), add(4)
    )
    assert [futures[0].result(SECONDS), futures[4].result(SECONDS)] == [1, 4]
    for place, fault in ((1, LedgerConflict), (2, IntegrityError), (3, OSError)):
        with pytest.raises(fault):
            futures[place].result(SECONDS)
    assert parties(engine) == [1, 4] and group.failed_batches == 0


def test_a_batch_that_fails_is_tried_one_by_one(engine: Engine, group: Writer) -> None:
    def broken(connection: Statements) -> None:
        connection.execute(text("INSERT INTO nowhere (number) VALUES (1)"))

    first, middle, last = together(group, add(1), broken, add(3))
    assert (first.result(SECONDS), last.result(SECONDS)) == (1, 3)
    with pytest.raises(SQLAlchemyError):
        middle.result(SECONDS)
    assert parties(engine) == [1, 3] and group.failed_batches == 1


def test_works_stand_in_the_order_of_their_keys(group: Writer) -> None:
    order: list[int] = []
    held = Held(group)
    futures = [
        group.submit(lambda _, number=number: order.append(number), key=bytes([number]))  # type: ignore[misc]
        for number in (3, 1, 2)
    ]
    held.release()
    for future in futures:
        future.result(SECONDS)
    assert order == [1, 2, 3]


def test_closings_go_first_and_alone(engine: Engine, group: Writer) -> None:
    held = Held(group)
    use = group.submit(add(1), key=b"a")
    seen: list[list[int]] = []
    closing = group.submit(lambda _: seen.append(parties_read(engine)), key=b"z", closing=True)
    held.release()
    closing.result(SECONDS)
    assert use.result(SECONDS) == 1 and seen == [[]]


def test_a_long_batch_ends_early_and_loses_nothing(
    engine: Engine, group: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MAX_BATCH_SECONDS", 0.0)
    seen: list[list[int]] = []
    futures = together(group, add(1), lambda _: seen.append(parties_read(engine)), add(3))
    for future in futures:
        future.result(SECONDS)
    assert seen == [[1]] and parties(engine) == [1, 3]


def test_it_ends_after_what_was_handed_in(engine: Engine, group: Writer) -> None:
    futures = together(group, *(add(number) for number in range(1, 9)))
    group.stop()
    assert [future.result(0) for future in futures] == parties(engine) == list(range(1, 9))
    with pytest.raises(OutOfService, match="nothing can be written"):
        group.run(add(9))


def test_a_writer_that_died_is_noticed(engine: Engine, group: Writer) -> None:
    def die(_: Statements) -> None:
        raise SystemExit

    for future in together(group, add(1), die, add(2)):
        with pytest.raises(OutOfService):
            future.result(SECONDS)
    with pytest.raises(OutOfService):
        group.run(add(3))
    assert parties(engine) == []


def test_whoever_waits_too_long_is_told_and_nothing_is_done(
    engine: Engine, group: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 0.05)
    held = Held(group)
    with pytest.raises(OutOfService, match="nothing was done"):
        group.run(add(1))
    held.release()
    group.stop()
    assert parties(engine) == []


def test_a_crowd_is_told_to_come_again(group: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "MAX_WAITING", 2)
    held = Held(group)
    kept = [group.submit(add(1)), group.submit(add(2))]
    with pytest.raises(OutOfService, match="too much waits"):
        group.submit(add(3))
    held.release()
    assert [future.result(SECONDS) for future in kept] == [1, 2]


def test_a_work_that_asks_for_another_is_refused(group: Writer) -> None:
    with pytest.raises(RuntimeError, match="asked for another"):
        group.run(lambda _: group.run(add(1)))


def test_writers_of_one_database_wait_for_each_other(engine: Engine) -> None:
    writers = [Writer(engine), Writer(engine)]
    count = text("UPDATE party SET number = number + 1 WHERE party_id = :name RETURNING number")
    with engine.begin() as connection:
        connection.execute(ADD, {"number": 0, "name": "counted"})

    def one(turn: int) -> int:
        number = writers[turn % 2].run(lambda connection: connection.execute(count, {"name": "counted"}).scalar_one())
        return int(number)

    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(one, range(200)))
    for made in writers:
        made.stop()
    assert sorted(numbers) == list(range(1, 201))


class Unsorted(Writer):
    """The planted fault: batches in the reverse order."""

    def in_order(self, batch: list[Any]) -> list[Any]:
        return super().in_order(batch)[::-1]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_batches_in_another_order_wait_in_a_circle_and_are_tried_alone(engine: Engine, group: Writer) -> None:
    other = Unsorted(engine)
    both_have_one = Barrier(2)
    with engine.begin() as connection:
        connection.execute(ADD, [{"number": number, "name": str(number)} for number in (0, 1)])

    def touch(number: int, *, meet: bool) -> writer.Work[int]:
        left = [meet]

        def work(connection: Statements) -> int:
            row = {"number": number}
            connection.execute(text("UPDATE party SET party_id = party_id || '.' WHERE number = :number"), row)
            if left.pop() if left else False:
                both_have_one.wait(SECONDS)
            return number

        return work

    held = [Held(group), Held(other)]
    futures = [
        made.submit(touch(number, meet=number == first), key=bytes([number]))
        for made, first in ((group, 0), (other, 1))
        for number in (0, 1)
    ]
    for one in held:
        one.release()
    assert [future.result(SECONDS) for future in futures] == [0, 1, 0, 1]
    other.stop()
    assert group.failed_batches + other.failed_batches == 1
    with engine.begin() as connection:
        assert set(connection.execute(text("SELECT party_id FROM party")).scalars()) == {"0..", "1.."}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_connection_that_is_lost_is_opened_again(engine: Engine, group: Writer) -> None:
    group.run(add(1))
    _end_other_sessions(engine)
    assert group.run(add(2)) == 2 or parties(engine) == [1, 2]


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_commit_without_an_answer_is_not_tried_again(
    engine: Engine, group: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits: list[str] = []

    def lossy(engine: Engine) -> Direct:
        made = open_direct(engine)
        run = made.run

        def lose(*commands: str) -> None:
            commits.extend(command for command in commands if command == "COMMIT")
            if len(commits) == 2 and "COMMIT" in commands:
                run(*commands)
                made.close()
            run(*commands)

        monkeypatch.setattr(made, "run", lose)
        return made

    monkeypatch.setattr(writer, "open_direct", lossy)
    for future in together(group, add(1), add(2)):
        with pytest.raises(OutOfService, match="may or may not"):
            future.result(SECONDS)
    assert parties(engine) == [1, 2], "it was done, and once"


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_a_turn_keeps_other_writers_out(engine: Engine, group: Writer) -> None:
    group.run(add(1))
    with turn_of(engine):
        waiting = group.submit(add(2))
        with pytest.raises(TimeoutError):
            waiting.result(0.2)
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(parties_read, engine).result(SECONDS) == [1], "readers do not wait"
    assert waiting.result(SECONDS) == 2


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_the_write_ahead_log_begins_again(
    engine: Engine, group: Writer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wal, "MAX_PAGES", 50)
    checkpointer = wal.Checkpointer(engine, turns_of(engine))
    other = sqlite3.connect(tmp_path / "consent.db", isolation_level=None)
    sizes = []
    for round_ in range(6):
        for number in range(100):
            group.run(add(1 + round_ * 100 + number))
        checkpointer._checkpoint(other)
        sizes.append((tmp_path / "consent.db-wal").stat().st_size)
    other.close()
    assert max(sizes) == sizes[0], "no longer than after the first round"
    assert len(parties(engine)) == 600


def parties_read(engine: Engine) -> list[int]:
    direct = open_direct(engine)
    try:
        return [row[0] for row in direct.execute(text("SELECT number FROM party ORDER BY number")).all()]
    finally:
        direct.close()


def _end_other_sessions(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
