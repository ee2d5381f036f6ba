"""The catalogue of procedures, and declarations held against it (DESIGN §7).

A declaration that rests on consent is for a procedure of the catalogue and asks for nothing beyond
it. One that rests on law may be for any other procedure: its basis is approved by a third party.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from consent.errors import MessageError
from consent.procedure import entry_lint
from consent.procedure.declaration import DataDeclaration, Declaration, PurposeDeclaration
from consent.procedure.entry import ProcedureEntry, bundled, read_folder

DAY_SECONDS = 86_400


class CheckProcedure(Protocol):
    def __call__(self, declaration: Declaration) -> None:
        """Raises MessageError where a declaration goes beyond the catalogue."""
        ...


class Procedures:
    """Entries without a fault. Raises MessageError on any other, and on a procedure that stands there twice."""

    def __init__(self, entries: Iterable[ProcedureEntry]) -> None:
        self.entries: Mapping[str, ProcedureEntry] = _by_id(entries)
        self._categories = {one.name: one.category for entry in self.entries.values() for one in entry.attributes}

    @classmethod
    def shipped(cls, folder: Path | None = None) -> "Procedures":
        """Those that ship with this package, and a city's own. Raises MessageError, OSError."""
        return cls([*bundled(), *(read_folder(folder) if folder is not None else ())])

    def check(self, declaration: Declaration) -> None:
        """Raises MessageError.

        Of a service:
        1. For a procedure of the catalogue; one that rests on law may be outside it.
        2. For the same purpose, and on the same basis.
        3. No attribute beyond the procedure's.
        4. Kept no longer.
        5. Sensitive where the procedure is.
        Of a data holder:
        6. An attribute that the catalogue knows is of the category that it has there.
        """
        if isinstance(declaration, DataDeclaration):
            self._check_data(declaration)
        else:
            self._check_purpose(declaration)

    def _check_purpose(self, declaration: PurposeDeclaration) -> None:
        what = "purpose declaration"
        # 1
        entry = self.entries.get(declaration.procedure)
        if entry is None:
            if declaration.legal_basis == "consent":
                raise MessageError(f"{what}: the procedure is not in the catalogue")
            return
        # 2
        if declaration.purpose != entry.purpose:
            raise MessageError(f"{what}: another purpose than the procedure has in the catalogue")
        if declaration.legal_basis != entry.legal_basis:
            raise MessageError(f"{what}: another legal basis than the procedure has in the catalogue")
        # 3
        if surplus := set(declaration.datatypes) - {one.name for one in entry.attributes}:
            raise MessageError(f"{what}: {len(surplus)} attribute(s) that the procedure does not need")
        # 4
        if declaration.retention_seconds > entry.retention_days * DAY_SECONDS:
            raise MessageError(f"{what}: kept longer than the procedure's {entry.retention_days} days")
        # 5
        if entry.sensitive and not declaration.sensitive:
            raise MessageError(f"{what}: the procedure is sensitive, its declaration must say so")

    def _check_data(self, declaration: DataDeclaration) -> None:
        # 6
        for name, attribute in declaration.attributes.items():
            if self._categories.get(name, attribute.category) != attribute.category:
                raise MessageError("data declaration: an attribute is of another category than in the catalogue")


def _by_id(entries: Iterable[ProcedureEntry]) -> dict[str, ProcedureEntry]:
    found: dict[str, ProcedureEntry] = {}
    categories: dict[str, str] = {}
    for entry in entries:
        what = f"procedure {entry.id!r}"
        for fault in entry_lint.faults(entry):
            raise MessageError(f"{what}: {fault}")
        if entry.id in found:
            raise MessageError(f"{what}: it stands in the catalogue twice")
        for one in entry.attributes:
            if categories.setdefault(one.name, one.category) != one.category:
                raise MessageError(f"{what}: {one.name} has another category elsewhere in the catalogue")
        found[entry.id] = entry
    return found
