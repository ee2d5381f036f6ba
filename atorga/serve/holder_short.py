"""The short form of a data holder's configuration: a table of its own, a line an attribute, and no code.

[register]
url = "postgresql://reader@db/padro"   # any SQLAlchemy address; absent where code of the data holder's own answers
table = "padro.habitants"              # schema.table where there is a schema
key = "id_habitant"                    # the register's own key of a row
claim = "nif"                          # what the declared claim's value is compared with
[register.attributes]
"income.band" = { column = "renda", category = "https://w3id.org/dpv/pd#Income", purposes = ["https://w3id.org/dpv#PublicBenefit"],
    resolutions = { "binned:eur-6" = [9000, 15000, 21000, 30000, 45000] } }   # in one line: TOML has no breaks here

An attribute may lie in another table (``table``, and ``by`` where its column is not named as ``key``),
and says its ``type`` where the database does not, or where there is none. ``resolutions`` are names
(``["raw"]``), or, finest first, with what they mean: a list = edges of bands, a number = a step,
``true`` = raw, a table as in the long form. What may stand beside ``url``: ``vct`` and ``path`` of the
declared claim (default: the number of the person id), ``id`` and ``version`` of the declaration
(default: the table's name; a version is raised by itself when something changes).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Engine, inspect, types
from sqlalchemy.exc import NoSuchTableError, SQLAlchemyError

from atorga.serve.holder_tables import (
    DeclaredContent,
    Given,
    Holding,
    RegisterTables,
    checked,
    declared_attribute,
    read_reduction,
)
from atorga.serve.settings import ConfigurationError, Table
from consent import spec
from consent.holder.register import TYPES, AttributeSource, Lookup
from consent.holder.resolution import Binned, CoarseNumber, Reduction, numbered
from consent.procedure.declaration import MAX_VERSION

PERSON_ID = "urn:atorga:person-id:1"
NUMBER = ("personal_administrative_number",)


@dataclass(frozen=True, slots=True)
class Column:
    table: str
    column: str
    by: str
    type: str | None
    """None = as the database says."""


@dataclass(frozen=True, slots=True)
class ShortRegister:
    """One table, and columns of it or of others; the types are looked up when the database is there."""

    url: str
    row: Lookup
    columns: Mapping[str, Column]

    def tables(self, engine: Engine) -> RegisterTables:
        """Raises ConfigurationError."""
        sources = {
            name: AttributeSource(
                column.type or column_type(engine, column.table, column.column),
                Lookup(column.table, column.column, column.by, "row"),
            )
            for name, column in self.columns.items()
        }
        return RegisterTables(self.url, self.row, sources)


def read(root: Table) -> Holding:
    """``[register]`` in the short form. Raises ConfigurationError."""
    table = root.table("register")
    url = table.optional_text("url")
    main = table.text("table") if url is not None else ""
    key = table.text("key") if url is not None else ""
    claim = table.text("claim") if url is not None else ""
    entries = table.tables("attributes")
    if not 1 <= len(entries) <= spec.MAX_ATTRIBUTES:
        raise ConfigurationError(f"[register.attributes]: 1 to {spec.MAX_ATTRIBUTES} attributes are expected")
    reductions: dict[str, Reduction] = {}
    columns, kinds, declared = {}, {}, {}
    for name, entry in entries.items():
        resolutions = _resolutions(entry, reductions)
        declared[name] = declared_attribute(entry, resolutions)
        kind = entry.optional_text("type")
        if kind is not None and kind not in TYPES:
            raise ConfigurationError(f"[{entry.name}] type: one of {', '.join(TYPES)} is expected")
        if url is None:
            if kind is None:
                raise ConfigurationError(f"[{entry.name}] type: is needed where no database says it")
            kinds[name] = kind
        else:
            columns[name] = Column(entry.text("table", main), entry.text("column"), entry.text("by", key), kind)
        entry.done()
    version = table.integer("version", minimum=1, maximum=MAX_VERSION) if "version" in table else None
    content = DeclaredContent(
        table.text("id", main or "register"),
        version,
        table.text("vct", PERSON_ID),
        table.texts("path", NUMBER),
        declared,
    )
    table.done()
    if url is None:
        return Holding(content, Given(kinds), reductions)
    return Holding(content, ShortRegister(url, Lookup(main, key, claim, "value"), columns), reductions)


def column_type(engine: Engine, table: str, column: str) -> str:
    """What the database says of a column. Raises ConfigurationError."""
    schema, _, name = table.rpartition(".")
    what = f"[register] {table}.{column}"
    try:
        found = {one["name"]: one["type"] for one in inspect(engine).get_columns(name, schema=schema or None)}
    except NoSuchTableError:
        raise ConfigurationError(f"{what}: the database has no such table") from None
    except SQLAlchemyError as fault:
        raise ConfigurationError(f"{what}: {type(fault).__name__}") from None
    if column not in found:
        raise ConfigurationError(f"{what}: the table has no such column")
    for kind, classes in _KINDS.items():
        if isinstance(found[column], classes):
            return kind
    raise ConfigurationError(f"{what}: its type is none of {', '.join(TYPES)}: say which with type")


_KINDS: Mapping[str, tuple[type[Any], ...]] = {
    "boolean": (types.Boolean,),
    "integer": (types.Integer,),
    "number": (types.Numeric, types.Float),
    "text": (types.String,),
}


def _resolutions(entry: Table, reductions: dict[str, Reduction]) -> tuple[str, ...]:
    """The names, finest first; what is new of them is added to ``reductions``."""
    if entry.is_list("resolutions"):
        return entry.texts("resolutions")
    meant = entry.table("resolutions")
    names = meant.keys()
    for name in names:
        reduction = _reduction(meant, name)
        if reduction is None:
            continue
        if name in reductions and reductions[name] != reduction:
            raise ConfigurationError(f"[{meant.name}] {name}: means something else at another attribute")
        reductions[name] = reduction
    return names


def _reduction(meant: Table, name: str) -> Reduction | None:
    family = name.partition(":")[0]
    if name == "raw":
        if not meant.boolean(name):
            raise ConfigurationError(f"[{meant.name}] raw: true is expected")
        return None
    if family == "binned" and meant.is_list(name):
        edges = meant.values(name)
        if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in edges):
            raise ConfigurationError(f"[{meant.name}] {name}: edges, which are numbers, are expected")
        return _made(meant, lambda: Binned(tuple(edges), numbered(len(edges) + 1)))
    if family == "coarse" and meant.is_integer(name):
        return _made(meant, partial(CoarseNumber, meant.integer(name)))
    return read_reduction(name, meant.table(name))


def _made(meant: Table, make: Callable[[], Reduction]) -> Reduction:
    return checked(meant, make)
