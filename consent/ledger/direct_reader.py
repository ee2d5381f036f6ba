"""Single reads on a hot path: one statement each, by the driver's own connections.

One statement sees one state of the database and holds nobody up; what needs two statements that
agree reads through ``consent.ledger.schema.for_reading``.
"""

from queue import Empty, LifoQueue
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Dialect, Engine, TextClause, event
from sqlalchemy.exc import SQLAlchemyError

from consent.errors import OutOfService
from consent.ledger.schema import open_direct
from consent.ledger.statements import Direct

CONNECTIONS = 8
"""Of one process: its threads wait for one rather than open another, which takes longer than a read."""

PATIENCE_SECONDS = 5.0

Connections = LifoQueue[Direct | None]
"""Those that are free; None stands for one that is not open yet."""


class DirectReader:
    """Threads share it. Its connections are opened when they are needed, and closed when the engine is disposed of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._free = _connections_of(engine)

    def first(self, statement: TextClause, values: dict[str, Any]) -> Any:
        """The first row, read by position, or None. Raises OperationalError, OutOfService."""
        try:
            direct = self._free.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise OutOfService("database: too many read at once") from None
        kept: Direct | None = None
        try:
            found, kept = self._read(direct, statement, values)
        finally:
            self._free.put(kept)
        return found

    def _read(self, direct: Direct | None, statement: TextClause, values: dict[str, Any]) -> tuple[Any, Direct]:
        if direct is not None:
            try:
                return direct.execute(statement, values).first(), direct
            except SQLAlchemyError:
                direct.close()  # it may have been lost while it was idle; a fresh one tells the truth
        direct = open_direct(self._engine)
        try:
            return direct.execute(statement, values).first(), direct
        except SQLAlchemyError:
            direct.close()
            raise


# By what an engine and its twins share: all stores of one database have the same few connections.
_CONNECTIONS: WeakKeyDictionary[Dialect, Connections] = WeakKeyDictionary()


def _connections_of(engine: Engine) -> Connections:
    free = _CONNECTIONS.get(engine.dialect)
    if free is None:
        # The last that came back goes out first: a few readers keep a few connections busy.
        free = _CONNECTIONS[engine.dialect] = LifoQueue()
        _fill(free, CONNECTIONS)
        event.listen(engine, "engine_disposed", lambda _, free=free: _close(free))
    return free


def _fill(free: Connections, places: int) -> None:
    for _ in range(places):
        free.put(None)


def _close(free: Connections) -> None:
    """Those in use stay open until they come back, and are used again."""
    closed = 0
    while closed < CONNECTIONS:
        try:
            direct = free.get_nowait()
        except Empty:
            break
        closed += 1
        if direct is not None:
            direct.close()
    _fill(free, closed)
