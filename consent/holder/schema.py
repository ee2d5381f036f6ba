"""Bringing a data holder's database to the newest schema; it is opened as the ledger's is."""

from importlib.resources import files

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from consent.ledger.schema import open_engine

__all__ = ["open_engine", "upgrade"]


def upgrade(engine: Engine) -> None:
    """Creates the tables, or migrates them to the newest revision."""
    config = Config()
    config.set_main_option("script_location", str(files("consent.holder") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
