"""The migrations lead to the tables that the code declares, from empty and from every older revision."""

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from consent.ledger.schema import open_engine, upgrade
from consent.ledger.tables import Table


@pytest.mark.parametrize("first", ["head", "0001"])
def test_migrations_lead_to_the_declared_tables(tmp_path: Path, first: str) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    upgrade(engine, to=first)
    upgrade(engine)
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": False})
        assert compare_metadata(context, Table.metadata) == []
    engine.dispose()
