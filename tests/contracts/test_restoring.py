"""A restored database takes in leaves: what each does to a grant's row, the same on each store."""

import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from consent.ledger.events import EventStore
from consent.ledger.grant_row import (
    ERASED,
    EXPIRED,
    GIVEN,
    INVALIDATED,
    PAUSED,
    REVOKED,
    WINDOW_EPOCH,
    WITHDRAWN,
    Entry,
    GrantBody,
    HotRow,
    add_event,
)
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import DAY_ONLY, Kind, Leaf, end_day
from consent.ledger.placing import Placing
from consent.ledger.restoring import Restoring
from consent.ledger.schema import open_engine, upgrade
from tests.stored_grant import insert_grant

NOW = 1_795_315_010
MINUTE = NOW // 60 - 10
DAY = 86_400
GRANT = bytes(range(16))


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'consent.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgresql_url")
    engine = open_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


def leaf(kind: Kind, counter: int, **changes: object) -> Leaf:
    made = Leaf(kind, 0, GRANT, counter, 1, 3, MINUTE, 0, 0, 0, secrets.token_bytes(32))
    return replace(made, **changes)  # type: ignore[arg-type]


class Copy:
    """A database with one grant of three attributes, whose leaf is in the log at place 0."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.closed_again: list[int] = []
        self.restoring = Restoring(engine, close_again=self._close_again)
        self.row = HotRow(
            GRANT, 7, 1, 2, 3, GIVEN, 0b111, NOW - DAY, NOW + 30 * DAY, 1, 0, 0, 10, 0, 0, 2, DAY, 0
        )  # fmt: skip
        with engine.begin() as connection:
            insert_grant(connection, self.row, GrantBody("jws", "locator", "key", bytes(32), "{}", None, None))
        self.commit(leaf(Kind.GRANT, 1))
        Placing(engine, secrets.token_bytes).place(now=NOW * 1000)

    def _close_again(self, kind: Kind, row: HotRow, body: GrantBody):  # type: ignore[no-untyped-def]
        def make(after: HotRow) -> Entry:
            self.closed_again.append(after.counter)
            return Entry(kind, leaf(kind, after.counter).to_bytes(), None)

        return make

    def commit(self, made: Leaf) -> None:
        with self.engine.begin() as connection:
            add_event(connection, Entry(made.kind, made.to_bytes(), "sealed"), made.id, made.counter)

    def take_in(self, *leaves: Leaf) -> HotRow:
        first = EventStore(self.engine).size()
        taken = self.restoring.take_in(first, [one.to_bytes() for one in leaves], now=NOW)
        assert taken.leaves == len(leaves)
        assert EventStore(self.engine).leaves_from(first) == [one.to_bytes() for one in leaves]
        return self.now()

    def now(self) -> HotRow:
        row = GrantStore(self.engine).row(GRANT)
        assert row is not None
        return row

    def unplaced(self) -> list[tuple[int, int]]:
        with self.engine.begin() as connection:
            rows = connection.execute(
                text("SELECT kind, counter FROM event WHERE leaf_index IS NULL ORDER BY sequence")
            )
            return [(row[0], row[1]) for row in rows]


@pytest.fixture
def copy(engine: Engine) -> Copy:
    return Copy(engine)


@pytest.mark.parametrize(
    ("kind", "state"), [(Kind.WITHDRAW, WITHDRAWN), (Kind.REVOKE, REVOKED), (Kind.EXPIRE, EXPIRED)]
)
def test_an_end(copy: Copy, kind: Kind, state: int) -> None:
    row = copy.take_in(leaf(kind, 2))
    assert (row.state, row.mask, row.counter, row.account) == (state, 0, 2, 7)
    ended = GrantStore(copy.engine).withdraw(
        GRANT,
        thumbprint="key",
        mask=None,
        at_milliseconds=NOW * 1000,
        make_entry=lambda row: pytest.fail("ended twice"),
    )
    assert ended is not None
    assert (ended.repeated, ended.counter, ended.effective_at) == (True, 2, MINUTE * 60_000)


def test_an_erasure(copy: Copy) -> None:
    row = copy.take_in(leaf(Kind.WITHDRAW, 2), leaf(Kind.ERASE, 3))
    assert (row.state, row.mask, row.counter, row.account) == (ERASED, 0, 3, 0)
    assert GrantStore(copy.engine).body(GRANT) is None
    with copy.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM event WHERE sealed IS NOT NULL")).scalar() == 0


def test_an_amendment_pauses_and_stays_paused(copy: Copy) -> None:
    narrowed = leaf(Kind.AMEND, 2, mask=0b011, end_day=end_day(NOW + 5 * DAY), max_uses=4)
    row = copy.take_in(narrowed)
    assert (row.state, row.mask, row.max_uses, row.act, row.counter) == (PAUSED, 0b011, 4, 1, 2)
    assert end_day(row.not_after) == narrowed.end_day and end_day(row.not_after + 1) == narrowed.end_day + 1
    row = copy.take_in(leaf(Kind.PAUSE, 3), leaf(Kind.RESUME, 4))
    # What resolutions it left is not known: a resume that the log has does not bring them back.
    assert (row.state, row.act, row.counter) == (PAUSED, 3, 4)


def test_a_wider_amendment_widens_nothing(copy: Copy) -> None:
    row = copy.take_in(leaf(Kind.AMEND, 2, mask=(1 << 64) - 1, end_day=end_day(NOW + 300 * DAY), max_uses=0))
    assert (row.mask, row.not_after, row.max_uses) == (0b111, copy.row.not_after, 10)


def test_pause_and_resume(copy: Copy) -> None:
    assert copy.take_in(leaf(Kind.PAUSE, 2)).state == PAUSED
    row = copy.take_in(leaf(Kind.RESUME, 3))
    assert (row.state, row.act, row.counter) == (GIVEN, 2, 3)


def test_uses_count_in_their_windows(copy: Copy) -> None:
    row = copy.take_in(leaf(Kind.USE, 2, mask=1), leaf(Kind.USE, 3, mask=1, minute=MINUTE + 1))
    began = MINUTE * 60 + 59 - WINDOW_EPOCH
    assert (row.uses, row.counter, row.window_uses, row.window_start) == (2, 3, 2, began)
    later = leaf(Kind.USE, 4, mask=1, minute=MINUTE + 2 * 1440)
    copy.restoring.take_in(3, [later.to_bytes()], now=NOW + 3 * DAY)
    row = copy.now()
    assert (row.uses, row.window_uses) == (3, 1)


def test_a_use_that_tells_only_its_day_began_at_its_end(copy: Copy) -> None:
    day = NOW // DAY * 1440
    row = copy.take_in(leaf(Kind.USE, 2, mask=1, flags=DAY_ONLY, minute=day))
    assert row.window_start == NOW - WINDOW_EPOCH, "the end of the day has not come yet: now"


def test_a_deny_is_the_hour_s(copy: Copy) -> None:
    assert copy.take_in(leaf(Kind.DENY, 0)).counter == 1
    store = GrantStore(copy.engine)

    def entry(row: HotRow, count: int) -> Entry:
        return Entry(Kind.DENY, leaf(Kind.DENY, 0).to_bytes(), None)

    assert not store.deny(GRANT, now=MINUTE * 60 + 3_000, make_entry=entry)


def test_a_grant_that_is_not_here_is_closed(copy: Copy) -> None:
    other = secrets.token_bytes(16)
    copy.take_in(
        leaf(Kind.GRANT, 1, id=other), leaf(Kind.USE, 2, id=other, mask=1), leaf(Kind.DECLARE, 0, id=bytes(16))
    )
    row = GrantStore(copy.engine).row(other)
    assert row is not None
    assert (row.state, row.mask, row.account, row.counter) == (INVALIDATED, 0, 0, 2)
    assert GrantStore(copy.engine).get(other) is None


def test_what_waits_here_gets_its_place_and_changes_nothing(copy: Copy) -> None:
    """Its act is in the row already."""
    made = leaf(Kind.USE, 2, mask=1, minute=0)
    copy.commit(made)
    before = copy.now()
    assert copy.take_in(made.at_minute(MINUTE)) == before and copy.unplaced() == []


def test_an_end_taken_meanwhile_is_written_down_behind_the_log(copy: Copy) -> None:
    store = GrantStore(copy.engine)

    def make(row: HotRow) -> Entry:
        kind = Kind.WITHDRAW if row.state == WITHDRAWN else Kind.AMEND
        return Entry(kind, leaf(kind, row.counter).to_bytes(), "sealed")

    for mask in (0b001, None):
        store.withdraw(GRANT, thumbprint="key", mask=mask, at_milliseconds=NOW * 1000, make_entry=make)
    assert copy.unplaced() == [(Kind.AMEND, 2), (Kind.WITHDRAW, 3)]
    row = copy.take_in(leaf(Kind.USE, 2, mask=1), leaf(Kind.PAUSE, 3), leaf(Kind.RESUME, 4))
    assert (row.state, row.mask, row.counter) == (WITHDRAWN, 0, 5)
    assert copy.unplaced() == [(Kind.WITHDRAW, 5)] and copy.closed_again[-1] == 5
    again = store.withdraw(GRANT, thumbprint="key", mask=None, at_milliseconds=NOW * 2000, make_entry=make)
    assert again is not None
    assert (again.repeated, again.counter, again.effective_at) == (True, 5, NOW * 1000)
    # The log ended it itself, and that is its end.
    row = copy.take_in(leaf(Kind.WITHDRAW, 5))
    assert (row.state, row.counter) == (WITHDRAWN, 5) and copy.unplaced() == []


def test_an_attribute_taken_back_meanwhile_is_written_down_behind_the_log(copy: Copy) -> None:
    store = GrantStore(copy.engine)

    def make(row: HotRow) -> Entry:
        return Entry(Kind.AMEND, leaf(Kind.AMEND, row.counter).to_bytes(), "sealed")

    for mask in (0b001, 0b010):
        store.withdraw(GRANT, thumbprint="key", mask=mask, at_milliseconds=NOW * 1000 + mask, make_entry=make)
    row = copy.take_in(leaf(Kind.USE, 2, mask=1), leaf(Kind.USE, 3, mask=1))
    # Paused, as any grant whose resident did something that the log does not tell in full.
    assert (row.state, row.mask, row.counter, row.uses) == (PAUSED, 0b100, 4, 2)
    assert copy.unplaced() == [(Kind.AMEND, 4)]
    again = store.withdraw(GRANT, thumbprint="key", mask=0b010, at_milliseconds=NOW * 2000, make_entry=make)
    assert again is not None
    assert (again.repeated, again.counter, again.effective_at) == (True, 4, NOW * 1000 + 1)
