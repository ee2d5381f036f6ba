"""Every hot statement on a grant meets one partition, and finds its row there by the key (DESIGN §10).

PostgreSQL's own plan is read: as it is made for given values, and as one plan for all values, which
is what a prepared statement gets after a few calls.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from consent.ledger import grant_row, grant_statements, grants
from consent.ledger.schema import open_engine
from consent.ledger.use_statements import READ, UPDATE, Statement

PARTITIONED = ("grant_row", "grant_body", "ending")
GRANT = bytes(range(16))

HOT = {
    "row": grant_row.SELECT_ROW.text,
    "row locked": grant_row.LOCK_ROW.text,
    "body": grant_row.SELECT_BODY.text,
    "row and body": grant_row.SELECT_BOTH.text,
    "use": grant_statements.USE.text,
    "close": grant_statements.CLOSE.text,
    "drop": grant_statements.DROP.text,
    "act": grant_statements.ACT.text,
    "keep act": grant_statements.KEEP_ACT.text,
    "count deny": grant_statements.COUNT_DENY.text,
    "deny due": grant_statements.DENY_DUE.text,
    "endings": grants.SELECT_ENDINGS.text,
    "read in the lane of uses": READ,
    "use in the lane of uses": UPDATE,
}


@pytest.fixture
def connection(postgresql_url: str) -> Iterator[Connection]:
    engine: Engine = open_engine(postgresql_url)
    with engine.connect() as connection:
        # Small tables are read whole, which is faster; it is not what a city's tables are like.
        connection.exec_driver_sql("SET enable_seqscan = off")
        yield connection
    engine.dispose()


def plan(connection: Connection, statement: Statement, *, mode: str) -> dict[str, Any]:
    values = [f"'\\x{GRANT.hex()}'" if name == "grant_id" else "'1'" for name in statement.names]
    connection.exec_driver_sql(f"SET plan_cache_mode = {mode}")
    connection.exec_driver_sql(f"PREPARE hot AS {statement.sql}")
    found = connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) EXECUTE hot({', '.join(values)})").scalar_one()
    connection.exec_driver_sql("DEALLOCATE hot")
    made: dict[str, Any] = found[0]["Plan"]
    return made


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def check(connection: Connection, statement: Statement) -> None:
    for mode in ("force_custom_plan", "force_generic_plan"):
        made = list(nodes(plan(connection, statement, mode=mode)))
        scans = [node for node in made if "Relation Name" in node and node["Node Type"] != "ModifyTable"]
        tables = [node["Relation Name"].rpartition("_")[0] for node in scans]
        assert scans and set(tables) <= set(PARTITIONED), (mode, scans)
        assert len(set(tables)) == len(tables), f"{mode}: more than one partition of a table"
        assert not any(node["Node Type"] == "Seq Scan" for node in scans), (mode, scans)


@pytest.mark.parametrize("name", HOT)
def test_one_partition(connection: Connection, name: str) -> None:
    check(connection, Statement.of(HOT[name], "$"))


def test_the_test_sees_a_statement_that_asks_all(connection: Connection) -> None:
    with pytest.raises(AssertionError, match="more than one partition"):
        check(connection, Statement.of("SELECT state FROM grant_row WHERE grant_id > :grant_id", "$"))
