"""Opening a database of the consent service, and bringing it to the newest schema.

SQLite is the default, PostgreSQL by its address; everything above this file is the same on both.
"""

import logging
from importlib.resources import files
from threading import Lock
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from consent.errors import OutOfService

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long a writer waits for another; longer than any transaction of ours, shorter than a client's patience."""

POOL_CONNECTIONS, POOL_OVERFLOW = 8, 32
"""To PostgreSQL, of one process: a reading thread has one; its server allows a hundred by default."""

_READ_ONLY = "read_only"
_HAS_TURN = "has_turn"

_log = logging.getLogger("atorga.consent")


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH`` or ``postgresql://USER@HOST/NAME`` (``?host=FOLDER`` for its socket).

    SQLite runs with a write-ahead log and full sync: an acknowledged act survives a power cut.
    Threads of one process take turns to write: waiting in SQLite itself means sleeping and asking
    again, and whoever asks at the wrong moments waits longest. A thread must not begin a second
    transaction inside one.

    PostgreSQL runs at READ COMMITTED: a conditional UPDATE waits for the row and then judges it as
    it is (DESIGN §7), where a stricter level would fail and have to be tried again.
    """
    made = make_url(url)
    if made.get_backend_name() == "postgresql":
        return _open_postgresql(made)
    if made.get_backend_name() != "sqlite":
        raise ArgumentError("database: sqlite:///… or postgresql://… is expected")
    engine = create_engine(made)
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
    _migrate(engine, command.upgrade, to)


def downgrade(engine: Engine, *, to: str) -> None:
    """Back to an older revision; what that one has no place for is lost."""
    _migrate(engine, command.downgrade, to)


def check_durable(engine: Engine) -> None:
    """What is acknowledged must be on disk. Raises OutOfService where a server is set up to forget.

    A PostgreSQL without a synchronous standby is only warned about: what it acknowledged survives
    a crash of the machine, not the loss of its disk.
    """
    if engine.dialect.name != "postgresql":
        return
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"SHOW {name}").scalar_one()
            for name in ("fsync", "synchronous_commit", "full_page_writes", "synchronous_standby_names")
        }
    for name in ("fsync", "synchronous_commit", "full_page_writes"):
        if settings[name] == "off":
            raise OutOfService(f"PostgreSQL: {name} is off; an acknowledged act could be lost")
    if not settings["synchronous_standby_names"] or settings["synchronous_commit"] == "local":
        _log.warning("PostgreSQL: no synchronous standby; if its disk is lost, acknowledged acts may be lost with it")


def _migrate(engine: Engine, run: Any, to: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(files("consent.ledger") / "migrations"))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            # Several processes start at once; one migrates, the others find it done.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        config.attributes["connection"] = connection
        run(config, to)


_MIGRATION_LOCK = int.from_bytes(b"atorga", "big")


def _open_postgresql(url: URL) -> Engine:
    # libpq's way to name a socket's folder; the driver wants the socket itself.
    arguments: dict[str, Any] = {}
    folder = url.query.get("host")
    if isinstance(folder, str) and folder.startswith("/"):
        arguments["unix_sock"] = f"{folder}/.s.PGSQL.{url.port or 5432}"
        url = url.difference_update_query(["host"])
    engine = create_engine(
        url.set(drivername="postgresql+pg8000"),
        isolation_level="READ COMMITTED",
        pool_size=POOL_CONNECTIONS,
        max_overflow=POOL_OVERFLOW,
        pool_pre_ping=True,
        connect_args=arguments,
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_READ_ONLY):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


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
