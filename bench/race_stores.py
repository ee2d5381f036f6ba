"""Who races: the consent service's own store, and planted ones that must be caught.

*item-table* keeps the attributes in force in a table of their own and asks it with EXISTS. On
PostgreSQL that is one statement, whose subquery keeps the snapshot from before it waited for the
row lock; it let 180 uses through. SQLite locks the whole file first, so there the question is asked
before the lock: the same order of events.

*unsorted* writes batches in the order in which they came: on PostgreSQL two processes wait for each
other's rows in a circle, until one transaction is ended.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from sqlalchemy import BigInteger, Column, Engine, LargeBinary, MetaData, Table, create_engine, text
from sqlalchemy.exc import OperationalError

from consent.ledger.grant_row import GIVEN, Entry, GrantBody, HotRow, add_event
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf, end_day
from consent.ledger.requests import RequestStore
from consent.ledger.writer import Writer

SQLITE = "sqlite"
NOW = 1_795_315_110
LIFE_SECONDS = 86_400
SERVICE, HOLDER, PURPOSE, ACCOUNT = 1, 2, 3, 4
KEY = "grant-key-thumbprint"
ATTRIBUTES = 3
ALL = (1 << ATTRIBUTES) - 1


class Store(Protocol):
    together: int
    """Uses asked for at once."""

    @property
    def failed_batches(self) -> int: ...

    def use_all(self, asked: Sequence[tuple[bytes, int]]) -> list[int | None]:
        """The counter of each use of (grant, mask); None where it is refused."""
        ...

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        """The attributes in ``mask``, or the whole grant."""
        ...


class RowLockStore:
    """``GrantStore`` as it is: one conditional UPDATE on the row that holds the attributes."""

    together = 4

    def __init__(self, engine: Engine, writer: Writer | None = None) -> None:
        self._writer = writer or Writer(engine)
        self._store = GrantStore(engine, self._writer)
        self._threads = ThreadPoolExecutor(self.together)

    @property
    def failed_batches(self) -> int:
        return self._writer.failed_batches

    def use_all(self, asked: Sequence[tuple[bytes, int]]) -> list[int | None]:
        return list(self._threads.map(self._use, asked))

    def _use(self, asked: tuple[bytes, int]) -> int | None:
        grant_id, mask = asked
        row = self._store.use(
            grant_id, service=SERVICE, holder=HOLDER, purpose=PURPOSE, mask=mask, now=NOW,
            jti=secrets.token_bytes(16), request_hash=bytes(32), expires=NOW + 60,
            make_entry=lambda row: _entry(Kind.USE, row.grant_id, row.counter, mask),
        )  # fmt: skip
        return None if row is None else row.counter

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        ended = self._store.withdraw(
            grant_id, thumbprint=KEY, mask=mask, at_milliseconds=NOW * 1000,
            make_entry=lambda row: _ending(row.grant_id, row.counter, row.mask),
        )  # fmt: skip
        if ended is None:
            raise AssertionError("the grant is not known")


class _AsItCame(Writer):
    def in_order(self, batch: Any) -> Any:
        return batch


class UnsortedStore(RowLockStore):
    """A planted fault: what holds one row waits for another, in whatever order."""

    together = 16

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _AsItCame(engine))

    def _use(self, asked: tuple[bytes, int]) -> int | None:
        try:
            return super()._use(asked)
        except OperationalError:
            # Even one that is tried alone may be whom the database gives up, among others that wait in a circle.
            return None

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        while True:
            try:
                return super().withdraw(grant_id, mask)
            except OperationalError:
                continue


class SortedStore(RowLockStore):
    """The same load, sorted: no batch fails."""

    together = 16


class ItemTableStore:
    """A planted fault: see above."""

    together = 1
    failed_batches = 0

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = create_engine(engine.url) if engine.dialect.name == SQLITE else None

    def use_all(self, asked: Sequence[tuple[bytes, int]]) -> list[int | None]:
        return [self._use(grant_id, mask) for grant_id, mask in asked]

    def _use(self, grant_id: bytes, mask: int) -> int | None:
        values = {"grant_id": grant_id, "mask": mask}
        if self._readers is not None:
            with self._readers.connect() as connection:
                if not connection.execute(_ITEM_EXISTS, values).scalar():
                    return None
        with self._engine.begin() as connection:
            found = connection.execute(_COUNT if self._readers is not None else _COUNT_IF_ITEM, values).scalar()
            if found is None:
                return None
            add_event(connection, _entry(Kind.USE, grant_id, int(found), mask), grant_id, int(found))
            return int(found)

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        with self._engine.begin() as connection:
            ended = {"grant_id": grant_id, "mask": ALL if mask is None else mask}
            connection.execute(text("DELETE FROM item WHERE grant_id = :grant_id AND (mask & :mask) <> 0"), ended)
            counter = int(connection.execute(_COUNT, ended).scalar_one())
            left = connection.execute(text("SELECT sum(mask) FROM item WHERE grant_id = :grant_id"), ended).scalar()
            add_event(connection, _ending(grant_id, counter, int(left or 0)), grant_id, counter)


STORES: Mapping[str, Callable[[Engine], Store]] = {
    "row-lock": RowLockStore,
    "sorted": SortedStore,
    "item-table": ItemTableStore,
    "unsorted": UnsortedStore,
}


def prepare(engine: Engine, grant_ids: Sequence[bytes]) -> None:
    """The grants, given; their attributes also in the planted store's table."""
    _ITEMS.create_all(engine)
    requests, grants = RequestStore(engine), GrantStore(engine)
    for grant_id in grant_ids:
        asked = _entry(Kind.REQUEST, secrets.token_bytes(16), 0, 0)
        requests.add(grant_id, service=SERVICE, jws="jws", expires=NOW + 60, mailbox=None, entry=asked)
        row = HotRow(
            grant_id=grant_id, account=ACCOUNT, service=SERVICE, holder=HOLDER, purpose=PURPOSE, state=GIVEN, mask=ALL,
            not_before=NOW - 1, not_after=NOW + LIFE_SECONDS, counter=1, act=0, uses=0, max_uses=0, window_start=0,
            window_uses=0, window_max=0, window_seconds=0, status_index=0,
        )  # fmt: skip
        body = GrantBody("grant", "locator", KEY, bytes(32), "{}", None, None)
        grants.give(row, body, request_id=grant_id, now=NOW, make_entry=_given)
    items = [{"grant_id": grant_id, "mask": 1 << bit} for grant_id in grant_ids for bit in range(ATTRIBUTES)]
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO item (grant_id, mask) VALUES (:grant_id, :mask)"), items)


def _entry(kind: Kind, leaf_id: bytes, counter: int, mask: int) -> Entry:
    last = end_day(NOW + LIFE_SECONDS) if kind in (Kind.GRANT, Kind.AMEND) else 0
    leaf = Leaf(kind, 0, leaf_id, counter, SERVICE, PURPOSE, 0, mask, last, 0, secrets.token_bytes(32))
    return Entry(kind, leaf.to_bytes(), "sealed")


def _given(row: HotRow) -> Entry:
    return _entry(Kind.GRANT, row.grant_id, row.counter, row.mask)


def _ending(grant_id: bytes, counter: int, left: int) -> Entry:
    """A withdrawal of single attributes is an amend with what is left (WIRE C6)."""
    return _entry(Kind.AMEND if left else Kind.WITHDRAW, grant_id, counter, left)


_ITEMS = MetaData()
Table(
    "item",
    _ITEMS,
    Column("grant_id", LargeBinary, primary_key=True),
    Column("mask", BigInteger, primary_key=True, autoincrement=False),
)
_COUNT_IF_ITEM = text(
    "UPDATE grant_row SET counter = counter + 1 WHERE grant_id = :grant_id "
    "AND EXISTS (SELECT 1 FROM item WHERE grant_id = :grant_id AND mask = :mask) RETURNING counter"
)
_ITEM_EXISTS = text("SELECT EXISTS (SELECT 1 FROM item WHERE grant_id = :grant_id AND mask = :mask)")
_COUNT = text("UPDATE grant_row SET counter = counter + 1 WHERE grant_id = :grant_id RETURNING counter")
