"""What is stored of a grant: the hot row, the signed body, the entry of an act on its way to the log."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from consent.errors import LedgerConflict
from consent.grant.lifecycle import State
from consent.ledger.address import POSTGRESQL
from consent.ledger.leaf import Kind
from consent.ledger.packing import pack, unpack
from consent.ledger.statements import Statements

GIVEN, PAUSED, WITHDRAWN, REVOKED, EXPIRED, INVALIDATED, ERASED = (state.value for state in State)

WINDOW_EPOCH = 1_577_836_800
"""2020-01-01, from which ``window_start`` counts, so that it fits 32 bits."""

REQUEST_OPEN, REQUEST_GIVEN, REQUEST_REFUSED = range(3)

ROW_COLUMNS = (
    "grant_id, account, service, holder, purpose, state, mask, not_before, not_after, counter, act, uses, max_uses, "
    "window_start, window_uses, window_max, window_seconds, status_index"
)
ROW_WIDTH = len(ROW_COLUMNS.split(", "))
BODY_COLUMNS = (
    "signed, locator, thumbprint, opening_key, details, last_act, last_act_counter, last_act_state, leaf_codes"
)  # fmt: skip


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
    last_act_state: int | None = None
    leaf_codes: bytes | None = None
    """``consent.ledger.codes`` of its kind-3 leaf; None = the row's own numbers."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf with minute 0, and what is kept of its event (WIRE C6, C15)."""

    kind: int
    leaf: bytes
    sealed: str | None
    receipt_id: bytes | None = None
    opened: str | None = None
    due: int | None = None
    """It waits for its place until then (milliseconds); ``to_spread``: a closing, which may have to."""
    at: int = 0
    """When it happened (milliseconds), as the feed tells the grant's service."""


PROMISE_SLACK_SECONDS = 60
"""A leaf that waits is promised so long after it is due: a restart of the service fits in."""

CLOSING_SECONDS = 3_600
"""DESIGN §8: leaves of bulk acts are promised within 60 min."""

MakeEntry = Callable[[HotRow], Entry]
"""Makes the entry from the row after the change: the counter is known only then."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A closing, or the end of some attributes. ``repeated``: it had ended before."""

    row: HotRow
    counter: int
    effective_at: int
    repeated: bool


def find_row(connection: Statements, grant_id: bytes, *, lock: bool = False) -> HotRow | None:
    """``lock``: it stays as it is found until the transaction ends (SQLite's writer is alone anyway)."""
    locked = lock and connection.dialect.name == POSTGRESQL
    found = connection.execute(LOCK_ROW if locked else SELECT_ROW, {"grant_id": grant_id}).first()
    return read_row(found) if found else None


def find_body(connection: Statements, grant_id: bytes) -> GrantBody | None:
    found = connection.execute(SELECT_BODY, {"grant_id": grant_id}).first()
    return read_body(found) if found else None


def insert_row(connection: Statements, row: HotRow) -> None:
    connection.execute(INSERT_ROW, row_parameters(row))


def read_row(found: Sequence[Any]) -> HotRow:
    values = list(found)
    values[0] = bytes(values[0])
    values[6] = unsigned(values[6])
    return HotRow(*values)


def read_body(found: Sequence[Any]) -> GrantBody:
    signed, locator, thumbprint, opening_key, details, act, act_counter, act_state, leaf_codes = found
    grant_jws, first_details = unpack(signed)
    return GrantBody(
        grant_jws=grant_jws,
        locator=locator,
        thumbprint=thumbprint,
        opening_key=opening_key,
        details=details or first_details,
        last_act=act,
        last_act_counter=act_counter,
        last_act_state=act_state,
        leaf_codes=leaf_codes,
    )


def body_parameters(grant_id: bytes, body: GrantBody) -> dict[str, object]:
    signed, details = pack(body.grant_jws, body.details)
    return {
        "grant_id": grant_id,
        "signed": signed,
        "locator": body.locator,
        "thumbprint": body.thumbprint,
        "opening_key": body.opening_key,
        "details": details,
        "leaf_codes": body.leaf_codes,
    }


def row_parameters(row: HotRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in HotRow.__slots__} | {"mask": signed(row.mask)}


def signed(mask: int) -> int:
    """The 64-bit set as databases hold it."""
    return mask - (1 << 64) if mask >= 1 << 63 else mask


def unsigned(mask: int) -> int:
    return mask % (1 << 64)


FED = frozenset({Kind.GRANT, Kind.AMEND, Kind.PAUSE, Kind.RESUME, Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE})
"""What a service is told of its grants (ADR 0009, D7): every change of state, and no use."""


def add_event(connection: Statements, entry: Entry, grant_id: bytes | None, counter: int) -> None:
    connection.execute(INSERT_EVENT, event_parameters(entry, grant_id, counter))
    if entry.kind in FED and grant_id is not None:
        connection.execute(_FEED, {"grant_id": grant_id, "counter": counter, "at": entry.at})


def event_parameters(entry: Entry, grant_id: bytes | None, counter: int) -> dict[str, object]:
    return {
        "kind": entry.kind,
        "grant_id": grant_id,
        "counter": counter,
        "leaf": entry.leaf,
        "sealed": entry.sealed,
        "opened": entry.opened,
        "receipt_id": entry.receipt_id,
        "due": entry.due or 0,
        "promised": promised_by(entry.due),
    }


def to_spread(at_milliseconds: int) -> int:
    """The ``due`` of a closing made then: it waits if its account closed something else within the hour."""
    return -at_milliseconds


def promised_by(due: int | None) -> int | None:
    """By when the log promises a leaf with this ``due``."""
    if not due:
        return None
    return due // 1000 + PROMISE_SLACK_SECONDS if due > 0 else -due // 1000 + CLOSING_SECONDS


def close_request(connection: Statements, request_id: bytes, *, grant_id: bytes | None, given: bool, now: int) -> None:
    """The first decision closes a request. Raises LedgerConflict (``request_closed``)."""
    closed = connection.execute(
        _CLOSE_REQUEST,
        {
            "state": REQUEST_GIVEN if given else REQUEST_REFUSED,
            "grant_id": grant_id,
            "request_id": request_id,
            "now": now,
        },
    )
    if closed.rowcount != 1:
        raise LedgerConflict("request_closed")


def noted(connection: Statements, grant_id: bytes, thumbprint: str) -> bool:
    """Whether this key has withdrawn this grant id before the grant came (C5)."""
    found = connection.execute(_NOTED, {"grant_id": grant_id, "thumbprint": thumbprint})
    return found.first() is not None


_COLUMNS_OF_BOTH = ", ".join(
    f"{table}.{name}"
    for table, names in (("grant_row", ROW_COLUMNS), ("grant_body", BODY_COLUMNS))
    for name in names.split(", ")
)
SELECT_BOTH = text(
    f"SELECT {_COLUMNS_OF_BOTH} FROM grant_row JOIN grant_body ON grant_body.grant_id = grant_row.grant_id "
    "WHERE grant_row.grant_id = :grant_id"
)
SELECT_ROW = text(f"SELECT {ROW_COLUMNS} FROM grant_row WHERE grant_id = :grant_id")
LOCK_ROW = text(f"{SELECT_ROW.text} FOR UPDATE")
SELECT_BODY = text(f"SELECT {BODY_COLUMNS} FROM grant_body WHERE grant_id = :grant_id")
INSERT_ROW = text(
    f"INSERT INTO grant_row ({ROW_COLUMNS}) VALUES ({', '.join(':' + name for name in ROW_COLUMNS.split(', '))})"
)
INSERT_BODY = text(
    "INSERT INTO grant_body (grant_id, signed, locator, thumbprint, opening_key, details, denies, leaf_codes) "
    "VALUES (:grant_id, :signed, :locator, :thumbprint, :opening_key, :details, 0, :leaf_codes)"
)
INSERT_EVENT = text(
    "INSERT INTO event (kind, grant_id, counter, leaf, sealed, opened, receipt_id, due, promised) "
    "VALUES (:kind, :grant_id, :counter, :leaf, :sealed, :opened, :receipt_id, :due, :promised)"
)
_CLOSE_REQUEST = text(
    "UPDATE request SET state = :state, grant_id = :grant_id "
    "WHERE request_id = :request_id AND state = 0 AND expires > :now"
)
_NOTED = text("SELECT 1 FROM noted_withdrawal WHERE grant_id = :grant_id AND thumbprint = :thumbprint")
# In the transaction of the act itself: what is told has happened, and what has happened is told.
_FEED = text(
    "INSERT INTO feed_item (service, grant_id, state, counter, status_index, at) "
    "SELECT service, grant_id, state, :counter, status_index, :at FROM grant_row WHERE grant_id = :grant_id"
)
