"""Places in the log: one transaction gives the next indexes, and their minute, to what was committed (DESIGN §8).

In the order of commits as far as a grant is concerned: its row lock orders its events, and an event
that waits is placed before any later one of its grant. Otherwise a waiting leaf is left alone until
its time, and a batch never has two waiting leaves of one account. The first closing of an account
is logged at once; further ones within the hour wait (``consent.ledger.spreading``).

One caller at a time, who holds the log's turn: what comes next is kept in memory between batches. If
there were two, the unique index on places stops one of them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Engine, TextClause, bindparam, text

from consent.errors import LedgerConflict
from consent.ledger.address import POSTGRESQL
from consent.ledger.grant_row import PROMISE_SLACK_SECONDS
from consent.ledger.leaf import DAY_ONLY, GROUPED, Leaf
from consent.ledger.pair_days import DAY_MINUTES, count_grants
from consent.ledger.schema import open_direct
from consent.ledger.spreading import HOUR, below
from consent.ledger.statements import Direct, Statements
from identity.randomness import Random

BATCH = 1_024
"""Leaves placed in one transaction: bounds its length, not the log's rate."""

LATE_MILLISECONDS = 60_000
"""Waiting leaves of one account that are all overdue, after a long outage, come so far apart."""


@dataclass(frozen=True, slots=True)
class Placed:
    """Leaves with their minutes, the first at place ``first``."""

    first: int
    leaves: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class _Waiting:
    sequence: int
    grant_id: bytes | None
    leaf: bytes
    due: int
    promised: int | None

    @property
    def is_closing(self) -> bool:
        """Whether it has to wait was not decided yet."""
        return self.due < 0

    @property
    def is_counted(self) -> bool:
        """Its counter puts it in an order with its grant's others."""
        return self.leaf[20:24] != bytes(4)


class Placing:
    """Gives places in one database."""

    def __init__(self, engine: Engine, random: Random) -> None:
        self._engine = engine
        self._random = random
        self._direct: Direct | None = None
        self._next: tuple[int, int] | None = None
        """Next place, and the minute below which none falls."""

    def begin(self) -> None:
        """What comes next is read from the database again: another process may have placed meanwhile."""
        self._next = None

    def end(self) -> None:
        """Nothing is placed here before ``begin``."""
        direct, self._direct = self._direct, None
        if direct is not None:
            direct.close()

    def place(self, *, now: int) -> Placed:
        """Places what is committed and due at ``now`` (milliseconds), at most a batch.

        A leaf's minute is the clock's or the previous leaf's, whichever is later, so that minutes
        never fall. Raises the database's errors; then nothing was placed.
        """
        with self._transaction() as connection:
            found = connection.execute(_DUE, {"now": now, "batch": BATCH}).all()
            if not found:
                return Placed(0, ())
            chosen = [_Waiting(*row[:5]) for row in found]
            if found[0][5] or any(one.due for one in chosen):
                chosen = self._spread(connection, chosen, now)
            if not chosen:
                return Placed(0, ())
            first, minute = self._next or next_place(connection)
            self._next = None
            minute = max(minute, now // 60_000)
            leaves = tuple(_at_minute(one.leaf, minute) for one in chosen)
            self._store(connection, chosen, leaves, first, minute)
            count_grants(connection, leaves, minute)
        self._next = (first + len(leaves), minute)
        return Placed(first, leaves)

    @contextmanager
    def _transaction(self) -> Iterator[Statements]:
        """On PostgreSQL by the driver: this is done some dozen times a second, and each way there costs."""
        if self._engine.dialect.name != POSTGRESQL:
            with self._engine.begin() as connection:
                yield connection
            return
        if self._direct is None:
            self._direct = open_direct(self._engine)
        try:
            self._direct.run("BEGIN")
            yield self._direct
            self._direct.run("COMMIT")
        except BaseException:
            # Nothing is known of its transaction any more.
            self.end()
            raise

    # ── what waits ───────────────────────────────────────────────────────────────────────────

    def _spread(self, connection: Statements, found: Sequence[_Waiting], now: int) -> list[_Waiting]:
        """Those that get a place now; the others get another time."""
        accounts = _accounts(connection, [one.grant_id for one in found if one.due and one.grant_id is not None])
        closed = _closings(connection, set(accounts.values()), since=now - HOUR)
        here: set[int] = set()
        later: dict[int, _Waiting] = {}
        for one in found:
            account = accounts.get(one.grant_id) if one.due and one.grant_id is not None else None
            if account is None:
                continue
            if account in here or (one.is_closing and account in closed):
                later[one.sequence] = one
                continue
            here.add(account)
            if one.is_closing:
                closed.add(account)
                connection.execute(_CLOSED, {"account": account, "last": now})
        chosen = {one.sequence: one for one in found if one.sequence not in later}
        for one in self._needed_before(connection, list(chosen.values()), list(later.values()), now):
            later.pop(one.sequence, None)
            chosen[one.sequence] = one
        for one in later.values():
            connection.execute(_LATER, {"sequence": one.sequence, "due": self._another_time(one, now)})
        return [chosen[sequence] for sequence in sorted(chosen)]

    def _needed_before(
        self, connection: Statements, chosen: Sequence[_Waiting], later: Sequence[_Waiting], now: int
    ) -> list[_Waiting]:
        """Waiting events of the same grants that come first: counters have no gaps."""
        last = {one.grant_id: one.sequence for one in chosen if one.grant_id is not None and one.is_counted}
        if not last:
            return []
        rows = connection.execute(_STILL_WAITING.on(connection), {"now": now, "ids": list(last)}).all()
        waiting = [*later, *(_Waiting(*row) for row in rows)]
        return [one for one in waiting if one.grant_id is not None and one.sequence < last.get(one.grant_id, 0)]

    def _another_time(self, one: _Waiting, now: int) -> int:
        """Before the promise is due; after an outage that broke it, soon, and still apart."""
        left = (one.promised or 0) * 1000 - PROMISE_SLACK_SECONDS * 1000 * one.is_closing - now
        return now + 1 + below(max(left, LATE_MILLISECONDS), self._random)

    def _store(
        self, connection: Statements, chosen: Sequence[_Waiting], leaves: Sequence[bytes], first: int, minute: int
    ) -> None:
        if connection.dialect.name == POSTGRESQL:
            values = {
                "sequences": [one.sequence for one in chosen],
                "places": list(range(first, first + len(chosen))),
                "minute": minute.to_bytes(4, "big"),
                "day": (minute - minute % DAY_MINUTES).to_bytes(4, "big"),
            }
            stored = connection.execute(_PLACE_POSTGRESQL, values).rowcount
        else:
            stored = connection.execute(
                _PLACE,
                [
                    {"sequence": one.sequence, "place": first + at, "leaf": leaf}
                    for at, (one, leaf) in enumerate(zip(chosen, leaves, strict=True))
                ],
            ).rowcount
        if stored != len(chosen):
            raise LedgerConflict("placed")


def _at_minute(leaf: bytes, minute: int) -> bytes:
    """``Leaf.at_minute`` on the bytes: this is done to every leaf."""
    if leaf[2] & DAY_ONLY:
        minute -= minute % DAY_MINUTES
    return leaf[:32] + minute.to_bytes(4, "big") + leaf[36:]


def next_place(connection: Statements) -> tuple[int, int]:
    """The next place, and the minute of the last leaf that tells its minute exactly."""
    last = connection.execute(text("SELECT max(leaf_index) FROM event")).scalar()
    if last is None:
        return 0, 0
    found = connection.execute(_LAST_EXACT, {"plain": bytes([0]), "grouped": bytes([GROUPED])}).first()
    return int(last) + 1, 0 if found is None else Leaf.from_bytes(bytes(found[0])).minute


def _accounts(connection: Statements, grants: Sequence[bytes]) -> dict[bytes, int]:
    if not grants:
        return {}
    rows = connection.execute(_ACCOUNTS.on(connection), {"ids": list(set(grants))}).all()
    return {bytes(grant_id): account for grant_id, account in rows}


def _closings(connection: Statements, accounts: set[int], *, since: int) -> set[int]:
    """The accounts that have closed something since then; what is older is forgotten."""
    if not accounts:
        return set()
    connection.execute(text("DELETE FROM account_closing WHERE last <= :since"), {"since": since})
    return {row[0] for row in connection.execute(_LATELY.on(connection), {"accounts": list(accounts)}).all()}


class _In:
    """A statement with ``IN :name``: each database's driver takes a list in its own way."""

    def __init__(self, statement: str, name: str, kind: str) -> None:
        self._expanding = text(statement).bindparams(bindparam(name, expanding=True))
        self._array = text(statement.replace(f"IN :{name}", f"= ANY(CAST(:{name} AS {kind}[]))"))

    def on(self, connection: Statements) -> TextClause:
        return self._array if connection.dialect.name == POSTGRESQL else self._expanding


_DUE = text(
    "SELECT sequence, grant_id, leaf, due, promised, "
    "EXISTS (SELECT 1 FROM event AS later WHERE later.leaf_index IS NULL AND later.due > :now) "
    "FROM event WHERE leaf_index IS NULL AND due <= :now ORDER BY sequence LIMIT :batch"
)
_STILL_WAITING = _In(
    "SELECT sequence, grant_id, leaf, due, promised FROM event "
    "WHERE leaf_index IS NULL AND due > :now AND grant_id IN :ids",
    "ids",
    "bytea",
)
_ACCOUNTS = _In("SELECT grant_id, account FROM grant_row WHERE grant_id IN :ids", "ids", "bytea")
_LATELY = _In("SELECT account FROM account_closing WHERE account IN :accounts", "accounts", "bigint")
_CLOSED = text(
    "INSERT INTO account_closing (account, last) VALUES (:account, :last) "
    "ON CONFLICT (account) DO UPDATE SET last = excluded.last"
)
_LATER = text("UPDATE event SET due = :due WHERE sequence = :sequence")
_PLACE = text("UPDATE event SET leaf_index = :place, leaf = :leaf WHERE sequence = :sequence AND leaf_index IS NULL")
# One statement for the batch: a statement a leaf would be a journey to the server for each.
_PLACE_POSTGRESQL = text(
    "UPDATE event SET leaf_index = given.place, leaf = overlay(event.leaf PLACING "
    "CASE WHEN get_byte(event.leaf, 2) & 1 = 1 THEN CAST(:day AS bytea) ELSE CAST(:minute AS bytea) END FROM 33 FOR 4) "
    "FROM unnest(CAST(:sequences AS bigint[]), CAST(:places AS bigint[])) AS given(sequence, place) "
    "WHERE event.sequence = given.sequence AND event.leaf_index IS NULL"
)
# The third byte of a leaf is its flags; one that shows the day only says nothing of the minute.
_LAST_EXACT = text(
    "SELECT leaf FROM event WHERE leaf_index IS NOT NULL AND substr(leaf, 3, 1) IN (:plain, :grouped) "
    "ORDER BY leaf_index DESC LIMIT 1"
)
