"""Group codes of leaves (DESIGN §8, WIRE C6): rare pairs of service and purpose appear under their group's number.

A group is registered by the operator, published with its members' numbers, and each change of it is
a ``declare`` leaf.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from consent.ledger.declarations import number_of
from consent.ledger.grant_row import Entry, add_event
from consent.ledger.pair_days import grants_since
from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements


@dataclass(frozen=True, slots=True)
class Group:
    """As an operator registers it: registry party ids and purpose IRIs."""

    number: int
    services: tuple[str, ...]
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublishedGroup:
    """As ``/services`` shows it: by the numbers of its members."""

    number: int
    services: tuple[int, ...]
    purposes: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return {"number": self.number, "services": list(self.services), "purposes": list(self.purposes)}


class GroupStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def register(self, groups: Sequence[Group], *, make_entry: Callable[[PublishedGroup], Entry]) -> int:
        """Stores what is new or has changed, each with its leaf; returns how many.

        A group that is registered no longer stays published: leaves bear its number.
        """
        changed = 0
        with self._engine.begin() as connection:
            lock(connection, b"leaf groups")
            stored = {group.number: group for group in _groups(connection)}
            for group in groups:
                wanted = PublishedGroup(
                    group.number,
                    tuple(sorted(number_of(connection, "party", "party_id", one) for one in group.services)),
                    tuple(sorted(number_of(connection, "purpose", "iri", one) for one in group.purposes)),
                )
                if stored.get(group.number) == wanted:
                    continue
                values = {
                    "number": wanted.number,
                    "services": json.dumps(wanted.services),
                    "purposes": json.dumps(wanted.purposes),
                }
                connection.execute(_STORE, values)
                add_event(connection, make_entry(wanted), None, 0)
                changed += 1
        return changed

    def all(self) -> list[PublishedGroup]:
        with self._reader.begin() as connection:
            return _groups(connection)

    def grants_since(self, day: int) -> dict[tuple[int, int], int]:
        """How rare pairs are (``consent.ledger.pair_days``)."""
        return grants_since(self._engine, day)


def _groups(connection: Statements) -> list[PublishedGroup]:
    rows = connection.execute(text("SELECT number, services, purposes FROM leaf_group ORDER BY number"), {}).all()
    return [PublishedGroup(row[0], tuple(json.loads(row[1])), tuple(json.loads(row[2]))) for row in rows]


_STORE = text(
    "INSERT INTO leaf_group (number, services, purposes) VALUES (:number, :services, :purposes) "
    "ON CONFLICT (number) DO UPDATE SET services = excluded.services, purposes = excluded.purposes"
)
