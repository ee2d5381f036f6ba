"""D18: who takes an account over waits, can be sent away meanwhile, and sets nobody else back."""

from typing import Any

import pytest

from consent.ledger.accounts import RECOVERY_SECONDS
from consent.ledger.recoveries import MAX_KEYS
from identity.codec import base64url
from identity.errors import CredentialError
from tests.consent_city import NOW, SERVICE, Clock, ConsentCity, Wallet

HOUR = 3_600


def later(city: ConsentCity, seconds: float) -> None:
    assert isinstance(city.clock, Clock)
    city.clock.now += seconds
    city.registry = city.keys.listed(city.clock())


def takes(wallet: Wallet) -> Wallet:
    """Another wallet of whoever can present the same identifier."""
    return Wallet(wallet.city, wallet.claim).enrolled()


def full_after(wallet: Wallet) -> int:
    answer = wallet.enrol()
    assert answer.status_code == 200, answer.text
    return int(answer.json()["full_after"])


def recoveries(wallet: Wallet) -> list[dict[str, Any]]:
    answer = wallet.call("GET", "/me/recoveries")
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["recoveries"]
    return found


def may_give(wallet: Wallet) -> bool:
    answer, *_ = wallet.answer(wallet.city.ask())
    assert answer.status_code in (201, 403), answer.text
    return answer.status_code == 201


def test_recovery_then_an_immediate_grant(wallet: Wallet) -> None:
    thief = takes(wallet)
    assert not may_give(thief)
    later(wallet.city, RECOVERY_SECONDS)
    assert may_give(thief)


def test_the_wallet_that_was_there_is_told_and_sends_the_other_away(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    thief = takes(wallet)
    [seen] = recoveries(wallet)
    assert (seen["since"], seen["full_after"], seen["state"], seen["own"]) == (
        NOW, NOW + RECOVERY_SECONDS, "waiting", False,
    )  # fmt: skip
    assert recoveries(thief) == [{**seen, "own": True}]
    later(city, RECOVERY_SECONDS - 1)
    answer = wallet.call("DELETE", f"/me/recoveries/{seen['recovery_id']}")
    assert (answer.status_code, answer.json()) == (
        200, {"recovery_id": seen["recovery_id"], "state": "cancelled"},
    )  # fmt: skip
    assert may_give(wallet), "at once, and in full"
    assert wallet.opening(held), "what comes from now on is sealed to it again"
    for method, path in (("GET", "/me/grants"), ("GET", "/me/recoveries")):
        assert thief.call(method, path).status_code == 401
    assert thief.enrol().json() == {"error": "cancelled"}
    later(city, 2 * RECOVERY_SECONDS)
    assert thief.enrol().status_code == 409
    assert recoveries(wallet)[0]["state"] == "cancelled"


def test_a_wallet_that_recovered_cannot_send_the_others_away(wallet: Wallet) -> None:
    """Nor can one that took over before end the recovery of one that came after."""
    first = takes(wallet)
    [seen] = recoveries(wallet)
    path = f"/me/recoveries/{seen['recovery_id']}"
    assert first.call("DELETE", path).json() == {"error": "recovered"}
    later(wallet.city, HOUR)
    second = takes(wallet)
    newest = recoveries(second)[0]
    assert first.call("DELETE", f"/me/recoveries/{newest['recovery_id']}").json() == {"error": "recovered"}
    assert second.call("DELETE", path).json() == {"error": "recovered"}
    for recovery in recoveries(wallet):
        assert wallet.call("DELETE", f"/me/recoveries/{recovery['recovery_id']}").status_code == 200
    assert may_give(wallet)


def test_what_is_done_is_done(wallet: Wallet) -> None:
    found = takes(wallet)
    [seen] = recoveries(wallet)
    later(wallet.city, RECOVERY_SECONDS)
    assert wallet.call("DELETE", f"/me/recoveries/{seen['recovery_id']}").json() == {"error": "done"}
    assert may_give(found) and recoveries(found)[0]["state"] == "done"


def test_a_recovery_is_its_accounts_own(wallet: Wallet) -> None:
    takes(wallet)
    [seen] = recoveries(wallet)
    other = Wallet(wallet.city, "other").enrolled()
    for path in (seen["recovery_id"], base64url.encode(bytes(16)), "short"):
        assert other.call("DELETE", f"/me/recoveries/{path}").json() == {"error": "unknown_recovery"}
    assert recoveries(other) == []
    stranger = Wallet(wallet.city, "stranger")
    assert stranger.call("GET", "/me/recoveries").status_code == 401


def test_a_key_that_was_full_comes_back_in_full(wallet: Wallet) -> None:
    thief = takes(wallet)
    later(wallet.city, HOUR)
    assert full_after(wallet) == 0 and may_give(wallet)
    assert recoveries(wallet)[0]["state"] == "cancelled"
    # Its wait has not gone on behind the owner's back.
    later(wallet.city, RECOVERY_SECONDS)
    now = int(wallet.city.clock())
    assert full_after(thief) == now + RECOVERY_SECONDS and not may_give(thief)


def test_repeated_recoveries_set_nobody_back(wallet: Wallet) -> None:
    """The wallet is lost; somebody else can present, too, and does so again and again."""
    city = wallet.city
    owner = takes(wallet)
    due = NOW + RECOVERY_SECONDS
    for _ in range(5):
        later(city, 12 * HOUR)
        takes(wallet)
        assert full_after(owner) == due
    later(city, 12 * HOUR)
    assert may_give(owner)


def test_who_waits_longest_comes_first(wallet: Wallet) -> None:
    city = wallet.city
    owner = takes(wallet)
    later(city, HOUR)
    thief = takes(wallet)
    later(city, RECOVERY_SECONDS - HOUR)
    # The thief's key is the present one, and waits still; the owner's is full and takes over.
    assert not may_give(thief)
    assert full_after(owner) == NOW + RECOVERY_SECONDS and may_give(owner)
    later(city, HOUR)
    assert full_after(thief) == int(city.clock()) + RECOVERY_SECONDS


def test_a_full_wallet_retires_the_one_before(wallet: Wallet) -> None:
    """After the wait nobody brings the lost wallet's key back without waiting, nor does it cancel anything."""
    city = wallet.city
    found = takes(wallet)
    later(city, RECOVERY_SECONDS)
    assert may_give(found)
    again = takes(found)
    [newest, *_] = recoveries(again)
    assert wallet.call("GET", "/me/recoveries").status_code == 401
    assert wallet.call("DELETE", f"/me/recoveries/{newest['recovery_id']}").status_code == 401
    assert full_after(wallet) == int(city.clock()) + RECOVERY_SECONDS
    assert found.call("DELETE", f"/me/recoveries/{newest['recovery_id']}").status_code == 200


def test_a_cancellation_is_no_way_back(wallet: Wallet) -> None:
    """What the lost wallet cancelled in its day does not bring it back once another key is full."""
    city = wallet.city
    takes(wallet)
    [cancelled] = recoveries(wallet)
    path = f"/me/recoveries/{cancelled['recovery_id']}"
    assert wallet.call("DELETE", path).status_code == 200
    assert wallet.call("DELETE", path).status_code == 200, "the same again changes nothing"
    found = takes(wallet)
    later(city, RECOVERY_SECONDS)
    assert may_give(found)
    assert wallet.call("DELETE", path).json() == {"error": "done"}
    assert wallet.call("GET", "/me/grants").status_code == 401 and may_give(found)


def test_who_waits_undoes_nothing_that_protects(wallet: Wallet) -> None:
    mailbox = {"mailbox": base64url.encode(bytes(16))}
    assert wallet.call("POST", "/me/mailboxes", mailbox).status_code == 201
    opposition = {"service": SERVICE, "purpose": None, "holder": None}
    path = f"/me/oppositions/{wallet.call('POST', '/me/oppositions', opposition).json()['opposition_id']}"
    thief = takes(wallet)
    for answer in (thief.call("DELETE", "/me/mailboxes", mailbox), thief.call("DELETE", path)):
        assert (answer.status_code, answer.json()["error"]) == (403, "recovered")
    later(wallet.city, RECOVERY_SECONDS)
    assert thief.call("DELETE", "/me/mailboxes", mailbox).status_code == 200
    assert thief.call("DELETE", path).status_code == 200


def test_the_same_key_again_does_not_begin_anew(wallet: Wallet) -> None:
    thief = takes(wallet)
    later(wallet.city, HOUR)
    assert full_after(thief) == NOW + RECOVERY_SECONDS
    assert len(recoveries(thief)) == 1


def test_a_second_credential_of_the_same_person_finds_the_same_account(wallet: Wallet) -> None:
    """A pairwise identifier is one a person, whichever credential shows it: no second account, no shorter wait."""
    held = wallet.give()
    second = takes(wallet)
    assert [one["grant_id"] for one in second.call("GET", "/me/grants").json()["grants"]] == [held.id]
    assert not may_give(second)


def test_a_revoked_credential_recovers_nothing(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    def revoked(*_: Any) -> Any:
        raise CredentialError("presentation: the credential is revoked")

    monkeypatch.setattr(wallet.city.office.enrolling, "_check_presentation", revoked)
    thief = Wallet(wallet.city, wallet.claim)
    assert thief.enrol().status_code == 400
    assert may_give(wallet) and recoveries(wallet) == []


def test_recoveries_that_race_leave_one_key_and_two_notices(wallet: Wallet) -> None:
    city = wallet.city
    racers = [Wallet(city, wallet.claim) for _ in range(4)]
    calls = []
    for racer in racers:
        thumbprint = racer.key.public_key.thumbprint
        offered = city.get(f"/me/account/request?jkt={thumbprint}").json()
        body = _body(racer, offered)
        proof = city.proof(racer.key, "POST", "/me/account", body, with_jwk=True)
        calls.append(("POST", "/me/account", body, {"Request-Proof": proof, "content-type": "application/json"}))
    answers = city.send_all(calls)
    assert [answer.status_code for answer in answers] == [200] * 4
    present = [racer for racer in racers if racer.call("GET", "/me/grants").status_code == 200]
    assert len(present) == 1 and not may_give(present[0])
    assert len(recoveries(wallet)) == 4


def _body(racer: Wallet, offered: dict[str, Any]) -> bytes:
    from consent.grant.account import account_nonce
    from identity.codec import strict_json
    from tests.consent_city import CONSENT

    nonce = account_nonce(CONSENT, racer.key.public_key.thumbprint, base64url.decode(offered["random"]))
    vp_token = {"claim": racer.claim, "nonce": nonce}
    return strict_json.compact({"vp_token": vp_token, "view_jwk": racer.view_key.public.jwk()})


def test_keys_are_bounded(wallet: Wallet) -> None:
    for _ in range(MAX_KEYS - 1):
        takes(wallet)
    assert Wallet(wallet.city, wallet.claim).enrol().json() == {"error": "too_many"}
    assert full_after(wallet) == 0
