"""SQLite's write-ahead log goes into the file from here, not from whoever happens to commit.

By itself SQLite does it inside the commit that makes the log long: that caller waits for two more
syncs (p99 40 ms). Here a second connection does it twice a second without holding a writer up.
Under steady writing it never catches up to the last page, and only then may the log begin again
from its start; so once it is long, one short pass is made in a turn of its own.
"""

import logging
import sqlite3
from threading import Event, Thread

from sqlalchemy import Engine

from consent.ledger.address import sqlite_path
from consent.ledger.turns import Turns

PERIOD_SECONDS = 0.5

MAX_PAGES = 4_096
"""16 MiB: the log begins again beyond it. Readers search it for each page they read."""

READERS_MILLISECONDS = 50
"""How long that pass waits for readers of old pages; else it is tried again later."""

_log = logging.getLogger("atorga.consent")


class Checkpointer:
    """A thread between ``start`` and ``stop``."""

    def __init__(self, engine: Engine, turns: Turns) -> None:
        self._path = sqlite_path(engine.url)
        self._turns = turns
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="checkpointer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        while not self._stopped.wait(PERIOD_SECONDS):
            try:
                if connection is None:
                    connection = sqlite3.connect(self._path, isolation_level=None)
                    connection.execute(f"PRAGMA busy_timeout={READERS_MILLISECONDS}")
                self._checkpoint(connection)
            except (sqlite3.Error, OSError, TimeoutError) as fault:
                # The log only grows meanwhile; whoever writes finds out by itself what is wrong.
                _log.warning("database: no checkpoint could be made (%s); trying again", type(fault).__name__)
        if connection is not None:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > MAX_PAGES:
            with self._turns.turn():
                connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
