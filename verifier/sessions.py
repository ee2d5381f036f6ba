"""The life of a request: pending → verified → read, or → refused; every step once, by one conditional statement.

A request that nobody answered in its time counts as refused. A row is erased when nobody can ask
for it any more.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Engine, Row, and_, delete, insert, or_, select, update

from verifier.tables import request

REQUEST_SECONDS = 600
"""A person finds the wallet, reads and agrees; a link older than that was forgotten somewhere."""

RESULT_SECONDS = 300
"""How long a result waits for the browser that goes on with it."""

KEPT_SECONDS = 3_600
"""How long the end of a request can be asked for; then the row is erased."""


class State(StrEnum):
    PENDING = "pending"
    VERIFIED = "verified"
    REFUSED = "refused"
    READ = "read"


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """One row. ``result`` is sealed to the reader, ``decryption_key`` under the request's name."""

    handle_hash: bytes
    reader_hash: bytes
    reader_key: bytes
    procedure: str
    flow: str
    state: str
    expires: int
    """While pending: the end of the request. After: the end of the result."""
    client_id_prefix: str
    response_mode: str
    nonce: str
    wire_state: str
    query: str
    stand_in: str | None
    return_uri: str | None
    kid: str | None
    decryption_key: bytes | None
    encryption_jwk: str | None
    code_hash: bytes | None = None
    result: str | None = None
    error: str | None = None
    error_description: str | None = None


_COLUMNS = tuple(StoredRequest.__dataclass_fields__)


class RequestStore:
    """Requests of one database. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, stored: StoredRequest, *, now: int) -> bool:
        """False where there is one under this name already. Erases what is past asking for."""
        with self._engine.begin() as connection:
            connection.execute(delete(request).where(request.c.expires <= now - KEPT_SECONDS))
            # A result that nobody came for is not kept until the row goes.
            connection.execute(
                update(request)
                .where(request.c.expires <= now, or_(request.c.result.is_not(None), request.c.code_hash.is_not(None)))
                .values(result=None, code_hash=None, state=State.READ)
            )
            if _first(connection.execute(select(request).where(request.c.handle_hash == stored.handle_hash)).first()):
                return False
            connection.execute(insert(request).values(**{name: getattr(stored, name) for name in _COLUMNS}))
            return True

    def find(self, handle_hash: bytes) -> StoredRequest | None:
        with self._engine.begin() as connection:
            return _first(connection.execute(select(request).where(request.c.handle_hash == handle_hash)).first())

    def by_reader(self, reader_hash: bytes) -> list[StoredRequest]:
        with self._engine.begin() as connection:
            rows = connection.execute(select(request).where(request.c.reader_hash == reader_hash))
            return [found for row in rows if (found := _first(row))]

    def by_code(self, code_hash: bytes) -> StoredRequest | None:
        with self._engine.begin() as connection:
            return _first(connection.execute(select(request).where(request.c.code_hash == code_hash)).first())

    def verify(
        self, handle_hash: bytes, *, result: str, code_hash: bytes | None, now: int, result_seconds: int
    ) -> bool:
        """pending → verified; False where somebody else ended it, or its time has."""
        return self._finish(
            handle_hash, now, state=State.VERIFIED, result=result, code_hash=code_hash, expires=now + result_seconds
        )

    def refuse(self, handle_hash: bytes, *, error: str, description: str, now: int) -> bool:
        """pending → refused; False as for ``verify``."""
        return self._finish(
            handle_hash, now, state=State.REFUSED, error=error, error_description=description, expires=now
        )

    def read(self, handle_hash: bytes, *, now: int) -> str | None:
        """verified → read: the result, once. None where it was read before or its time is over."""
        return self._erase(
            and_(request.c.handle_hash == handle_hash, request.c.state == State.VERIFIED, request.c.expires > now),
            state=State.READ,
        )

    def reject(self, handle_hash: bytes, *, error: str, description: str) -> None:
        """verified → refused, where the result came back to the wrong place; the result is erased."""
        self._erase(
            and_(request.c.handle_hash == handle_hash, request.c.state == State.VERIFIED),
            state=State.REFUSED,
            error=error,
            error_description=description,
        )

    def _finish(self, handle_hash: bytes, now: int, **values: Any) -> bool:
        still_pending = and_(
            request.c.handle_hash == handle_hash, request.c.state == State.PENDING, request.c.expires > now
        )
        with self._engine.begin() as connection:
            ended = connection.execute(update(request).where(still_pending).values(decryption_key=None, **values))
            return ended.rowcount == 1

    def _erase(self, which: ColumnElement[bool], **values: Any) -> str | None:
        with self._engine.begin() as connection:
            found = _first(connection.execute(select(request).where(which)).first())
            if found is None:
                return None
            connection.execute(update(request).where(which).values(result=None, code_hash=None, **values))
            return found.result


def _first(row: Row[Any] | None) -> StoredRequest | None:
    return None if row is None else StoredRequest(**{name: getattr(row, name) for name in _COLUMNS})
