"""Uses in SQLite: the driver's own connection, inside the turn that every writer of the file takes."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from consent.errors import OutOfService
from consent.ledger.grant_row import ROW_WIDTH, WINDOW_EPOCH, read_body, read_row, signed
from consent.ledger.use_statements import UseStatements
from consent.ledger.uses import SEEN_SECONDS, Order, Outcome, Refused, Wanted

_STATEMENTS = UseStatements.of("?")


class SqliteUses:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def write(self, orders: Sequence[Order]) -> list[Outcome]:
        try:
            with self._engine.begin() as connection:
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                cursor = driver.cursor()
                return [_use(cursor, order) for order in orders]
        except sqlite3.Error as fault:
            raise OutOfService(f"database: {type(fault).__name__}") from None

    def forget(self, now: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("DELETE FROM spent_proof WHERE expires < :now"), {"now": now})
            connection.execute(
                text("DELETE FROM use_request_seen WHERE expires <= :past"), {"past": now - SEEN_SECONDS}
            )

    def close(self) -> None:
        """The engine is its owner's."""


def _use(cursor: sqlite3.Cursor, order: Order) -> Outcome:
    """The whole file is this transaction's: what is found stays so until its end."""
    proof, made = order.proof, _STATEMENTS
    if proof is not None:
        spent = {"thumbprint": proof.thumbprint, "jti": proof.jti, "expires": proof.expires, "tag": 0}
        if _one(cursor, made.spend_proof.sql, made.spend_proof.values(spent)) is None:
            return Refused.PROOF_SPENT
    found = _one(cursor, made.read.sql, made.read.values({"tag": 0, "grant_id": order.grant_id}))
    if found is None:
        wanted = order.judge(None, None)
    else:
        wanted = order.judge(read_row(found[1 : 1 + ROW_WIDTH]), read_body(found[1 + ROW_WIDTH :]))
    if wanted is None:
        return Refused.NOT_ASKED
    request = {
        "service": wanted.service,
        "jti": order.jti,
        "request_hash": order.request_hash,
        "expires": order.expires,
        "tag": 0,
    }
    if _one(cursor, made.spend_request.sql, made.spend_request.values(request)) is None:
        return Refused.REPLAYED
    used = _one(cursor, made.use.sql, made.use.values(update_values(order, wanted, 0)))
    if used is None:
        cursor.execute(made.free_request.sql, made.free_request.values(request))
        return Refused.NOT_NOW
    row = read_row(used[1:])
    entry = order.entry(row)
    event = {
        "kind": int(entry.kind),
        "grant_id": row.grant_id,
        "counter": row.counter,
        "leaf": entry.leaf,
        "sealed": entry.sealed,
    }
    cursor.execute(made.add_event.sql, made.add_event.values(event))
    return row


def update_values(order: Order, wanted: Wanted, tag: int) -> dict[str, object]:
    """What the conditional UPDATE is asked with."""
    return {
        "grant_id": order.grant_id,
        "service": wanted.service,
        "holder": wanted.holder,
        "purpose": wanted.purpose,
        "mask": signed(wanted.mask),
        "act": wanted.act,
        "now": order.now,
        "since": order.now - WINDOW_EPOCH,
        "tag": tag,
    }


def _one(cursor: sqlite3.Cursor, sql: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    # Read to its end: a statement that still runs would keep the transaction from its commit.
    rows: list[tuple[Any, ...]] = cursor.execute(sql, values).fetchall()
    return rows[0] if rows else None
