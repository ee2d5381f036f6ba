"""Whose turn it is to give places in the log, where the database is shared by more than one machine.

The lock on the log's folder keeps processes of one machine apart. On PostgreSQL an advisory lock,
held by a session of its own, does so for all that share the database: it ends with the session, so
with the process, its machine or its network.
"""

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from consent.ledger.schema import open_direct
from consent.ledger.statements import Direct

LOG_LOCK = 0x61746F72_6761
"""The number of the advisory lock: "atorga"."""


class LogTurn:
    """Use from one thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._shared = engine.dialect.name == "postgresql"
        self._session: Direct | None = None

    def take(self) -> bool:
        """Whether it is this process's turn now, and until ``release``."""
        if not self._shared or self._session is not None:
            return True
        session = open_direct(self._engine)
        if not session.execute(_TAKE, {"lock": LOG_LOCK}).scalar():
            session.close()
            return False
        self._session = session
        return True

    def keeps(self) -> bool:
        """Whether it still is: a session that broke has lost it."""
        if self._session is None:
            return not self._shared
        try:
            return bool(self._session.execute(_ALIVE).scalar())
        except (SQLAlchemyError, OSError):
            self.release()
            return False

    def release(self) -> None:
        """Ends the session, and the turn with it."""
        if self._session is not None:
            session, self._session = self._session, None
            session.close()


_TAKE = text("SELECT pg_try_advisory_lock(:lock)")
_ALIVE = text("SELECT 1")
