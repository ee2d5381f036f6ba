"""Bringing a data holder's database to the newest schema; it is opened as the ledger's is."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from consent.ledger.schema import open_engine

__all__ = ["downgrade", "open_engine", "upgrade"]


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Creates the tables, or migrates them to the newest revision."""
    with _migrations(engine) as config:
        command.upgrade(config, to)


def downgrade(engine: Engine, *, to: str) -> None:
    """Back to an older revision: what only the newer tables held is gone."""
    with _migrations(engine) as config:
        command.downgrade(config, to)


@contextmanager
def _migrations(engine: Engine) -> Iterator[Config]:
    config = Config()
    config.set_main_option("script_location", str(files("consent.holder") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        yield config
