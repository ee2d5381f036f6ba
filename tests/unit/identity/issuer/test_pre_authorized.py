"""From an offer to credentials: the pre-authorized code, its transaction code, and what the issuer refuses."""

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text

from identity.errors import CredentialError
from identity.formats.sd_jwt_vc import parse as sd_jwt_vc
from identity.issuer.offers import OFFER_SECONDS, digits
from identity.issuer.person import Subject
from identity.keys.signer import SoftwareSigner
from tests.issuer_city import ISSUER, City, Wallet

PERSON, RESIDENCY, PAIRWISE = "person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt"


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


def test_happy_path(city: City) -> None:
    code, _ = city.offer(PERSON, RESIDENCY)
    tokens = city.redeem(code)
    assert tokens.status_code == 200 and tokens.headers["cache-control"] == "no-store"
    body = tokens.json()
    assert body["token_type"] == "Bearer" and body["expires_in"] == 600 and "authorization_details" not in body
    assert body["scope"] == f"{PERSON} {RESIDENCY}"
    answer = city.batch(body["access_token"], PERSON)
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    person = sd_jwt_vc.peek(answer.json()["credentials"][0]["credential"]).claims
    assert person["given_name"] == "Mireia" and person["family_name"] == "Puig Soler"
    assert person["birthdate"] == "1990-02-28" and person["personal_administrative_number"] == "00000001R"
    assert person["age_equal_or_over"] == {"16": True, "18": True, "65": False}
    residency = sd_jwt_vc.peek(
        city.batch(body["access_token"], RESIDENCY).json()["credentials"][0]["credential"]
    ).claims
    assert residency["municipality"] == "Barcelona" and residency["neighbourhood"] == "la Salut"
    assert residency["resident_since"] == "2011-05-01" and "given_name" not in residency


def test_everything_about_the_person_is_disclosable_and_nothing_else(city: City) -> None:
    (person, *_), (pairwise, *_) = city.issued(PERSON), city.issued(PAIRWISE)
    hidden = {path[0] for path in person.disclosable}
    assert hidden == {
        "given_name", "family_name", "birthdate", "personal_administrative_number", "age_equal_or_over",
    }  # fmt: skip
    assert person.claims.keys() - hidden == {"iss", "vct", "iat", "exp", "cnf"}
    assert sorted(pairwise.disclosable) == sorted(("ids", party) for party in city.organisations)


def test_offer_by_reference(city: City) -> None:
    made = city.hall.offers.pre_authorized([PERSON], Subject(None, "1"), with_tx_code=False, by_reference=True)
    (where,) = parse_qs(urlsplit(made.link).query)["credential_offer_uri"]
    assert where.startswith(f"{ISSUER}/offers/")
    answer = city.client.get(where)
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert answer.json()["credential_configuration_ids"] == [PERSON]
    assert city.client.get(where[:-1] + "A").status_code == 404
    city.now[0] += OFFER_SECONDS
    assert city.client.get(where).status_code == 404


def test_transaction_code(city: City) -> None:
    code, tx_code = city.offer(PERSON, tx_code=True)
    assert tx_code is not None and len(tx_code) == 6 and tx_code.isdigit()
    assert error(city.redeem(code)) == "invalid_request", "a missing one is no guess"
    assert error(city.redeem(code, tx_code="x" * 65)) == "invalid_request"
    wrong = city.redeem(code, tx_code=f"{int(tx_code) ^ 1:06d}")
    assert error(wrong) == "invalid_grant" and "tx_code is wrong" in wrong.json()["error_description"]
    assert city.redeem(code, tx_code=tx_code).status_code == 200


def test_transaction_code_that_was_not_asked_for(city: City) -> None:
    code, _ = city.offer(PERSON)
    assert error(city.redeem(code, tx_code="123456")) == "invalid_request"
    assert city.redeem(code).status_code == 200


def test_five_wrong_transaction_codes_end_the_offer(city: City) -> None:
    code, tx_code = city.offer(PERSON, tx_code=True)
    assert tx_code is not None
    for _ in range(5):
        assert error(city.redeem(code, tx_code=f"{int(tx_code) ^ 1:06d}")) == "invalid_grant"
    assert error(city.redeem(code, tx_code=tx_code)) == "invalid_grant"


def test_four_wrong_ones_do_not(city: City) -> None:
    code, tx_code = city.offer(PERSON, tx_code=True)
    assert tx_code is not None
    for _ in range(4):
        city.redeem(code, tx_code=f"{int(tx_code) ^ 1:06d}")
    assert city.redeem(code, tx_code=tx_code).status_code == 200


def test_transaction_codes_are_even() -> None:
    values = iter([2**32 - 1, 999_999, 1_000_000, 7])
    draw = lambda size: next(values).to_bytes(size, "big")  # noqa: E731
    assert [digits(draw) for _ in range(3)] == ["999999", "000000", "000007"], (
        "what would tip the scales is drawn again"
    )


def test_reused_code_ends_what_it_gave(city: City) -> None:
    code, _ = city.offer(PERSON)
    tokens = city.redeem(code).json()
    assert error(city.redeem(code)) == "invalid_grant"
    assert city.batch(tokens["access_token"], PERSON).status_code == 401
    assert error(Wallet(city).refresh(tokens["refresh_token"])) == "invalid_grant"


def test_unknown_and_old_codes(city: City) -> None:
    assert error(city.redeem("nothing")) == "invalid_grant"
    code, _ = city.offer(PERSON)
    city.now[0] += OFFER_SECONDS
    assert error(city.redeem(code)) == "invalid_grant"


def test_details_narrow_and_name_datasets(city: City) -> None:
    code, _ = city.offer(PERSON, RESIDENCY)
    detail = {"type": "openid_credential", "credential_configuration_id": RESIDENCY}
    too_much = json.dumps([detail, {**detail, "credential_configuration_id": PAIRWISE}])
    assert error(city.redeem(code, authorization_details=too_much)) == "invalid_authorization_details"
    unknown = json.dumps([{**detail, "credential_configuration_id": "unknown"}])
    assert error(city.redeem(code, authorization_details=unknown)) == "invalid_authorization_details"
    tokens = city.redeem(code, authorization_details=json.dumps([detail])).json()
    assert tokens["authorization_details"] == [detail | {"credential_identifiers": [f"{RESIDENCY}.0"]}]
    token, nonce = tokens["access_token"], city.c_nonce()
    proofs = {"jwt": [city.proof(SoftwareSigner.generate(), nonce)]}

    def ask(**body: str) -> Any:
        return city.ask(token, {**body, "proofs": proofs})

    assert error(ask(credential_configuration_id=RESIDENCY)) == "invalid_credential_request"
    assert error(ask(credential_configuration_id=PERSON)) == "unknown_credential_configuration"
    for identifier in (f"{PERSON}.0", f"{RESIDENCY}.1", f"{RESIDENCY}.00", f"{RESIDENCY}.", RESIDENCY, "x", "é.0"):
        assert error(ask(credential_identifier=identifier)) == "unknown_credential_identifier"
    assert ask(credential_identifier=f"{RESIDENCY}.0").status_code == 200


def test_identifiers_only_where_they_were_given(city: City) -> None:
    token, nonce = city.token(PERSON), city.c_nonce()
    body = {"credential_identifier": f"{PERSON}.0", "proofs": {"jwt": [city.proof(SoftwareSigner.generate(), nonce)]}}
    assert error(city.ask(token, body)) == "unknown_credential_identifier"


def test_unknown_configurations(city: City) -> None:
    token = city.token(PERSON)
    assert error(city.batch(token, "unknown")) == "unknown_credential_configuration"
    assert error(city.batch(token, RESIDENCY)) == "unknown_credential_configuration", "not what the token is for"
    for wrong in ((), ("unknown",), (PERSON, PERSON)):
        with pytest.raises(CredentialError):
            city.offer(*wrong)


def test_named_client_may_name_itself(city: City) -> None:
    tokens = city.redeem(city.offer(PERSON)[0], client_id="a-wallet").json()
    for iss, status in (("a-wallet", 200), (None, 200), ("another", 400)):
        proof = city.proof(SoftwareSigner.generate(), city.c_nonce(), iss=iss)
        body = {"credential_configuration_id": PERSON, "proofs": {"jwt": [proof]}}
        assert city.ask(tokens["access_token"], body).status_code == status


def test_nonces_are_used_once_and_do_not_live_long(city: City) -> None:
    token = city.token(PERSON)

    def ask(nonce: str) -> Any:
        proofs = [city.proof(SoftwareSigner.generate(), nonce) for _ in range(2)]
        return city.ask(token, {"credential_configuration_id": PERSON, "proofs": {"jwt": proofs}})

    nonce, old = city.c_nonce(), city.c_nonce()
    assert ask(nonce).status_code == 200
    assert error(ask(nonce)) == "invalid_nonce"
    assert error(ask("unknown")) == "invalid_nonce"
    city.now[0] += 300
    assert error(ask(old)) == "invalid_nonce"
    assert ask(city.c_nonce()).status_code == 200


def test_a_refused_request_spends_no_nonce(city: City) -> None:
    token, nonce, key = city.token(PERSON), city.c_nonce(), SoftwareSigner.generate()
    wrong = city.ask(
        token,
        {
            "credential_configuration_id": PERSON,
            "proofs": {"jwt": [city.proof(key, nonce, aud="https://other.example")]},
        },
    )
    assert error(wrong) == "invalid_proof"
    right = {"credential_configuration_id": PERSON, "proofs": {"jwt": [city.proof(key, nonce)]}}
    assert city.ask(token, right).status_code == 200


def test_row_that_is_gone(city: City) -> None:
    token = city.token(PERSON)
    city.register.dispose()
    with city.register.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only=OFF")
        connection.execute(text("DELETE FROM resident WHERE row_id = 1"))
        connection.commit()
        connection.exec_driver_sql("PRAGMA query_only=ON")
    assert error(city.batch(token, PERSON)) == "credential_request_denied"


def test_token_is_needed(city: City) -> None:
    body = b'{"credential_configuration_id":"x"}'
    headers = {"Content-Type": "application/json"}
    missing = city.client.post(f"{ISSUER}/credential", content=body, headers=headers)
    assert missing.status_code == 401 and "error" not in missing.headers["www-authenticate"]
    assert missing.headers["www-authenticate"].startswith("Bearer, DPoP")
    for authorization in (
        "Bearer unknown",
        "DPoP unknown",
        "Basic eDp5",
        "Bearer",
        "Bearer a b",
        "Bearer " + "x" * 300,
    ):
        refused = city.client.post(
            f"{ISSUER}/credential", content=body, headers={**headers, "Authorization": authorization}
        )
        assert error(refused, 401) == "invalid_token"
        assert 'error="invalid_token"' in refused.headers["www-authenticate"]
    token = city.token(PERSON)
    twice = city.client.post(
        f"{ISSUER}/credential",
        content=body,
        headers=[("Content-Type", "application/json"), ("Authorization", f"Bearer {token}"), ("Authorization", "x")],
    )
    assert error(twice, 401) == "invalid_token"
    city.now[0] += 600
    assert city.batch(token, PERSON).status_code == 401


def test_bodies_are_limited_and_typed(city: City) -> None:
    token = city.token(PERSON)
    assert error(city.ask(token, b" " * 65_537), 413) == "invalid_request"
    assert error(city.ask(token, b"{}", **{"Content-Type": "application/jwt"}), 415) == "invalid_request"
    form = city.client.post(f"{ISSUER}/token", content=b"a=1", headers={"Content-Type": "application/json"})
    assert error(form, 415) == "invalid_request"
    assert error(city.post_form("token", {"a": "x" * 16_385}), 413) == "invalid_request"

    def parts() -> Any:
        yield b"grant_type=x&a="
        for _ in range(20):
            yield b"x" * 1_024

    chunked = city.client.post(
        f"{ISSUER}/token", content=parts(), headers={"Content-Type": "application/x-www-form-urlencoded"}
    )
    assert error(chunked, 413) == "invalid_request", "also where no length was announced"
    twice = city.client.post(
        f"{ISSUER}/token",
        content=b"grant_type=a&grant_type=a",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )
    assert error(twice) == "invalid_request"


def test_notification(city: City) -> None:
    token, other = city.token(PERSON), city.token(PERSON)
    given = city.batch(token, PERSON).json()["notification_id"]

    def tell(token: str, notification: str, event: str = "credential_accepted") -> Any:
        return city.client.post(
            f"{ISSUER}/notification",
            json={"notification_id": notification, "event": event},
            headers={"Authorization": f"Bearer {token}"},
        )

    assert tell(token, given).status_code == 204
    assert tell(token, given).status_code == 204, "idempotent"
    assert error(tell(other, given)) == "invalid_notification_id", "somebody else's"
    assert error(tell(token, "unknown")) == "invalid_notification_id"
    assert error(tell(token, given, "eaten")) == "invalid_notification_request"
    assert tell("unknown", given).status_code == 401


def test_pages_that_are_not_there(city: City) -> None:
    documents = ("/.well-known/openid-credential-issuer/nowhere", "/nowhere/authorize", "/bcn/nothing")
    lists = ("/bcn/status/2", "/bcn/status/01", "/bcn/status/x")
    for path in (*documents, *lists):
        answer = city.client.get(path)
        assert answer.status_code == 404 and answer.json()["error"] == "not_found"
    wrong = city.client.get("/bcn/token")
    assert wrong.status_code == 405 and wrong.json()["error"] == "method_not_allowed"
