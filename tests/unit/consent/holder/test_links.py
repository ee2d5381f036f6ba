"""Holder links (C8): who may link which row, and what a presentation must be."""

from dataclasses import replace
from typing import Any

import pytest

from consent.errors import ConsentError
from consent.holder.link import link_nonce
from consent.holder.link_store import LinkNotice
from identity.codec import base64url
from identity.errors import CredentialRevoked, StatusUnavailable
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.holder_city import ANNA, BERTA, CLAIM, HOLDER, NOW, City, Wallet

MAILBOX = base64url.encode(bytes(16))


def post(city: City, wallet: Wallet, **changes: Any) -> Any:
    return city.call("POST", "/links", json=city.link_body(wallet, **changes))


def test_a_link_leads_to_the_residents_row(city: City) -> None:
    wallet = Wallet(ANNA)
    answer = post(city, wallet)
    assert answer.status_code == 201 and answer.json().keys() == {"link"}
    assert len(base64url.decode(answer.json()["link"])) == 16
    stored = city.services.links.by_handle(answer.json()["link"])
    assert stored is not None and stored.row_key == "1" and stored.key == wallet.link_key.public_key


def test_the_number_is_not_stored(city: City) -> None:
    city.resident()
    stored = b"".join(path.read_bytes() for path in city.folder.glob("holder.db*"))
    assert ANNA.encode() not in stored


def test_the_same_key_again_keeps_its_handle(city: City) -> None:
    wallet = Wallet(ANNA)
    first, again = post(city, wallet), post(city, wallet)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()


def test_a_key_cannot_move_to_another_row(city: City) -> None:
    wallet = Wallet(ANNA)
    post(city, wallet)
    answer = post(city, replace(wallet, nif=BERTA))
    assert (answer.status_code, answer.json()["error"]) == (409, "taken")


def test_a_further_link_gives_notice_to_the_rows_other_links(city: City) -> None:
    first, berta = city.resident(), city.resident(BERTA)
    city.clock.now += 10
    second = city.resident()
    links = city.services.links
    assert links.notices(first.link) == [LinkNotice("link", NOW + 10, None)]
    assert links.notices(second.link) == links.notices(berta.link) == []
    post(city, second)
    assert links.notices(first.link) == [LinkNotice("link", NOW + 10, None)], "the same key again is no further link"


REFUSED: dict[str, dict[str, Any]] = {
    "made for another verifier": {"audience": "urn:atorga:party:other"},
    "made for another nonce": {"nonce": link_nonce(HOLDER, "another key", MAILBOX)},
    "301 s old": {"at": NOW - 361},
    "from the future": {"at": NOW + 61},
    "another credential type": {"vct": "urn:atorga:residency:1"},
    "an issuer not listed": {"issuer": "http://localhost:8100/elsewhere"},
    "not signed by the issuer": {"signer": SoftwareSigner.generate()},
    "the claim not disclosed": {"disclose": [("given_name",)]},
    "the claim not a text": {"claims": {CLAIM: 99_999_990}},
    "the claim an object": {"claims": {CLAIM: {"value": ANNA}}},
    "nobody's number": {"claims": {CLAIM: "00000000T"}},
    "an empty number": {"claims": {CLAIM: ""}},
    "not a presentation": {"vp_token": "a.b.c~"},
    "sealed to another key": {"key": AgreementPrivateKey.generate()},
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(city: City, name: str) -> None:
    answer = post(city, Wallet(ANNA), **REFUSED[name])
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text
    assert not any(secret in answer.text for secret in (ANNA, "99999990", "00000000T"))


def test_a_presentation_passed_on_under_another_link_key(city: City) -> None:
    """Who sees a presentation cannot seal it again under a link key of their own."""
    victim, thief = Wallet(ANNA), Wallet(ANNA)
    answer = post(city, thief, vp_token=city.presentation(victim, MAILBOX))
    assert answer.status_code == 400


def test_the_age_of_a_presentation(city: City) -> None:
    wallet = Wallet(ANNA)
    assert post(city, wallet, at=NOW - 300).status_code == 201


def test_status(city: City) -> None:
    city.status_faults = [StatusUnavailable("status list: unknown"), CredentialRevoked("status: revoked")]
    assert [post(city, Wallet(ANNA)).status_code for _ in range(3)] == [400, 503, 201]


def test_bodies(city: City) -> None:
    json_type = {"Content-Type": "application/json"}
    body = city.link_body(Wallet(ANNA))
    assert city.call("POST", "/links", content="{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert city.call("POST", "/links", content="x" * 65_537, headers=json_type).status_code == 413
    sealed = '{"sealed":"x","sealed":"y"}'
    for content in ("", "[]", "{}", sealed, '{"sealed":1}', '{"sealed":"*"}', "\x00"):
        answer = city.call("POST", "/links", content=content, headers=json_type)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), content
    assert city.call("POST", "/links", json=body | {"more": 1}).status_code == 400


def test_two_rows_for_one_number(city: City) -> None:
    import sqlite3

    with sqlite3.connect(city.folder / "register.sqlite") as connection:
        connection.execute("INSERT INTO resident VALUES (3, ?)", [ANNA])
    connection.close()
    answer = post(city, Wallet(ANNA))
    assert (answer.status_code, answer.json()["error"]) == (503, "register_unavailable")


def test_errors_are_ours(city: City) -> None:
    with pytest.raises(ConsentError):
        city.services.linking.link({"sealed": "AAAA"})
