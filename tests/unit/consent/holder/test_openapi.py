"""The data holder's OpenAPI document is what it serves, and what it answers."""

from typing import Any

import pytest
from jsonschema_rs import Draft202012Validator, meta

from consent.grant.act import Pause
from consent.holder.app import holder_routes
from consent.holder.openapi import openapi
from tests.holder_city import City, Wallet
from tests.unit.consent.holder.test_law import approve, basis_request, declare

DOCUMENT = openapi()


def valid(path: str, method: str, answer: Any) -> None:
    """The answer is one that the document has for this address."""
    operation = DOCUMENT["paths"][path][method.lower()]
    response = operation["responses"][str(answer.status_code)]
    schema = response["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": DOCUMENT["components"]}).validate(answer.json())


def test_it_lists_every_address(city: City) -> None:
    routes = holder_routes(city.services)
    served = {(route.path, method.lower()) for route in routes for method in (route.methods or set()) - {"HEAD"}}
    listed = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert served - {("/openapi.json", "get")} == listed
    assert city.call("GET", "/openapi.json").json() == DOCUMENT


def test_its_schemas_are_schemas() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        meta.validate(schema)
        assert schema["additionalProperties"] is False and schema["required"], name


def test_answers_are_as_it_says(city: City, anna: Wallet) -> None:
    approve(city, declare(city))
    grant_id = city.grant(anna)
    valid("/data", "POST", city.read(grant_id))
    valid("/data", "POST", city.send(basis_request(city)))
    city.consent.lies.down = True
    valid("/data", "POST", city.send(basis_request(city, urgent=True)))
    valid("/data", "POST", city.read(grant_id))
    city.consent.lies.down = False
    valid("/data", "POST", city.send("a.b.c"))
    valid("/data", "POST", city.read("AAAAAAAAAAAAAAAAAAAAAA"))
    valid("/data", "POST", city.call("POST", "/data", content="x"))
    valid("/links", "POST", city.call("POST", "/links", json=city.link_body(Wallet("99999990S"))))
    valid("/links", "POST", city.call("POST", "/links", json={"sealed": "x"}))
    for path in ("/journal", "/notices"):
        valid(path, "GET", city.proven(anna, "GET", path))
        valid(path, "GET", city.call("GET", path))
    for body in ({"grant_id": grant_id, "answer": "follow"}, {"grant_id": grant_id}):
        valid("/changes", "POST", city.proven(anna, "POST", "/changes", body))
    valid("/acts", "POST", city.act(anna, grant_id, 1, Pause()))
    valid("/acts", "POST", city.act(anna, "AAAAAAAAAAAAAAAAAAAAAA", 1, Pause()))
    valid("/withdrawals", "POST", city.withdraw(anna, grant_id, ("household.size",)))
    valid("/withdrawals", "POST", city.withdraw(anna, grant_id))
    valid("/withdrawals", "POST", city.withdraw(anna, "AAAAAAAAAAAAAAAAAAAAAA"))


@pytest.mark.parametrize("schema", sorted(DOCUMENT["components"]["schemas"]))
def test_a_member_too_many_is_not_as_it_says(schema: str) -> None:
    found = DOCUMENT["components"]["schemas"][schema]
    assert not Draft202012Validator(found).is_valid({"something": "else"})
