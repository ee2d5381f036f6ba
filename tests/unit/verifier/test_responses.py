"""The verifier's HTTP: what a wallet's answer ends in, and that every fault ends in a refusal."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import link
from identity.openid4vp.client_metadata import EncryptionKey
from identity.openid4vp.request import VerifiedAuthorizationRequest
from identity.openid4vp.respond import format_error, format_response
from tests.paper_city import DISTRICT_QUERY, NOW, PaperCity
from tests.unit.verifier.desk import FORM, Desk
from verifier.acceptance import Flow
from verifier.errors import RequestClosed

MODES = ["direct_post", "direct_post.jwt"]
VERIFIED = {"state": "verified", "claims": {"residency": [{"district": "Gràcia-2c81"}]}}


@pytest.fixture
def desk(city: PaperCity, tmp_path: Path) -> Desk:
    return Desk(city, tmp_path / "verifier")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("prefix", ["x509_hash", "x509_san_dns", "redirect_uri", "decentralized_identifier"])
def test_every_client_and_mode_ends_in_verified(desk: Desk, city: PaperCity, prefix: str, mode: str) -> None:
    wallet_link, request_id = desk.ask(client_id_prefix=prefix, response_mode=mode)
    assert desk.state(request_id) == {"state": "pending"}
    request = desk.read(wallet_link, dids=True)
    assert request.client_id.startswith(f"{prefix}:")
    answer = desk.present(request, [city.residency()])
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json() == {}
    assert desk.state(request_id) == VERIFIED


def test_request_uri_by_post_carries_the_wallets_nonce(desk: Desk, city: PaperCity) -> None:
    wallet_link, request_id = desk.ask(request_uri_method="post")
    assert link.parse(wallet_link).request_uri_method == "post"
    desk.present(desk.read_by_post(wallet_link), [city.residency()])
    assert desk.state(request_id) == VERIFIED


def test_a_wallet_without_post_still_gets_it(desk: Desk, city: PaperCity) -> None:
    wallet_link, _ = desk.ask(request_uri_method="post")
    assert desk.read(wallet_link).nonce


def test_every_request_is_fresh(desk: Desk) -> None:
    one, two = (desk.read(desk.ask()[0]) for _ in range(2))
    assert one.nonce != two.nonce
    assert one.state != two.state
    assert one.response_uri != two.response_uri
    assert one.encryption is not None
    assert two.encryption is not None
    assert one.encryption.jwk != two.encryption.jwk
    assert len(base64url.decode(one.nonce)) >= 16


def test_the_same_request_may_be_fetched_twice(desk: Desk) -> None:
    """OIDF suite, VP1FinalVerifierRequestUriFetchedTwice: same transaction, not another one."""
    wallet_link, _ = desk.ask()
    one, two = desk.read(wallet_link), desk.read(wallet_link)
    assert (one.nonce, one.state, one.encryption) == (two.nonce, two.state, two.encryption)


Change = Callable[[Desk, VerifiedAuthorizationRequest], bytes]


def sent(**change: Any) -> Change:
    """A presentation that is wrong in one thing."""

    def make(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
        return format_response(request, desk.city.vp_token(request, [desk.city.residency()], **change))

    return make


def issued(**change: Any) -> Change:
    def make(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
        return format_response(request, desk.city.vp_token(request, [desk.city.residency(**change)]))

    return make


def edited(edit: Callable[[str], str]) -> Change:
    def make(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
        token = desk.city.vp_token(request, [desk.city.residency()])
        return format_response(request, {name: [edit(one) for one in several] for name, several in token.items()})

    return make


def tampered(text: str) -> str:
    head, disclosure, binding = text.split("~")
    changed = base64url.decode(disclosure).replace(b"Gr", b"Xr")
    return "~".join([head, base64url.encode(changed), binding])


def doubled(text: str) -> str:
    head, disclosure, binding = text.split("~")
    return "~".join([head, disclosure, disclosure, binding])


def unbound(text: str) -> str:
    return "~".join([*text.split("~")[:-1], ""])


def by_another_holder(text: str) -> str:
    *rest, binding = text.split("~")
    return "~".join([*rest, jws.sign(jws.parse(binding).claims(), SoftwareSigner.generate(), typ="kb+jwt")])


def from_unlisted_issuer(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
    other = desk.city.certificates.unlisted
    return issued(signing=other, issuer="https://issuer.example/other")(desk, request)


def to_another_key(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
    assert request.encryption is not None
    other = EncryptionKey(SoftwareSigner.generate().public_key.jwk(), request.encryption.kid, "A128GCM")
    return sent()(desk, replace(request, encryption=other))


def in_clear(desk: Desk, request: VerifiedAuthorizationRequest) -> bytes:
    return sent()(desk, replace(request, encryption=None))


def raw(body: bytes) -> Change:
    return lambda _, request: body.replace(b"STATE", str(request.state).encode())


REFUSED: dict[str, tuple[Change, str]] = {
    "tampered disclosure": (edited(tampered), "invalid_presentation"),
    "a disclosure twice": (edited(doubled), "invalid_presentation"),
    "no key binding": (edited(unbound), "invalid_presentation"),
    "another holder": (edited(by_another_holder), "invalid_presentation"),
    "no SD-JWT": (edited(lambda _: "x"), "invalid_presentation"),
    "wrong aud": (sent(audience="x509_hash:other"), "invalid_presentation"),
    "wrong nonce": (sent(nonce="other"), "invalid_presentation"),
    "iat before the request": (sent(now=NOW - 120), "invalid_presentation"),
    "iat in the future": (sent(now=NOW + 120), "invalid_presentation"),
    "another claim": (sent(disclose=[("municipality",)]), "invalid_presentation"),
    "expired": (issued(exp=NOW - 120), "invalid_presentation"),
    "unlisted issuer under the right CA": (from_unlisted_issuer, "untrusted_issuer"),
    "unlisted certificate, listed iss": (
        lambda desk, request: issued(signing=desk.city.certificates.unlisted)(desk, request),
        "untrusted_issuer",
    ),
    "revoked": (issued(index=13), "credential_revoked"),
    "JWE under another key": (to_another_key, "invalid_request"),
    "in clear": (in_clear, "invalid_request"),
    "empty": (raw(b""), "invalid_request"),
    "not percent-encoded": (raw(b"response=%zz"), "invalid_request"),
    "a field twice": (raw(b"response=a&response=b"), "invalid_request"),
    "no JWE": (raw(b"response=a&state=STATE"), "invalid_request"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused_for_good(desk: Desk, city: PaperCity, name: str) -> None:
    change, code = REFUSED[name]
    city.revocations.revoked.add(13)
    wallet_link, request_id = desk.ask()
    request = desk.read(wallet_link)
    answer = desk.send(request, change(desk, request))
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"] == code
    state = desk.state(request_id)
    assert state == {"state": "refused", "error": code, "error_description": answer.json()["error_description"]}
    assert "Gràcia" not in answer.text
    # What was refused stays refused, whatever comes after it.
    again = desk.present(request, [city.residency()])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id) == state


@pytest.mark.parametrize("name", ["wrong nonce", "tampered disclosure", "wrong aud", "revoked"])
def test_refused_in_clear_as_well(desk: Desk, city: PaperCity, name: str) -> None:
    change, code = REFUSED[name]
    city.revocations.revoked.add(13)
    wallet_link, request_id = desk.ask(response_mode="direct_post")
    request = desk.read(wallet_link)
    assert desk.send(request, change(desk, request)).status_code == 400
    assert desk.state(request_id)["error"] == code


IN_CLEAR: dict[str, bytes] = {
    "vp_token no JSON": b"vp_token=x&state=STATE",
    "vp_token empty": b"vp_token=%7B%7D&state=STATE",
    "an id not asked": b"vp_token=%7B%22other%22%3A%5B%22a%22%5D%7D&state=STATE",
    "no list": b"vp_token=%7B%22residency%22%3A%22a%22%7D&state=STATE",
    "nothing": b"state=STATE",
    "vp_token twice": b"vp_token=%7B%7D&vp_token=%7B%7D&state=STATE",
}


@pytest.mark.parametrize("name", IN_CLEAR)
def test_a_token_of_another_form(desk: Desk, name: str) -> None:
    wallet_link, request_id = desk.ask(response_mode="direct_post")
    request = desk.read(wallet_link)
    answer = desk.send(request, raw(IN_CLEAR[name])(desk, request))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id)["state"] == "refused"


@pytest.mark.parametrize("mode", MODES)
def test_a_replayed_answer(desk: Desk, city: PaperCity, mode: str) -> None:
    wallet_link, request_id = desk.ask(response_mode=mode)
    request = desk.read(wallet_link)
    body = format_response(request, city.vp_token(request, [city.residency()]))
    assert desk.send(request, body).status_code == 200
    again = desk.send(request, body)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id) == VERIFIED


def test_an_answer_replayed_to_another_request(desk: Desk, city: PaperCity) -> None:
    """DECODE's D4: one proof replayed at each login."""
    first_link, _ = desk.ask(response_mode="direct_post")
    first = desk.read(first_link)
    token = city.vp_token(first, [city.residency()])
    assert desk.send(first, format_response(first, token)).status_code == 200
    second_link, second_id = desk.ask(response_mode="direct_post")
    second = desk.read(second_link)
    answer = desk.send(second, format_response(second, token))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_presentation")
    assert desk.state(second_id)["state"] == "refused"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("state", ["other", None])
def test_another_state_is_no_answer_to_this_request(desk: Desk, city: PaperCity, mode: str, state: str | None) -> None:
    wallet_link, request_id = desk.ask(response_mode=mode)
    request = desk.read(wallet_link)
    answer = desk.present(replace(request, state=state), [city.residency()])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id) == {"state": "pending"}
    assert desk.present(request, [city.residency()]).status_code == 200


def test_the_wallet_refuses(desk: Desk) -> None:
    wallet_link, request_id = desk.ask()
    request = desk.read(wallet_link)
    answer = desk.send(request, format_error("access_denied", "not today", request.state))
    assert (answer.status_code, answer.json()) == (200, {})
    assert desk.state(request_id) == {
        "state": "refused",
        "error": "access_denied",
        "error_description": "not today",
    }
    assert desk.send(request, format_error("access_denied", "not today", request.state)).status_code == 400


def test_an_unknown_request(desk: Desk, city: PaperCity) -> None:
    request = desk.read(desk.ask()[0])
    unknown = replace(request, response_uri=request.response_uri[:-4] + "AAAA")
    answer = desk.present(unknown, [city.residency()])
    assert (answer.status_code, answer.json()["error"]) == (404, "invalid_request")
    assert desk.http.get("/requests/unknown/jwt").status_code == 404


@pytest.mark.parametrize("mode", MODES)
def test_too_late(desk: Desk, city: PaperCity, mode: str) -> None:
    wallet_link, request_id = desk.ask(response_mode=mode)
    request = desk.read(wallet_link)
    city.clock.now += 600
    answer = desk.present(request, [city.residency()])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id)["error"] == "request_expired"
    assert desk.http.get(urlsplit(str(link.parse(wallet_link).request_uri)).path).status_code == 404


def test_after_its_end_a_request_is_not_handed_out(desk: Desk, city: PaperCity) -> None:
    wallet_link, _ = desk.ask()
    desk.present(desk.read(wallet_link), [city.residency()])
    assert desk.http.get(urlsplit(str(link.parse(wallet_link).request_uri)).path).status_code == 404


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        ({"Content-Type": "text/plain"}, b"response=a", 415),
        ({}, b"response=a", 415),
        (FORM, b"response=" + b"a" * 262_144, 413),
    ],
    ids=["json", "text", "none", "too large"],
)
def test_what_is_no_response_at_all_leaves_the_request_open(
    desk: Desk, city: PaperCity, headers: dict[str, str], body: bytes, status: int
) -> None:
    wallet_link, request_id = desk.ask()
    request = desk.read(wallet_link)
    answer = desk.http.post(urlsplit(request.response_uri).path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")
    assert desk.state(request_id) == {"state": "pending"}
    assert desk.present(request, [city.residency()]).status_code == 200


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Content-Type": "application/json"}, b"{}", 415),
        (FORM, b"wallet_nonce=" + b"a" * 16_384, 413),
        (FORM, b"wallet_nonce=a&wallet_nonce=b", 400),
        (FORM, b"wallet_metadata=x", 400),
    ],
)
def test_bad_bodies_at_the_request_uri(desk: Desk, headers: dict[str, str], body: bytes, status: int) -> None:
    path = urlsplit(str(link.parse(desk.ask()[0]).request_uri)).path
    answer = desk.http.post(path, content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, "invalid_request")


def test_a_body_that_claims_to_be_small(desk: Desk) -> None:
    """The limit counts what comes, not what a header says."""
    request = desk.read(desk.ask()[0])

    def chunks() -> Any:
        for _ in range(300):
            yield b"a" * 1_024

    answer = desk.http.post(urlsplit(request.response_uri).path, content=chunks(), headers=FORM)
    assert answer.status_code == 413


def test_more_disclosed_than_asked_is_not_handed_on(desk: Desk, city: PaperCity) -> None:
    wallet_link, request_id = desk.ask()
    everything = [("district",), ("municipality",), ("neighbourhood",), ("resident_since",)]
    assert desk.present(desk.read(wallet_link), [city.residency()], disclose=everything).status_code == 200
    assert desk.state(request_id) == VERIFIED


def test_two_credentials_by_sets(desk: Desk, city: PaperCity) -> None:
    query = {
        "credentials": [
            DISTRICT_QUERY["credentials"][0],
            {"id": "id", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:atorga:pairwise:1"]}},
        ],
        "credential_sets": [{"options": [["id"], ["residency"]]}],
    }
    wallet_link, request_id = desk.ask(dcql=query)
    request = desk.read(wallet_link)
    desk.send(request, format_response(request, city.vp_token(request, [city.residency(), city.pairwise()])))
    assert desk.state(request_id) == {"state": "verified", "claims": {"id": [{}]}}


def test_a_fault_while_checking_accepts_nothing(desk: Desk, city: PaperCity) -> None:
    """DECODE's D2, at the door: the state of a request is refused or pending, whatever breaks."""
    wallet_link, request_id = desk.ask()
    request = desk.read(wallet_link)

    city.revocations.fault = RuntimeError("the disk is gone")
    with pytest.raises(RuntimeError):
        desk.present(request, [city.residency()])
    assert desk.state(request_id) == {"state": "pending"}


@pytest.mark.parametrize("index", [3, 13], ids=["good", "revoked"])
def test_of_two_answers_at_once_one_counts(desk: Desk, city: PaperCity, index: int) -> None:
    """The first to be done ends the request; the other is told so, whatever it would have ended in."""
    city.revocations.revoked.add(13)
    wallet_link, request_id = desk.ask()
    request = desk.read(wallet_link)
    inner: list[Any] = []
    city.revocations.meanwhile = lambda: inner.append(desk.present(request, [city.residency(index=4)]))
    outer = desk.present(request, [city.residency(index=index)])
    assert inner[0].status_code == 200
    assert (outer.status_code, outer.json()["error"]) == (400, "invalid_request")
    assert desk.state(request_id) == VERIFIED


def test_an_unsigned_request_stands_in_its_link_only(desk: Desk) -> None:
    request = desk.read(desk.ask(client_id_prefix="redirect_uri")[0])
    handle = request.response_uri.rsplit("/", 1)[1]
    assert desk.http.get(f"/requests/{handle}/jwt").status_code == 404


def test_there_is_no_result_before_there_is_one(desk: Desk, city: PaperCity) -> None:
    wallet_link, request_id = desk.ask()
    with pytest.raises(RequestClosed):
        desk.presentations.result(request_id, Flow.DIRECT)
    request = desk.read(wallet_link)
    desk.send(request, format_error("access_denied", "", request.state))
    with pytest.raises(RequestClosed):
        desk.presentations.result(request_id, Flow.DIRECT)


def test_the_answer_is_compact_json(desk: Desk) -> None:
    _, request_id = desk.ask()
    assert desk.http.get(f"/admin/requests/{request_id}", headers=desk.admin).content == b'{"state":"pending"}'


def test_openapi_names_every_route() -> None:
    from verifier.app import openid4vp_routes
    from verifier.openapi import OPENID4VP_PATHS

    found: dict[str, set[str]] = {}
    for route in openid4vp_routes(None):  # type: ignore[arg-type]
        found.setdefault(route.path, set()).update(method.lower() for method in route.methods or () if method != "HEAD")
    assert found == {path: set(methods) for path, methods in OPENID4VP_PATHS.items()}
    assert json.dumps(OPENID4VP_PATHS)
