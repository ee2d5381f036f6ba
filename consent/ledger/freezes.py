"""Freezes (ADR 0009, D6): every given grant of an account paused in one transaction, and resumed in its time."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.ledger.grant_row import ROW_COLUMNS, HotRow, MakeEntry, add_event, read_row
from consent.ledger.schema import for_reading


@dataclass(frozen=True, slots=True)
class FrozenGrant:
    """``counter`` is the one that its pause got: a grant with another was acted on since."""

    grant_id: bytes
    counter: int


class FreezeStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def freeze(self, account: int, grants: Sequence[tuple[bytes, MakeEntry]], *, until: int | None) -> list[HotRow]:
        """Pauses those that are given, and returns them; what a freeze paused before stays so for the longer time."""
        paused = []
        with self._engine.begin() as connection:
            for grant_id, make_entry in sorted(grants, key=lambda grant: grant[0]):
                found = connection.execute(_PAUSE, {"grant_id": grant_id, "account": account}).first()
                if found is None:
                    continue
                row = read_row(found)
                add_event(connection, make_entry(row), grant_id, row.counter)
                connection.execute(_FORGET, {"grant_id": grant_id})
                connection.execute(
                    _FROZEN, {"grant_id": grant_id, "account": account, "counter": row.counter, "until": until}
                )
                paused.append(row)
            if until is None:
                connection.execute(_FOR_EVER, {"account": account})
            else:
                connection.execute(_LONGER, {"account": account, "until": until})
        return paused

    def due(self, *, now: int, at_most: int) -> list[FrozenGrant]:
        """Those whose time has come."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT grant_id, counter FROM frozen WHERE until <= :now ORDER BY until LIMIT :at_most"),
                {"now": now, "at_most": at_most},
            ).all()
        return [FrozenGrant(bytes(grant_id), counter) for grant_id, counter in rows]

    def thaw(self, frozen: FrozenGrant, make_entry: MakeEntry) -> HotRow | None:
        """Resumes it, unless somebody acted on it since: then it stays as it is, and nobody comes again."""
        with self._engine.begin() as connection:
            connection.execute(_FORGET, {"grant_id": frozen.grant_id})
            found = connection.execute(_RESUME, {"grant_id": frozen.grant_id, "counter": frozen.counter}).first()
            if found is None:
                return None
            row = read_row(found)
            add_event(connection, make_entry(row), frozen.grant_id, row.counter)
            return row

    def forget(self, grant_id: bytes) -> None:
        with self._engine.begin() as connection:
            connection.execute(_FORGET, {"grant_id": grant_id})


_PAUSE = text(
    "UPDATE grant_row SET state = 2, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND account = :account AND state = 1 RETURNING {ROW_COLUMNS}"
)
_RESUME = text(
    "UPDATE grant_row SET state = 1, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND state = 2 AND counter = :counter RETURNING {ROW_COLUMNS}"
)
_FORGET = text("DELETE FROM frozen WHERE grant_id = :grant_id")
_FROZEN = text("INSERT INTO frozen (grant_id, account, counter, until) VALUES (:grant_id, :account, :counter, :until)")
# Nobody shortens a freeze by another one: it ends by an act with the grant's own key.
_FOR_EVER = text("UPDATE frozen SET until = NULL WHERE account = :account AND until IS NOT NULL")
_LONGER = text("UPDATE frozen SET until = :until WHERE account = :account AND until < :until")
