"""Grants that an authority ended by ending a party's listing (DESIGN §7, Invalidated)."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.grant.lifecycle import LIVE, State
from consent.ledger.grant_row import HotRow, MakeEntry, add_event, read_row
from consent.ledger.grant_statements import CLOSE, INSERT_ENDING
from consent.ledger.schema import for_reading


@dataclass(frozen=True, slots=True)
class Page:
    """``last`` is where the next page begins; None = there is none."""

    grant_ids: tuple[bytes, ...]
    last: bytes | None


class InvalidatedGrants:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def live_with(self, parties: Collection[int], *, after: bytes, at_most: int) -> Page:
        """Of the next ``at_most`` grants those that live and name one of these parties.

        In the order of ids, which are random: it happens too rarely to be worth an index.
        """
        with self._reader.begin() as connection:
            rows = connection.execute(_SCAN, {"after": after, "at_most": at_most}).all()
        found = tuple(bytes(row[0]) for row in rows if row[1] in LIVE and (row[2] in parties or row[3] in parties))
        return Page(found, bytes(rows[-1][0]) if len(rows) == at_most else None)

    def invalidate(self, grant_id: bytes, make_entry: MakeEntry, *, at_milliseconds: int) -> HotRow | None:
        """None where it had ended otherwise."""
        with self._engine.begin() as connection:
            found = connection.execute(CLOSE, {"grant_id": grant_id, "state": State.INVALIDATED.value}).first()
            if found is None:
                return None
            row = read_row(found)
            connection.execute(
                INSERT_ENDING,
                {"grant_id": grant_id, "counter": row.counter, "mask": 0, "effective_at": at_milliseconds},
            )
            connection.execute(text("DELETE FROM frozen WHERE grant_id = :grant_id"), {"grant_id": grant_id})
            add_event(connection, make_entry(row), grant_id, row.counter)
            return row


_SCAN = text(
    "SELECT grant_id, state, service, holder FROM grant_row WHERE grant_id > :after ORDER BY grant_id LIMIT :at_most"
)
