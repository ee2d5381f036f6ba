"""C5, withdrawal: it always wins, at once, whatever else fails, and is answered with proof or promise."""

import asyncio
import secrets
import time
from dataclasses import replace
from typing import Any

import pytest

from consent import spec
from consent.errors import NotKnown
from consent.grant.grant import FRESH_SECONDS
from consent.grant.request import MAILBOX_LIFETIME_SECONDS
from consent.grant.request import SKEW_SECONDS as REQUEST_SKEW_SECONDS
from consent.grant.withdrawal import sign_withdrawal
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import Placed, Placing
from consent.ledger.promise import verify_promise
from consent.ledger.proof import verify_leaf_proof
from consent.ledger.proofs import NOTED_SECONDS
from consent.service.app import SLOW_THREADS
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import HOLDER, NOW, OTHER_SERVICE, SERVICE, Clock, Held, Wallet


@pytest.fixture
def held(wallet: Wallet) -> Held:
    return wallet.give()


def test_one_attribute_of_two(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    answer = wallet.withdraw(held, "household.size")
    value = answer.json()
    leaf = verify_leaf_proof(value.pop("proof"), city.vkey).leaf
    assert value == {"state": "given", "attributes": ["income.band"], "counter": 2, "effective_at": NOW}
    assert (leaf.kind, leaf.mask, leaf.max_uses) == (Kind.AMEND, 0b01, 10)
    use = city.use_request(held.id, attributes=("household.size",))
    assert city.reasons(city.use(use), use) == ["attribute_not_granted"]
    other = city.use_request(held.id)
    city.prove(city.use(other), other, wallet)


def test_withdrawing_the_rest_is_a_whole_withdrawal(wallet: Wallet, held: Held) -> None:
    """Also of an attribute that the procedure requires."""
    assert wallet.withdraw(held, "income.band").json()["attributes"] == ["household.size"]
    value = wallet.withdraw(held, "household.size").json()
    assert value["state"] == "withdrawn" and "attributes" not in value
    # The second closing of this account within the hour: its leaf waits, and is promised.
    assert "proof" not in value
    assert verify_promise(value["promise"], wallet.city.vkey).leaf.kind is Kind.WITHDRAW


def test_a_second_closing_waits_its_time_and_keeps_its_promise(wallet: Wallet, held: Held) -> None:
    city, other = wallet.city, wallet.give()
    assert "proof" in wallet.withdraw(held).json()
    value = wallet.withdraw(other).json()
    assert value["state"] == "withdrawn" and "proof" not in value
    assert city.use(city.use_request(other.id)).status_code == 403, "it takes effect at once"
    promise = verify_promise(value["promise"], city.vkey)
    assert promise.due == NOW + 3_600
    assert wallet.withdraw(other).json()["promise"] == value["promise"], "the first word stands"
    receipts = wallet.call("GET", f"/me/grants/{other.id}").json()["receipts"]
    (last,) = [one["id"] for one in receipts if one["kind"] == "withdraw"]
    served = wallet.call("GET", f"/me/receipts/{last}").json()
    assert (served["leaf_index"], served["promise"]) == (None, value["promise"])
    city.clock.now = promise.due  # type: ignore[attr-defined]
    city.office.sequencer.wake()
    until = time.monotonic() + 10
    while (served := wallet.call("GET", f"/me/receipts/{last}").json())["leaf_index"] is None:
        assert time.monotonic() < until
        time.sleep(0.02)
    assert promise.is_kept_by(verify_leaf_proof(served["tlog_proof"], city.vkey).leaf)


def test_the_service_sees_what_is_left(wallet: Wallet, held: Held) -> None:
    wallet.withdraw(held, "income.band")
    city = wallet.city
    seen = city.proven(city.signer(SERVICE), "GET", f"/grants/{held.id}").json()
    assert (seen["state"], seen["counter"], list(seen["terms"])) == ("given", 2, ["household.size"])


def test_a_paused_grant_stays_paused(wallet: Wallet, held: Held) -> None:
    wallet.act(held, 1, "pause")
    assert wallet.withdraw(held, "household.size").json()["state"] == "paused"
    assert wallet.withdraw(held).json()["state"] == "withdrawn"


def test_a_repeat_gets_the_first_counter_and_time(wallet: Wallet, held: Held) -> None:
    first = wallet.withdraw(held).json()
    clock = wallet.city.clock
    assert isinstance(clock, Clock)
    clock.now += 100
    again = wallet.withdraw(held)
    assert again.status_code == 200
    assert {**again.json(), "proof": ""} == {**first, "proof": ""}


@pytest.mark.parametrize("attributes", [("never.asked",), ("never.asked", "nor.this")])
def test_what_was_never_given_withdraws_nothing(wallet: Wallet, held: Held, attributes: tuple[str, ...]) -> None:
    value = wallet.withdraw(held, *attributes).json()
    assert (value["state"], value["attributes"], value["counter"]) == ("given", ["income.band", "household.size"], 1)


def test_no_nonce_no_clock_no_list(wallet: Wallet, held: Held) -> None:
    """Nothing that could make it fail: an old date, no list, a request of long ago."""
    city = wallet.city
    city.registry = None
    compact = sign_withdrawal(held.id, None, signer=held.key, now=1, random=secrets.token_bytes)
    assert city.post_jws("/withdrawals", compact).json()["state"] == "withdrawn"


@pytest.mark.parametrize("how", ["stopped", "slow"])
def test_without_the_log_it_takes_effect_with_a_promise(
    wallet: Wallet, held: Held, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = wallet.city
    assert city.office.sequencer.wait_for_size(3, seconds=5), "the grant itself is logged"
    if how == "stopped":
        city.office.sequencer.stop()
    else:
        monkeypatch.setattr("consent.service.withdrawing.LOG_SECONDS", 0.05)
        monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
    answer = wallet.withdraw(held)
    assert answer.status_code == 200
    value = answer.json()
    promise = verify_promise(value["promise"], city.vkey)
    assert (value["state"], promise.due, "proof" in value) == ("withdrawn", NOW + 3_600, False)
    assert (promise.leaf.kind, base64url.encode(promise.leaf.id)) == (Kind.WITHDRAW, held.id)
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "withdrawn"
    receipts = wallet.call("GET", f"/me/grants/{held.id}").json()["receipts"]
    receipt = wallet.call("GET", f"/me/receipts/{receipts[-1]['id']}").json()
    assert receipt["leaf_index"] is None and verify_promise(receipt["promise"], city.vkey).leaf == promise.leaf
    items = wallet.call("GET", "/me/timeline").json()["items"]
    assert (items[-1]["kind"], items[-1]["leaf_index"]) == ("withdraw", None)
    if how == "slow":
        # The log goes on: the promise is kept, and the item comes again with its index.
        monkeypatch.undo()
        city.office.sequencer.wake()
        assert city.office.sequencer.wait_for_size(4, seconds=5)
        index = wallet.call("GET", f"/me/timeline?after={items[-2]['leaf_index']}").json()["items"][0]["leaf_index"]
        assert promise.is_kept_by(Leaf.from_bytes(city.office.sequencer.writer.entry(index)))
        assert "proof" in wallet.withdraw(held).json()


def test_a_grant_that_is_unknown_or_another_keys_is_noted_alike(wallet: Wallet, held: Held) -> None:
    unknown = replace(held, id=base64url.encode(bytes(16)))
    answers = [wallet.withdraw(held, key=SoftwareSigner.generate()), wallet.withdraw(unknown)]
    for answer in answers:
        assert (answer.status_code, answer.json()) == (202, {"state": "noted"})
    assert set(answers[0].headers) == set(answers[1].headers)
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "given"


def test_noting_is_limited_and_withdrawing_is_not(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    unknown = [replace(held, id=base64url.encode(number.to_bytes(16, "big"))) for number in range(101)]
    statuses = [wallet.withdraw(one).status_code for one in unknown]
    assert statuses == [202] * 100 + [429]
    assert wallet.withdraw(held, key=SoftwareSigner.generate()).status_code == 429, "the same for both"
    assert wallet.withdraw(held).status_code == 200
    assert isinstance(city.clock, Clock)
    city.clock.now += 60
    assert wallet.withdraw(unknown[-1]).status_code == 202


def test_a_withdrawal_that_crosses_its_grant_is_not_lost(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The grant is committed between the door's look and its note: the door looks again."""
    city = wallet.city
    held = wallet.give()
    grants = city.office.withdrawing._grants
    looks: list[Any] = [None]
    real = grants.get
    monkeypatch.setattr(grants, "get", lambda grant_id: looks.pop() if looks else real(grant_id))
    answer = wallet.withdraw(held)
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")


@pytest.mark.parametrize(
    "body",
    [b"", b"x", b"a.b.c"],
)
def test_texts_that_are_no_withdrawal(wallet: Wallet, body: bytes) -> None:
    answer = wallet.city.send("POST", "/withdrawals", body, content_type=spec.MEDIA_JWT)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# Without the grant key


def test_by_the_account(wallet: Wallet, held: Held) -> None:
    path = f"/me/grants/{held.id}/withdrawal"
    part = wallet.call("POST", path, {"attributes": ["household.size"]}).json()
    assert (part["state"], part["attributes"], part["counter"]) == ("given", ["income.band"], 2)
    whole = wallet.call("POST", path, {"attributes": None}).json()
    assert (whole["state"], whole["counter"]) == ("withdrawn", 3)
    again = wallet.call("POST", path).json()
    assert (again["state"], again["counter"]) == ("withdrawn", 3)
    opening = wallet.opening(held)
    events = [wallet.open(item, opening).event for item in wallet.call("GET", "/me/timeline").json()["items"]]
    assert [event.get("by") for event in events] == [None, "account", "account"]


@pytest.mark.parametrize("value", [{"attributes": "x"}, {"attributes": []}, {"more": 1}, {"attributes": [1]}])
def test_by_the_account_with_a_wrong_body(wallet: Wallet, held: Held, value: dict[str, Any]) -> None:
    assert wallet.call("POST", f"/me/grants/{held.id}/withdrawal", value).status_code == 400
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "given"


def test_giving_back_what_was_withdrawn(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    wallet.withdraw(held)
    answer = city.proven(city.signer(SERVICE), "DELETE", f"/grants/{held.id}")
    assert (answer.status_code, answer.json()) == (409, {"error": "withdrawn"})
    with pytest.raises(NotKnown):
        city.office.withdrawing.give_back(city.office.callers._parties.find("urn:atorga:party:library"), held.id)  # type: ignore[arg-type]


def test_uses_that_wait_for_the_log_keep_no_withdrawal_waiting(
    wallet: Wallet, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More uses than there are threads for them, all waiting; the withdrawal has threads of its own."""
    city = wallet.city
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    monkeypatch.setattr("consent.service.deciding.LOG_SECONDS", 3.0)
    monkeypatch.setattr("consent.service.withdrawing.LOG_SECONDS", 0.01)
    monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
    other = wallet.give(city.ask(city.detail(frequency=None, max_uses=1_000)))
    bodies = [f'{{"use_request":"{city.use_request(other.id).compact}"}}'.encode() for _ in range(SLOW_THREADS + 6)]
    compact = sign_withdrawal(held.id, None, signer=held.key, now=NOW, random=secrets.token_bytes)

    async def together() -> tuple[float, int]:
        http = city._http
        uses = [
            asyncio.create_task(
                http.post(
                    "/uses",
                    content=body,
                    headers={
                        "Request-Proof": city.proof(city.signer(HOLDER), "POST", "/uses", body),
                        "Content-Type": spec.MEDIA_JSON,
                    },
                )
            )
            for body in bodies
        ]
        await asyncio.sleep(1.0)
        began = time.monotonic()
        answer = await http.post("/withdrawals", content=compact, headers={"Content-Type": spec.MEDIA_JWT})
        seconds = time.monotonic() - began
        assert not all(use.done() for use in uses)
        await asyncio.gather(*uses)
        return seconds, answer.status_code

    seconds, status = city._runner.run(together())
    assert status == 200 and seconds < 2.0


@pytest.mark.parametrize("grant_id", ["AAAAAAAAAAAAAAAAAAAAAA", "x", "AAAAAAAAAAAAAAAAAAAAAB"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_service_asks_about_what_is_not_there(wallet: Wallet, held: Held, method: str, grant_id: str) -> None:
    city = wallet.city
    for party in (SERVICE, HOLDER, OTHER_SERVICE):
        answer = city.proven(city.signer(party), method, f"/grants/{grant_id}")
        assert (answer.status_code, answer.json()) == (404, {"error": "unknown_grant"})


def test_a_noted_withdrawal_outlives_every_grant_that_could_still_come(wallet: Wallet) -> None:
    """A grant is posted within minutes of its signing and before its request ends, and requests end within a month:
    what was signed before the withdrawal cannot come after the note is forgotten."""
    assert NOTED_SECONDS > MAILBOX_LIFETIME_SECONDS + REQUEST_SKEW_SECONDS + FRESH_SECONDS
    city = wallet.city
    request = city.ask()
    grant_id, key = base64url.encode(secrets.token_bytes(16)), SoftwareSigner.generate()
    compact = wallet.sign_grant(request, key, grant_id=grant_id)
    withdrawal = sign_withdrawal(grant_id, None, signer=key, now=NOW, random=secrets.token_bytes)
    assert city.post_jws("/withdrawals", withdrawal).status_code == 202
    body = {"grant": compact, "locator": wallet.locator(compact)}
    assert wallet.call("POST", "/me/grants", body).json() == {"error": "withdrawn"}
    assert isinstance(city.clock, Clock)
    city.clock.now += NOTED_SECONDS + 1
    city.registry = city.keys.listed(city.clock())
    assert wallet.call("POST", "/me/grants", body).status_code == 400
