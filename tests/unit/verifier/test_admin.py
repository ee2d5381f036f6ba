"""The admin helpers of the sandbox verifier (WIRE section A)."""

from pathlib import Path
from typing import Any

import pytest

from atorga.town.verifier_admin import parse_admin_request
from identity.errors import IdentityError
from identity.openid4vp import dcql
from tests.paper_city import DISTRICT_QUERY, PaperCity
from tests.unit.verifier.desk import Desk
from verifier.asked import StandIn


@pytest.fixture
def desk(city: PaperCity, tmp_path: Path) -> Desk:
    return Desk(city, tmp_path / "verifier")


@pytest.mark.parametrize(
    "authorization", [None, "Bearer", "Bearer x", "Basic dGhlIHRvd24ncyB0b2tlbg==", "the town's token"]
)
def test_only_with_the_towns_token(desk: Desk, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    for answer in (
        desk.http.post("/admin/requests", json={"dcql": DISTRICT_QUERY}, headers=headers),
        desk.http.get("/admin/requests/AAAAAAAAAAAAAAAAAAAAAA", headers=headers),
    ):
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == "Bearer"


def test_defaults() -> None:
    asked = parse_admin_request({"dcql": DISTRICT_QUERY, "trust_anchors": None})
    assert (asked.client_id_prefix, asked.response_mode, asked.request_uri_method) == (
        "x509_hash",
        "direct_post.jwt",
        "get",
    )
    assert asked.query == dcql.parse(DISTRICT_QUERY)
    assert (asked.procedure, asked.stand_in) == ("sandbox-any", None)


def test_anchors_and_prefixes(city: PaperCity) -> None:
    pem = city.certificates.pki.trust_pem().read_text()
    prefixes = ["https://issuer.example/status/", "http://localhost:9/status"]
    asked = parse_admin_request({"dcql": DISTRICT_QUERY, "trust_anchors": [pem], "status_prefixes": prefixes})
    assert asked.stand_in is not None
    assert len(asked.stand_in.anchors) == 3
    assert asked.stand_in.status_prefixes == tuple(prefixes)
    assert parse_admin_request({"dcql": DISTRICT_QUERY, "status_prefixes": []}).stand_in == StandIn((), ())


def test_a_link_and_an_id_come_back(desk: Desk) -> None:
    answer = desk.http.post("/admin/requests", json={"dcql": DISTRICT_QUERY}, headers=desk.admin)
    assert answer.status_code == 200
    assert answer.json().keys() == {"request", "id"}
    assert answer.json()["request"].startswith("openid4vp://?")
    assert len(answer.json()["id"]) == 22


REFUSED: dict[str, tuple[Any, str]] = {
    "no query": ({}, "invalid_request"),
    "query no object": ({"dcql": []}, "invalid_request"),
    "query refused": ({"dcql": {}}, "invalid_request"),
    "an unknown member": ({"dcql": DISTRICT_QUERY, "later": 1}, "invalid_request"),
    "a format not ours": (
        {"dcql": {"credentials": [{"id": "x", "format": "mso_mdoc", "meta": {}}]}},
        "vp_formats_not_supported",
    ),
    "no holder binding": (
        {"dcql": {"credentials": [DISTRICT_QUERY["credentials"][0] | {"require_cryptographic_holder_binding": False}]}},
        "invalid_request",
    ),
    "a prefix unknown": ({"dcql": DISTRICT_QUERY, "client_id_prefix": "later"}, "invalid_request"),
    "a mode unknown": ({"dcql": DISTRICT_QUERY, "response_mode": "fragment"}, "invalid_request"),
    "a method unknown": ({"dcql": DISTRICT_QUERY, "request_uri_method": "PUT"}, "invalid_request_uri_method"),
    "anchors no PEM": ({"dcql": DISTRICT_QUERY, "trust_anchors": ["x"]}, "invalid_request"),
    "anchors no list": ({"dcql": DISTRICT_QUERY, "trust_anchors": "x"}, "invalid_request"),
    "prefix no address": ({"dcql": DISTRICT_QUERY, "status_prefixes": ["x"]}, "invalid_request"),
    "prefix http elsewhere": (
        {"dcql": DISTRICT_QUERY, "status_prefixes": ["http://issuer.example"]},
        "invalid_request",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(desk: Desk, name: str) -> None:
    body, code = REFUSED[name]
    answer = desk.http.post("/admin/requests", json=body, headers=desk.admin)
    assert (answer.status_code, answer.json()["error"]) == (400, code), answer.text


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [(b"{", "application/json", 400), (b"{}", "text/plain", 415), (b" " * 65_537, "application/json", 413)],
)
def test_bad_bodies(desk: Desk, content: bytes, content_type: str, status: int) -> None:
    headers = desk.admin | {"Content-Type": content_type}
    assert desk.http.post("/admin/requests", content=content, headers=headers).status_code == status


def test_an_anchor_must_be_an_authority(city: PaperCity) -> None:
    pem = city.certificates.issuer.certificates.read_text()
    with pytest.raises(IdentityError, match="authority"):
        parse_admin_request({"dcql": DISTRICT_QUERY, "trust_anchors": [pem]})


def test_an_unknown_id(desk: Desk) -> None:
    answer = desk.http.get("/admin/requests/AAAAAAAAAAAAAAAAAAAAAA", headers=desk.admin)
    assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")


def test_a_result_can_be_asked_for_again_until_its_time_is_over(desk: Desk, city: PaperCity) -> None:
    link, request_id = desk.ask()
    desk.present(desk.read(link), [city.residency()])
    assert desk.state(request_id) == desk.state(request_id)
    city.clock.now += 3_600
    assert desk.http.get(f"/admin/requests/{request_id}", headers=desk.admin).status_code == 404


def test_what_the_wallet_holds_does_not_open_the_result(desk: Desk, city: PaperCity) -> None:
    """The handle in the link and the id of the admin are two secrets."""
    link, request_id = desk.ask()
    request = desk.read(link)
    desk.present(request, [city.residency()])
    handle = request.response_uri.rsplit("/", 1)[1]
    assert handle != request_id
    assert desk.http.get(f"/admin/requests/{handle}", headers=desk.admin).status_code == 404
