"""Opening a database of the consent service, and bringing it to the newest schema."""

from importlib.resources import files
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, create_engine, event

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a writer waits for another; longer than any transaction of ours, shorter than a client's patience."""

_READ_ONLY = "read_only"
_HAS_TURN = "has_turn"


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH``.

    SQLite runs with a write-ahead log and full sync: an acknowledged act survives a power cut.
    Threads of one process take turns to write: waiting in SQLite itself means sleeping and asking
    again, and whoever asks at the wrong moments waits longest. A thread must not begin a second
    transaction inside one.
    """
    engine = create_engine(url)
    if engine.dialect.name == "sqlite":
        turns = _Turns()
        event.listen(engine, "connect", _configure_sqlite)
        event.listen(engine, "begin", turns.begin)
        event.listen(engine, "checkin", turns.end)
    return engine


def for_reading(engine: Engine) -> Engine:
    """The same database for transactions that only read: they see one state and hold nobody up."""
    return engine.execution_options(**{_READ_ONLY: True})


def upgrade(engine: Engine, *, to: str = "head") -> None:
    """Creates the tables, or migrates them to the newest revision."""
    config = Config()
    config.set_main_option("script_location", str(files("consent.ledger") / "migrations"))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, to)


def _configure_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions behind our back: see _Turns.begin.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys=ON")


class _Turns:
    """Who may write now, among the threads of this process."""

    def __init__(self) -> None:
        self._lock = Lock()

    def begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get(_READ_ONLY):
            connection.exec_driver_sql("BEGIN")
            return
        if not self._lock.acquire(timeout=BUSY_TIMEOUT_MILLISECONDS / 1_000):
            raise TimeoutError("database: no turn to write")
        connection.info[_HAS_TURN] = True
        # A transaction that may write takes the lock first; one that reads and writes later could
        # fail in the middle, or decide on a row that another changes (DESIGN §7, the row lock).
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def end(self, _: Any, record: Any) -> None:
        """The connection goes back after commit or rollback, whatever happened in between."""
        if record.info.pop(_HAS_TURN, False):
            self._lock.release()
