"""C5, acts: numbered, signed whole by the grant key, only ever narrower."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from consent import spec
from consent.grant.act import Pause, sign_act
from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_leaf_proof
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.consent_city import DAY, NOW, Held, Wallet


@pytest.fixture
def held(wallet: Wallet) -> Held:
    return wallet.give()


def narrower(wallet: Wallet, **changes: Any) -> AuthorizationDetail:
    return replace(wallet.city.detail(), **changes)


def test_each_act_is_answered_with_its_proof(wallet: Wallet, held: Held) -> None:
    for number, verb, state, kind in (
        (1, "pause", "paused", Kind.PAUSE),
        (2, "resume", "given", Kind.RESUME),
    ):
        answer = wallet.act(held, number, verb)
        assert answer.status_code == 200
        value = answer.json()
        leaf = verify_leaf_proof(value.pop("proof"), wallet.city.vkey).leaf
        assert value == {"grant_id": held.id, "state": state, "counter": number + 1, "act": number}
        assert (leaf.kind, base64url.encode(leaf.id), leaf.counter) == (kind, held.id, number + 1)


def test_an_ended_grant_takes_no_act(wallet: Wallet, held: Held) -> None:
    assert wallet.withdraw(held).status_code == 200
    for verb, detail in (("pause", None), ("resume", None), ("amend", narrower(wallet, max_uses=1))):
        answer = wallet.act(held, 1, verb, detail)
        assert (answer.status_code, answer.json()) == (409, {"error": "withdrawn"})


def test_an_act_whose_leaf_is_late_stands(wallet: Wallet, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    sequencer = wallet.city.office.sequencer
    with monkeypatch.context() as slow:
        slow.setattr(sequencer, "wait", lambda *_, **__: None)
        slow.setattr(sequencer, "find", lambda *_: None)
        assert wallet.act(held, 1, "pause").status_code == 503
    use = wallet.city.use_request(held.id)
    assert wallet.city.reasons(wallet.city.use(use), use) == ["paused"]


def test_an_amendment_narrows(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    detail = narrower(wallet, terms={"income.band": Term("binned:eur-3", False)}, max_uses=1, not_after=NOW + DAY)
    answer = wallet.act(held, 1, "amend", detail)
    assert answer.status_code == 200
    leaf = verify_leaf_proof(answer.json()["proof"], city.vkey).leaf
    assert (leaf.kind, leaf.mask, leaf.max_uses) == (Kind.AMEND, 0b01, 1)
    shown = wallet.call("GET", f"/me/grants/{held.id}").json()
    assert shown["terms"] == {"income.band": {"resolution": "binned:eur-3", "optional": False}}
    assert (shown["max_uses"], shown["not_after"], shown["state"]) == (1, NOW + DAY, "given")
    use = city.use_request(held.id)
    proven = city.prove(city.use(use), use, wallet)
    assert proven.allow.resolutions == {"income.band": "binned:eur-3"}
    opened = wallet.open(wallet.call("GET", "/me/timeline").json()["items"][1], wallet.opening(held)).event
    assert (opened["attributes"], opened["not_after"], opened["max_uses"]) == (["income.band"], NOW + DAY, 1)


@pytest.mark.parametrize(
    "changes",
    [
        {"not_after": NOW + 20 * DAY + 1},
        {"not_before": NOW - 61},
        {"max_uses": 11},
        {"max_uses": None},
        {"frequency": None},
        {"frequency": Frequency(6, DAY)},
        {"terms": {"income.band": Term("raw", False), "household.size": Term("raw", True)}},
        {"terms": {"household.size": Term("raw", True)}},
        {"purpose": "https://w3id.org/dpv#Marketing"},
        {"holder": "urn:atorga:party:health"},
        {"data_life_seconds": 31 * DAY},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_an_amendment_widens_nothing(wallet: Wallet, held: Held, changes: dict[str, Any]) -> None:
    answer = wallet.act(held, 1, "amend", narrower(wallet, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["act"] == 0


def test_an_end_before_leaves_can_tell_it_is_refused(wallet: Wallet) -> None:
    """Leaves count end days from 2020: an earlier end is a bad request, not a fault of the log."""
    detail = wallet.city.detail(not_before=0)
    held = wallet.give(wallet.city.ask(detail))
    for not_after, status in ((1_577_836_799, 400), (1_577_836_800, 200)):
        assert wallet.act(held, 1, "amend", replace(detail, not_after=not_after)).status_code == status


def test_what_was_dropped_or_withdrawn_does_not_come_back(wallet: Wallet, held: Held) -> None:
    wallet.withdraw(held, "household.size")
    assert wallet.act(held, 1, "amend", narrower(wallet)).status_code == 400
    without = narrower(wallet).without(frozenset({"household.size"}))
    assert wallet.act(held, 1, "amend", without).status_code == 200


def test_acts_come_in_their_order(wallet: Wallet, held: Held) -> None:
    assert wallet.act(held, 1, "pause").status_code == 200
    for number in (1, 3, 99):
        answer = wallet.act(held, number, "resume")
        assert (answer.status_code, answer.json()) == (409, {"error": "act_number", "act": 1})
    assert wallet.act(held, 0, "resume").status_code == 400
    assert wallet.act(held, 2, "resume").status_code == 200


def test_the_same_act_again_gets_its_first_answer_while_it_is_the_last(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    compact = sign_act(
        held.id, 1, Pause(), consent="urn:atorga:party:consent", signer=held.key, now=NOW, random=secrets.token_bytes
    )
    path = f"/me/grants/{held.id}"
    first = city.post_jws(path, compact, "PATCH").json()
    wallet.withdraw(held)
    again = city.post_jws(path, compact, "PATCH")
    assert again.status_code == 200
    assert {**again.json(), "proof": ""} == {**first, "proof": ""}
    assert verify_leaf_proof(again.json()["proof"], city.vkey).leaf.counter == 2


def test_an_older_act_again_is_refused(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    compact = sign_act(
        held.id, 1, Pause(), consent="urn:atorga:party:consent", signer=held.key, now=NOW, random=secrets.token_bytes
    )
    city.post_jws(f"/me/grants/{held.id}", compact, "PATCH")
    wallet.act(held, 2, "resume")
    answer = city.post_jws(f"/me/grants/{held.id}", compact, "PATCH")
    assert (answer.status_code, answer.json()) == (409, {"error": "act_number", "act": 2})


def test_acts_that_the_state_forbids(wallet: Wallet, held: Held) -> None:
    answer = wallet.act(held, 1, "resume")
    assert (answer.status_code, answer.json()) == (409, {"error": "given"})
    wallet.act(held, 1, "pause")
    answer = wallet.act(held, 2, "pause")
    assert (answer.status_code, answer.json()) == (409, {"error": "paused"})
    assert wallet.act(held, 2, "amend", narrower(wallet, max_uses=1)).json()["state"] == "paused"
    wallet.withdraw(held)
    answer = wallet.act(held, 3, "resume")
    assert (answer.status_code, answer.json()) == (409, {"error": "withdrawn"})


def test_only_the_grants_own_key_acts(wallet: Wallet, held: Held) -> None:
    """Nor the account key, nor another grant's, nor anybody who knows the id."""
    other = wallet.give()
    for signer in (wallet.key, other.key, SoftwareSigner.generate()):
        answer = wallet.act(held, 1, "pause", signer=signer)
        assert (answer.status_code, answer.json()) == (404, {"error": "unknown_grant"})
    unknown = replace(held, id=base64url.encode(bytes(16)))
    answer = wallet.act(unknown, 1, "pause")
    assert (answer.status_code, answer.json()) == (404, {"error": "unknown_grant"})
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["act"] == 0


def test_acts_for_others_or_for_another_address(wallet: Wallet, held: Held) -> None:
    assert wallet.act(held, 1, "pause", consent="urn:atorga:party:other").status_code == 400
    other = wallet.give()
    compact = sign_act(
        held.id, 1, Pause(), consent="urn:atorga:party:consent", signer=held.key, now=NOW, random=secrets.token_bytes
    )
    assert wallet.city.post_jws(f"/me/grants/{other.id}", compact, "PATCH").status_code == 400


def test_without_a_log_no_act(wallet: Wallet, held: Held) -> None:
    wallet.city.office.sequencer.stop()
    answer = wallet.act(held, 1, "pause")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert answer.headers["content-type"] == spec.MEDIA_JSON
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "given"
