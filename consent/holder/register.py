"""The data holder's register: any SQL database, by configuration, read and never written.

The configuration says how the value of the declared claim names a row, and for each attribute how
it is read from that row and of what type it is. A value of another type is a fault of the register,
never released as it stands. Statements come from the configuration alone; values are parameters.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Any

from sqlalchemy import ColumnClause, Engine, TextClause, bindparam, column, create_engine, event, table, text
from sqlalchemy import select as select_columns
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.sql import Select

from consent.errors import RegisterFault
from consent.ledger.address import POSTGRESQL, pg8000_arguments
from identity.codec.members import MAX_INTEGER

Value = int | float | str | bool | None

TYPES = ("integer", "number", "text", "boolean")

MAX_SERIES = 100_000
"""Values that one average reads: a reading a minute for two months."""

MAX_TEXT = 1_024
"""Characters of one value: an attribute is a datum, not a document."""


@dataclass(frozen=True, slots=True)
class Query:
    """A statement of the operator's own. ``parameter`` is what it must mention, as ``:parameter``."""

    sql: str
    parameter: str

    def __post_init__(self) -> None:
        if f":{self.parameter}" not in self.sql:
            raise RegisterFault(f"register: a query must mention :{self.parameter}")

    def statement(self) -> TextClause:
        return text(self.sql)


@dataclass(frozen=True, slots=True)
class Lookup:
    """One column of a table, by another column that is compared with ``:parameter``.

    ``table`` may have a schema: ``padron.inhabitants``.
    """

    table: str
    column: str
    by: str
    parameter: str

    def statement(self) -> Select[Any]:
        wanted: ColumnClause[Any] = column(self.column)
        by: ColumnClause[Any] = column(self.by)
        schema, _, name = self.table.rpartition(".")
        found = select_columns(wanted).select_from(table(name, wanted, by, schema=schema or None))
        return found.where(by == bindparam(self.parameter))


Source = Query | Lookup


@dataclass(frozen=True, slots=True)
class AttributeSource:
    """How an attribute is read: its one value from ``value``, its readings since an instant from ``series``."""

    type: str
    value: Source | None
    series: Query | None = None

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise RegisterFault(f"register: a type is one of {', '.join(TYPES)}")
        if self.value is None and self.series is None:
            raise RegisterFault("register: an attribute needs a value or a series")
        if self.series is not None and ":row" not in self.series.sql:
            raise RegisterFault("register: a series must mention :row")


class SqlRegister:
    """A row is named by the register's own key, an integer or a text, written as JSON."""

    def __init__(self, engine: Engine, row: Source, attributes: Mapping[str, AttributeSource]) -> None:
        self._engine = engine
        self._row = row.statement()
        self._types = {name: source.type for name, source in attributes.items()}
        self._values = {name: source.value.statement() for name, source in attributes.items() if source.value}
        self._series = {name: source.series.statement() for name, source in attributes.items() if source.series}

    def row_of(self, value: str) -> str | None:
        """The key of the one row that the claim's value names. Raises RegisterFault where it names two."""
        rows = self._run(self._row, {"value": value}, at_most=2)
        if len(rows) > 1:
            raise RegisterFault("register: a claim names more than one row")
        if not rows or rows[0] is None:
            return None
        if not isinstance(rows[0], int | str) or isinstance(rows[0], bool):
            raise RegisterFault("register: a row key is an integer or a text")
        return json.dumps(rows[0])

    def value(self, row: str, attribute: str) -> Value:
        """The value in the row, None where there is none. Raises RegisterFault."""
        if attribute not in self._values:
            raise RegisterFault("register: the attribute has no single value")
        rows = self._run(self._values[attribute], {"row": json.loads(row)}, at_most=2)
        if len(rows) > 1:
            raise RegisterFault("register: an attribute has more than one value")
        return of_type(rows[0], self._types[attribute]) if rows else None

    def series(self, row: str, attribute: str, since: int) -> list[float]:
        """The readings from ``since`` (NumericDate) on. Raises RegisterFault."""
        if attribute not in self._series:
            raise RegisterFault("register: the attribute has no series")
        rows = self._run(self._series[attribute], {"row": json.loads(row), "since": since}, at_most=MAX_SERIES + 1)
        if len(rows) > MAX_SERIES:
            raise RegisterFault(f"register: more than {MAX_SERIES} readings")
        readings = [of_type(one, self._types[attribute]) for one in rows if one is not None]
        if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in readings):
            raise RegisterFault("register: a reading is not a number")
        return [float(one) for one in readings if one is not None]

    def check(self) -> None:
        """Runs every statement once, with nothing to find: a wrong name shows at start, not at a use."""
        self._try("what finds a resident's row", self._row, {"value": ""})
        for name, statement in self._values.items():
            self._try(f"what is asked for {name}", statement, {"row": None})
        for name, statement in self._series.items():
            self._try(f"what is asked for {name}", statement, {"row": None, "since": MAX_INTEGER})

    def _try(self, what: str, statement: TextClause | Select[Any], parameters: Mapping[str, Any]) -> None:
        """These parameters are about nobody, so that the database's own words may be told."""
        try:
            with self._engine.connect() as connection:
                connection.execute(statement, parameters).fetchmany(1)
        except SQLAlchemyError as fault:
            raise RegisterFault(f"register: {what}: {_said_by_database(fault)}") from None

    def _run(self, statement: TextClause | Select[Any], parameters: Mapping[str, Any], *, at_most: int) -> list[Any]:
        try:
            with self._engine.connect() as connection:
                found = connection.execute(statement, parameters).fetchmany(at_most)
        except SQLAlchemyError as fault:
            # Its text holds the statement's parameters: the type alone is told.
            raise RegisterFault(f"register: it does not answer ({type(fault).__name__})") from None
        return [row[0] for row in found]


def _said_by_database(fault: SQLAlchemyError) -> str:
    said = fault.orig.args[0] if isinstance(fault, DBAPIError) and fault.orig is not None and fault.orig.args else ""
    if isinstance(said, Mapping):
        said = said.get("M", "")
    return " ".join(str(said)[:MAX_SAID].split()) or type(fault).__name__


def of_type(value: Any, kind: str) -> Value:
    """The value, if it is of the configured type. Raises RegisterFault, which never quotes it."""
    if value is None:
        return None
    match kind:
        case "integer":
            if isinstance(value, Decimal) and value == value.to_integral_value():
                value = int(value)
            if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_INTEGER:
                return value
        case "number":
            if isinstance(value, Decimal | float | int) and not isinstance(value, bool) and isfinite(value):
                return value if isinstance(value, int | float) else float(value)
        case "text":
            if isinstance(value, str) and len(value) <= MAX_TEXT:
                return value
        case "boolean":
            # SQLite has no boolean of its own.
            if isinstance(value, bool) or (isinstance(value, int) and value in (0, 1)):
                return bool(value)
    raise RegisterFault("register: a value is not of its configured type")


MAX_SAID = 200
"""Of a database's own words about a statement that it refuses."""

STATEMENT_SECONDS = 4
"""An allow lives for 5 s: a register that needs longer answers too late."""


def open_register(url: str) -> Engine:
    """An engine that reads: on SQLite and PostgreSQL the connection itself refuses to write."""
    made = make_url(url)
    if made.drivername == POSTGRESQL:
        import pg8000  # type: ignore[import-untyped]

        arguments = pg8000_arguments(made)
        named = made.set(drivername="postgresql+pg8000")
        engine = create_engine(named, creator=lambda: pg8000.connect(**arguments), pool_pre_ping=True)
    else:
        engine = create_engine(made)
    listener = _ONLY_READ.get(engine.dialect.name)
    if listener is not None:
        event.listen(engine, "connect", listener)
    return engine


def _sqlite_only_reads(connection: Any, _: Any) -> None:
    connection.execute("PRAGMA query_only=ON")


def _postgresql_only_reads(connection: Any, _: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY")
    cursor.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
    cursor.close()
    connection.commit()


_ONLY_READ = {"sqlite": _sqlite_only_reads, "postgresql": _postgresql_only_reads}
