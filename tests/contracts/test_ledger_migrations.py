"""The migrations lead to the tables that the code declares, on every store, from and back to every revision."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, inspect, text

from consent.ledger.grant_row import ROW_COLUMNS
from consent.ledger.schema import downgrade, open_engine, upgrade
from consent.ledger.tables import Table

REVISIONS = [
    script.revision
    for script in ScriptDirectory(str(files("consent.ledger") / "migrations")).walk_revisions()
][::-1]  # fmt: skip


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgresql":
        engine = open_engine(request.getfixturevalue("empty_postgresql_url"))
    else:
        engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    yield engine
    engine.dispose()


def differences(engine: Engine) -> list[object]:
    def is_declared(name: str | None, kind: str, _: object) -> bool:
        # PostgreSQL's partitions are parts of a declared table: grant_row_0 of grant_row.
        return kind != "table" or name is None or not name.rpartition("_")[2].isdigit()

    with engine.begin() as connection:
        options = {"compare_server_default": False, "include_name": is_declared}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, Table.metadata))


def test_there_is_one_line_of_revisions() -> None:
    assert REVISIONS[0] == "0001" and sorted(REVISIONS) == REVISIONS


@pytest.mark.parametrize("first", REVISIONS)
def test_migrations_lead_to_the_declared_tables(engine: Engine, first: str) -> None:
    upgrade(engine, to=first)
    upgrade(engine)
    assert differences(engine) == []


def test_each_revision_can_be_taken_back(engine: Engine) -> None:
    upgrade(engine)
    for older in [*REVISIONS[-2::-1], "base"]:
        downgrade(engine, to=older)
    assert set(inspect(engine).get_table_names()) <= {"alembic_version"}
    upgrade(engine)
    assert differences(engine) == []


def test_what_is_stored_goes_along_both_ways(engine: Engine) -> None:
    upgrade(engine, to="0002")
    grants = [bytes([number]) * 16 for number in range(40)]
    row = dict.fromkeys(ROW_COLUMNS.split(", "), 7)
    with engine.begin() as connection:
        connection.execute(_ACCOUNT, {"number": 7, "hash": b"a"})
        for grant in grants:
            connection.execute(_ROW, row | {"id": grant})
            connection.execute(_BODY, {"id": grant, "key": bytes(32)})
            connection.execute(_ENDING, {"id": grant})
            connection.execute(_EVENT, {"id": grant, "leaf": bytes(80)})
    for move, to in ((upgrade, "head"), (downgrade, "0002"), (upgrade, "head")):
        move(engine, to=to)
        with engine.begin() as connection:
            for table in ("grant_row", "grant_body", "ending", "event"):
                found = connection.execute(text(f"SELECT grant_id FROM {table} ORDER BY grant_id")).scalars()
                assert [bytes(one) for one in found] == grants
            assert connection.execute(text("SELECT number, thumbprint, full_after FROM account")).all() == [(7, "t", 9)]
    with engine.begin() as connection:
        connection.execute(_EVENT, {"id": grants[0], "leaf": bytes(80)})
        assert connection.execute(text("SELECT count(DISTINCT sequence) FROM event")).scalar_one() == 41


_ACCOUNT = text(
    "INSERT INTO account (number, claim_hash, thumbprint, account_jwk, view_jwk, full_after) "
    "VALUES (:number, :hash, 't', '{}', '{}', 9)"
)
_ROW = text(
    f"INSERT INTO grant_row ({ROW_COLUMNS}) "
    f"VALUES (:id, {', '.join(f':{name}' for name in ROW_COLUMNS.split(', ')[1:])})"
)
_BODY = text(
    "INSERT INTO grant_body (grant_id, grant_jws, locator, thumbprint, opening_key, details, denies) "
    "VALUES (:id, '', '', '', :key, '{}', 0)"
)
_ENDING = text("INSERT INTO ending (grant_id, counter, mask, effective_at) VALUES (:id, 1, 0, 1)")
_EVENT = text("INSERT INTO event (kind, grant_id, counter, leaf) VALUES (3, :id, 1, :leaf)")
