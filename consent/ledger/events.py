"""Events on their way into the log, and what residents read of them afterwards.

An event is written in the transaction of its act, without a place. Placing (``consent.ledger.placing``)
gives it the next place and its minute in one further transaction; only then are tiles written. So
SQL is the source of truth and tiles can be written again from it (DESIGN §8). Identity values are
not commit order in every database, but events of one grant are: its row lock orders them.

A place counts the leaves of all periods: the index in the log of one is the place less its first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from consent.ledger.schema import for_reading
from consent.ledger.spreading import HOUR

RUN = 1_024
"""Leaves read at once."""


@dataclass(frozen=True, slots=True)
class TimelineItem:
    grant_id: bytes
    kind: int
    counter: int
    leaf_index: int | None
    sealed: str


@dataclass(frozen=True, slots=True)
class PlacedEvent:
    kind: int
    grant_id: bytes | None
    counter: int
    leaf: bytes
    leaf_index: int | None
    sealed: str | None
    receipt_id: bytes | None
    promised: int | None = None
    """By when (NumericDate) it was promised, where it waits."""


class EventStore:
    """Events of one database. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def leaves_from(self, index: int, *, at_most: int = RUN) -> list[bytes]:
        """Placed leaves in the order of the log, beginning at ``index``."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT leaf FROM event WHERE leaf_index >= :index ORDER BY leaf_index LIMIT :at_most"),
                {"index": index, "at_most": at_most},
            )
            return [bytes(row[0]) for row in rows]

    def size(self) -> int:
        """How many leaves have a place."""
        with self._reader.begin() as connection:
            last = connection.execute(text("SELECT max(leaf_index) FROM event")).scalar()
            return 0 if last is None else int(last) + 1

    def of_grant(self, grant_id: bytes, counter: int) -> PlacedEvent | None:
        return self._one("grant_id = :grant_id AND counter = :counter", {"grant_id": grant_id, "counter": counter})

    def by_receipt(self, receipt_id: bytes) -> PlacedEvent | None:
        return self._one("receipt_id = :receipt_id", {"receipt_id": receipt_id})

    def receipts_of(self, grant_id: bytes) -> list[PlacedEvent]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT {_COLUMNS} FROM event WHERE grant_id = :grant_id AND receipt_id IS NOT NULL "
                    "ORDER BY counter"
                ),
                {"grant_id": grant_id},
            ).all()
        return [_event(row) for row in rows]

    def timeline(self, account: int, *, after: int, at_most: int) -> list[TimelineItem]:
        """Events of the account's grants behind leaf ``after``, oldest first; unplaced ones last."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT event.grant_id, event.kind, event.counter, event.leaf_index, event.sealed FROM event "
                    "JOIN grant_row ON grant_row.grant_id = event.grant_id "
                    "WHERE grant_row.account = :account AND event.sealed IS NOT NULL "
                    "AND (event.leaf_index > :after OR event.leaf_index IS NULL) "
                    "ORDER BY event.leaf_index IS NULL, event.leaf_index, event.sequence LIMIT :at_most"
                ),
                {"account": account, "after": after, "at_most": at_most},
            ).all()
        return [TimelineItem(bytes(row[0]), *row[1:]) for row in rows]

    def closed_lately(self, account: int, *, now: int) -> bool:
        """Whether the leaf of a further closing of this account will wait; ``now`` in milliseconds."""
        with self._reader.begin() as connection:
            last = connection.execute(
                text("SELECT last FROM account_closing WHERE account = :account"), {"account": account}
            ).scalar()
        return last is not None and int(last) > now - HOUR

    def _one(self, condition: str, values: dict[str, object]) -> PlacedEvent | None:
        with self._reader.begin() as connection:
            found = connection.execute(text(f"SELECT {_COLUMNS} FROM event WHERE {condition}"), values).first()
        return _event(found) if found else None


_COLUMNS = "kind, grant_id, counter, leaf, leaf_index, sealed, receipt_id, promised"


def _event(row: Sequence[Any]) -> PlacedEvent:
    return PlacedEvent(row[0], _bytes(row[1]), row[2], bytes(row[3]), row[4], row[5], _bytes(row[6]), row[7])


def _bytes(value: bytes | None) -> bytes | None:
    return None if value is None else bytes(value)
