"""Events on their way into the log, and what residents read of them afterwards.

An event is written in the transaction of its act, without a place. Placing gives it the next leaf
index and its minute in one further transaction; only then are tiles written. So SQL is the source
of truth and tiles can be written again from it (DESIGN §8). Identity values are not commit order
in every database, but events of one grant are: its row lock orders them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text

from consent.ledger.leaf import GROUPED, Leaf
from consent.ledger.schema import for_reading

BATCH = 1_024
"""Leaves placed in one transaction: bounds its length, not the log's rate."""


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


class EventStore:
    """Events of one database. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def place(self, *, minute: int) -> int:
        """Gives places to what has none, at most BATCH; returns how many. One caller at a time.

        A leaf's minute is the clock's or the previous leaf's, whichever is later, so that minutes
        never fall.
        """
        with self._engine.begin() as connection:
            waiting = connection.execute(
                text("SELECT sequence, leaf FROM event WHERE leaf_index IS NULL ORDER BY sequence LIMIT :batch"),
                {"batch": BATCH},
            ).all()
            if not waiting:
                return 0
            index, minute = _next_place(connection, minute)
            placed = [
                {
                    "sequence": sequence,
                    "leaf": Leaf.from_bytes(bytes(leaf)).at_minute(minute).to_bytes(),
                    "leaf_index": index + position,
                }
                for position, (sequence, leaf) in enumerate(waiting)
            ]
            connection.execute(
                text("UPDATE event SET leaf_index = :leaf_index, leaf = :leaf WHERE sequence = :sequence"), placed
            )
            return len(placed)

    def leaves_from(self, index: int, *, at_most: int = BATCH) -> list[bytes]:
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

    def _one(self, condition: str, values: dict[str, object]) -> PlacedEvent | None:
        with self._reader.begin() as connection:
            found = connection.execute(text(f"SELECT {_COLUMNS} FROM event WHERE {condition}"), values).first()
        return _event(found) if found else None


_COLUMNS = "kind, grant_id, counter, leaf, leaf_index, sealed, receipt_id"


def _event(row: Sequence[Any]) -> PlacedEvent:
    return PlacedEvent(row[0], _bytes(row[1]), row[2], bytes(row[3]), row[4], row[5], _bytes(row[6]))


def _bytes(value: bytes | None) -> bytes | None:
    return None if value is None else bytes(value)


def _next_place(connection: Connection, minute: int) -> tuple[int, int]:
    """The next index, and the minute for it: not before the last leaf that tells its minute exactly."""
    last = connection.execute(text("SELECT max(leaf_index) FROM event")).scalar()
    if last is None:
        return 0, minute
    found = connection.execute(_LAST_EXACT, {"plain": bytes([0]), "grouped": bytes([GROUPED])}).first()
    return int(last) + 1, max(minute, 0 if found is None else Leaf.from_bytes(bytes(found[0])).minute)


# The third byte of a leaf is its flags; one that shows the day only says nothing of the minute.
_LAST_EXACT = text(
    "SELECT leaf FROM event WHERE leaf_index IS NOT NULL AND substr(leaf, 3, 1) IN (:plain, :grouped) "
    "ORDER BY leaf_index DESC LIMIT 1"
)
