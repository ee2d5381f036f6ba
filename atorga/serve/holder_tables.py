"""The tables of a data holder's configuration that say what it holds: declaration, register, resolutions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Engine

from atorga.serve.settings import ConfigurationError, Table
from consent import spec
from consent.errors import ConsentError
from consent.holder.register import AttributeSource, Lookup, Query, Source
from consent.holder.resolution import Binned, CoarseNumber, CoarseText, Predicate, Reduction, numbered
from consent.procedure.declaration import MAX_ID, MAX_VERSION, DataDeclaration, DeclaredAttribute, require_resolution
from consent.procedure.vocabulary import require_category, require_purpose
from identity.keys.agreement import AgreementPublicKey

MAX_BOUND = 2**53

Made = TypeVar("Made")


@dataclass(frozen=True, slots=True)
class DeclaredContent:
    """A data declaration without its owner and key, which come from elsewhere."""

    id: str
    version: int | None
    """None = raised by itself when something changes."""
    row_vct: str
    row_path: tuple[str, ...]
    attributes: Mapping[str, DeclaredAttribute]

    def of(self, party: str, hpke: AgreementPublicKey, *, version: int) -> DataDeclaration:
        return DataDeclaration(party, self.id, version, self.row_vct, self.row_path, hpke, dict(self.attributes))


@dataclass(frozen=True, slots=True)
class RegisterTables:
    url: str
    row: Source
    attributes: Mapping[str, AttributeSource]

    def tables(self, _: Engine) -> "RegisterTables":
        return self


@dataclass(frozen=True, slots=True)
class Given:
    """Values come from code of the data holder's own; the configuration says their types."""

    types: Mapping[str, str]


class Register(Protocol):
    """A register by configuration. ``url`` is its SQLAlchemy address."""

    @property
    def url(self) -> str: ...

    def tables(self, engine: Engine) -> RegisterTables:
        """Raises ConfigurationError."""
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """What a data holder has, where it lies, and how it is reduced."""

    declaration: DeclaredContent
    register: Register | Given
    reductions: Mapping[str, Reduction]


def read_declaration(table: Table) -> DeclaredContent:
    """``[declaration]``. Raises ConfigurationError."""
    identifier = table.text("id")
    if "@" in identifier or len(identifier) > MAX_ID:
        raise ConfigurationError(f"[{table.name}] id: at most {MAX_ID} characters without @ are expected")
    attributes = {name: _declared(one) for name, one in table.tables("attributes").items()}
    if not 1 <= len(attributes) <= spec.MAX_ATTRIBUTES:
        raise ConfigurationError(f"[{table.name}.attributes]: 1 to {spec.MAX_ATTRIBUTES} attributes are expected")
    content = DeclaredContent(
        identifier,
        table.integer("version", minimum=1, maximum=MAX_VERSION),
        table.text("vct"),
        table.texts("path"),
        attributes,
    )
    table.done()
    return content


def _declared(table: Table) -> DeclaredAttribute:
    declared = declared_attribute(table, table.texts("resolutions"))
    table.done()
    return declared


def declared_attribute(table: Table, resolutions: tuple[str, ...]) -> DeclaredAttribute:
    """Raises ConfigurationError."""
    declared = DeclaredAttribute(table.text("category"), resolutions, table.texts("purposes"))
    what = f"[{table.name}]"
    if not declared.resolutions or not declared.purposes:
        raise ConfigurationError(f"{what}: resolutions and purposes name at least one each")

    def check() -> None:
        require_category(declared.category, what=what)
        for purpose in declared.purposes:
            require_purpose(purpose, what=what)
        for resolution in declared.resolutions:
            require_resolution(resolution, what=what)

    checked(table, check)
    return declared


def read_register(table: Table) -> RegisterTables:
    """``[register]``. Raises ConfigurationError."""
    url = table.text("url")
    row_table = table.table("row")
    row = _source(row_table, "value")
    if row is None:
        raise ConfigurationError(f"[{row_table.name}]: a query, or table, column and by, is expected")
    row_table.done()
    attributes = {name: _attribute(one) for name, one in table.tables("attributes").items()}
    table.done()
    return RegisterTables(url, row, attributes)


def _attribute(table: Table) -> AttributeSource:
    kind = table.text("type")
    value = _source(table, "row")
    series = checked(table, lambda: Query(table.text("series"), "since")) if "series" in table else None
    source = checked(table, lambda: AttributeSource(kind, value, series))
    table.done()
    return source


def _source(table: Table, parameter: str) -> Source | None:
    if "query" in table:
        return checked(table, lambda: Query(table.text("query"), parameter))
    if "table" in table:
        return Lookup(table.text("table"), table.text("column"), table.text("by"), parameter)
    return None


def read_resolutions(tables: Mapping[str, Table]) -> dict[str, Reduction]:
    """``[resolutions."FAMILY:NAME"]``. Raises ConfigurationError."""
    found: dict[str, Reduction] = {}
    for name, table in tables.items():
        found[name] = read_reduction(name, table)
    return found


def read_reduction(name: str, table: Table) -> Reduction:
    """What a resolution of this name means. Raises ConfigurationError."""
    family, _, rest = name.partition(":")
    reader = _READERS.get(family)
    if reader is None or not rest:
        raise ConfigurationError(f'[resolutions."{name}"]: {", ".join(_READERS)} have tables, named FAMILY:NAME')
    found = checked(table, partial(reader, table))
    table.done()
    return found


def _binned(table: Table) -> Reduction:
    edges = table.values("edges")
    if not all(isinstance(edge, int | float) and not isinstance(edge, bool) for edge in edges):
        raise ConfigurationError(f"[{table.name}] edges: numbers are expected")
    labels = table.texts("labels") if "labels" in table else numbered(len(edges) + 1)
    return Binned(tuple(edges), labels)


def _predicate(table: Table) -> Reduction:
    return Predicate(**{name: _bound(table, name) for name in ("below", "at_least") if name in table})


def _coarse(table: Table) -> Reduction:
    if "step" in table:
        return CoarseNumber(_bound(table, "step"))
    coarser = table.table("map")
    names = coarser.keys()
    return CoarseText({name: coarser.text(name) for name in names})


def _bound(table: Table, name: str) -> int:
    return table.integer(name, minimum=-MAX_BOUND, maximum=MAX_BOUND)


_READERS: Mapping[str, Callable[[Table], Reduction]] = {"binned": _binned, "predicate": _predicate, "coarse": _coarse}


def checked(table: Table, make: Callable[[], Made]) -> Made:
    """What the room itself refuses becomes a sentence about the configuration."""
    try:
        return make()
    except ConsentError as fault:
        said = str(fault)
        raise ConfigurationError(said if said.startswith(f"[{table.name}]") else f"[{table.name}]: {said}") from None
