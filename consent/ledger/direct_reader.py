"""Single reads on a hot path: one statement each, by the driver's own connections.

One statement sees one state of the database and holds nobody up; what needs two statements that
agree reads through ``consent.ledger.schema.for_reading``.
"""

from collections import deque
from typing import Any

from sqlalchemy import Engine, TextClause, event
from sqlalchemy.exc import SQLAlchemyError

from consent.ledger.schema import open_direct
from consent.ledger.statements import Direct, DirectRows

KEPT_CONNECTIONS = 8
"""Idle ones that are kept open; as many more may be in use as there are threads."""


class DirectReader:
    """Threads share it. Its connections are closed when the engine is disposed of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[Direct] = deque()
        event.listen(engine, "engine_disposed", lambda _: self._close())

    def first(self, statement: TextClause, values: dict[str, Any]) -> Any:
        """The first row, read by position, or None. Raises OperationalError."""
        return self._read(statement, values).first()

    def _read(self, statement: TextClause, values: dict[str, Any]) -> DirectRows:
        while True:
            try:
                direct, fresh = self._idle.pop(), False
            except IndexError:
                direct, fresh = open_direct(self._engine), True
            try:
                rows = direct.execute(statement, values)
            except SQLAlchemyError:
                direct.close()
                # An idle connection may have been lost since; a fresh one tells the truth.
                if fresh:
                    raise
                continue
            if len(self._idle) < KEPT_CONNECTIONS:
                self._idle.append(direct)
            else:
                direct.close()
            return rows

    def _close(self) -> None:
        while self._idle:
            self._idle.pop().close()
