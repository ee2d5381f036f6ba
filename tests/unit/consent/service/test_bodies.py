"""What every address does with bodies that are too large, of another type, or not what they must be."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from consent import spec
from consent.service.exchange import MAX_BODY_BYTES
from tests.consent_city import HOLDER, ConsentCity, Wallet

JSON = [
    ("POST", "/me/account"), ("POST", "/me/mailboxes"), ("DELETE", "/me/mailboxes"), ("POST", "/me/grants"),
    ("POST", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA/withdrawal"), ("POST", "/uses"),
]  # fmt: skip
JWS = [
    ("POST", "/declarations"), ("POST", "/requests"), ("POST", "/withdrawals"),
    ("PATCH", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA"),
]  # fmt: skip

NO_OBJECTS = [
    b"", b"{", b"[]", b"null", b'"x"', b"{}{}", b'{"a":1,"a":1}', b'{"a":NaN}', b"\xff", b'{"a":1e999}',
    b'{"a":"\\ud800"}', b"[" * 5_000, b'{"unknown":1}',
]  # fmt: skip
NO_JWS = [b"x", b"a.b.c", b"e30.e30.e30", b"\xff\xfe", b"..", b"{}"]


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsentCity]:
    """One for all: nothing here may change anything."""
    city = ConsentCity(tmp_path_factory.mktemp("city"))
    city.declare_all()
    yield city
    city.close()


@pytest.fixture(scope="module")
def wallet(city: ConsentCity) -> Wallet:
    return Wallet(city).enrolled()


def proven(wallet: Wallet, method: str, path: str, body: bytes) -> Any:
    city = wallet.city
    signer = city.signer(HOLDER) if path == "/uses" else wallet.key
    proof = city.proof(signer, method, path, body, with_jwk=path == "/me/account")
    return city.send(method, path, body, request_proof=proof, content_type=spec.MEDIA_JSON)


@pytest.mark.parametrize(("method", "path"), JSON + JWS)
def test_oversized(wallet: Wallet, method: str, path: str) -> None:
    media_type = spec.MEDIA_JSON if (method, path) in JSON else spec.MEDIA_JWT
    answer = wallet.city.send(method, path, b"x" * (MAX_BODY_BYTES + 1), content_type=media_type)
    assert (answer.status_code, answer.json()["error"]) == (413, spec.INVALID_REQUEST)


@pytest.mark.parametrize(("method", "path"), JSON + JWS)
@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
def test_another_media_type(wallet: Wallet, method: str, path: str, media_type: str) -> None:
    answer = wallet.city.send(method, path, b"{}", content_type=media_type)
    assert (answer.status_code, answer.json()["error"]) == (415, spec.INVALID_REQUEST)


def test_parameters_of_a_media_type_do_not_matter(wallet: Wallet) -> None:
    answer = wallet.city.send("POST", "/withdrawals", b"x", content_type="Application/JWT; charset=utf-8")
    assert answer.status_code == 400


@pytest.mark.parametrize(("method", "path"), JSON)
def test_no_object(wallet: Wallet, method: str, path: str) -> None:
    # The withdrawal without the grant key may come without a body.
    for body in NO_OBJECTS[1:] if path.endswith("/withdrawal") else NO_OBJECTS:
        answer = proven(wallet, method, path, body)
        assert (answer.status_code, answer.json()["error"]) == (400, spec.INVALID_REQUEST), body


@pytest.mark.parametrize(("method", "path"), JWS)
def test_no_jws(wallet: Wallet, method: str, path: str) -> None:
    for body in NO_JWS:
        answer = wallet.city.send(method, path, body, content_type=spec.MEDIA_JWT)
        assert (answer.status_code, answer.json()["error"]) == (400, spec.INVALID_REQUEST), body


@pytest.mark.parametrize(
    "path",
    [
        "/me/timeline?after=x", "/me/timeline?after=-1", "/me/timeline?before=1", "/me/timeline?after=1&after=2",
        "/me/timeline?after=", "/me/timeline?after=٣", "/me/timeline?after=99999999999999999999",
    ],
)  # fmt: skip
def test_queries(wallet: Wallet, path: str) -> None:
    answer = wallet.call("GET", path)
    assert (answer.status_code, answer.json()["error"]) == (400, spec.INVALID_REQUEST)


@pytest.mark.parametrize("query", ["", "?jkt=x", "?jkt=AAAA", "?jkt=a&jkt=b", "?other=1", f"?jkt={'A' * 2_000}"])
def test_enrolment_queries(city: ConsentCity, query: str) -> None:
    answer = city.get(f"/me/account/request{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, spec.INVALID_REQUEST)


@pytest.mark.parametrize("grant_id", ["x", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAA", "A" * 500, "%00"])
def test_ids_that_name_nothing(wallet: Wallet, grant_id: str) -> None:
    for path in (f"/me/grants/{grant_id}", f"/me/receipts/{grant_id}"):
        proof = wallet.city.proof(wallet.key, "GET", path.replace("%00", "\x00"))
        assert wallet.city.send("GET", path, request_proof=proof).status_code in (401, 404)
    assert wallet.city.get(f"/requests/{grant_id}/jwt").status_code == 404


def test_addresses_that_are_not_here(city: ConsentCity) -> None:
    for method, path, status in (
        ("GET", "/", 404), ("GET", "/admin", 404), ("GET", "/me", 404), ("GET", "/docs", 404),
        ("PUT", "/me/grants", 405), ("GET", "/uses", 405), ("DELETE", "/withdrawals", 405),
    ):  # fmt: skip
        answer = city.send(method, path)
        assert answer.status_code == status
        assert answer.json()["error"] == ("not_found" if status == 404 else "method_not_allowed")


def test_the_openapi_document_names_what_is_served(city: ConsentCity) -> None:
    document = city.get("/openapi.json").json()
    served = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert {(method, re.sub("A{22}", "{grant_id}", path)) for method, path in JSON + JWS} <= served
    assert not [path for path in document["paths"] if "admin" in path]
