"""C10: one account a resident; a presentation opens it for one key; recovery gives back slowly."""

from typing import Any

import pytest

from consent.errors import MessageError
from consent.grant.account import account_nonce
from consent.ledger.accounts import RECOVERY_SECONDS
from identity.codec import base64url
from identity.errors import FetchError, KeyUnavailable, StatusUnavailable
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, DAY, NOW, Clock, ConsentCity, Wallet


def offer(wallet: Wallet) -> str:
    thumbprint = wallet.key.public_key.thumbprint
    random = wallet.city.get(f"/me/account/request?jkt={thumbprint}").json()["random"]
    return account_nonce(CONSENT, thumbprint, base64url.decode(random))


def body(wallet: Wallet, nonce: str, **changes: Any) -> dict[str, Any]:
    return {"vp_token": {"claim": wallet.claim, "nonce": nonce}, "view_jwk": wallet.view_key.public.jwk(), **changes}


def enrol(wallet: Wallet, value: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = wallet.call("POST", "/me/account", value, with_jwk=True)
    return answer.status_code, answer.json()


def test_an_account_is_opened_once(city: ConsentCity) -> None:
    wallet = Wallet(city)
    assert enrol(wallet, body(wallet, offer(wallet))) == (201, {"state": "active"})
    assert wallet.call("GET", "/me/grants").json() == {"grants": []}


def test_a_nonce_is_single_use_and_ten_minutes_old_at_most(city: ConsentCity) -> None:
    wallet = Wallet(city)
    nonce = offer(wallet)
    assert enrol(wallet, body(wallet, nonce))[0] == 201
    assert enrol(wallet, body(wallet, nonce))[0] == 400
    late = Wallet(city, "late")
    nonce = offer(late)
    assert isinstance(city.clock, Clock)
    city.clock.now += 600
    assert enrol(late, body(late, nonce))[0] == 400


def test_a_presentation_counts_for_its_own_key_only(city: ConsentCity) -> None:
    """A presentation made for another wallet's key opens no account for mine."""
    victim, thief = Wallet(city, "victim"), Wallet(city, "victim")
    nonce = offer(victim)
    assert enrol(thief, body(victim, nonce))[0] == 400, "no request was made for the thief's key"
    offer(thief)
    assert enrol(thief, body(victim, nonce))[0] == 400, "the presentation was made for another nonce"
    assert enrol(victim, body(victim, nonce))[0] == 201


def test_a_presentation_without_a_nonce_is_for_nobody(city: ConsentCity) -> None:
    """Where no request was made there is no nonce either: two that are missing are not the same."""
    wallet = Wallet(city)
    status, answer = enrol(wallet, {**body(wallet, ""), "vp_token": {"claim": wallet.claim, "nonce": None}})
    assert (status, answer["error"]) == (400, "invalid_request")
    assert wallet.call("GET", "/me/grants").status_code == 401


def test_a_failed_presentation_uses_its_nonce_up(city: ConsentCity) -> None:
    wallet = Wallet(city)
    nonce = offer(wallet)
    assert enrol(wallet, body(wallet, nonce, vp_token={"claim": "x", "nonce": "other"}))[0] == 400
    assert enrol(wallet, body(wallet, nonce))[0] == 400


def test_the_proof_must_carry_the_key_itself(city: ConsentCity) -> None:
    wallet = Wallet(city)
    value = body(wallet, offer(wallet))
    assert wallet.call("POST", "/me/account", value).status_code == 401


@pytest.mark.parametrize(
    "changes",
    [
        {"view_jwk": {}}, {"view_jwk": SoftwareSigner.generate().public_key.jwk()}, {"vp_token": "text"},
        {"more": 1}, {"view_jwk": AgreementPrivateKey.generate().private_jwk()},
    ],
)  # fmt: skip
def test_bodies_that_are_refused(city: ConsentCity, changes: dict[str, Any]) -> None:
    wallet = Wallet(city)
    status, answer = enrol(wallet, body(wallet, offer(wallet), **changes))
    assert (status, answer["error"]) == (400, "invalid_request")


def test_an_account_key_is_for_es256(city: ConsentCity) -> None:
    wallet = Wallet(city)
    wallet.key = SoftwareSigner.generate("Ed25519")
    answer = wallet.call("POST", "/me/account", body(wallet, offer(wallet)), with_jwk=True)
    assert answer.status_code == 401


@pytest.mark.parametrize("claim", ["", "x" * 65])
def test_an_identifier_of_another_length(city: ConsentCity, claim: str) -> None:
    wallet = Wallet(city, claim)
    assert enrol(wallet, body(wallet, offer(wallet)))[0] == 400


@pytest.mark.parametrize("fault", [StatusUnavailable("no list"), FetchError("down"), KeyUnavailable("no process")])
def test_what_cannot_be_checked_now_is_refused_for_now(
    city: ConsentCity, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(*_: Any) -> Any:
        raise fault

    part = "_claim_hash" if isinstance(fault, KeyUnavailable) else "_check_presentation"
    replacement = type("Down", (), {"hashes": raising})() if part == "_claim_hash" else raising
    monkeypatch.setattr(city.office.enrolling, part, replacement)
    wallet = Wallet(city)
    status, answer = enrol(wallet, body(wallet, offer(wallet)))
    assert (status, answer["error"]) == (503, "temporarily_unavailable")
    assert wallet.call("GET", "/me/grants").status_code == 401


def test_two_residents_do_not_share_a_key(city: ConsentCity) -> None:
    first = Wallet(city, "first").enrolled()
    second = Wallet(city, "second")
    second.key = first.key
    status, answer = enrol(second, body(second, offer(second)))
    assert (status, answer) == (409, {"error": "taken"})


def test_enrolments_begun_from_one_address_are_limited(city: ConsentCity) -> None:
    thumbprint = Wallet(city).key.public_key.thumbprint
    statuses = [city.get(f"/me/account/request?jkt={thumbprint}").status_code for _ in range(601)]
    assert statuses == [200] * 600 + [429]


# Recovery


def recovered(lost: Wallet) -> Wallet:
    found = Wallet(lost.city, lost.claim)
    answer = found.enrol()
    now = int(lost.city.clock())
    assert (answer.status_code, answer.json()) == (200, {"state": "recovered", "full_after": now + RECOVERY_SECONDS})
    return found


def test_a_lost_wallet_gets_its_account_again(wallet: Wallet) -> None:
    held = wallet.give()
    found = recovered(wallet)
    assert wallet.call("GET", "/me/grants").status_code == 401, "the old key is out"
    assert [one["grant_id"] for one in found.call("GET", "/me/grants").json()["grants"]] == [held.id]


def test_the_same_key_again_is_no_new_recovery(wallet: Wallet) -> None:
    held = wallet.give()
    opening = wallet.opening(held)
    answer = wallet.enrol()
    assert wallet.opening(held).raw == opening.raw, "what it could read it can read still"
    assert (answer.status_code, answer.json()) == (200, {"state": "recovered", "full_after": 0})


def test_a_recovered_account_withdraws_at_once(wallet: Wallet) -> None:
    held = wallet.give()
    found = recovered(wallet)
    answer = found.call("POST", f"/me/grants/{held.id}/withdrawal")
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")


def test_a_recovered_account_reads_what_comes_after_and_not_what_came_before(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    before = city.use_request(held.id)
    city.use(before)
    found = recovered(wallet)
    after = city.use_request(held.id)
    city.prove(city.use(after), after, wallet)
    items = found.call("GET", "/me/timeline").json()["items"]
    opening = found.opening(held)
    assert found.open(items[-1], opening).event["use_request_hash"] == after.digest
    for item in items[:-1]:
        with pytest.raises(MessageError):
            found.open(item, opening)


def test_a_recovered_account_gives_and_resumes_after_three_days(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    assert wallet.act(held, 1, "pause").status_code == 200
    found = recovered(wallet)
    assert isinstance(city.clock, Clock)
    for waited, status in ((0, 403), (RECOVERY_SECONDS - 1, 403), (RECOVERY_SECONDS, 200)):
        city.clock.now = NOW + waited
        answer, *_ = found.answer(city.ask())
        resumed = wallet.act(held, 2, "resume")
        assert answer.status_code == (201 if status == 200 else 403), answer.text
        assert resumed.status_code == status, resumed.text
        if status == 403:
            assert answer.json()["error"] == resumed.json()["error"] == "recovered"
    assert city.clock.now < NOW + 4 * DAY
