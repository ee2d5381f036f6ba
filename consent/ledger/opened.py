"""Openings by officers (ADR 0009, D11): the order, its leaf, and the grant's sealed events."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.errors import LedgerConflict
from consent.ledger.notices import UnlinkedEntry, add_unlinked
from consent.ledger.schema import for_reading, lock

MAX_EVENTS = 10_000
"""Of one answer; more than the uses of a grant in a year of hours."""


@dataclass(frozen=True, slots=True)
class SealedEvent:
    counter: int
    place: int
    sealed: str


class OpenedStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def order(self, jti: bytes, grant_id: bytes, order_hash: bytes, made: UnlinkedEntry) -> bytes:
        """The id of the order's leaf: this one, or the first where the same order came before.

        Raises LedgerConflict (``replayed``) where another order has its id.
        """
        with self._engine.begin() as connection:
            lock(connection, jti)
            found = connection.execute(
                text("SELECT order_hash, leaf_id FROM opening_order WHERE jti = :jti"), {"jti": jti}
            ).first()
            if found is not None:
                if bytes(found[0]) != order_hash:
                    raise LedgerConflict("replayed")
                return bytes(found[1])
            connection.execute(
                text(
                    "INSERT INTO opening_order (jti, grant_id, order_hash, leaf_id) "
                    "VALUES (:jti, :grant_id, :order_hash, :leaf_id)"
                ),
                {"jti": jti, "grant_id": grant_id, "order_hash": order_hash, "leaf_id": made.id},
            )
            add_unlinked(connection, made)
            return made.id

    def events(self, grant_id: bytes) -> list[SealedEvent]:
        """What is sealed of a grant and has its place, in the order of the log."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT counter, leaf_index, sealed FROM event WHERE grant_id = :grant_id "
                    "AND sealed IS NOT NULL AND leaf_index IS NOT NULL ORDER BY leaf_index LIMIT :at_most"
                ),
                {"grant_id": grant_id, "at_most": MAX_EVENTS},
            ).all()
        return [SealedEvent(row[0], row[1], row[2]) for row in rows]
