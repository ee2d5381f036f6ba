"""The grant rows: every change is one conditional UPDATE, its event in the same transaction.

**The row lock is the law** (DESIGN §7). A use and a withdrawal of one grant change the same row,
so the database puts them in an order, and that order is the log's. The attributes in force are a
bit set *in* that row: a variant that asked a second table through EXISTS let uses through after
their withdrawal (``bench/race.py`` keeps it as a planted fault). The instant is a parameter: no
statement asks the database for the time.

Closings (withdraw, revoke) never wait for anything else. Nothing here decides on signatures: the
caller verified them; nothing here explains a refusal: ``consent.grant.decision`` does.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import IntegrityError

from consent.errors import LedgerConflict

GIVEN, PAUSED, WITHDRAWN, REVOKED, EXPIRED, INVALIDATED, ERASED = range(1, 8)

WINDOW_EPOCH = 1_577_836_800
"""2020-01-01, from which ``window_start`` counts, so that it fits 32 bits."""

DENY_LEAF_SECONDS = 3_600
"""DESIGN §8: at most one deny leaf per grant and hour, or refusals would flood the log."""

_COLUMNS = (
    "grant_id, account, service, holder, purpose, state, mask, not_before, not_after, counter, act, uses, max_uses, "
    "window_start, window_uses, window_max, window_seconds, status_index"
)


@dataclass(frozen=True, slots=True)
class HotRow:
    """A grant as uses and withdrawals see it (WIRE C11). Times are NumericDates, ``mask`` is unsigned."""

    grant_id: bytes
    account: int
    service: int
    holder: int
    purpose: int
    state: int
    mask: int
    not_before: int
    not_after: int
    counter: int
    act: int
    uses: int
    max_uses: int
    window_start: int
    window_uses: int
    window_max: int
    window_seconds: int
    status_index: int


@dataclass(frozen=True, slots=True)
class GrantBody:
    """What the wallet signed, and what is in force of it."""

    grant_jws: str
    locator: str
    thumbprint: str
    opening_key: bytes
    details: str
    last_act: str | None
    last_act_counter: int | None


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf with minute 0, and what is kept of its event (WIRE C6, C15)."""

    kind: int
    leaf: bytes
    sealed: str | None
    receipt_id: bytes | None = None
    opened: str | None = None


MakeEntry = Callable[[HotRow], Entry]
"""Makes the entry from the row after the change: the counter is known only then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A closing, or the end of some attributes. ``repeated``: it had ended before."""

    row: HotRow
    counter: int
    effective_at: int
    repeated: bool


class GrantStore:
    """Grant rows of one database. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def give(
        self,
        row: HotRow,
        body: GrantBody,
        *,
        request_id: bytes,
        now: int,
        make_entry: MakeEntry,
    ) -> HotRow:
        """A new grant, closing its request. Raises LedgerConflict (``request_closed``, ``withdrawn``, ``taken``)."""
        try:
            with self._engine.begin() as connection:
                close_request(connection, request_id, grant_id=row.grant_id, given=True, now=now)
                if noted(connection, row.grant_id, body.thumbprint):
                    raise LedgerConflict("withdrawn")
                connection.execute(_INSERT_ROW, _parameters(row))
                connection.execute(
                    _INSERT_BODY,
                    {
                        "grant_id": row.grant_id,
                        "grant_jws": body.grant_jws,
                        "locator": body.locator,
                        "thumbprint": body.thumbprint,
                        "opening_key": body.opening_key,
                        "details": body.details,
                    },
                )
                add_event(connection, make_entry(row), row.grant_id, row.counter)
        except IntegrityError:
            raise LedgerConflict("taken") from None
        return row

    def row(self, grant_id: bytes) -> HotRow | None:
        with self._read() as connection:
            return _row(connection, grant_id)

    def body(self, grant_id: bytes) -> GrantBody | None:
        with self._read() as connection:
            found = connection.execute(_SELECT_BODY, {"grant_id": grant_id}).first()
            return GrantBody(*found) if found else None

    def of_account(self, account: int) -> list[HotRow]:
        with self._read() as connection:
            rows = connection.execute(
                text(f"SELECT {_COLUMNS} FROM grant_row WHERE account = :account ORDER BY grant_id"),
                {"account": account},
            )
            return [_hot(found) for found in rows]

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
        try:
            with self._engine.begin() as connection:
                connection.execute(
                    _SPEND_USE_REQUEST,
                    {"service": service, "jti": jti, "request_hash": request_hash, "expires": expires},
                )
                found = connection.execute(
                    _USE,
                    {
                        "grant_id": grant_id,
                        "service": service,
                        "holder": holder,
                        "purpose": purpose,
                        "mask": _signed(mask),
                        "now": now,
                        "since": now - WINDOW_EPOCH,
                    },
                ).first()
                if found is None:
                    connection.rollback()
                    return None
                row = _hot(found)
                add_event(connection, make_entry(row), grant_id, row.counter)
                return row
        except IntegrityError:
            raise LedgerConflict("replayed") from None

    def seen_use_request(self, service: int, jti: bytes) -> bytes | None:
        """The hash of the use request that spent this jti."""
        with self._read() as connection:
            found = connection.execute(
                text("SELECT request_hash FROM use_request_seen WHERE service = :service AND jti = :jti"),
                {"service": service, "jti": jti},
            ).first()
            return bytes(found[0]) if found else None

    def deny(self, grant_id: bytes, *, now: int, make_entry: MakeEntry) -> bool:
        """Writes a deny leaf, unless one was written within the hour."""
        with self._engine.begin() as connection:
            due = connection.execute(_DENY_DUE, {"grant_id": grant_id, "now": now, "due": now - DENY_LEAF_SECONDS})
            if due.rowcount != 1:
                return False
            row = _row(connection, grant_id)
            if row is None:
                raise LedgerConflict("unknown_grant")
            add_event(connection, make_entry(row), grant_id, 0)
            return True

    def withdraw(
        self, grant_id: bytes, *, thumbprint: str, mask: int | None, at_milliseconds: int, make_entry: MakeEntry
    ) -> Ended | None:
        """Ends a grant (``mask`` None) or some of its attributes; None where the grant is not this key's.

        Withdrawing what leaves no attribute ends the grant. Always wins, over any state but an end.
        """
        return self._end(
            grant_id, state=WITHDRAWN, mask=mask, thumbprint=thumbprint, at=at_milliseconds, make_entry=make_entry
        )

    def revoke(self, grant_id: bytes, *, service: int, at_milliseconds: int, make_entry: MakeEntry) -> Ended | None:
        """Ends a grant that the service gives back; None where it is not this service's."""
        row = self.row(grant_id)
        if row is None or row.service != service:
            return None
        return self._end(grant_id, state=REVOKED, mask=None, thumbprint=None, at=at_milliseconds, make_entry=make_entry)

    def act(
        self,
        grant_id: bytes,
        *,
        act: int,
        act_hash: str,
        change: Callable[[HotRow, GrantBody], tuple[HotRow, str]],
        make_entry: MakeEntry,
    ) -> HotRow:
        """One numbered act: pause, resume or amend.

        ``change`` gets the stored row and body and returns the row as it shall be and the details
        in force; it raises what forbids the act. Raises ActConflict with the stored number,
        LedgerConflict (``unknown_grant``). The same act again returns the row it led to.
        """
        with self._engine.begin() as connection:
            row = _row(connection, grant_id)
            found = connection.execute(_SELECT_BODY, {"grant_id": grant_id}).first()
            body = GrantBody(*found) if found else None
            if row is None or body is None:
                raise LedgerConflict("unknown_grant")
            if act == row.act and act_hash == body.last_act:
                return row
            if act != row.act + 1:
                raise LedgerConflict("act_number", act=row.act)
            wanted, details = change(row, body)
            before = {"old_mask": _signed(row.mask), "old_act": row.act}
            after = connection.execute(_ACT, _parameters(wanted) | before).first()
            if after is None:
                raise LedgerConflict("act_number", act=row.act)
            done = _hot(after)
            connection.execute(
                text(
                    "UPDATE grant_body SET last_act = :hash, last_act_counter = :counter, details = :details "
                    "WHERE grant_id = :grant_id"
                ),
                {"hash": act_hash, "counter": done.counter, "details": details, "grant_id": grant_id},
            )
            add_event(connection, make_entry(done), grant_id, done.counter)
            return done

    def _end(
        self,
        grant_id: bytes,
        *,
        state: int,
        mask: int | None,
        thumbprint: str | None,
        at: int,
        make_entry: MakeEntry,
    ) -> Ended | None:
        with self._engine.begin() as connection:
            row = _row(connection, grant_id)
            if row is None or (thumbprint is not None and not _is_key(connection, grant_id, thumbprint)):
                return None
            if row.state not in (GIVEN, PAUSED) or (mask is not None and not row.mask & mask):
                return _ended_before(connection, row, mask)
            found = None
            if mask is not None:
                found = connection.execute(_DROP, {"grant_id": grant_id, "mask": _signed(mask)}).first()
            dropped = 0 if found is None or mask is None else mask
            if found is None:
                found = connection.execute(_CLOSE, {"grant_id": grant_id, "state": state}).first()
            if found is None:
                # Cannot happen under the lock; if it does, nothing was changed and the caller asks again.
                raise LedgerConflict("busy")
            after = _hot(found)
            connection.execute(
                _INSERT_ENDING,
                {"grant_id": grant_id, "counter": after.counter, "mask": _signed(dropped), "effective_at": at},
            )
            add_event(connection, make_entry(after), grant_id, after.counter)
            return Ended(after, after.counter, at, repeated=False)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.begin() as connection:
            yield connection


def add_event(connection: Connection, entry: Entry, grant_id: bytes | None, counter: int) -> None:
    connection.execute(
        text(
            "INSERT INTO event (kind, grant_id, counter, leaf, sealed, opened, receipt_id) "
            "VALUES (:kind, :grant_id, :counter, :leaf, :sealed, :opened, :receipt_id)"
        ),
        {
            "kind": entry.kind,
            "grant_id": grant_id,
            "counter": counter,
            "leaf": entry.leaf,
            "sealed": entry.sealed,
            "opened": entry.opened,
            "receipt_id": entry.receipt_id,
        },
    )


REQUEST_OPEN, REQUEST_GIVEN, REQUEST_REFUSED = range(3)


def close_request(connection: Connection, request_id: bytes, *, grant_id: bytes | None, given: bool, now: int) -> None:
    """The first decision closes a request. Raises LedgerConflict (``request_closed``)."""
    closed = connection.execute(
        text(
            "UPDATE request SET state = :state, grant_id = :grant_id "
            "WHERE request_id = :request_id AND state = 0 AND expires > :now"
        ),
        {
            "state": REQUEST_GIVEN if given else REQUEST_REFUSED,
            "grant_id": grant_id,
            "request_id": request_id,
            "now": now,
        },
    )
    if closed.rowcount != 1:
        raise LedgerConflict("request_closed")


def noted(connection: Connection, grant_id: bytes, thumbprint: str) -> bool:
    """Whether this key has withdrawn this grant id before the grant came (C5)."""
    found = connection.execute(
        text("SELECT 1 FROM noted_withdrawal WHERE grant_id = :grant_id AND thumbprint = :thumbprint"),
        {"grant_id": grant_id, "thumbprint": thumbprint},
    )
    return found.first() is not None


def _row(connection: Connection, grant_id: bytes) -> HotRow | None:
    found = connection.execute(_SELECT_ROW, {"grant_id": grant_id}).first()
    return _hot(found) if found else None


def _is_key(connection: Connection, grant_id: bytes, thumbprint: str) -> bool:
    found = connection.execute(
        text("SELECT thumbprint FROM grant_body WHERE grant_id = :grant_id"), {"grant_id": grant_id}
    ).scalar()
    return bool(found == thumbprint)


def _ended_before(connection: Connection, row: HotRow, mask: int | None) -> Ended:
    """The first ending that covers what is asked: the whole grant's, else the attributes'."""
    endings = connection.execute(
        text("SELECT counter, mask, effective_at FROM ending WHERE grant_id = :grant_id ORDER BY counter"),
        {"grant_id": row.grant_id},
    ).all()
    for counter, ended, effective_at in endings:
        if ended == 0 or (mask is not None and _unsigned(ended) & mask):
            return Ended(row, counter, effective_at, repeated=True)
    # The attributes were never granted: nothing to end, and so since the beginning.
    return Ended(row, row.counter, 0, repeated=True)


def _hot(found: Sequence[Any]) -> HotRow:
    values = list(found)
    values[0] = bytes(values[0])
    values[6] = _unsigned(values[6])
    return HotRow(*values)


def _parameters(row: HotRow) -> dict[str, object]:
    names = HotRow.__slots__
    return {name: getattr(row, name) for name in names} | {"mask": _signed(row.mask)}


def _signed(mask: int) -> int:
    return mask - (1 << 64) if mask >= 1 << 63 else mask


def _unsigned(mask: int) -> int:
    return mask % (1 << 64)


_SELECT_ROW = text(f"SELECT {_COLUMNS} FROM grant_row WHERE grant_id = :grant_id")
_SELECT_BODY = text(
    "SELECT grant_jws, locator, thumbprint, opening_key, details, last_act, last_act_counter "
    "FROM grant_body WHERE grant_id = :grant_id"
)
_INSERT_ROW = text(
    f"INSERT INTO grant_row ({_COLUMNS}) VALUES ({', '.join(':' + name for name in _COLUMNS.split(', '))})"
)
_INSERT_BODY = text(
    "INSERT INTO grant_body (grant_id, grant_jws, locator, thumbprint, opening_key, details) "
    "VALUES (:grant_id, :grant_jws, :locator, :thumbprint, :opening_key, :details)"
)
_INSERT_ENDING = text(
    "INSERT INTO ending (grant_id, counter, mask, effective_at) VALUES (:grant_id, :counter, :mask, :effective_at)"
)
_SPEND_USE_REQUEST = text(
    "INSERT INTO use_request_seen (service, jti, request_hash, expires) "
    "VALUES (:service, :jti, :request_hash, :expires)"
)
# A window of frequency begins with the first use after the last window ended.
_USE = text(
    "UPDATE grant_row SET counter = counter + 1, uses = uses + 1, "
    "window_uses = CASE WHEN window_uses > 0 AND :since < window_start + window_seconds "
    "THEN window_uses + 1 ELSE 1 END, "
    "window_start = CASE WHEN window_uses > 0 AND :since < window_start + window_seconds "
    "THEN window_start ELSE :since END "
    "WHERE grant_id = :grant_id AND state = 1 AND service = :service AND holder = :holder AND purpose = :purpose "
    "AND (mask & :mask) = :mask AND not_before <= :now AND :now < not_after "
    "AND (max_uses = 0 OR uses < max_uses) "
    "AND (window_max = 0 OR window_uses < window_max OR :since >= window_start + window_seconds) "
    f"RETURNING {_COLUMNS}"
)
_CLOSE = text(
    "UPDATE grant_row SET state = :state, mask = 0, counter = counter + 1 "
    f"WHERE grant_id = :grant_id AND state IN (1, 2) RETURNING {_COLUMNS}"
)
_DROP = text(
    "UPDATE grant_row SET mask = mask & ~ :mask, counter = counter + 1 "
    "WHERE grant_id = :grant_id AND state IN (1, 2) AND (mask & :mask) <> 0 AND (mask & ~ :mask) <> 0 "
    f"RETURNING {_COLUMNS}"
)
_ACT = text(
    "UPDATE grant_row SET state = :state, mask = :mask, not_before = :not_before, not_after = :not_after, "
    "max_uses = :max_uses, window_max = :window_max, window_seconds = :window_seconds, "
    "act = act + 1, counter = counter + 1 "
    "WHERE grant_id = :grant_id AND act = :old_act AND mask = :old_mask AND state IN (1, 2) "
    f"RETURNING {_COLUMNS}"
)
_DENY_DUE = text(
    "UPDATE grant_body SET last_deny = :now WHERE grant_id = :grant_id AND (last_deny IS NULL OR last_deny <= :due)"
)
