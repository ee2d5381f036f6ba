"""``GET /journal`` is proven by the link key (C1), and by nothing else."""

import secrets
from typing import Any

import pytest

from consent.caller.proof import sign_proof
from identity.keys.signer import SoftwareSigner
from tests.holder_city import HOLDER_URL, City, Wallet


def nonce(city: City) -> str:
    return str(city.call("GET", "/journal").headers["Proof-Nonce"])


def ask(city: City, signer: SoftwareSigner, **changes: Any) -> Any:
    named: dict[str, Any] = {
        "method": "GET", "url": f"{HOLDER_URL}/journal", "nonce": nonce(city), "now": int(city.clock()),
        "random": secrets.token_bytes,
    } | changes  # fmt: skip
    return city.call("GET", "/journal", headers={"Request-Proof": sign_proof(signer, **named)})


def test_by_the_link_key(city: City, anna: Wallet) -> None:
    answer = ask(city, anna.link_key)
    assert answer.status_code == 200 and answer.json()["releases"] == []
    assert answer.headers["Proof-Nonce"] and answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"method": "POST"}, "invalid_proof"),
        ({"url": f"{HOLDER_URL}/data"}, "invalid_proof"),
        ({"body": b"{}"}, "invalid_proof"),
        ({"now": 1_795_315_110 - 61}, "invalid_proof"),
        ({"with_jwk": True}, "invalid_proof"),
        ({"nonce": ""}, "use_proof_nonce"),
        ({"nonce": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "use_proof_nonce"),
    ],
    ids=str,
)
def test_refused(city: City, anna: Wallet, changes: dict[str, Any], error: str) -> None:
    answer = ask(city, anna.link_key, **changes)
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert answer.headers["Proof-Nonce"]


def test_by_another_key_or_without_proof(city: City, anna: Wallet) -> None:
    for signer in (anna.grant_key, SoftwareSigner.generate()):
        assert ask(city, signer).json()["error"] == "invalid_proof"
    assert city.call("GET", "/journal").json()["error"] == "invalid_proof"
    assert city.call("GET", "/journal", headers={"Request-Proof": "a.b.c"}).status_code == 401


def test_a_proof_is_good_once(city: City, anna: Wallet) -> None:
    proof = sign_proof(
        anna.link_key, method="GET", url=f"{HOLDER_URL}/journal", nonce=nonce(city), now=int(city.clock()),
        random=secrets.token_bytes,
    )  # fmt: skip
    answers = [city.call("GET", "/journal", headers={"Request-Proof": proof}).status_code for _ in range(2)]
    assert answers == [200, 401]


def test_an_old_nonce(city: City, anna: Wallet) -> None:
    old = nonce(city)
    city.clock.now += 300
    assert ask(city, anna.link_key, nonce=old).json() == {"error": "use_proof_nonce"}


def test_two_proofs(city: City, anna: Wallet) -> None:
    headers = [("Request-Proof", "a.b.c"), ("Request-Proof", "a.b.c")]
    assert city.call("GET", "/journal", headers=headers).status_code == 401
