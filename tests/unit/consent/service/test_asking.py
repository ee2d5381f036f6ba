"""Declarations come first, signed and linted; a request asks for nothing beyond them."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from consent.grant.detail import Term
from consent.procedure.declaration import DeclaredAttribute, sign_declaration
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import (
    CATEGORY,
    DAY,
    HOLDER,
    NOW,
    OTHER_HOLDER,
    OTHER_PURPOSE,
    OTHER_SERVICE,
    PURPOSE,
    SERVICE,
    URL,
    Clock,
    ConsentCity,
    Wallet,
)


def fresh_id() -> str:
    return base64url.encode(secrets.token_bytes(16))


# Declarations


def test_declarations_are_numbered_listed_and_logged(city: ConsentCity) -> None:
    data, purpose = city.data_declaration(), city.purpose_declaration()
    first, second = city.declare(data, purpose)
    assert (first.status_code, first.json()) == (201, {"id": "income", "version": 1, "number": 1})
    assert (second.status_code, second.json()) == (201, {"id": "rent-subsidy", "version": 1, "number": 2})
    listed = city.get("/declarations").json()["declarations"]
    assert len(listed) == 2
    assert city.get("/services").json() == {
        "services": [{"id": HOLDER, "number": 1}, {"id": SERVICE, "number": 2}],
        "purposes": [{"iri": PURPOSE, "number": 1}],
        "groups": [],
    }
    assert city.post_jws("/declarations", listed[1]).json()["number"] == 2, "the same again changes nothing"
    assert city.get("/declarations").json()["declarations"] == listed
    assert city.office.sequencer.wait_for_size(1, seconds=5)


def test_versions_rise_and_an_id_has_one_owner(declared: ConsentCity) -> None:
    city = declared
    for declaration, error in (
        (city.purpose_declaration(retention_seconds=1), "taken"),
        (city.purpose_declaration(iss=OTHER_SERVICE, version=2), "version"),
    ):
        (answer,) = city.declare(declaration)
        assert (answer.status_code, answer.json()["error"]) == (409, error)
    assert city.declare(city.purpose_declaration(version=3))[0].status_code == 201
    assert city.declare(city.purpose_declaration(version=2))[0].json()["error"] == "version"


@pytest.mark.parametrize(
    "changes",
    [
        {"purpose": "https://w3id.org/dpv#Purpose"},
        {"purpose": "https://w3id.org/dpv#hasPurpose"},
        {"purpose": "https://city.example/whatever-we-like"},
        {"holders": ("urn:atorga:party:nobody",)},
        {"holders": (SERVICE,)},
        {"legal_basis": "because"},
        {"notice": {}},
        {"notice": {"en": "   "}},
        {"datatypes": ()},
        {"version": 0},
        {"id": "a@1"},
    ],
)
def test_purpose_declarations_that_are_refused(city: ConsentCity, changes: dict[str, Any]) -> None:
    (answer,) = city.declare(city.purpose_declaration(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert city.get("/declarations").json() == {"declarations": []}


@pytest.mark.parametrize(
    "attribute",
    [
        DeclaredAttribute("https://city.example/shoe-size", ("raw",), (PURPOSE,)),
        DeclaredAttribute(CATEGORY, ("raw",), ("https://w3id.org/dpv#Nothing",)),
        DeclaredAttribute(CATEGORY, ("exact",), (PURPOSE,)),
        DeclaredAttribute(CATEGORY, ("raw", "raw"), (PURPOSE,)),
        DeclaredAttribute(CATEGORY, (), (PURPOSE,)),
    ],
)
def test_data_declarations_that_are_refused(city: ConsentCity, attribute: DeclaredAttribute) -> None:
    (answer,) = city.declare(city.data_declaration(attributes={"income.band": attribute}))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_declarations_of_others(city: ConsentCity) -> None:
    """Signed by a stranger, by another party, or by one in another role."""
    for declaration, signer in (
        (city.purpose_declaration(), SoftwareSigner.generate()),
        (city.purpose_declaration(), city.signer(OTHER_SERVICE)),
        (city.purpose_declaration(iss=HOLDER), city.signer(HOLDER)),
        (city.data_declaration(iss=SERVICE), city.signer(SERVICE)),
        (city.purpose_declaration(iss="urn:atorga:party:nobody"), city.signer(SERVICE)),
    ):
        answer = city.post_jws("/declarations", sign_declaration(declaration, signer))
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# Requests


def test_a_request_and_its_address(declared: ConsentCity) -> None:
    city = declared
    request_id = fresh_id()
    compact = city.request(id=request_id)
    answer = city.post_jws("/requests", compact)
    uri = f"{URL}/requests/{request_id}/jwt"
    assert (answer.status_code, answer.json()) == (
        201,
        {
            "request_id": request_id,
            "request_uri": uri,
            "link": f"atorga-consent://?request_uri=http%3A%2F%2Flocalhost%3A8101%2Frequests%2F{request_id}%2Fjwt",
            "expires_in": 600,
        },
    )
    fetched = city.get(f"/requests/{request_id}/jwt")
    assert (fetched.status_code, fetched.text) == (200, compact)
    assert fetched.headers["content-type"] == "application/jwt"
    again = city.post_jws("/requests", compact)
    assert (again.status_code, again.json()["error"]) == (409, "taken")


def test_a_request_after_its_end(declared: ConsentCity) -> None:
    city = declared
    request = city.ask()
    path = f"/requests/{request.request.id}"
    assert city.proven(city.signer(SERVICE), "GET", path).json() == {"state": "pending"}
    assert isinstance(city.clock, Clock)
    city.clock.now += 600
    gone = city.get(f"{path}/jwt")
    assert (gone.status_code, gone.json()["error"]) == (404, "unknown_request")
    assert city.proven(city.signer(SERVICE), "GET", path).json() == {"state": "expired"}


def test_only_the_asking_service_learns_what_became_of_it(declared: ConsentCity) -> None:
    city = declared
    city.declare(city.purpose_declaration(iss=OTHER_SERVICE, id="cards"))
    request = city.ask()
    for party in (OTHER_SERVICE, HOLDER):
        for request_id in (request.request.id, fresh_id()):
            answer = city.proven(city.signer(party), "GET", f"/requests/{request_id}")
            assert (answer.status_code, answer.json()) == (404, {"error": "unknown_request"})


@pytest.mark.parametrize(
    "changes",
    [
        {"consent": "urn:atorga:party:other"},
        {"issued": NOW + 61, "expires": NOW + 600},
        {"issued": NOW - 600, "expires": NOW},
        {"expires": NOW + 601},
        {"expires": NOW},
        {"mailbox": "AAAAAAAAAAAAAAAAAAAAAA", "expires": NOW + 30 * DAY + 1},
        {"mailbox": "no id"},
        {"id": "no id"},
        {"service": OTHER_SERVICE},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_requests_that_are_refused(declared: ConsentCity, changes: dict[str, Any]) -> None:
    answer = declared.post_jws("/requests", declared.request(**changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [
        {"datatypes": ("income.band", "x"), "terms": {"income.band": Term("raw", False), "x": Term("raw", True)}},
        {"purpose": OTHER_PURPOSE},
        {"procedure": "parking"},
        {"identifier": "rent-subsidy@2"},
        {"identifier": "rent-subsidy"},
        {"identifier": "income@1"},
        {"holder": OTHER_HOLDER},
        {"data_life_seconds": 90 * DAY + 1},
        {"terms": {"income.band": Term("binned:eur-9", False), "household.size": Term("raw", True)}},
        {"terms": {"income.band": Term("binned:eur-6", False)}},
        {"not_before": NOW - 100, "not_after": NOW - 50},
    ],
    ids=lambda changes: "-".join(changes),
)  # fmt: skip
def test_more_than_the_procedure_needs(declared: ConsentCity, changes: dict[str, Any]) -> None:
    answer = declared.post_jws("/requests", declared.request(declared.detail(**changes)))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_procedure_that_does_not_rest_on_consent_asks_for_none(declared: ConsentCity) -> None:
    declared.declare(declared.purpose_declaration(version=2, legal_basis="public-task"))
    answer = declared.post_jws("/requests", declared.request(declared.detail(identifier="rent-subsidy@2")))
    assert answer.status_code == 400


def test_the_newest_version_counts_as_well(declared: ConsentCity) -> None:
    """Who names an old declaration gets no more than today's procedure needs."""
    assert declared.post_jws("/requests", declared.request()).status_code == 201
    declared.declare(declared.purpose_declaration(version=2, datatypes=("income.band",)))
    assert declared.post_jws("/requests", declared.request()).status_code == 400
    one = declared.detail(datatypes=("income.band",), terms={"income.band": Term("raw", False)})
    assert declared.post_jws("/requests", declared.request(one)).status_code == 201


def test_a_data_holder_that_allows_no_such_purpose(city: ConsentCity) -> None:
    city.declare(city.purpose_declaration())
    assert city.post_jws("/requests", city.request()).status_code == 400, "nothing is declared yet"
    attributes = {
        name: replace(attribute, purposes=(OTHER_PURPOSE,))
        for name, attribute in city.data_declaration().attributes.items()
    }
    city.declare(city.data_declaration(attributes=attributes))
    assert city.post_jws("/requests", city.request()).status_code == 400
    city.declare(city.data_declaration(version=2))
    assert city.post_jws("/requests", city.request()).status_code == 201


# Mailboxes


def test_a_request_lies_in_its_mailbox_and_nowhere_else(wallet: Wallet) -> None:
    city = wallet.city
    box = fresh_id()
    opened = wallet.call("POST", "/me/mailboxes", {"mailbox": box})
    assert (opened.status_code, opened.json()) == (201, {"mailbox": box})
    compact = city.request(mailbox=box, expires=NOW + 30 * DAY)
    answer = city.post_jws("/requests", compact).json()
    listed = wallet.call("GET", "/me/requests").json()
    assert listed == {"requests": [{**answer, "request": compact}]}
    other = Wallet(city, "other").enrolled()
    assert other.call("GET", "/me/requests").json() == {"requests": []}
    assert wallet.call("DELETE", "/me/mailboxes", {"mailbox": box}).json() == {"mailbox": box, "state": "closed"}
    assert wallet.call("GET", "/me/requests").json() == {"requests": []}


def test_a_service_does_not_learn_whether_a_mailbox_is_there(wallet: Wallet) -> None:
    city = wallet.city
    box = fresh_id()
    wallet.call("POST", "/me/mailboxes", {"mailbox": box})
    there, not_there = (city.post_jws("/requests", city.request(mailbox=one)) for one in (box, fresh_id()))
    assert there.status_code == not_there.status_code == 201
    assert there.json().keys() == not_there.json().keys()


def test_mailboxes_have_one_owner(wallet: Wallet) -> None:
    box = {"mailbox": fresh_id()}
    other = Wallet(wallet.city, "other").enrolled()
    wallet.call("POST", "/me/mailboxes", box)
    for caller in (wallet, other):
        taken = caller.call("POST", "/me/mailboxes", box)
        assert (taken.status_code, taken.json()["error"]) == (409, "taken")
    not_theirs = other.call("DELETE", "/me/mailboxes", box)
    assert (not_theirs.status_code, not_theirs.json()["error"]) == (404, "unknown_mailbox")
    for body in ({"mailbox": "x"}, {"mailbox": 1}, {**box, "more": 1}):
        assert wallet.call("POST", "/me/mailboxes", body).status_code == 400


def test_what_is_not_logged_is_not_taken(declared: ConsentCity) -> None:
    """With the log stopped, nothing that needs a leaf is accepted; reading goes on."""
    city = declared
    compact = city.request()
    city.office.sequencer.stop()
    for path, body in (("/requests", compact), ("/declarations", compact)):
        answer = city.post_jws(path, body)
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert city.get("/declarations").status_code == 200
