"""The periods of the log (WIRE C6): each a log of its own, which begins with the last checkpoint of the one before."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.errors import LogError
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import next_place
from consent.ledger.schema import for_reading, lock

_LOCK = b"log periods"


@dataclass(frozen=True, slots=True)
class StoredPeriod:
    """``first`` is the place of its first leaf; times are NumericDates, None while it has not come to that."""

    name: str
    first: int
    closed: int | None
    deleted: int | None


class PeriodStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def all(self) -> list[StoredPeriod]:
        """In their order."""
        with self._reader.begin() as connection:
            rows = connection.execute(text("SELECT name, first, closed, deleted FROM log_period ORDER BY first")).all()
        return [StoredPeriod(*row) for row in rows]

    def begin(self, name: str) -> None:
        """The first period of all, where there is none yet."""
        with self._engine.begin() as connection:
            lock(connection, _LOCK)
            if connection.execute(text("SELECT 1 FROM log_period")).first() is None:
                connection.execute(text("INSERT INTO log_period (name, first) VALUES (:name, 0)"), {"name": name})

    def turn_over(self, old: str, new: str, *, commitment: bytes, first: int, now: int) -> None:
        """Closes ``old`` at place ``first``, where ``new`` begins with a leaf that commits to its last checkpoint.

        Raises LogError where the database has other places than the closed log has leaves.
        """
        with self._engine.begin() as connection:
            lock(connection, _LOCK)
            place, minute = next_place(connection)
            if place != first:
                raise LogError(f"period {old}: its log has leaves up to place {first}, the database up to {place}")
            minute = max(minute, now // 60)
            leaf = Leaf(Kind.PREVIOUS, 0, bytes(16), 0, 0, 0, minute, 0, 0, 0, commitment)
            connection.execute(
                text("INSERT INTO event (kind, counter, leaf, leaf_index) VALUES (:kind, 0, :leaf, :place)"),
                {"kind": Kind.PREVIOUS, "leaf": leaf.to_bytes(), "place": place},
            )
            connection.execute(_CLOSE, {"name": old, "now": now})
            connection.execute(_OPEN, {"name": new, "first": place})

    def adopt(self, name: str, first: int, *, after: str, closed: int) -> None:
        """A period that the files have and a restored database lacks."""
        with self._engine.begin() as connection:
            lock(connection, _LOCK)
            connection.execute(_CLOSE, {"name": after, "now": closed})
            connection.execute(_OPEN, {"name": name, "first": first})

    def deleted(self, name: str, *, now: int) -> None:
        """Its entry bundles are gone."""
        with self._engine.begin() as connection:
            connection.execute(
                text("UPDATE log_period SET deleted = :now WHERE name = :name AND deleted IS NULL"),
                {"name": name, "now": now},
            )


_CLOSE = text("UPDATE log_period SET closed = :now WHERE name = :name AND closed IS NULL")
_OPEN = text("INSERT INTO log_period (name, first) VALUES (:name, :first) ON CONFLICT DO NOTHING")
