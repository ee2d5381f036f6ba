"""Opening an issuer's database, and bringing it to the newest schema."""

from importlib.resources import files
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a writer waits for another; longer than any transaction of ours, shorter than a client's patience."""


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH``.

    SQLite runs with a write-ahead log and full sync: a code that was redeemed stays redeemed
    after a power cut.
    """
    # An error of the driver would quote what was being written.
    engine = create_engine(url, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def upgrade(engine: Engine) -> None:
    """Creates the tables, or migrates them to the newest revision."""
    config = Config()
    config.set_main_option("script_location", str(files("identity.issuer.store") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _configure_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions behind our back: see _begin_immediate.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys=ON")
    # What is deleted (a sealed subject, a challenge) is overwritten, not left in free pages.
    connection.execute("PRAGMA secure_delete=ON")


def _begin_immediate(connection: Any) -> None:
    # A transaction that may write takes the lock first: of two that redeem one code, one sees it redeemed.
    connection.exec_driver_sql("BEGIN IMMEDIATE")
