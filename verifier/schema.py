"""Opening a verifier's database, and bringing it to the newest schema."""

from importlib.resources import files
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a writer waits for another; longer than any transaction of ours, shorter than a wallet's patience."""


def open_database(path: Path) -> Engine:
    """An SQLite file with its tables. Full sync: an answer that was acknowledged survives a power cut."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_engine(f"sqlite:///{path}")
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin_immediate)
    config = Config()
    config.set_main_option("script_location", str(files("verifier") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    path.chmod(0o600)
    return engine


def _configure(connection: Any, _: Any) -> None:
    # The driver must not begin transactions behind our back: see _begin_immediate.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
    # What is erased is overwritten: a result that was read must not stay in a free page.
    connection.execute("PRAGMA secure_delete=ON")


def _begin_immediate(connection: Any) -> None:
    # A transaction that reads and writes later could decide on a row that another changes.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
