"""By when services have to delete what they read (ADR 0009, D8), learnt from the log itself.

Uses are not slowed down by it: a round of bookkeeping reads the leaves that came since the last
one, in the order of their places, and remembers how far it has read in the same transaction.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, TextClause, bindparam, text

from consent.ledger.address import POSTGRESQL
from consent.ledger.grant_row import BODY_COLUMNS, ROW_COLUMNS, ROW_WIDTH, GrantBody, HotRow, read_body, read_row
from consent.ledger.leaf import Kind
from consent.ledger.schema import for_reading, lock
from consent.ledger.use_statements import columns_of

DUE, OVERDUE, RECEIVED = range(3)

_AS_IT_IS = -1
"""What is known already keeps its state and its receipt."""

READ_AT_ONCE = 2_000
"""Leaves of one round."""

TOGETHER = 500
"""Grants in one statement."""

_MINUTE = slice(32, 36)
"""Of a leaf (WIRE C6)."""

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
            changes = _changes(rows)
            for at in range(0, len(changes), TOGETHER):
                self._note(connection, changes[at : at + TOGETHER], due_of)
            connection.execute(
                text(
                    "INSERT INTO duty_cursor (name, place) VALUES (:name, :place) "
                    "ON CONFLICT (name) DO UPDATE SET place = excluded.place"
                ),
                {"name": _CURSOR, "place": rows[-1][0]},
            )
            return len(rows)

    def _note(self, connection: Connection, changes: Sequence["_Change"], due_of: DueOf) -> None:
        """Some statements for all of them: one for each would cost as much as the uses themselves."""
        known = _of_grants(connection, _KNOWN, [one.grant_id for one in changes])
        before = {grant_id: StoredDeletion(grant_id, *row[1:]) for grant_id, row in known.items()}
        asked = [one for one in changes if one.says_more_than(before.get(one.grant_id))]
        texts = _of_grants(connection, _TEXTS, [one.grant_id for one in asked])
        ends = _of_grants(connection, _ENDED, [one.grant_id for one in asked if one.end is None])
        noted = []
        for one in asked:
            if one.grant_id not in texts:
                continue
            found, earlier = texts[one.grant_id], before.get(one.grant_id)
            row, body = read_row(found[:ROW_WIDTH]), read_body(found[ROW_WIDTH:])
            used = max(one.last_use or 0, 0 if earlier is None else earlier.last_use)
            ended = one.end
            if ended is None and earlier is not None and one.grant_id in ends:
                ended = int(ends[one.grant_id][1]) // 1000
            noted.append(
                {
                    "grant_id": one.grant_id,
                    "service": row.service,
                    "account": row.account,
                    "last_use": used,
                    "due": due_of(row, body, used, ended),
                    # What was read after a receipt is to be deleted anew.
                    "state": DUE if one.last_use is not None else _AS_IT_IS,
                }
            )
        if not noted:
            return
        if connection.dialect.name == POSTGRESQL:
            connection.execute(_UPSERT_POSTGRESQL, {name: [one[name] for one in noted] for name in noted[0]})
        else:
            connection.execute(_UPSERT, noted)

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


@dataclass(frozen=True, slots=True)
class _Change:
    """A grant's last use and its end among some leaves (NumericDates, to the minute)."""

    grant_id: bytes
    last_use: int | None
    end: int | None

    def says_more_than(self, before: StoredDeletion | None) -> bool:
        """Not a further use in the minute of the last, whose data have to be deleted by then anyway."""
        if before is None:
            return self.last_use is not None
        return self.end is not None or before.state != DUE or (self.last_use or 0) > before.last_use


def _changes(rows: Sequence[Sequence[Any]]) -> list[_Change]:
    found: dict[bytes, tuple[int | None, int | None]] = {}
    for _, kind, grant_id, raw in rows:
        if grant_id is None or kind not in (Kind.USE, *_ENDS):
            continue
        at = int.from_bytes(raw[_MINUTE], "big") * 60
        key = bytes(grant_id)
        use, end = found.get(key, (None, None))
        found[key] = (at, end) if kind == Kind.USE else (use, at)
    return [_Change(grant_id, use, end) for grant_id, (use, end) in sorted(found.items())]


def _of_grants(connection: Connection, statement: TextClause, grant_ids: Sequence[bytes]) -> dict[bytes, Any]:
    """Rows by the grant id that they begin with."""
    if not grant_ids:
        return {}
    return {bytes(row[0]): row for row in connection.execute(statement, {"ids": list(grant_ids)})}


def _in(statement: str) -> TextClause:
    return text(statement).bindparams(bindparam("ids", expanding=True))


_COLUMNS = "grant_id, service, account, last_use, due, state, receipt"
_ONE = text(f"SELECT {_COLUMNS} FROM deletion WHERE grant_id = :grant_id")
_KNOWN = _in(f"SELECT {_COLUMNS} FROM deletion WHERE grant_id IN :ids")
_TEXTS = _in(
    f"SELECT {columns_of('grant_row', ROW_COLUMNS)}, {columns_of('grant_body', BODY_COLUMNS)} "
    "FROM grant_row JOIN grant_body ON grant_body.grant_id = grant_row.grant_id "
    "WHERE grant_row.grant_id IN :ids"
)
_ENDED = _in("SELECT grant_id, effective_at FROM ending WHERE mask = 0 AND grant_id IN :ids")
_UPSERT_COLUMNS = "INSERT INTO deletion (grant_id, service, account, last_use, due, state, receipt) "
_OR_UPDATE = (
    " ON CONFLICT (grant_id) DO UPDATE SET last_use = excluded.last_use, due = excluded.due, "
    f"state = CASE WHEN excluded.state = {DUE} THEN {DUE} ELSE deletion.state END, "
    f"receipt = CASE WHEN excluded.state = {DUE} THEN NULL ELSE deletion.receipt END"
)
_UPSERT = text(f"{_UPSERT_COLUMNS} VALUES (:grant_id, :service, :account, :last_use, :due, :state, NULL) {_OR_UPDATE}")
_UPSERT_POSTGRESQL = text(
    f"{_UPSERT_COLUMNS} SELECT *, NULL FROM unnest(CAST(:grant_id AS bytea[]), CAST(:service AS int[]), "
    "CAST(:account AS bigint[]), CAST(:last_use AS bigint[]), CAST(:due AS bigint[]), CAST(:state AS int[]))"
    f"{_OR_UPDATE}"
)
