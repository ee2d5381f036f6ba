"""A procedure that says something else needs a new consent; one that is not in the catalogue asks for nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from consent.errors import MessageError
from consent.grant.detail import Term
from consent.procedure.declaration import Declaration
from consent.procedure.procedures import Procedures
from tests.consent_city import HOLDER, OTHER_HOLDER, OTHER_PURPOSE, ConsentCity, Wallet


@pytest.mark.parametrize(
    "changes",
    [
        {"notice": {"en": "For the rent subsidy, and other help."}},
        {"purpose": OTHER_PURPOSE},
        {"procedure": "other-subsidy"},
        {"legal_basis": "public-task"},
        {"retention_seconds": 91 * 86_400},
        {"holders": (HOLDER, OTHER_HOLDER)},
        {"datatypes": ("income.band", "household.size", "tax.debt")},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_another_text_ends_what_the_older_one_allowed(wallet: Wallet, changes: dict[str, Any]) -> None:
    city, held = wallet.city, wallet.give()
    before = city.use_request(held.id)
    assert city.use(before).status_code == 200
    (declared,) = city.declare(city.purpose_declaration(version=2, **changes))
    assert declared.status_code == 201, declared.text
    request = city.use_request(held.id)
    assert city.reasons(city.use(request), request) == ["other_purpose"]
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "given", "the resident's to end"
    # Nobody asks under the older text any more.
    answer = city.post_jws("/requests", city.request())
    assert (answer.status_code, "changed since" in answer.text) == (400, True)


def test_a_request_that_was_waiting_is_not_given_under_the_older_text(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    city.declare(city.purpose_declaration(version=2, notice={"en": "For the rent subsidy, and more."}))
    assert wallet.answer(asked)[0].status_code == 400


def test_the_new_text_can_be_agreed_to(wallet: Wallet) -> None:
    city = wallet.city
    old = wallet.give()
    city.declare(city.purpose_declaration(version=2, notice={"en": "For the rent subsidy, and more."}))
    new = wallet.give(city.ask(city.detail(identifier="rent-subsidy@2")))
    for held, expected in ((old, 403), (new, 200)):
        assert city.use(city.use_request(held.id)).status_code == expected


@pytest.mark.parametrize("changes", [{"retention_seconds": 60 * 86_400}, {"sensitive": False}, {}])
def test_needing_less_goes_on(wallet: Wallet, changes: dict[str, Any]) -> None:
    city, held = wallet.city, wallet.give()
    city.declare(city.purpose_declaration(version=2, **changes))
    assert city.use(city.use_request(held.id)).status_code == 200


# The catalogue of procedures


@pytest.fixture
def strict(tmp_path: Path) -> Any:
    """A service that holds declarations against the catalogue that ships."""
    city = ConsentCity(tmp_path, check_procedure=Procedures.shipped().check)
    yield city
    city.close()


def declarations(city: ConsentCity) -> tuple[Declaration, Declaration]:
    return city.data_declaration(), city.purpose_declaration()


def test_a_procedure_of_the_catalogue_is_taken(strict: ConsentCity) -> None:
    assert [answer.status_code for answer in strict.declare(*declarations(strict))] == [201, 201]
    wallet = Wallet(strict).enrolled()
    assert strict.use(strict.use_request(wallet.give().id)).status_code == 200


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"procedure": "shoe-census"}, "not in the catalogue"),
        ({"purpose": OTHER_PURPOSE}, "another purpose"),
        ({"datatypes": ("income.band", "shoe.size")}, "does not need"),
        ({"retention_seconds": 91 * 86_400}, "kept longer"),
    ],
)
def test_what_goes_beyond_the_catalogue_is_no_declaration(
    strict: ConsentCity, changes: dict[str, Any], says: str
) -> None:
    (answer,) = strict.declare(strict.purpose_declaration(**changes))
    assert (answer.status_code, says in answer.text) == (400, True), answer.text


def test_data_of_another_category_are_no_declaration(strict: ConsentCity) -> None:
    data = strict.data_declaration()
    (answer,) = strict.declare(replace(data, attributes={"household.size": data.attributes["income.band"]}))
    assert (answer.status_code, "another category" in answer.text) == (400, True)


def test_a_procedure_that_left_the_catalogue_asks_for_nothing(tmp_path: Path) -> None:
    """Registered under an older catalogue: refused when it asks, and when it uses."""
    gone: list[str] = []

    def check(declaration: Declaration) -> None:
        if gone:
            raise MessageError("purpose declaration: the procedure is not in the catalogue")

    city = ConsentCity(tmp_path, check_procedure=check)
    try:
        city.declare_all()
        held = Wallet(city).enrolled().give()
        gone.append("rent-subsidy")
        city.office.catalogue._snapshot = type(city.office.catalogue._snapshot)()
        city.office.catalogue.refresh()
        request = city.use_request(held.id)
        assert city.reasons(city.use(request), request) == ["other_purpose"]
        assert city.post_jws("/requests", city.request()).status_code == 400
    finally:
        city.close()


def test_more_than_the_procedure_needs_is_refused_though_the_data_holder_has_it(wallet: Wallet) -> None:
    city = wallet.city
    data = city.data_declaration(version=2)
    more = {**data.attributes, "tax.debt": data.attributes["household.size"]}
    city.declare(replace(data, attributes=more))
    detail = city.detail(
        datatypes=("income.band", "household.size", "tax.debt"),
        terms={**city.detail().terms, "tax.debt": Term("raw", True)},
    )
    answer = city.post_jws("/requests", city.request(detail))
    assert (answer.status_code, "does not need" in answer.text) == (400, True)
