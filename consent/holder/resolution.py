"""Resolutions: how a value is reduced before it leaves (DESIGN §7).

Each named resolution is a table of the configuration; here is what each family means:

    raw               the value as it stands
    binned:NAME       the band in which a number lies: edges, and a label per band
    average:SECONDS   the mean of the readings of the last so many seconds
    coarse:NAME       a text by a table, or a number rounded down to a step
    predicate:NAME    whether a number is below, or at least, a bound

Where the register has no value, every reduction says so by null.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from consent.errors import RegisterFault
from consent.holder.register import AttributeSource, Value


class Register(Protocol):
    """What a reduction reads from."""

    def value(self, row: str, attribute: str) -> Value: ...

    def series(self, row: str, attribute: str, since: int) -> list[float]: ...


class Reduction(Protocol):
    types: frozenset[str]
    """The value types it takes."""

    def __call__(self, value: Value) -> Value: ...


_NUMBERS = frozenset({"integer", "number"})


@dataclass(frozen=True, slots=True)
class Binned:
    """``edges`` rise; a number equal to an edge lies in the band above it. ``labels`` are one more."""

    edges: tuple[float, ...]
    labels: tuple[str, ...]
    types = _NUMBERS

    def __post_init__(self) -> None:
        if not self.edges or any(low >= high for low, high in zip(self.edges, self.edges[1:], strict=False)):
            raise RegisterFault("resolution: edges must rise")
        if len(self.labels) != len(self.edges) + 1 or len(set(self.labels)) != len(self.labels):
            raise RegisterFault(f"resolution: {len(self.edges) + 1} different labels are expected, one per band")

    def __call__(self, value: Value) -> Value:
        return self.labels[bisect_right(self.edges, _number(value))]


def numbered(bands: int) -> tuple[str, ...]:
    """Labels where the configuration has none: "1" for the lowest band."""
    return tuple(str(band) for band in range(1, bands + 1))


@dataclass(frozen=True, slots=True)
class Predicate:
    """Exactly one of ``below`` and ``at_least``."""

    below: float | None = None
    at_least: float | None = None
    types = _NUMBERS

    def __post_init__(self) -> None:
        if (self.below is None) == (self.at_least is None):
            raise RegisterFault("resolution: a predicate has either below or at_least")

    def __call__(self, value: Value) -> Value:
        number = _number(value)
        return number < self.below if self.below is not None else number >= (self.at_least or 0)


@dataclass(frozen=True, slots=True)
class CoarseText:
    """Each text of the register → a coarser one; a text that is not in the table is not released."""

    table: Mapping[str, str]
    types = frozenset({"text"})

    def __call__(self, value: Value) -> Value:
        if not isinstance(value, str) or value not in self.table:
            raise RegisterFault("resolution: the table does not have this value")
        return self.table[value]


@dataclass(frozen=True, slots=True)
class CoarseNumber:
    """A number rounded down to a multiple of ``step``."""

    step: int
    types = _NUMBERS

    def __post_init__(self) -> None:
        if self.step < 1:
            raise RegisterFault("resolution: a step is 1 or more")

    def __call__(self, value: Value) -> Value:
        return int(_number(value) // self.step) * self.step


class Resolutions:
    """The reductions of one register, by the names that its declaration uses."""

    def __init__(
        self, register: Register, sources: Mapping[str, AttributeSource], reductions: Mapping[str, Reduction]
    ) -> None:
        self._register = register
        self._sources = dict(sources)
        self._reductions = dict(reductions)

    def check(self, attribute: str, resolutions: Sequence[str]) -> None:
        """Raises RegisterFault unless every declared resolution can be made of the attribute's source."""
        source = self._sources.get(attribute)
        if source is None:
            raise RegisterFault(f"resolution: the register has no source for {attribute}")
        for name in resolutions:
            if name.startswith("average:"):
                if source.series is None or source.type not in _NUMBERS or _seconds(name) < 1:
                    raise RegisterFault(f"resolution: {name} of {attribute} needs a series of numbers and its seconds")
                continue
            if source.value is None:
                raise RegisterFault(f"resolution: {name} of {attribute} needs a single value")
            if name != "raw" and (name not in self._reductions or source.type not in self._reductions[name].types):
                raise RegisterFault(f"resolution: {name} is not configured for a {source.type} like {attribute}")

    def read(self, row: str, attribute: str, resolution: str, *, now: int) -> Value:
        """The attribute of a row, reduced. Raises RegisterFault."""
        if resolution.startswith("average:"):
            readings = self._register.series(row, attribute, now - _seconds(resolution))
            return sum(readings) / len(readings) if readings else None
        reduction = None
        if resolution != "raw":
            reduction = self._reductions.get(resolution)
            if reduction is None:
                raise RegisterFault("resolution: it is not configured here")
        value = self._register.value(row, attribute)
        return value if value is None or reduction is None else reduction(value)


def _seconds(resolution: str) -> int:
    text = resolution.partition(":")[2]
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 10 else 0


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RegisterFault("resolution: a number was expected")
    return value
