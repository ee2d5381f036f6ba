"""By when services have to delete what they read (ADR 0009, D8), learnt from the log itself.

Uses are not slowed down by it: a round of bookkeeping reads the leaves that came since the last
one, in the order of their places, and remembers how far it has read in the same transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from consent.ledger.grant_row import GrantBody, HotRow, find_body, find_row
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements

DUE, OVERDUE, RECEIVED = range(3)

READ_AT_ONCE = 2_000
"""Leaves of one round."""

_CURSOR = "deletions"

_ENDS = (Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE)


@dataclass(frozen=True, slots=True)
class StoredDeletion:
    grant_id: bytes
    service: int
    account: int
    last_use: int
    due: int
    state: int
    receipt: str | None


DueOf = Callable[[HotRow, GrantBody, int, int | None], int]
"""(row, body, last use, end) → due; all NumericDates, end None while the grant lives."""


class DeletionStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def read_log(self, due_of: DueOf) -> int:
        """One round; how many leaves it read."""
        with self._engine.begin() as connection:
            lock(connection, b"deletions")
            place = connection.execute(
                text("SELECT place FROM duty_cursor WHERE name = :name"), {"name": _CURSOR}
            ).scalar()
            place = -1 if place is None else int(place)
            rows = connection.execute(
                text(
                    "SELECT leaf_index, kind, grant_id, leaf FROM event WHERE leaf_index > :place "
                    "ORDER BY leaf_index LIMIT :at_most"
                ),
                {"place": place, "at_most": READ_AT_ONCE},
            ).all()
            if not rows:
                return 0
            for grant_id, last_use, end in _changes(rows):
                known = connection.execute(_ONE, {"grant_id": grant_id}).first()
                row, body = find_row(connection, grant_id), find_body(connection, grant_id)
                before = None if known is None else StoredDeletion(bytes(known[0]), *known[1:])
                if row is None or body is None or (last_use is None and before is None):
                    continue
                used = max(last_use or 0, 0 if before is None else before.last_use)
                ended = end or (None if before is None else _ended(connection, grant_id))
                connection.execute(
                    _UPSERT,
                    {
                        "grant_id": grant_id,
                        "service": row.service,
                        "account": row.account,
                        "last_use": used,
                        "due": due_of(row, body, used, ended),
                        # What was read after a receipt is to be deleted anew.
                        "reset": last_use is not None,
                    },
                )
            connection.execute(
                text(
                    "INSERT INTO duty_cursor (name, place) VALUES (:name, :place) "
                    "ON CONFLICT (name) DO UPDATE SET place = excluded.place"
                ),
                {"name": _CURSOR, "place": rows[-1][0]},
            )
            return len(rows)

    def alarm(self, *, now: int) -> dict[int, int]:
        """Marks what has become overdue; service → how many."""
        with self._engine.begin() as connection:
            rows = connection.execute(
                text(f"UPDATE deletion SET state = {OVERDUE} WHERE state = {DUE} AND due <= :now RETURNING service"),
                {"now": now},
            ).all()
        found: dict[int, int] = {}
        for (service,) in rows:
            found[service] = found.get(service, 0) + 1
        return found

    def overdue(self) -> list[tuple[int, int]]:
        """(service, how many)."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT service, count(*) FROM deletion WHERE state = {OVERDUE} GROUP BY service ORDER BY service"
                )
            ).all()
        return [(int(row[0]), int(row[1])) for row in rows]

    def of_account(self, account: int) -> list[StoredDeletion]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(f"SELECT {_COLUMNS} FROM deletion WHERE account = :account ORDER BY due, grant_id"),
                {"account": account},
            ).all()
        return [StoredDeletion(bytes(row[0]), *row[1:]) for row in rows]

    def receive(self, grant_id: bytes, receipt: str, *, deleted_at: int) -> bool:
        """Keeps a receipt. False where it does not cover the last use: what was read since is still there."""
        with self._engine.begin() as connection:
            done = connection.execute(
                text(
                    f"UPDATE deletion SET state = {RECEIVED}, receipt = :receipt "
                    "WHERE grant_id = :grant_id AND last_use <= :deleted_at"
                ),
                {"grant_id": grant_id, "receipt": receipt, "deleted_at": deleted_at},
            )
            return done.rowcount == 1

    def find(self, grant_id: bytes) -> StoredDeletion | None:
        with self._reader.begin() as connection:
            found = connection.execute(_ONE, {"grant_id": grant_id}).first()
        return None if found is None else StoredDeletion(bytes(found[0]), *found[1:])


def _changes(rows: Sequence[Sequence[Any]]) -> list[tuple[bytes, int | None, int | None]]:
    """Per grant its last use and its end among these leaves (NumericDates, to the minute)."""
    found: dict[bytes, tuple[int | None, int | None]] = {}
    for _, kind, grant_id, raw in rows:
        if grant_id is None or kind not in (Kind.USE, *_ENDS):
            continue
        at = Leaf.from_bytes(bytes(raw)).minute * 60
        key = bytes(grant_id)
        use, end = found.get(key, (None, None))
        found[key] = (at, end) if kind == Kind.USE else (use, at)
    return [(grant_id, use, end) for grant_id, (use, end) in sorted(found.items())]


def _ended(connection: Statements, grant_id: bytes) -> int | None:
    found = connection.execute(
        text("SELECT effective_at FROM ending WHERE grant_id = :grant_id AND mask = 0"), {"grant_id": grant_id}
    ).scalar()
    return None if found is None else int(found) // 1000


_COLUMNS = "grant_id, service, account, last_use, due, state, receipt"
_ONE = text(f"SELECT {_COLUMNS} FROM deletion WHERE grant_id = :grant_id")
_UPSERT = text(
    "INSERT INTO deletion (grant_id, service, account, last_use, due, state, receipt) "
    f"VALUES (:grant_id, :service, :account, :last_use, :due, {DUE}, NULL) "
    "ON CONFLICT (grant_id) DO UPDATE SET last_use = excluded.last_use, due = excluded.due, "
    f"state = CASE WHEN :reset THEN {DUE} ELSE deletion.state END, "
    "receipt = CASE WHEN :reset THEN NULL ELSE deletion.receipt END"
)
