"""Uses in SQLite: the driver's own connection, inside the turn that every writer of the file takes."""

import sqlite3
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Engine, text

from consent.errors import OutOfService
from consent.ledger.grant_row import ROW_WIDTH, read_body, read_row
from consent.ledger.use_statements import (
    ADD_EVENT,
    FREE_REQUEST,
    READ,
    SPEND_PROOF,
    SPEND_REQUEST,
    UPDATE,
    Statement,
    update_values,
)
from consent.ledger.uses import SEEN_SECONDS, Order, Outcome, Refused

_READ, _UPDATE, _SPEND_PROOF, _SPEND_REQUEST, _FREE_REQUEST, _ADD_EVENT = (
    Statement.of(named, "?") for named in (READ, UPDATE, SPEND_PROOF, SPEND_REQUEST, FREE_REQUEST, ADD_EVENT)
)


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


def _use(cursor: sqlite3.Cursor, order: Order) -> Outcome:
    """The whole file is this transaction's: what is found stays so until its end."""
    proof = order.proof
    if proof is not None:
        spent = (proof.thumbprint, proof.jti, proof.expires)
        if cursor.execute(_SPEND_PROOF.sql, spent).rowcount != 1:
            return Refused.PROOF_SPENT
    found = _one(cursor, _READ.sql, (order.grant_id,))
    if found is None:
        wanted = order.judge(None, None)
    else:
        wanted = order.judge(read_row(found[:ROW_WIDTH]), read_body(found[ROW_WIDTH:]))
    if wanted is None:
        return Refused.NOT_ASKED
    request = (wanted.service, order.jti, order.request_hash, order.expires)
    if cursor.execute(_SPEND_REQUEST.sql, request).rowcount != 1:
        return Refused.REPLAYED
    used = _one(cursor, _UPDATE.sql, _UPDATE.values(update_values(order, wanted)))
    if used is None:
        cursor.execute(_FREE_REQUEST.sql, request[:2])
        return Refused.NOT_NOW
    row = read_row(used)
    entry = order.entry(row)
    cursor.execute(_ADD_EVENT.sql, (int(entry.kind), row.grant_id, row.counter, entry.leaf, entry.sealed))
    return row


def _one(cursor: sqlite3.Cursor, sql: str, values: tuple[object, ...]) -> tuple[Any, ...] | None:
    # Read to its end: a statement that still runs would keep the transaction from its commit.
    rows: list[tuple[Any, ...]] = cursor.execute(sql, values).fetchall()
    return rows[0] if rows else None
