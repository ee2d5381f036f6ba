"""The catalogue of procedures: what ships is without fault, and declarations are held against it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent.errors import MessageError
from consent.procedure import entry_lint, plain_language
from consent.procedure.declaration import DataDeclaration, DeclaredAttribute, PurposeDeclaration
from consent.procedure.entry import NeededAttribute, ProcedureEntry, bundled, read_entry
from consent.procedure.procedures import DAY_SECONDS, Procedures
from consent.procedure.vocabulary import DPV, PD
from identity.keys.agreement import AgreementPrivateKey

ENTRIES = {entry.id: entry for entry in bundled()}
RENT = ENTRIES["rent-subsidy"]
FILE = (Path(__file__).parents[4] / "consent/procedure/entries/rent-subsidy.toml").read_text(encoding="utf-8")
TEXTS = {"es": "Es corto.", "ca": "És curt.", "en": "It is short."}


def purpose(**changes: Any) -> PurposeDeclaration:
    declared = PurposeDeclaration(
        "urn:atorga:party:social-services", "rent", 1, "rent-subsidy", RENT.purpose, ("income.band",),
        ("urn:atorga:party:hacienda",), "consent", 90 * DAY_SECONDS, {"en": "For the rent."}, False,
    )  # fmt: skip
    return replace(declared, **changes)


def data(name: str, category: str) -> DataDeclaration:
    attribute = DeclaredAttribute(category, ("raw",), (RENT.purpose,))
    key = AgreementPrivateKey.generate().public
    return DataDeclaration("urn:atorga:party:hacienda", "income", 1, "vct", ("id",), key, {name: attribute})


@pytest.fixture(scope="module")
def procedures() -> Procedures:
    return Procedures.shipped()


def test_a_dozen_ship_each_with_a_source_or_marked() -> None:
    assert len(ENTRIES) >= 12
    with_source = [entry for entry in ENTRIES.values() if entry.source]
    assert len(with_source) >= 10


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_what_ships_is_without_fault(entry: ProcedureEntry) -> None:
    assert list(entry_lint.faults(entry)) == []


def test_sensitive_subjects_are_marked() -> None:
    for entry in ENTRIES.values():
        assert entry.sensitive or not entry.about, entry.id
    assert {about for entry in ENTRIES.values() for about in entry.about} == {"children", "health", "shelter"}


# Declarations


def test_what_keeps_to_the_catalogue_passes(procedures: Procedures) -> None:
    procedures.check(purpose())
    procedures.check(purpose(sensitive=True, retention_seconds=1))
    procedures.check(data("income.band", f"{PD}Income"))
    procedures.check(data("shoe.size", f"{PD}Height"))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"procedure": "shoe-census"}, "not in the catalogue"),
        ({"purpose": f"{DPV}Marketing"}, "another purpose"),
        ({"legal_basis": "public-task"}, "another legal basis"),
        ({"datatypes": ("income.band", "shoe.size")}, "1 attribute"),
        ({"retention_seconds": 90 * DAY_SECONDS + 1}, "kept longer"),
        (
            {"procedure": "disability-card", "purpose": f"{DPV}RightsFulfilment", "datatypes": ("disability.degree",)},
            "sensitive",
        ),
    ],
)
def test_what_goes_beyond_it_is_refused(procedures: Procedures, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(MessageError, match=says):
        procedures.check(purpose(**changes))


def test_a_basis_of_law_may_be_for_another_procedure(procedures: Procedures) -> None:
    procedures.check(purpose(procedure="tax-audit", legal_basis="legal-obligation"))


def test_an_attribute_means_the_same_everywhere(procedures: Procedures) -> None:
    with pytest.raises(MessageError, match="another category"):
        procedures.check(data("income.band", f"{PD}Height"))


def test_a_city_adds_its_own(tmp_path: Path) -> None:
    (tmp_path / "balcony-plants.toml").write_text(FILE, encoding="utf-8")
    assert "balcony-plants" in Procedures.shipped(tmp_path).entries
    (tmp_path / "rent-subsidy.toml").write_text(FILE, encoding="utf-8")
    with pytest.raises(MessageError, match="twice"):
        Procedures.shipped(tmp_path)
    with pytest.raises(MessageError, match="not there"):
        Procedures.shipped(tmp_path / "nowhere")


def test_a_faulty_entry_is_no_part_of_a_catalogue() -> None:
    with pytest.raises(MessageError, match="retention_days"):
        Procedures([replace(RENT, retention_days=entry_lint.MAX_CONSENT_DAYS + 1)])
    other = replace(RENT.attributes[0], category=f"{PD}Height")
    with pytest.raises(MessageError, match="another category elsewhere"):
        Procedures([RENT, replace(RENT, id="other", attributes=(other,))])


# The linter


def needed(category: str, **changes: Any) -> NeededAttribute:
    attribute = NeededAttribute(category.rpartition("#")[2], category, "predicate:yes", True, TEXTS)
    return replace(attribute, **changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attributes": tuple(needed(f"{PD}Height", name=f"a{n}") for n in range(9))}, "at most 8"),
        ({"attributes": (needed(f"{PD}Age"), needed(f"{PD}AgeRange"))}, "wider category"),
        ({"attributes": (needed(f"{PD}Income", resolution="raw"),)}, "a band or a yes or no"),
        ({"retention_days": 5 * 366 + 1}, "retention_days"),
        ({"about": ("health",)}, "sensitive"),
        ({"attributes": (needed(f"{PD}MentalHealth"),)}, "sensitive"),
        ({"attributes": (needed(f"{PD}Offspring"),)}, "sensitive"),
        ({"attributes": (needed(f"{PD}Vulnerability"),)}, "sensitive"),
        ({"notice": {**TEXTS, "en": "word " * 61}}, "notice.en: it has 61 words"),
        ({"notice": {**TEXTS, "ca": "D'acord amb la normativa."}}, "notice.ca: 'normativa'"),
        ({"attributes": (needed(f"{PD}Height", reason={**TEXTS, "en": "..."}),)}, "reason.en of Height"),
    ],
)
def test_the_linter_says_what_is_wrong(changes: dict[str, Any], says: str) -> None:
    found = list(entry_lint.faults(replace(RENT, **changes)))
    assert any(says in fault for fault in found), found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (" ", "says nothing"),
        ("word " * 31 + ". " + "word " * 20, "31 words"),
        ("We use an antidisestablishmentarian method.", "long word"),
        ("Pursuant to it, we look.", "word of the law"),
        ("We ask the AEAT.", "abbreviation"),
    ],
)
def test_plain_language_has_limits(text: str, says: str) -> None:
    assert any(says in fault for fault in plain_language.faults(text, "en"))


# Reading


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("sensitive = false", "", "missing"),
        ("sensitive = false", "sensitive = 0", "true or false"),
        ("retention_days = 90", "retention_days = 0", "outside"),
        ("#PublicBenefit", "#Nothing", "not a term of DPV"),
        ("pd#Income", "pd#Incomes", "not a term of DPV-PD"),
        ("binned:eur-6", "exact", "resolution"),
        ('legal_basis = "consent"', 'legal_basis = "habit"', "legal_basis"),
        ("about = []", 'about = ["cats"]', "about names"),
        ("source = ", "sauce = ", "unknown member"),
        ('source = "https', 'source = "ftp', "address of a page"),
        ("about = []", "about = []\nillustrative = true", "or says illustrative"),
        ('name = "household.size"', 'name = "income.band"', "twice"),
        ("[name]\n", "[name]\neu = 'x'\n", "unknown member"),
        ("purpose", "]", "not TOML"),
    ],
)
def test_an_entry_is_read_strictly(before: str, after: str, says: str) -> None:
    assert before in FILE
    with pytest.raises(MessageError, match=says):
        read_entry(FILE.replace(before, after, 1).encode(), "rent-subsidy")


def test_reading_has_limits() -> None:
    with pytest.raises(MessageError, match="bytes"):
        read_entry(b"#" * 70_000, "x")
    with pytest.raises(MessageError, match="characters"):
        read_entry(FILE.encode(), "x" * 65)
    with pytest.raises(MessageError, match="not TOML"):
        read_entry(b"\xff", "x")
    assert read_entry(FILE.encode(), "rent-subsidy") == RENT
