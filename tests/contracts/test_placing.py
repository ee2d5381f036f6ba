"""Places in the log: what waits, until when, and beside whom; the same on each store."""

import gc
import secrets
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, text

from consent.errors import LedgerConflict
from consent.ledger.events import EventStore
from consent.ledger.grant_row import CLOSING_SECONDS, Entry, GrantBody, HotRow, add_event, to_spread
from consent.ledger.leaf import DAY_ONLY, Kind, Leaf
from consent.ledger.log_turn import LogTurn
from consent.ledger.placing import LATE_MILLISECONDS, Placing
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.spreading import HOUR, SPREAD, due
from tests.stored_grant import insert_grant

NOW = 1_795_315_010_000
ANA, BEA = 1, 2


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'consent.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


class Acts:
    """Commits events as acts do, and places them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.random = Random(7)
        self.placing = Placing(engine, self.random.randbytes)

    def grant(self, account: int) -> bytes:
        grant_id = secrets.token_bytes(16)
        row = HotRow(grant_id, account, 1, 2, 3, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        body = GrantBody("jws", "locator", grant_id.hex(), bytes(32), "{}", None, None)
        with self.engine.begin() as connection:
            insert_grant(connection, row, body)
        return grant_id

    def act(self, grant_id: bytes, kind: Kind, counter: int, *, due: int | None = None, flags: int = 0) -> None:
        leaf = Leaf(kind, flags, grant_id, counter, 1, 3, 0, 0, 0, 0, secrets.token_bytes(32))
        with self.engine.begin() as connection:
            add_event(connection, Entry(kind, leaf.to_bytes(), None, due=due), grant_id, counter)

    def end(self, grant_id: bytes, at: int, counter: int = 2) -> None:
        self.act(grant_id, Kind.WITHDRAW, counter, due=to_spread(at))

    def place(self, now: int) -> list[tuple[bytes, int]]:
        placed = self.placing.place(now=now).leaves
        read = [Leaf.from_bytes(leaf) for leaf in placed]
        assert placed == tuple(EventStore(self.engine).leaves_from(EventStore(self.engine).size() - len(placed)))
        return [(leaf.id, leaf.counter) for leaf in read]

    def waits(self, grant_id: bytes, counter: int = 2) -> tuple[int, int]:
        with self.engine.begin() as connection:
            found = connection.execute(
                text("SELECT due, promised FROM event WHERE grant_id = :id AND counter = :counter"),
                {"id": grant_id, "counter": counter},
            ).one()
        return int(found[0]), int(found[1])


@pytest.fixture
def acts(engine: Engine) -> Acts:
    return Acts(engine)


def test_the_first_closing_of_an_account_is_logged_at_once_and_further_ones_wait(acts: Acts) -> None:
    grants = [acts.grant(ANA) for _ in range(12)]
    for grant_id in grants:
        acts.end(grant_id, NOW)
    assert acts.place(NOW) == [(grants[0], 2)]
    for grant_id in grants[1:]:
        when, promised = acts.waits(grant_id)
        assert NOW < when <= NOW + SPREAD and promised == NOW // 1000 + CLOSING_SECONDS
        found = EventStore(acts.engine).of_grant(grant_id, 2)
        assert found is not None and (found.leaf_index, found.promised) == (None, promised)
    # Each at its own time, none with another, all before the promise is due.
    seen: list[bytes] = []
    for now in range(NOW, NOW + HOUR, 1_000):
        batch = acts.place(now)
        assert len(batch) <= 1
        seen += [grant_id for grant_id, _ in batch]
    assert sorted(seen) == sorted(grants[1:]) and seen != grants[1:]


def test_another_account_is_not_held_up(acts: Acts) -> None:
    mine, theirs = acts.grant(ANA), acts.grant(BEA)
    acts.end(mine, NOW)
    acts.end(theirs, NOW)
    assert acts.place(NOW) == [(mine, 2), (theirs, 2)]


def test_after_an_hour_a_closing_is_the_first_again(acts: Acts) -> None:
    first, second, third = (acts.grant(ANA) for _ in range(3))
    acts.end(first, NOW)
    assert acts.place(NOW) == [(first, 2)]
    assert EventStore(acts.engine).closed_lately(ANA, now=NOW + HOUR - 1)
    assert not EventStore(acts.engine).closed_lately(ANA, now=NOW + HOUR)
    acts.end(second, NOW + HOUR - 1)
    assert acts.place(NOW + HOUR - 1) == []
    acts.end(third, NOW + HOUR)
    assert (third, 2) in acts.place(NOW + HOUR)


def test_a_waiting_leaf_comes_at_its_time(acts: Acts) -> None:
    grant_id = acts.grant(ANA)
    acts.act(grant_id, Kind.PAUSE, 2, due=NOW + 5_000)
    assert acts.waits(grant_id) == (NOW + 5_000, NOW // 1000 + 65)
    assert acts.place(NOW + 4_999) == []
    assert acts.place(NOW + 5_000) == [(grant_id, 2)]


def test_two_waiting_leaves_of_an_account_are_never_in_one_batch(acts: Acts) -> None:
    """Also where an outage let all of them become due."""
    grants = [acts.grant(ANA) for _ in range(5)]
    theirs = acts.grant(BEA)
    for grant_id in (*grants, theirs):
        acts.act(grant_id, Kind.PAUSE, 2, due=NOW + 1)
    late = NOW + 10 * HOUR
    assert acts.place(late) == [(grants[0], 2), (theirs, 2)]
    times = [acts.waits(grant_id)[0] for grant_id in grants[1:]]
    assert all(late < when <= late + LATE_MILLISECONDS for when in times) and len(set(times)) == 4


def test_a_closing_beside_a_waiting_leaf_waits_itself(acts: Acts) -> None:
    paused, ended = acts.grant(ANA), acts.grant(ANA)
    acts.act(paused, Kind.PAUSE, 2, due=NOW)
    acts.end(ended, NOW)
    assert acts.place(NOW) == [(paused, 2)]
    assert acts.waits(ended)[0] > NOW


def test_what_waits_comes_before_a_later_event_of_its_grant(acts: Acts) -> None:
    """A pause that waits, then a resume that the resident made: counters have no gap in the log."""
    grant_id, other = acts.grant(ANA), acts.grant(ANA)
    for one in (grant_id, other):
        acts.act(one, Kind.PAUSE, 2, due=NOW + HOUR // 2)
    acts.act(grant_id, Kind.RESUME, 3)
    assert acts.place(NOW) == [(grant_id, 2), (grant_id, 3)]
    assert acts.waits(other)[0] == NOW + HOUR // 2


def test_a_spread_end_of_an_attribute_comes_before_the_next_use(acts: Acts) -> None:
    first, second = acts.grant(ANA), acts.grant(ANA)
    acts.end(first, NOW)
    acts.act(second, Kind.AMEND, 2, due=to_spread(NOW))
    acts.act(second, Kind.USE, 3)
    assert acts.place(NOW) == [(first, 2), (second, 2), (second, 3)]


def test_a_refusal_pulls_nothing_forward(acts: Acts) -> None:
    """A deny has no counter, and it may come from a service that knows nothing of the freeze."""
    grant_id = acts.grant(ANA)
    acts.act(grant_id, Kind.PAUSE, 2, due=NOW + HOUR // 2)
    acts.act(grant_id, Kind.DENY, 0)
    assert acts.place(NOW) == [(grant_id, 0)]


def test_the_minute_is_the_placing_s(acts: Acts) -> None:
    grant_id = acts.grant(ANA)
    acts.act(grant_id, Kind.PAUSE, 2, due=NOW + HOUR // 2)
    acts.act(acts.grant(BEA), Kind.USE, 2, flags=DAY_ONLY)
    (day,) = (Leaf.from_bytes(leaf) for leaf in acts.placing.place(now=NOW).leaves)
    (exact,) = (Leaf.from_bytes(leaf) for leaf in acts.placing.place(now=NOW + HOUR).leaves)
    assert day.minute == NOW // 86_400_000 * 1_440 and exact.minute == (NOW + HOUR) // 60_000


def test_two_that_place_cannot_both(acts: Acts) -> None:
    """If ever two processes had the turn, the one that knows less writes nothing."""
    other = Placing(acts.engine, secrets.token_bytes)
    acts.act(acts.grant(ANA), Kind.USE, 2)
    assert len(acts.placing.place(now=NOW).leaves) == 1
    acts.act(acts.grant(ANA), Kind.USE, 2)
    assert other.place(now=NOW).first == 1
    acts.act(acts.grant(ANA), Kind.USE, 2)
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        acts.placing.place(now=NOW)
    assert acts.placing.place(now=NOW).first == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_the_turn_ends_with_its_session(engine: Engine) -> None:
    first, second = LogTurn(engine), LogTurn(engine)
    assert first.take() and first.keeps()
    if engine.dialect.name == "postgresql":
        assert not second.take()
        with engine.begin() as connection:
            connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            )
        assert not first.keeps()
        assert second.take() and second.keeps()
    first.release()
    second.release()
    third = LogTurn(engine)
    assert third.take()
    third.release()
    # A session that the server ended is never closed in form.
    gc.collect()


def test_random_delays_are_spread_over_the_hour() -> None:
    random = Random(1)
    times = [due(NOW, random.randbytes) - NOW for _ in range(6_000)]
    assert min(times) > 0 and max(times) <= SPREAD
    counts = [sum(at <= one < at + SPREAD // 6 for one in times) for at in range(0, SPREAD, SPREAD // 6)]
    assert min(counts) > 850


def test_what_changes_under_the_placing_is_not_placed_twice(acts: Acts, monkeypatch: pytest.MonkeyPatch) -> None:
    grant_id = acts.grant(ANA)
    acts.act(grant_id, Kind.USE, 2)
    monkeypatch.setattr("consent.ledger.placing._PLACE", text("UPDATE event SET leaf_index = :place WHERE 0 = 1"))
    monkeypatch.setattr(
        "consent.ledger.placing._PLACE_POSTGRESQL", text("UPDATE event SET leaf_index = leaf_index WHERE 0 = 1")
    )
    with pytest.raises(LedgerConflict):
        acts.placing.place(now=NOW)
    assert EventStore(acts.engine).size() == 0
