"""Who races: the consent service's own store, and a planted one that must be caught.

The planted one keeps the attributes in force in a table of their own and asks it with EXISTS. On
PostgreSQL that is one statement, whose subquery keeps the snapshot from before it waited for the
row lock; it let 180 uses through. SQLite locks the whole file first, so here the question is asked
before the lock: the same order of events.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from sqlalchemy import Engine, create_engine, text

from consent.ledger.grant_row import GIVEN, Entry, GrantBody, HotRow, add_event
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf, end_day
from consent.ledger.requests import RequestStore

NOW = 1_795_315_110
LIFE_SECONDS = 86_400
SERVICE, HOLDER, PURPOSE, ACCOUNT = 1, 2, 3, 4
KEY = "grant-key-thumbprint"
ATTRIBUTES = 3
ALL = (1 << ATTRIBUTES) - 1


class Store(Protocol):
    def use(self, grant_id: bytes, mask: int) -> int | None:
        """The counter of the use; None where it is refused."""
        ...

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        """The attributes in ``mask``, or the whole grant."""
        ...


class RowLockStore:
    """``GrantStore`` as it is: one conditional UPDATE on the row that holds the attributes."""

    def __init__(self, engine: Engine) -> None:
        self._store = GrantStore(engine)

    def use(self, grant_id: bytes, mask: int) -> int | None:
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


class ItemTableStore:
    """The planted fault."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._readers = create_engine(engine.url)

    def use(self, grant_id: bytes, mask: int) -> int | None:
        values = {"grant_id": grant_id, "mask": mask}
        with self._readers.connect() as connection:
            if not connection.execute(_ITEM_EXISTS, values).scalar():
                return None
        with self._engine.begin() as connection:
            counter = int(connection.execute(_COUNT, values).scalar_one())
            add_event(connection, _entry(Kind.USE, grant_id, counter, mask), grant_id, counter)
            return counter

    def withdraw(self, grant_id: bytes, mask: int | None) -> None:
        with self._engine.begin() as connection:
            ended = {"grant_id": grant_id, "mask": ALL if mask is None else mask}
            connection.execute(text("DELETE FROM item WHERE grant_id = :grant_id AND mask & :mask"), ended)
            counter = int(connection.execute(_COUNT, ended).scalar_one())
            left = connection.execute(text("SELECT sum(mask) FROM item WHERE grant_id = :grant_id"), ended).scalar()
            add_event(connection, _ending(grant_id, counter, left or 0), grant_id, counter)


STORES: Mapping[str, Callable[[Engine], Store]] = {"row-lock": RowLockStore, "item-table": ItemTableStore}


def prepare(engine: Engine, grant_ids: Sequence[bytes]) -> None:
    """The grants, given; their attributes also in the planted store's table."""
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE item (grant_id BLOB, mask INTEGER, PRIMARY KEY (grant_id, mask))"))
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


_ITEM_EXISTS = text("SELECT EXISTS (SELECT 1 FROM item WHERE grant_id = :grant_id AND mask = :mask)")
_COUNT = text("UPDATE grant_row SET counter = counter + 1 WHERE grant_id = :grant_id RETURNING counter")
