"""Opening a database of the consent service, and bringing it to the newest schema."""

from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a writer waits for another; longer than any transaction of ours, shorter than a client's patience."""


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH``.

    SQLite runs with a write-ahead log and full sync: an acknowledged act survives a power cut.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Creates the tables, or migrates them to the newest revision."""
    config = Config()
    config.set_main_option("script_location", str(files("consent.ledger") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _configure_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions behind our back: see _begin_immediate.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin_immediate(connection: Any) -> None:
    # A transaction that may write takes the lock first; one that reads and writes later could
    # fail in the middle, or decide on a row that another changes (DESIGN §7, the row lock).
    connection.exec_driver_sql("BEGIN IMMEDIATE")
