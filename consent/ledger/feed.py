"""The feed's items (ADR 0009, D7): written with each act (``grant_row.add_event``), numbered afterwards.

Numbers of rows are not the order in which transactions commit; so an item gets its sequence when
it is visible, in a transaction of its own, and what has a sequence never changes.
"""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements

NUMBERED_AT_ONCE = 1_024

KEPT_SECONDS = 90 * 86_400
"""How far back a service may ask; whoever comes later asks for each grant."""

_CURSOR = "feed:"

GAP = 1 << 20
"""Sequences that are passed over after a restore: more than a copy can be behind."""


@dataclass(frozen=True, slots=True)
class StoredItem:
    sequence: int
    grant_id: bytes
    state: int
    counter: int
    status_index: int
    at: int
    """Milliseconds."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """What has just got its sequence."""

    service: int
    grant_id: bytes
    state: int
    status_index: int


class FeedStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def number(self) -> list[Numbered]:
        """Gives sequences to what has none, in the order of the rows: of one grant, that of its acts."""
        with self._reader.begin() as connection:
            if connection.execute(text("SELECT 1 FROM feed_item WHERE sequence IS NULL LIMIT 1")).first() is None:
                return []
        with self._engine.begin() as connection:
            lock(connection, b"feed")
            rows = connection.execute(
                text(
                    "SELECT number, service, grant_id, state, status_index FROM feed_item "
                    "WHERE sequence IS NULL ORDER BY number LIMIT :at_most"
                ),
                {"at_most": NUMBERED_AT_ONCE},
            ).all()
            last: dict[int, int] = {}
            for number, service, *_ in rows:
                if service not in last:
                    place = connection.execute(
                        text("SELECT place FROM duty_cursor WHERE name = :name"), {"name": f"{_CURSOR}{service}"}
                    ).scalar()
                    last[service] = 0 if place is None else int(place)
                last[service] += 1
                connection.execute(
                    text("UPDATE feed_item SET sequence = :sequence WHERE number = :number"),
                    {"sequence": last[service], "number": number},
                )
            for service, place in last.items():
                connection.execute(
                    text(
                        "INSERT INTO duty_cursor (name, place) VALUES (:name, :place) "
                        "ON CONFLICT (name) DO UPDATE SET place = excluded.place"
                    ),
                    {"name": f"{_CURSOR}{service}", "place": place},
                )
        return [Numbered(row[1], bytes(row[2]), row[3], row[4]) for row in rows]

    def items(self, service: int, *, after: int, at_most: int) -> list[StoredItem]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT sequence, grant_id, state, counter, status_index, at FROM feed_item "
                    "WHERE service = :service AND sequence > :after ORDER BY sequence LIMIT :at_most"
                ),
                {"service": service, "after": after, "at_most": at_most},
            ).all()
        return [StoredItem(row[0], bytes(row[1]), *row[2:]) for row in rows]

    def next_sequence(self, service: int) -> int:
        with self._reader.begin() as connection:
            place = connection.execute(
                text("SELECT place FROM duty_cursor WHERE name = :name"), {"name": f"{_CURSOR}{service}"}
            ).scalar()
        return 1 if place is None else int(place) + 1

    def delivered(self, service: int) -> int:
        """The last sequence that the service took."""
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT delivered FROM feed_target WHERE service = :service"), {"service": service}
            ).scalar()
        return 0 if found is None else int(found)

    def deliver(self, service: int, *, upto: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO feed_target (service, delivered) VALUES (:service, :upto) ON CONFLICT (service) "
                    "DO UPDATE SET delivered = excluded.delivered WHERE excluded.delivered > feed_target.delivered"
                ),
                {"service": service, "upto": upto},
            )

    def forget(self, *, before: int) -> int:
        """What is older than anybody may ask for; ``before`` in milliseconds."""
        with self._engine.begin() as connection:
            forgotten = connection.execute(
                text("DELETE FROM feed_item WHERE sequence IS NOT NULL AND at < :before"), {"before": before}
            )
            return int(forgotten.rowcount)


def leave_gap(connection: Statements) -> None:
    """Nobody's next item gets a sequence that may have been given out already."""
    connection.execute(
        text(
            f"INSERT INTO duty_cursor (name, place) SELECT '{_CURSOR}' || CAST(number AS TEXT), {GAP} FROM party "
            f"WHERE number > 0 ON CONFLICT (name) DO UPDATE SET place = duty_cursor.place + {GAP}"
        ),
        {},
    )
