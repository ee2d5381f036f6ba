"""The terms of the Data Privacy Vocabulary 2.3 that may be used: purposes and personal data.

Shipped as data beside this file, with its notice. A term that is not in it is refused: a purpose
that nobody defined tells a resident nothing.
"""

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from consent.errors import MessageError


@dataclass(frozen=True, slots=True)
class Term:
    iri: str
    label: str
    definition: str


@cache
def purposes() -> dict[str, Term]:
    """Purpose IRI → term (DPV 2.3, module purposes)."""
    return _terms("purposes.csv")


@cache
def categories() -> dict[str, Term]:
    """Personal-data category IRI → term (DPV-PD 2.3)."""
    return _terms("personal_data.csv")


def require_purpose(iri: str, *, what: str) -> None:
    if iri not in purposes():
        raise MessageError(f"{what}: the purpose is not a term of DPV 2.3")


def require_category(iri: str, *, what: str) -> None:
    if iri not in categories():
        raise MessageError(f"{what}: the category is not a term of DPV-PD 2.3")


def _terms(name: str) -> dict[str, Term]:
    text = (files("consent.procedure") / "dpv" / name).read_text(encoding="utf-8")
    # Properties (``hasPurpose``) and the root (``Purpose``) stand in the same file; they are no kind of it.
    rows = (row for row in csv.DictReader(text.splitlines()) if row["type"] == "class" and row["dpvtype"])
    return {row["iri"]: Term(row["iri"], row["label"], row["definition"]) for row in rows}
