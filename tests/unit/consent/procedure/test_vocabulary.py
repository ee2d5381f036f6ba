"""DPV 2.3 as it ships: every term has labels, unknown terms are refused, and terms can be found."""

import pytest

from consent.errors import MessageError
from consent.procedure.vocabulary import (
    DPV,
    PD,
    categories,
    purposes,
    require_category,
    require_purpose,
    vocabulary,
)


def test_every_term_has_a_label_in_three_languages() -> None:
    assert (len(purposes()), len(categories())) == (121, 231)
    for term in vocabulary().terms.values():
        for language in ("es", "ca", "en"):
            label = term.label_in(language)
            assert label.text.strip() == label.text != ""
            assert (label.language, label.is_ours) == (language, language != "en"), term.iri


def test_eu_and_gl_fall_back_and_say_so() -> None:
    income = categories()[f"{PD}Income"]
    for language in ("eu", "gl"):
        label = income.label_in(language)
        assert (label.text, label.language) == ("Ingresos", "es")
    assert income.label_in("fr").language == "en"


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("income", "en", f"{PD}Income"),
        ("ingressos", "ca", f"{PD}Income"),
        ("beneficio publico", "es", f"{DPV}PublicBenefit"),
        ("BENEFICI PÚBLIC", "ca", f"{DPV}PublicBenefit"),
        ("discapacidad", "gl", f"{PD}Disability"),
    ],
)
def test_the_best_term_comes_first(text: str, language: str, expected: str) -> None:
    assert vocabulary().search(text, language)[0].iri == expected


def test_a_search_has_limits() -> None:
    assert vocabulary().search("") == []
    assert vocabulary().search("no such thing at all") == []
    assert len(vocabulary().search("e", at_most=5)) == 5
    assert vocabulary().search("x" * 1_000_000) == []


def test_terms_stand_above_and_below_one_another() -> None:
    found = vocabulary()
    assert f"{PD}Age" in found.all_broader(f"{PD}AgeRange")
    assert f"{PD}AgeRange" in found.narrower(f"{PD}Age")
    for term in found.terms.values():
        assert term.iri not in found.all_broader(term.iri), "no circle"


def test_special_categories_are_known_through_what_stands_above() -> None:
    found = vocabulary()
    for name in ("Disability", "MentalHealth", "Religion", "Fingerprint"):
        assert found.is_special(f"{PD}{name}"), name
    for name in ("Income", "PostalCode", "Household"):
        assert not found.is_special(f"{PD}{name}"), name


@pytest.mark.parametrize("iri", ["", f"{DPV}Purpose", f"{DPV}hasPurpose", f"{PD}Income", f"{DPV}publicbenefit"])
def test_an_unknown_purpose_is_refused(iri: str) -> None:
    with pytest.raises(MessageError, match=r"not a term of DPV 2\.3"):
        require_purpose(iri, what="test")


@pytest.mark.parametrize("iri", ["", f"{DPV}PublicBenefit", f"{PD}Incomes", "Income"])
def test_an_unknown_category_is_refused(iri: str) -> None:
    with pytest.raises(MessageError, match=r"not a term of DPV-PD 2\.3"):
        require_category(iri, what="test")
