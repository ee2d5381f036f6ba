"""The terms of the Data Privacy Vocabulary 2.3 that may be used: purposes and personal data.

Shipped as data beside this file, with its notice. A term that is not in it is refused: a purpose
that nobody defined tells a resident nothing. DPV has its labels in English; those in Spanish and
Catalan are ours (``dpv/labels.csv``), and Basque and Galician readers get the Spanish one, with
the language it is in.
"""

import csv
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from consent.errors import MessageError

DPV = "https://w3id.org/dpv#"
PD = "https://w3id.org/dpv/pd#"
SPECIAL_CATEGORY = f"{DPV}SpecialCategoryPersonalData"
"""What article 9 of the GDPR protects more than other data: health, belief, origin, …"""

ORIGINAL_LANGUAGE = "en"
FALLBACKS: Mapping[str, str] = {"eu": "es", "gl": "es"}
"""What a reader of a language without labels of its own gets; everybody else gets the original."""

MAX_SEARCH = 200
"""Characters of a search; more than any label has."""


@dataclass(frozen=True, slots=True)
class Label:
    """``language`` is the one the text is in, which may be another than was asked for."""

    text: str
    language: str
    is_ours: bool
    """A translation of this project, not of the vocabulary's authors."""


@dataclass(frozen=True, slots=True)
class Term:
    iri: str
    label: str
    definition: str
    """In English."""
    broader: tuple[str, ...] = ()
    """IRIs, direct ones only; some are of no term that may be used (``Purpose`` itself)."""
    is_special: bool = False
    translations: Mapping[str, str] | None = None

    def label_in(self, language: str) -> Label:
        ours = self.translations or {}
        for one in (language, FALLBACKS.get(language, ORIGINAL_LANGUAGE)):
            if one in ours:
                return Label(ours[one], one, is_ours=True)
        return Label(self.label, ORIGINAL_LANGUAGE, is_ours=False)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    terms: Mapping[str, Term]

    def search(self, text: str, language: str = ORIGINAL_LANGUAGE, *, at_most: int = 20) -> list[Term]:
        """Terms in which every word occurs: in the label of this language, else in the English texts. Best first."""
        words = _plain(text[:MAX_SEARCH]).split()
        found = []
        for term in self.terms.values():
            own, english = _plain(term.label_in(language).text), _plain(f"{term.label} {term.definition}")
            if words and all(word in own or word in english for word in words):
                rank = 0 if own == " ".join(words) else 1 if all(word in own for word in words) else 2
                found.append((rank, own, term))
        return [term for _, _, term in sorted(found, key=lambda one: one[:2])[:at_most]]

    def narrower(self, iri: str) -> tuple[str, ...]:
        """Direct ones."""
        return tuple(term.iri for term in self.terms.values() if iri in term.broader)

    def all_broader(self, iri: str) -> frozenset[str]:
        """Every term above this one."""
        found: set[str] = set()
        waiting = [iri]
        while waiting:
            term = self.terms.get(waiting.pop())
            fresh = set(term.broader) - found if term else set()
            found |= fresh
            waiting.extend(fresh)
        return frozenset(found)

    def is_special(self, iri: str) -> bool:
        """Whether this category, or one above it, is protected specially."""
        return any(one in self.terms and self.terms[one].is_special for one in {iri, *self.all_broader(iri)})


@cache
def purposes() -> dict[str, Term]:
    """Purpose IRI → term (DPV 2.3, module purposes)."""
    return _terms("purposes.csv", "dpv")


@cache
def categories() -> dict[str, Term]:
    """Personal-data category IRI → term (DPV-PD 2.3)."""
    return _terms("personal_data.csv", "pd")


@cache
def vocabulary() -> Vocabulary:
    """Both together."""
    return Vocabulary({**purposes(), **categories()})


def require_purpose(iri: str, *, what: str) -> None:
    if iri not in purposes():
        raise MessageError(f"{what}: the purpose is not a term of DPV 2.3")


def require_category(iri: str, *, what: str) -> None:
    if iri not in categories():
        raise MessageError(f"{what}: the category is not a term of DPV-PD 2.3")


def _terms(name: str, prefix: str) -> dict[str, Term]:
    ours = _labels()
    # Properties (``hasPurpose``) and the root (``Purpose``) stand in the same file; they are no kind of it.
    rows = (row for row in _rows(name) if row["type"] == "class" and row["dpvtype"])
    return {row["iri"]: _term(row, ours.get(f"{prefix}:{row['term']}", {})) for row in rows}


def _term(row: Mapping[str, str], translations: Mapping[str, str]) -> Term:
    return Term(
        iri=row["iri"],
        label=row["label"],
        definition=row["definition"],
        broader=tuple(one for one in row["hasbroader"].split(";") if one and one != SPECIAL_CATEGORY),
        is_special=SPECIAL_CATEGORY in (*row["dpvtype"].split(";"), *row["hasbroader"].split(";")),
        translations=translations,
    )


@cache
def _labels() -> dict[str, dict[str, str]]:
    return {row["term"]: {"es": row["es"], "ca": row["ca"]} for row in _rows("labels.csv")}


def _rows(name: str) -> list[dict[str, str]]:
    text = (files("consent.procedure") / "dpv" / name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _plain(text: str) -> str:
    """Without case and accents: nobody should have to type them to find something."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return " ".join("".join(one for one in parts if not unicodedata.combining(one)).split())
