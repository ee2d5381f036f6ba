"""The grant rows: every change is one conditional UPDATE, its event in the same transaction.

**The row lock is the law** (DESIGN §7). A use and a withdrawal of one grant change the same row,
so the database puts them in an order, and that order is the log's. The attributes in force are a
bit set *in* that row: a variant that asked a second table through EXISTS let uses through after
their withdrawal (``bench/race.py`` keeps it as a planted fault). The instant is a parameter: no
statement asks the database for the time.

Closings (withdraw, revoke) never wait for anything else. Nothing here decides on signatures: the
caller verified them; nothing here explains a refusal: ``consent.grant.decision`` does.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from consent.errors import LedgerConflict
from consent.ledger.direct_reader import DirectReader
from consent.ledger.giving import Giving, give
from consent.ledger.grant_row import (
    ERASED,
    EXPIRED,
    GIVEN,
    INVALIDATED,
    PAUSED,
    REVOKED,
    ROW_COLUMNS,
    ROW_WIDTH,
    SELECT_BOTH,
    SELECT_ROW,
    WINDOW_EPOCH,
    WITHDRAWN,
    Ended,
    Entry,
    GrantBody,
    HotRow,
    MakeEntry,
    add_event,
    find_body,
    find_row,
    read_body,
    read_row,
    row_parameters,
    signed,
    unsigned,
)  # fmt: skip
from consent.ledger.grant_statements import (
    ACT,
    CLOSE,
    COUNT_DENY,
    DENY_DUE,
    DROP,
    FORGET_USE_REQUESTS,
    INSERT_ENDING,
    KEEP_ACT,
    SPEND_USE_REQUEST,
    USE,
)
from consent.ledger.proofs import FORGET_PROOFS
from consent.ledger.schema import for_reading
from consent.ledger.statements import Statements
from consent.ledger.uses import Forgetting, SpentProof
from consent.ledger.writer import OneByOne, Writes

# Whoever asks the store finds here what it answers with.
__all__ = (
    "ERASED", "EXPIRED", "GIVEN", "INVALIDATED", "PAUSED", "REVOKED", "WINDOW_EPOCH", "WITHDRAWN", "Ended", "Entry",
    "GrantBody", "GrantStore", "HotRow", "MakeEntry",
)  # fmt: skip

DENY_LEAF_SECONDS = 3_600
"""DESIGN §8: at most one deny leaf per grant and hour, or refusals would flood the log."""

SEEN_SECONDS = 60
"""A use request is remembered so much longer than it is valid: clocks of services differ."""


class GrantStore:
    """Grant rows of one database. What each method writes is there as a whole, or not at all."""

    def __init__(self, engine: Engine, writer: Writes | None = None) -> None:
        """``writer``: who commits for many; without one, each method is a transaction."""
        self._writer = OneByOne(engine) if writer is None else writer
        self._reader = for_reading(engine)
        self._direct = DirectReader(engine)
        self._forgetting = Forgetting()

    def give(
        self,
        row: HotRow,
        body: GrantBody,
        *,
        request_id: bytes,
        now: int,
        make_entry: MakeEntry,
        proof: SpentProof | None = None,
    ) -> HotRow:
        """A new grant, closing its request and spending its caller's proof (None = it is spent already).

        Raises CallerUnproven, LedgerConflict (``request_closed``, ``withdrawn``, ``taken``).
        """
        giving = Giving.of(row, body, make_entry(row), request_id=request_id, now=now, proof=proof)
        forget = proof is not None and self._forgetting.is_due(now)

        def work(connection: Statements) -> None:
            if forget:
                connection.execute(FORGET_PROOFS, {"now": now})
            give(connection, giving)

        try:
            self._writer.run(work, key=row.grant_id)
        except IntegrityError:
            raise LedgerConflict("taken") from None
        return row

    def row(self, grant_id: bytes) -> HotRow | None:
        found = self._direct.first(SELECT_ROW, {"grant_id": grant_id})
        return None if found is None else read_row(found)

    def body(self, grant_id: bytes) -> GrantBody | None:
        with self._reader.begin() as connection:
            return find_body(connection, grant_id)

    def get(self, grant_id: bytes) -> tuple[HotRow, GrantBody] | None:
        """Row and body as they stand together."""
        found = self._direct.first(SELECT_BOTH, {"grant_id": grant_id})
        return None if found is None else (read_row(found[:ROW_WIDTH]), read_body(found[ROW_WIDTH:]))

    def of_account(self, account: int) -> list[HotRow]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(f"SELECT {ROW_COLUMNS} FROM grant_row WHERE account = :account ORDER BY grant_id"),
                {"account": account},
            )
            return [read_row(found) for found in rows]

    def use(
        self,
        grant_id: bytes,
        *,
        service: int,
        holder: int,
        purpose: int,
        mask: int,
        now: int,
        jti: bytes,
        request_hash: bytes,
        expires: int,
        make_entry: MakeEntry,
    ) -> HotRow | None:
        """One use, or None where the row forbids it. Raises LedgerConflict (``replayed``).

        (service, jti) is spent only when the use is: a refused request may come again and is
        judged again.
        """
        spent = {"service": service, "jti": jti, "request_hash": request_hash, "expires": expires}
        asked = {
            "grant_id": grant_id,
            "service": service,
            "holder": holder,
            "purpose": purpose,
            "mask": signed(mask),
            "now": now,
            "since": now - WINDOW_EPOCH,
        }

        def work(connection: Statements) -> HotRow:
            connection.execute(FORGET_USE_REQUESTS, {"past": now - SEEN_SECONDS})
            connection.execute(SPEND_USE_REQUEST, spent)
            found = connection.execute(USE, asked).first()
            if found is None:
                raise _ForbiddenError
            row = read_row(found)
            add_event(connection, make_entry(row), grant_id, row.counter)
            return row

        try:
            return self._writer.run(work, key=grant_id)
        except _ForbiddenError:
            return None
        except IntegrityError:
            raise LedgerConflict("replayed") from None

    def seen_use_request(self, service: int, jti: bytes) -> bytes | None:
        """The hash of the use request that spent this jti."""
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT request_hash FROM use_request_seen WHERE service = :service AND jti = :jti"),
                {"service": service, "jti": jti},
            ).first()
            return bytes(found[0]) if found else None

    def deny(self, grant_id: bytes, *, now: int, make_entry: Callable[[HotRow, int], Entry]) -> bool:
        """Writes a deny leaf, unless one was written within the hour; ``make_entry`` gets how many
        refusals it stands for."""

        def work(connection: Statements) -> bool:
            counted = connection.execute(COUNT_DENY, {"grant_id": grant_id}).scalar()
            due = connection.execute(DENY_DUE, {"grant_id": grant_id, "now": now, "due": now - DENY_LEAF_SECONDS})
            if due.rowcount != 1:
                return False
            row = find_row(connection, grant_id)
            if row is None or counted is None:
                raise LedgerConflict("unknown_grant")
            add_event(connection, make_entry(row, int(counted)), grant_id, 0)
            return True

        return self._writer.run(work, key=grant_id)

    def withdraw(
        self, grant_id: bytes, *, thumbprint: str, mask: int | None, at_milliseconds: int, make_entry: MakeEntry
    ) -> Ended | None:
        """Ends a grant (``mask`` None) or some of its attributes; None where the grant is not this key's.

        Withdrawing what leaves no attribute ends the grant. Always wins, over any state but an end.
        """

        def is_theirs(row: HotRow, body: GrantBody) -> bool:
            return body.thumbprint == thumbprint

        return self._end(grant_id, is_theirs, state=WITHDRAWN, mask=mask, at=at_milliseconds, make_entry=make_entry)

    def withdraw_by_account(
        self, grant_id: bytes, *, account: int, mask: int | None, at_milliseconds: int, make_entry: MakeEntry
    ) -> Ended | None:
        """The same for whoever has the account and no longer the grant key; None where it is another's."""

        def is_theirs(row: HotRow, body: GrantBody) -> bool:
            return row.account == account

        return self._end(grant_id, is_theirs, state=WITHDRAWN, mask=mask, at=at_milliseconds, make_entry=make_entry)

    def revoke(self, grant_id: bytes, *, service: int, at_milliseconds: int, make_entry: MakeEntry) -> Ended | None:
        """Ends a grant that the service gives back; None where it is not this service's."""

        def is_theirs(row: HotRow, body: GrantBody) -> bool:
            return row.service == service

        return self._end(grant_id, is_theirs, state=REVOKED, mask=None, at=at_milliseconds, make_entry=make_entry)

    def act(
        self,
        grant_id: bytes,
        *,
        act: int,
        act_hash: str,
        change: Callable[[HotRow, GrantBody], tuple[HotRow, str]],
        make_entry: MakeEntry,
        closing: bool = False,
    ) -> HotRow:
        """One numbered act: pause (``closing``), resume or amend.

        ``change`` gets the stored row and body and returns the row as it shall be and the details
        in force; it raises what forbids the act. Raises LedgerConflict: ``act_number`` with the
        stored one, ``unknown_grant``. The same act again, while it is the last, returns the row
        with the state and counter it led to.
        """

        def work(connection: Statements) -> HotRow:
            row, body = find_row(connection, grant_id, lock=True), find_body(connection, grant_id)
            if row is None or body is None:
                raise LedgerConflict("unknown_grant")
            if act == row.act and act_hash == body.last_act:
                return replace(
                    row, state=body.last_act_state or row.state, counter=body.last_act_counter or row.counter
                )
            if act != row.act + 1:
                raise LedgerConflict("act_number", act=row.act)
            wanted, details = change(row, body)
            before = {"old_mask": signed(row.mask), "old_act": row.act}
            after = connection.execute(ACT, row_parameters(wanted) | before).first()
            if after is None:
                raise LedgerConflict("act_number", act=row.act)
            done = read_row(after)
            last = {"hash": act_hash, "counter": done.counter, "state": done.state}
            connection.execute(KEEP_ACT, last | {"details": details, "grant_id": grant_id})
            add_event(connection, make_entry(done), grant_id, done.counter)
            return done

        return self._writer.run(work, key=grant_id, closing=closing)

    def replace_opening_key(self, grant_id: bytes, *, account: int, opening_key: bytes) -> None:
        """Seals what comes from now on to another opening pair (a recovered account's wallet)."""

        def work(connection: Statements) -> None:
            connection.execute(
                text(
                    "UPDATE grant_body SET opening_key = :key WHERE grant_id = :grant_id AND EXISTS "
                    "(SELECT 1 FROM grant_row WHERE grant_row.grant_id = :grant_id AND account = :account)"
                ),
                {"key": opening_key, "grant_id": grant_id, "account": account},
            )

        self._writer.run(work, key=grant_id)

    def _end(
        self,
        grant_id: bytes,
        is_theirs: Callable[[HotRow, GrantBody], bool],
        *,
        state: int,
        mask: int | None,
        at: int,
        make_entry: MakeEntry,
    ) -> Ended | None:

        def work(connection: Statements) -> Ended | None:
            row, body = find_row(connection, grant_id, lock=True), find_body(connection, grant_id)
            if row is None or body is None or not is_theirs(row, body):
                return None
            if row.state not in (GIVEN, PAUSED) or (mask is not None and not row.mask & mask):
                return _ended_before(connection, row, mask)
            left = 0 if mask is None else row.mask & ~mask
            if left:
                dropped = {"grant_id": grant_id, "mask": signed(row.mask & ~left), "kept": signed(left)}
                found = connection.execute(DROP, dropped).first()
            else:
                found = connection.execute(CLOSE, {"grant_id": grant_id, "state": state}).first()
            if found is None:
                # Cannot happen under the lock; if it does, nothing was changed and the caller asks again.
                raise LedgerConflict("busy")
            after = read_row(found)
            ended = 0 if mask is None or not left else mask
            connection.execute(
                INSERT_ENDING,
                {"grant_id": grant_id, "counter": after.counter, "mask": signed(ended), "effective_at": at},
            )
            add_event(connection, make_entry(after), grant_id, after.counter)
            return Ended(after, after.counter, at, repeated=False)

        return self._writer.run(work, key=grant_id, closing=True)


class _ForbiddenError(Exception):
    """The row forbids the use: what was spent for it is given back."""


def _ended_before(connection: Statements, row: HotRow, mask: int | None) -> Ended:
    """The first ending that covers what is asked: the whole grant's, else the attributes'."""
    endings = connection.execute(SELECT_ENDINGS, {"grant_id": row.grant_id}).all()
    for counter, ended, effective_at in endings:
        if ended == 0 or (mask is not None and unsigned(ended) & mask):
            return Ended(row, counter, effective_at, repeated=True)
    # The attributes were never granted: nothing to end, and so since the beginning.
    return Ended(row, row.counter, row.not_before * 1000, repeated=True)


SELECT_ENDINGS = text("SELECT counter, mask, effective_at FROM ending WHERE grant_id = :grant_id ORDER BY counter")
