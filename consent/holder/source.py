"""Where a data holder's values come from: its SQL register, or code of its own.

Whatever reads them, what leaves is of the configured type and reduced to the resolution allowed. A
row is named by a text that nobody but the source understands.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from consent.errors import RegisterFault
from consent.holder.register import SqlRegister, Value, of_type
from consent.holder.resolution import Reduction, Resolutions

Key = int | str
"""How code of its own names a row."""

Read = Callable[[Key, tuple[str, ...]], Mapping[str, Any]]
"""Row and attributes → their values as they stand; None where the row has none."""

RowOf = Callable[[str], Key | None]
"""The declared claim's value → the row it names."""


class Source(Protocol):
    def row_of(self, claim: str) -> str | None:
        """The row that a claim's value names. Raises RegisterFault."""
        ...

    def read(self, row: str, wanted: Mapping[str, str], *, now: int) -> dict[str, Value]:
        """``wanted``: attribute → resolution. Raises RegisterFault."""
        ...

    def check(self, attribute: str, resolutions: Sequence[str]) -> None:
        """Raises RegisterFault unless every declared resolution can be made."""
        ...


@dataclass(frozen=True, slots=True)
class SqlSource:
    register: SqlRegister
    resolutions: Resolutions

    def row_of(self, claim: str) -> str | None:
        return self.register.row_of(claim)

    def read(self, row: str, wanted: Mapping[str, str], *, now: int) -> dict[str, Value]:
        return {name: self.resolutions.read(row, name, resolution, now=now) for name, resolution in wanted.items()}

    def check(self, attribute: str, resolutions: Sequence[str]) -> None:
        self.resolutions.check(attribute, resolutions)


@dataclass(frozen=True, slots=True)
class GivenSource:
    """Code of the data holder's own answers. It may answer more than was asked for: that stays here."""

    find: RowOf
    values: Read
    types: Mapping[str, str]
    reductions: Mapping[str, Reduction]

    def row_of(self, claim: str) -> str | None:
        key = self._asked(lambda: self.find(claim))
        if key is None:
            return None
        if not isinstance(key, int | str) or isinstance(key, bool):
            raise RegisterFault("register: a row key is an integer or a text")
        return json.dumps(key)

    def read(self, row: str, wanted: Mapping[str, str], *, now: int) -> dict[str, Value]:
        found = self._asked(lambda: self.values(json.loads(row), tuple(wanted)))
        if not isinstance(found, Mapping):
            raise RegisterFault("register: values by attribute were expected")
        return {name: self._reduced(found, name, resolution) for name, resolution in wanted.items()}

    def check(self, attribute: str, resolutions: Sequence[str]) -> None:
        kind = self.types.get(attribute)
        if kind is None:
            raise RegisterFault(f"resolution: the register has no source for {attribute}")
        for name in resolutions:
            if name != "raw" and (name not in self.reductions or kind not in self.reductions[name].types):
                raise RegisterFault(f"resolution: {name} is not configured for a {kind} like {attribute}")

    def _reduced(self, found: Mapping[str, Any], name: str, resolution: str) -> Value:
        if name not in found:
            raise RegisterFault("register: an attribute that was asked for is missing")
        value = of_type(found[name], self.types[name])
        if resolution == "raw" or value is None:
            return value
        if resolution not in self.reductions:
            raise RegisterFault("resolution: it is not configured here")
        return self.reductions[resolution](value)

    def _asked(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except RegisterFault:
            raise
        except Exception as fault:  # noqa: BLE001
            # Somebody else's code may fail in any way, and its words may hold anything: the type alone is told.
            raise RegisterFault(f"register: it does not answer ({type(fault).__name__})") from None
