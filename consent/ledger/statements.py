"""Statements sent by the driver itself: what a hot path pays for is the database, not the way there.

One statement through SQLAlchemy costs 65 µs on SQLite and 190 µs on PostgreSQL, through the driver
9 µs and 47 µs. So the hot paths speak to the driver, in the same words: ``text()`` with named
parameters. Whoever writes a piece of work for ``consent.ledger.writer`` writes it against
``Statements``, which a SQLAlchemy connection is too; columns are read by position.
"""

import sqlite3
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import pg8000.exceptions  # type: ignore[import-untyped]
import pg8000.native  # type: ignore[import-untyped]
from sqlalchemy import Dialect, TextClause
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

Values = Mapping[str, Any]

_UNIQUE_VIOLATION = "23505"

KEPT_STATEMENTS = 256
"""Prepared on one connection to PostgreSQL: more than the code has hot statements."""


class Rows(Protocol):
    """What a statement answers."""

    @property
    def rowcount(self) -> int: ...
    def first(self) -> Any: ...
    def one(self) -> Any: ...
    def all(self) -> Sequence[Any]: ...
    def scalar(self) -> Any: ...
    def scalar_one(self) -> Any: ...


class Statements(Protocol):
    """A transaction of either database, as far as our statements need one."""

    @property
    def dialect(self) -> Dialect: ...
    def execute(self, statement: TextClause, parameters: Any = None, /) -> Rows: ...


class DirectRows:
    """Fetched at once: no cursor stays open."""

    def __init__(self, rows: Sequence[Any], rowcount: int) -> None:
        self._rows = rows
        self.rowcount = rowcount

    def __iter__(self) -> Iterator[Any]:
        return iter(self._rows)

    def first(self) -> Any:
        return self._rows[0] if self._rows else None

    def one(self) -> Any:
        if len(self._rows) != 1:
            raise LookupError(f"database: {len(self._rows)} rows, expected one")
        return self._rows[0]

    def all(self) -> Sequence[Any]:
        return self._rows

    def scalar(self) -> Any:
        return self._rows[0][0] if self._rows else None

    def scalar_one(self) -> Any:
        return self.one()[0]


class Direct(Protocol):
    """One connection of a driver. Used by one thread at a time."""

    @property
    def dialect(self) -> Dialect: ...
    def execute(self, statement: TextClause, parameters: Any = None, /) -> DirectRows: ...
    def run(self, *commands: str) -> None:
        """BEGIN, SAVEPOINT, COMMIT and their kind; several go to a server at once."""
        ...

    def close(self) -> None: ...


class DirectSqlite:
    def __init__(self, connection: sqlite3.Connection, dialect: Dialect) -> None:
        self._connection = connection
        self.dialect = dialect

    def execute(self, statement: TextClause, parameters: Any = None, /) -> DirectRows:
        try:
            if isinstance(parameters, list):
                cursor = self._connection.executemany(statement.text, parameters)
                return DirectRows((), cursor.rowcount)
            cursor = self._connection.execute(statement.text, parameters or {})
            rows = cursor.fetchall() if cursor.description else ()
            return DirectRows(rows, cursor.rowcount)
        except sqlite3.Error as fault:
            raise _known(fault, statement.text, isinstance(fault, sqlite3.IntegrityError)) from None

    def run(self, *commands: str) -> None:
        for command in commands:
            try:
                self._connection.execute(command)
            except sqlite3.Error as fault:
                raise _known(fault, command, False) from None

    def close(self) -> None:
        self._connection.close()


class DirectPostgresql:
    def __init__(self, connection: Any, dialect: Dialect) -> None:
        self._connection = connection
        self.dialect = dialect
        self._prepared: dict[str, Any] = {}

    def execute(self, statement: TextClause, parameters: Any = None, /) -> DirectRows:
        sql = statement.text
        try:
            if isinstance(parameters, list):
                count = 0
                for values in parameters:
                    count += self._one(sql, values).rowcount
                return DirectRows((), count)
            return self._one(sql, parameters or {})
        except _FAULTS as fault:
            raise _known(fault, sql, _sqlstate(fault) == _UNIQUE_VIOLATION) from None

    def run(self, *commands: str) -> None:
        together = "; ".join(commands)
        try:
            self._connection.run(together)
        except _FAULTS as fault:
            raise _known(fault, together, False) from None

    def close(self) -> None:
        try:
            self._connection.close()
        except _FAULTS:
            return  # it was lost; the server notices by itself

    def _one(self, sql: str, values: Values) -> DirectRows:
        prepared = self._prepared.get(sql)
        if prepared is None:
            if len(self._prepared) >= KEPT_STATEMENTS:
                self._prepared.pop(next(iter(self._prepared))).close()
            prepared = self._prepared[sql] = self._connection.prepare(sql)
        rows = prepared.run(**values)
        return DirectRows(rows or (), prepared._context.row_count)


def connect_sqlite(path: Path, configure: Callable[[sqlite3.Connection], None], dialect: Dialect) -> Direct:
    """Raises OperationalError."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        configure(connection)
    except sqlite3.Error as fault:
        raise _known(fault, "connect", False) from None
    return DirectSqlite(connection, dialect)


def connect_postgresql(arguments: Mapping[str, Any], dialect: Dialect) -> Direct:
    """``arguments`` are the driver's. Raises OperationalError."""
    try:
        return DirectPostgresql(pg8000.native.Connection(**arguments), dialect)
    except _FAULTS as fault:
        raise _known(fault, "connect", False) from None


# What pg8000 lets out when the server ends or the socket breaks.
_FAULTS = (pg8000.exceptions.Error, OSError, struct.error, AttributeError)


def _sqlstate(fault: BaseException) -> str | None:
    told = fault.args[0] if fault.args else None
    return told.get("C") if isinstance(told, dict) else None


def _known(fault: BaseException, sql: str, unique: bool) -> DBAPIError:
    """As SQLAlchemy would raise it, without the values."""
    kind = IntegrityError if unique else OperationalError
    return kind(sql, None, fault, hide_parameters=True)
