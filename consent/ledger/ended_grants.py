"""What happens to grants after their end: the leaf that says so (kind 11), and erasure (ADR 0009, D10)."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.errors import LedgerConflict
from consent.grant.lifecycle import State
from consent.ledger.grant_row import ERASED, EXPIRED, ROW_COLUMNS, HotRow, MakeEntry, add_event, find_row, read_row
from consent.ledger.grant_statements import INSERT_ENDING
from consent.ledger.notices import hold_accounts
from consent.ledger.schema import for_reading
from consent.ledger.statements import Statements


@dataclass(frozen=True, slots=True)
class Scanned:
    grant_id: bytes
    state: int
    not_after: int


@dataclass(frozen=True, slots=True)
class Erasable:
    """A grant, and how its last leaves are made; ``request_id`` = that of the request it answered."""

    grant_id: bytes
    request_id: bytes | None
    make_expire: MakeEntry
    make_erase: MakeEntry


class EndedGrants:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def scan(self, after: bytes, *, at_most: int) -> list[Scanned]:
        """The next grants in the order of their ids, which are random: no index of ends is needed."""
        with self._reader.begin() as connection:
            rows = connection.execute(_SCAN, {"after": after, "at_most": at_most}).all()
        return [Scanned(bytes(row[0]), row[1], row[2]) for row in rows]

    def expire(self, grant_id: bytes, make_entry: MakeEntry, *, now: int) -> HotRow | None:
        """Writes down that a grant is past its end; None where it is not, or has ended otherwise."""
        with self._engine.begin() as connection:
            return _expire(connection, grant_id, make_entry, now)

    def keep_former_opening(self, grant_id: bytes, opening_key: bytes) -> None:
        """Before a recovery replaces an opening pair: erasure has to find it."""
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    "INSERT INTO former_opening (grant_id, opening_key) VALUES (:grant_id, :opening_key) "
                    "ON CONFLICT DO NOTHING"
                ),
                {"grant_id": grant_id, "opening_key": opening_key},
            )

    def former_openings(self, grant_id: bytes) -> list[bytes]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT opening_key FROM former_opening WHERE grant_id = :grant_id"), {"grant_id": grant_id}
            ).all()
        return [bytes(row[0]) for row in rows]

    def erase(self, account: int, grants: Sequence[Erasable], *, now: int, whole_account: bool) -> bool:
        """Empties these grants, and takes the account away where none is left and ``whole_account`` is asked for.

        Whether the account is gone. Raises LedgerConflict (a state) where one of them has not ended:
        then nothing was done.
        """
        with self._engine.begin() as connection:
            hold_accounts(connection, [account])
            for grant in sorted(grants, key=lambda one: one.grant_id):
                _expire(connection, grant.grant_id, grant.make_expire, now)
                found = connection.execute(_ERASE, {"grant_id": grant.grant_id, "account": account}).first()
                if found is None:
                    row = find_row(connection, grant.grant_id)
                    raise LedgerConflict("unknown_grant" if row is None else State(row.state).word)
                row = read_row(found)
                for statement in _EMPTY:
                    connection.execute(statement, {"grant_id": grant.grant_id})
                connection.execute(_REQUEST, {"request_id": grant.request_id})
                add_event(connection, grant.make_erase(row), grant.grant_id, row.counter)
            if whole_account:
                connection.execute(_TEXTLESS, {"account": account})
            if not whole_account or connection.execute(_LEFT, {"account": account}).first() is not None:
                return False
            for statement in _FORGET_ACCOUNT:
                connection.execute(statement, {"account": account})
            return True


def _expire(connection: Statements, grant_id: bytes, make_entry: MakeEntry, now: int) -> HotRow | None:
    found = connection.execute(_EXPIRE, {"grant_id": grant_id, "now": now}).first()
    if found is None:
        return None
    row = read_row(found)
    connection.execute(
        INSERT_ENDING,
        {"grant_id": grant_id, "counter": row.counter, "mask": 0, "effective_at": row.not_after * 1000},
    )
    connection.execute(text("DELETE FROM frozen WHERE grant_id = :grant_id"), {"grant_id": grant_id})
    add_event(connection, make_entry(row), grant_id, row.counter)
    return row


_SCAN = text(
    "SELECT grant_id, state, not_after FROM grant_row WHERE grant_id > :after ORDER BY grant_id LIMIT :at_most"
)
_EXPIRE = text(
    f"UPDATE grant_row SET state = {EXPIRED}, mask = 0, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND state IN (1, 2) AND not_after <= :now RETURNING {ROW_COLUMNS}"
)
# The row stays, without its account: its leaves stand in the log, and its id is never given again.
_ERASE = text(
    f"UPDATE grant_row SET state = {ERASED}, mask = 0, account = 0, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND account = :account AND state IN (3, 4, 5, 6) RETURNING {ROW_COLUMNS}"
)
_EMPTY = tuple(
    text(statement)
    for statement in (
        "DELETE FROM grant_body WHERE grant_id = :grant_id",
        "UPDATE event SET sealed = NULL, receipt_id = NULL WHERE grant_id = :grant_id",
        "UPDATE deletion SET account = 0 WHERE grant_id = :grant_id",
        "DELETE FROM former_opening WHERE grant_id = :grant_id",
        # Its leaf's copy for the resident would say whose grant this was.
        "DELETE FROM opening_order WHERE grant_id = :grant_id",
        "DELETE FROM frozen WHERE grant_id = :grant_id",
    )
)
_REQUEST = text("UPDATE request SET grant_id = NULL, mailbox = NULL WHERE request_id = :request_id")
# What a restored copy lost the text of has nothing to empty; it must not keep the account.
_TEXTLESS = text(
    "UPDATE grant_row SET account = 0 WHERE account = :account AND state NOT IN (1, 2) "
    "AND NOT EXISTS (SELECT 1 FROM grant_body WHERE grant_body.grant_id = grant_row.grant_id)"
)
_LEFT = text("SELECT 1 FROM grant_row WHERE account = :account LIMIT 1")
_FORGET_ACCOUNT = (
    *(
        text(f"DELETE FROM {table} WHERE account = :account")
        for table in (
            "mailbox",
            "notice_item",
            "opposition",
            "frozen",
            "account_key",
            "recovery",
            "mandate",
            "ended_mandate",
        )
    ),
    text("DELETE FROM account WHERE number = :account"),
)
