"""C1: who calls is proved for this call alone; the list of faults that must end in 401."""

import secrets
from typing import Any

import pytest

from consent import spec
from consent.caller.nonces import NONCE_SECONDS, Nonces
from consent.errors import CallerUnproven
from consent.ledger.accounts import AccountStore
from consent.ledger.proofs import ProofStore
from consent.ledger.schema import open_engine
from consent.service.callers import Call, Callers
from consent.service.operator import Operator
from consent.service.parties import Parties
from identity.codec import strict_json
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, HOLDER, NOW, SERVICE, URL, Clock, ConsentCity, Wallet

PROVED = [
    ("GET", "/me/grants"), ("GET", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA"), ("GET", "/me/requests"),
    ("GET", "/me/timeline"), ("GET", "/me/receipts/AAAAAAAAAAAAAAAAAAAAAA"), ("POST", "/me/grants"),
    ("POST", "/me/mailboxes"),
    ("DELETE", "/me/mailboxes"), ("POST", "/me/grants/AAAAAAAAAAAAAAAAAAAAAA/withdrawal"), ("POST", "/me/account"),
    ("GET", "/requests/AAAAAAAAAAAAAAAAAAAAAA"), ("GET", "/grants/AAAAAAAAAAAAAAAAAAAAAA"),
    ("DELETE", "/grants/AAAAAAAAAAAAAAAAAAAAAA"), ("POST", "/uses"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), PROVED)
def test_without_a_proof(wallet: Wallet, method: str, path: str) -> None:
    body = b"{}" if method in ("POST", "DELETE") else b""
    answer = wallet.city.send(method, path, body, content_type=spec.MEDIA_JSON)
    assert (answer.status_code, answer.json()["error"]) == (401, spec.INVALID_PROOF)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"nonce": ""}, spec.USE_PROOF_NONCE),
        ({"nonce": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, spec.USE_PROOF_NONCE),
        ({"method": "POST"}, spec.INVALID_PROOF),
        ({"url": f"{URL}/me/requests"}, spec.INVALID_PROOF),
        ({"url": "http://other.example/me/grants"}, spec.INVALID_PROOF),
        ({"body": b"other"}, spec.INVALID_PROOF),
        ({"now": NOW - 61}, spec.INVALID_PROOF),
        ({"now": NOW + 61}, spec.INVALID_PROOF),
        ({"with_jwk": True}, spec.INVALID_PROOF),
    ],
)
def test_faults_of_a_proof(wallet: Wallet, changes: dict[str, Any], error: str) -> None:
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants", **changes)
    answer = wallet.city.send("GET", "/me/grants", request_proof=proof)
    assert (answer.status_code, answer.json()["error"]) == (401, error)
    assert spec.PROOF_NONCE_HEADER in answer.headers


@pytest.mark.parametrize("changes", [{"now": NOW - 60}, {"now": NOW + 60}])
def test_clocks_may_differ_by_a_minute(wallet: Wallet, changes: dict[str, Any]) -> None:
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants", **changes)
    assert wallet.city.send("GET", "/me/grants", request_proof=proof).status_code == 200


def test_another_body_than_the_proved_one(wallet: Wallet) -> None:
    proof = wallet.city.proof(wallet.key, "POST", "/me/mailboxes", b'{"mailbox":"AAAAAAAAAAAAAAAAAAAAAA"}')
    other = b'{"mailbox":"AQEBAQEBAQEBAQEBAQEBAQ"}'
    answer = wallet.city.send("POST", "/me/mailboxes", other, request_proof=proof, content_type=spec.MEDIA_JSON)
    assert answer.status_code == 401


def test_a_proof_counts_once(wallet: Wallet) -> None:
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants")
    assert wallet.city.send("GET", "/me/grants", request_proof=proof).status_code == 200
    again = wallet.city.send("GET", "/me/grants", request_proof=proof)
    assert (again.status_code, again.json()["error"]) == (401, spec.INVALID_PROOF)


def test_a_proof_of_a_clock_ahead_of_ours_counts_once(wallet: Wallet) -> None:
    """It is fresh for two minutes, to the end of the last second of which its jti is kept."""
    clock = wallet.city.clock
    assert isinstance(clock, Clock)
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants", now=NOW + 60)
    assert wallet.city.send("GET", "/me/grants", request_proof=proof).status_code == 200
    for seconds in (1, 118, 1):
        clock.now += seconds
        answer = wallet.city.send("GET", "/me/grants", request_proof=proof)
        assert (answer.status_code, answer.json()["error"]) == (401, spec.INVALID_PROOF)
        assert "jti was used before" in answer.json()["error_description"]


def test_one_proof_a_request(wallet: Wallet) -> None:
    """Which of two counts would be a matter of who reads them; the second may be anybody's."""
    good = wallet.city.proof(wallet.key, "GET", "/me/grants")
    for proofs in ([good, good], [good, "x"], [good, ""]):
        headers = [(spec.REQUEST_PROOF_HEADER, proof) for proof in proofs]
        answer = wallet.city.send_headers("GET", "/me/grants", headers)
        assert (answer.status_code, answer.json()["error"]) == (401, spec.INVALID_PROOF)
    assert wallet.city.send("GET", "/me/grants", request_proof=good).status_code == 200


def test_a_refused_proof_does_not_spend_its_jti(wallet: Wallet) -> None:
    """An old nonce is answered with a fresh one; the same key then gets through."""
    jti = secrets.token_bytes(16)
    for nonce, status in (("", 401), (wallet.city.nonce, 200)):
        proof = wallet.city.proof(wallet.key, "GET", "/me/grants", nonce=nonce, random=lambda _: jti)
        assert wallet.city.send("GET", "/me/grants", request_proof=proof).status_code == status


def test_a_proof_counts_once_across_workers(wallet: Wallet) -> None:
    """Two processes share the database, not their memory."""
    city = wallet.city
    proof = city.proof(wallet.key, "GET", "/me/grants")
    assert city.send("GET", "/me/grants", request_proof=proof).status_code == 200
    engine = open_engine(str(city.engine.url))
    worker = Callers(
        Operator(CONSENT, URL, city.signer(CONSENT), city.clock, secrets.token_bytes),
        nonces=Nonces(city.keys.nonce_secret),
        proofs=ProofStore(engine),
        accounts=AccountStore(engine),
        parties=Parties(lambda: city.keys.listed(NOW), city.clock),
    )
    with pytest.raises(CallerUnproven, match="jti was used before"):
        worker.resident(Call("GET", "/me/grants", b"", proof))
    fresh = city.proof(wallet.key, "GET", "/me/grants")
    assert worker.resident(Call("GET", "/me/grants", b"", fresh)).thumbprint == wallet.key.public_key.thumbprint
    engine.dispose()


def test_a_nonce_is_good_for_five_minutes(wallet: Wallet) -> None:
    clock = wallet.city.clock
    assert isinstance(clock, Clock)
    nonce = wallet.city.nonce
    clock.now += NONCE_SECONDS - 1
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants", nonce=nonce)
    assert wallet.city.send("GET", "/me/grants", request_proof=proof).status_code == 200
    clock.now += 1
    proof = wallet.city.proof(wallet.key, "GET", "/me/grants", nonce=nonce)
    answer = wallet.city.send("GET", "/me/grants", request_proof=proof)
    assert (answer.status_code, answer.json()["error"]) == (401, spec.USE_PROOF_NONCE)


def test_keys_do_not_count_beyond_their_place(wallet: Wallet) -> None:
    """A party is no resident, a resident no party, a stranger neither."""
    city = wallet.city
    stranger = SoftwareSigner.generate()
    body = {"use_request": "x"}
    for signer, method, path, value in (
        (city.signer(SERVICE), "GET", "/me/grants", None),
        (city.signer(HOLDER), "GET", "/me/timeline", None),
        (wallet.key, "POST", "/uses", body),
        (wallet.key, "GET", "/grants/AAAAAAAAAAAAAAAAAAAAAA", None),
        (stranger, "GET", "/me/grants", None),
        (stranger, "POST", "/uses", body),
    ):
        answer = city.proven(signer, method, path, value)
        assert (answer.status_code, answer.json()["error"]) == (401, spec.INVALID_PROOF), (method, path)


@pytest.mark.parametrize("proof", ["", "x", "a.b.c", "e30.e30.e30", "x" * 5_000])
def test_texts_that_are_no_proof(wallet: Wallet, proof: str) -> None:
    answer = wallet.city.send("GET", "/me/grants", request_proof=proof)
    assert answer.status_code == 401


def test_without_the_signed_list_nobody_is_a_party(wallet: Wallet) -> None:
    city = wallet.city
    city.registry = None
    answer = city.proven(city.signer(HOLDER), "POST", "/uses", {"use_request": "x"})
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    # A resident needs no list to read and to withdraw.
    assert wallet.call("GET", "/me/grants").status_code == 200


def test_every_answer_brings_a_fresh_nonce(city: ConsentCity) -> None:
    oversized = b"x" * 70_000
    for method, path, body in (
        ("GET", "/services", b""), ("GET", "/me/grants", b""), ("GET", "/nowhere", b""), ("PUT", "/uses", b""),
        ("POST", "/withdrawals", b"x"), ("POST", "/withdrawals", oversized), ("GET", "/openapi.json", b""),
    ):  # fmt: skip
        answer = city.send(method, path, body)
        assert Nonces(city.keys.nonce_secret).accepts(answer.headers[spec.PROOF_NONCE_HEADER], NOW), path
        assert answer.headers["cache-control"] == "no-store"
        assert strict_json.parse_object(answer.content, what=path)
