"""Credentials that wait for the operator (OpenID4VCI 1.0 section 9)."""

from typing import Any

import pytest

from identity.formats.sd_jwt_vc.parse import peek
from identity.issuer import sealing
from identity.issuer.issuing import DEFERRED_SECONDS
from identity.issuer.store.deferred import Decision
from tests.issuer_city import ISSUER, City, Wallet

RESIDENCY, PERSON = "residency-sd-jwt", "person-id-sd-jwt"


@pytest.fixture
def deferred() -> frozenset[str]:
    return frozenset({RESIDENCY})


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def collect(city: City, token: str, transaction: str) -> Any:
    return city.client.post(
        f"{ISSUER}/deferred", json={"transaction_id": transaction}, headers={"Authorization": f"Bearer {token}"}
    )


def decide(city: City, decision: Decision) -> int:
    now = int(city.now[0])
    (waiting,) = city.hall.deferred.waiting(now=now)
    assert city.hall.deferred.decide(waiting.number, decision, now=now)
    return waiting.number


def test_approved(city: City) -> None:
    token = city.token(RESIDENCY, PERSON)
    assert city.batch(token, PERSON).status_code == 200, "other types do not wait"
    waiting = city.batch(token, RESIDENCY)
    assert waiting.status_code == 202
    transaction = waiting.json()["transaction_id"]
    assert waiting.json() == {"transaction_id": transaction, "interval": 5}
    still = collect(city, token, transaction)
    assert still.status_code == 202 and still.json()["transaction_id"] == transaction
    decide(city, Decision.APPROVED)
    done = collect(city, token, transaction)
    assert done.status_code == 200
    copies = [peek(one["credential"]) for one in done.json()["credentials"]]
    assert len({copy.holder_key for copy in copies}) == 3 and copies[0].claims["district"] == "Gràcia"
    assert error(collect(city, token, transaction)) == "invalid_transaction_id", "obtained once"
    assert city.batch(token, RESIDENCY).status_code == 200, "a refill was decided with the first"


def test_two_that_collect_at_once(city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    token = city.token(RESIDENCY)
    transaction = city.batch(token, RESIDENCY).json()["transaction_id"]
    decide(city, Decision.APPROVED)
    seen = city.hall.deferred.get(sealing.name(transaction), 1, now=int(city.now[0]))
    assert seen is not None
    assert collect(city, token, transaction).status_code == 200
    monkeypatch.setattr(city.hall.deferred, "get", lambda *_, **__: seen)
    assert error(collect(city, token, transaction)) == "invalid_transaction_id", (
        "the one who looked first and came second"
    )


def test_refused(city: City) -> None:
    token = city.token(RESIDENCY)
    transaction = city.batch(token, RESIDENCY).json()["transaction_id"]
    number = decide(city, Decision.REFUSED)
    assert error(collect(city, token, transaction)) == "credential_request_denied"
    assert not city.hall.deferred.decide(number, Decision.APPROVED, now=int(city.now[0])), "the first decision stands"


def test_days_later_with_a_fresh_token(city: City) -> None:
    wallet = Wallet(city)
    tokens = wallet.exchange(wallet.code(scope=RESIDENCY)).json()
    transaction = city.batch(tokens["access_token"], RESIDENCY).json()["transaction_id"]
    city.now[0] += 3 * 86_400
    decide(city, Decision.APPROVED)
    assert collect(city, tokens["access_token"], transaction).status_code == 401
    fresh = wallet.refresh(tokens["refresh_token"]).json()
    assert collect(city, fresh["access_token"], transaction).status_code == 200


def test_what_is_refused(city: City) -> None:
    token, other = city.token(RESIDENCY), city.token(RESIDENCY, row="2")
    transaction = city.batch(token, RESIDENCY).json()["transaction_id"]
    decide(city, Decision.APPROVED)
    assert error(collect(city, other, transaction)) == "invalid_transaction_id", "somebody else's"
    assert error(collect(city, token, "unknown")) == "invalid_transaction_id"
    assert collect(city, "unknown", transaction).status_code == 401
    city.now[0] += DEFERRED_SECONDS
    city.hall.upkeep.run()
    assert city.hall.deferred.get(bytes(32), 1, now=int(city.now[0])) is None


def test_operator_finds_a_person_s_requests(city: City) -> None:
    for row in ("1", "2"):
        city.batch(city.token(RESIDENCY, row=row), RESIDENCY)
    now = int(city.now[0])
    assert len(city.hall.deferred.waiting(now=now)) == 2
    mine = city.hall.revocation.person_hash("00000002W")
    assert [one.number for one in city.hall.deferred.waiting(now=now, person_hash=mine)] == [2]


def test_nonces_are_spent_by_waiting_too(city: City) -> None:
    from identity.keys.signer import SoftwareSigner

    token, nonce = city.token(RESIDENCY), city.c_nonce()
    body = {"credential_configuration_id": RESIDENCY, "proofs": {"jwt": [city.proof(SoftwareSigner.generate(), nonce)]}}
    assert city.ask(token, body).status_code == 202
    assert error(city.ask(token, body)) == "invalid_nonce"
