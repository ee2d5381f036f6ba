"""The sandbox issuer's admin helpers (WIRE section A)."""

import json
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from starlette.testclient import TestClient

from atorga.town.issuer_admin import issuer_admin_routes
from identity.issuer.app import make_app
from identity.openid4vci.spec import PRE_AUTHORIZED
from tests.issuer_city import BASE, ISSUER, City

TOKEN = "the-token-of-the-town"
PERSON, RESIDENCY = "person-id-sd-jwt", "residency-sd-jwt"


@pytest.fixture
def admin(city: City) -> TestClient:
    app = make_app({"bcn": city.hall})
    app.router.routes.extend(
        issuer_admin_routes(city.hall, token_sha256=sha256(TOKEN.encode()).hexdigest(), default_subject="2")
    )
    return TestClient(app, base_url=BASE, headers={"Authorization": f"Bearer {TOKEN}"})


def offers(admin: TestClient, **body: Any) -> Any:
    return admin.post(f"{ISSUER}/admin/offers", json=body)


def offer_of(answer: Any) -> Any:
    assert answer.status_code == 200, answer.text
    query = parse_qs(urlsplit(answer.json()["credential_offer"]).query)
    return json.loads(query["credential_offer"][0])


def test_offer_by_value_for_the_demo_resident(admin: TestClient, city: City) -> None:
    answer = offers(admin, configurations=[PERSON], grant="pre-authorized_code", tx_code=False, by="value")
    assert answer.json().keys() == {"credential_offer"}
    offer = offer_of(answer)
    assert offer["credential_issuer"] == ISSUER and offer["credential_configuration_ids"] == [PERSON]
    assert offer["grants"].keys() == {PRE_AUTHORIZED} and "tx_code" not in offer["grants"][PRE_AUTHORIZED]
    token = city.redeem(offer["grants"][PRE_AUTHORIZED]["pre-authorized_code"]).json()["access_token"]
    from identity.formats.sd_jwt_vc.parse import peek

    assert peek(city.batch(token, PERSON).json()["credentials"][0]["credential"]).claims["given_name"] == "Iker"


def test_offer_with_transaction_code_by_reference_for_another(admin: TestClient) -> None:
    answer = offers(
        admin, configurations=[RESIDENCY], grant="pre-authorized_code", tx_code=True, by="reference", subject=1
    )
    body = answer.json()
    assert body.keys() == {"credential_offer", "tx_code"} and len(body["tx_code"]) == 6
    (where,) = parse_qs(urlsplit(body["credential_offer"]).query)["credential_offer_uri"]
    grant = admin.get(where).json()["grants"][PRE_AUTHORIZED]
    assert grant["tx_code"]["length"] == 6 and grant["tx_code"]["input_mode"] == "numeric"


def test_offer_of_a_login(admin: TestClient) -> None:
    answer = offers(admin, configurations=[PERSON], grant="authorization_code", tx_code=False, by="value")
    assert answer.json().keys() == {"credential_offer"}
    assert offer_of(answer)["grants"]["authorization_code"].keys() == {"issuer_state"}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"configurations": []},
        {"configurations": ["unknown"]},
        {"configurations": [PERSON, PERSON]},
        {"configurations": PERSON},
        {"configurations": [PERSON], "grant": "password"},
        {"configurations": [PERSON], "by": "pigeon"},
        {"configurations": [PERSON], "tx_code": "yes"},
        {"configurations": [PERSON], "subject": "1"},
        {"configurations": [PERSON], "subject": 77},
        {"configurations": [PERSON], "grant": "authorization_code", "tx_code": True},
        {"configurations": [PERSON], "unknown": 1},
    ],
)
def test_offers_that_are_refused(admin: TestClient, body: Any) -> None:
    answer = admin.post(f"{ISSUER}/admin/offers", json=body)
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_request"


def test_revocations(admin: TestClient, city: City) -> None:
    copies = city.issued(RESIDENCY, 3)
    assert copies[0].status is not None
    uri, index = copies[0].status
    done = admin.post(f"{ISSUER}/admin/revocations", json={"status": {"uri": uri, "idx": index}})
    assert done.status_code == 200 and done.json().keys() == {"credential_id", "copies"}
    assert done.json()["copies"] == 3
    again = admin.post(f"{ISSUER}/admin/revocations", json={"credential_id": done.json()["credential_id"]})
    assert again.json() == done.json()


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"credential_id": "!"}, 400),
        ({"credential_id": 7}, 400),
        ({"status": {"uri": f"{ISSUER}/status/1"}}, 400),
        ({"status": {"uri": f"{ISSUER}/status/1", "idx": -1}}, 400),
        ({"status": {"uri": f"{ISSUER}/status/1", "idx": 0}, "credential_id": "AAAAAAAAAAAAAAAAAAAAAA"}, 400),
        ({"credential_id": "AAAAAAAAAAAAAAAAAAAAAA"}, 404),
        ({"status": {"uri": f"{ISSUER}/status/1", "idx": 5}}, 404),
        ({"status": {"uri": "https://other.example/1", "idx": 5}}, 404),
    ],
)
def test_revocations_that_are_refused(admin: TestClient, body: Any, status: int) -> None:
    answer = admin.post(f"{ISSUER}/admin/revocations", json=body)
    assert answer.status_code == status and answer.json().keys() == {"error", "error_description"}


def test_bodies_and_token(admin: TestClient) -> None:
    for path in ("offers", "revocations"):
        url = f"{ISSUER}/admin/{path}"
        assert admin.post(url, content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
        assert admin.post(url, content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
        assert admin.post(url, json={"a": "x" * 8_192}).status_code == 413
        for header in ("Bearer wrong", f"Basic {TOKEN}", TOKEN):
            assert admin.post(url, json={}, headers={"Authorization": header}).status_code == 401
        del admin.headers["Authorization"]
        assert admin.post(url, json={}).status_code == 401
        admin.headers["Authorization"] = f"Bearer {TOKEN}"
        assert admin.get(url).status_code == 405
