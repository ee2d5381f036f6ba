"""Opening a database of the consent service, and bringing it to the newest schema.

SQLite is the default, PostgreSQL by its address; everything above this file is the same on both.
"""

import logging
from contextlib import AbstractContextManager, nullcontext
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import pg8000  # type: ignore[import-untyped]
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Connection, Dialect, Engine, create_engine, event, text

from consent.errors import OutOfService
from consent.ledger.address import POSTGRESQL, parse_address, pg8000_arguments, sqlite_path
from consent.ledger.statements import Direct, Statements, connect_postgresql, connect_sqlite
from consent.ledger.turns import Turns

BUSY_TIMEOUT_MILLISECONDS = 10_000
"""How long SQLite itself waits for a writer that takes no turns (``sqlite3`` in an operator's shell)."""

POOL_CONNECTIONS, POOL_OVERFLOW = 8, 32
"""To PostgreSQL, of one process: a reading thread has one; its server allows a hundred by default."""

CHECKPOINT_PAGES = 8_192
"""32 MiB: where no process checkpoints (``consent.ledger.wal``), whoever commits does it there."""

TURN = "-turn"
"""Ends the name of the file beside a SQLite database at which its writers take turns."""

_READ_ONLY = "read_only"
_HAS_TURN = "has_turn"

_log = logging.getLogger("atorga.consent")


def open_engine(url: str) -> Engine:
    """An engine for ``sqlite:///PATH`` or ``postgresql://…`` (``consent.ledger.address``).

    SQLite runs with a write-ahead log and full sync: an acknowledged act survives a power cut.
    Its writers take turns; a thread must not begin a second transaction inside one.

    PostgreSQL runs at READ COMMITTED: a conditional UPDATE waits for the row and then judges it as
    it is (DESIGN §7), where a stricter level would fail and have to be tried again. What is read
    before it is written is read with the row locked, or under ``lock``.
    """
    made = parse_address(url)
    if made.get_backend_name() == POSTGRESQL:
        return _open_postgresql(made)
    engine = create_engine(made)
    _TURNS[engine.dialect] = Turns(_turn_file(engine.url))
    turns = _Turns(turns_of(engine))
    event.listen(engine, "connect", configure_sqlite)
    event.listen(engine, "begin", turns.begin)
    event.listen(engine, "checkin", turns.end)
    event.listen(engine, "engine_disposed", lambda _: turns.turns.close())
    return engine


def open_direct(engine: Engine) -> Direct:
    """A connection of the driver itself, for a hot path. Raises OperationalError. A SQLite writer takes its turns."""
    if engine.dialect.name == POSTGRESQL:
        return connect_postgresql(pg8000_arguments(engine.url), engine.dialect)
    return connect_sqlite(sqlite_path(engine.url), configure_sqlite, engine.dialect)


# By what an engine and its reading twin share, so that all threads behind them share one lock.
_TURNS: WeakKeyDictionary[Dialect, Turns] = WeakKeyDictionary()


def turns_of(engine: Engine) -> Turns:
    """Turns at the SQLite file of ``engine``, for a writer with a connection of its own."""
    return _TURNS[engine.dialect]


def turn_of(engine: Engine) -> AbstractContextManager[None]:
    """One turn to write; PostgreSQL needs none, its rows have locks."""
    return nullcontext() if engine.dialect.name == POSTGRESQL else turns_of(engine).turn()


def _turn_file(url: URL) -> Path:
    path = sqlite_path(url)
    return path.with_name(path.name + TURN)


def lock(connection: Statements, name: bytes) -> None:
    """Nobody else has ``name`` until this transaction ends. SQLite's writer is alone anyway."""
    if connection.dialect.name == POSTGRESQL:
        key = int.from_bytes(sha256(name).digest()[:8], "big", signed=True)
        connection.execute(_LOCK, {"key": key})


_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


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
    if engine.dialect.name != POSTGRESQL:
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
        if engine.dialect.name == POSTGRESQL:
            # Several processes start at once; one migrates, the others find it done.
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
        config.attributes["connection"] = connection
        run(config, to)


_MIGRATION_LOCK = int.from_bytes(b"atorga", "big")


def _open_postgresql(url: URL) -> Engine:
    arguments = pg8000_arguments(url)
    engine = create_engine(
        url.set(drivername="postgresql+pg8000"),
        creator=lambda: pg8000.connect(**arguments),
        isolation_level="READ COMMITTED",
        pool_size=POOL_CONNECTIONS,
        max_overflow=POOL_OVERFLOW,
        pool_pre_ping=True,
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_READ_ONLY):
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")


def configure_sqlite(connection: Any, _: Any = None) -> None:
    """What every connection to a SQLite database of ours is set to."""
    # The driver must not begin transactions behind our back: see _Turns.begin.
    connection.isolation_level = None
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MILLISECONDS}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")


class _Turns:
    """Turns of the transactions that go through an engine."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns

    def begin(self, connection: Connection) -> None:
        if connection.get_execution_options().get(_READ_ONLY):
            connection.exec_driver_sql("BEGIN")
            return
        self.turns.take()
        connection.info[_HAS_TURN] = True
        # A transaction that may write takes the lock first; one that reads and writes later could
        # fail in the middle, or decide on a row that another changes (DESIGN §7, the row lock).
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    def end(self, _: Any, record: Any) -> None:
        """The connection goes back after commit or rollback, whatever happened in between."""
        if record.info.pop(_HAS_TURN, False):
            self.turns.give_back()
