"""C3: the first decision counts, nothing wider is taken, and a grant is of the wallet that gives it."""

import secrets
from dataclasses import replace
from typing import Any

import pytest

from consent import spec
from consent.grant.detail import Frequency, Term
from consent.grant.grant import sign_grant
from consent.grant.request import ConsentRequest, sign_request, verify_request
from consent.grant.withdrawal import sign_withdrawal
from identity.codec import base64url, strict_json
from identity.keys.signer import SoftwareSigner
from tests.consent_city import CONSENT, DAY, HOLDER, NOW, SERVICE, Clock, Wallet


def fresh_id() -> str:
    return base64url.encode(secrets.token_bytes(16))


def test_what_is_given_is_what_is_shown(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    detail = replace(
        asked.request.detail,
        terms={"income.band": Term("binned:eur-3", False)}, max_uses=2, not_after=NOW + DAY,
    )  # fmt: skip
    held = wallet.give(asked, detail=detail)
    shown = wallet.call("GET", f"/me/grants/{held.id}").json()
    opening, receipts = shown.pop("opening"), shown.pop("receipts")
    assert opening and receipts == [{"counter": 1, "kind": "grant", "id": held.receipt.rpartition("/")[2]}]
    assert shown == {
        "grant_id": held.id, "state": "given", "counter": 1, "act": 0, "grant": held.compact,
        "terms": {"income.band": {"resolution": "binned:eur-3", "optional": False}}, "max_uses": 2,
        "not_after": NOW + DAY,
    }  # fmt: skip
    assert wallet.call("GET", "/me/grants").json() == {
        "grants": [{"grant_id": held.id, "state": "given", "counter": 1, "act": 0}]
    }
    served = city.proven(city.signer(SERVICE), "GET", f"/grants/{held.id}").json()
    assert served == {
        "grant_id": held.id, "state": "given", "counter": 1, "grant": held.compact, "terms": shown["terms"],
    }  # fmt: skip


def test_a_grant_is_nobody_elses(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    other = Wallet(city, "other").enrolled()
    for path in (f"/me/grants/{held.id}", held.receipt):
        answer = other.call("GET", path)
        assert answer.status_code == 404, path
    assert other.call("GET", "/me/grants").json() == {"grants": []}
    assert other.call("GET", "/me/timeline").json()["items"] == []
    withdrawal = other.call("POST", f"/me/grants/{held.id}/withdrawal")
    assert (withdrawal.status_code, withdrawal.json()["error"]) == (404, "unknown_grant")
    for party in (HOLDER, "urn:atorga:party:library"):
        for verb in ("GET", "DELETE"):
            answer = city.proven(city.signer(party), verb, f"/grants/{held.id}")
            assert (answer.status_code, answer.json()) == (404, {"error": "unknown_grant"})
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "given"


@pytest.mark.parametrize("decision", ["given", "refused"])
def test_the_proof_of_a_decision_counts_once(wallet: Wallet, decision: str) -> None:
    """It is spent in the decision's own transaction: the second sending is of nobody, not of a closed request."""
    city = wallet.city
    asked, key = city.ask(), SoftwareSigner.generate()
    compact = wallet.sign_grant(asked, key, decision=decision)
    value = {"grant": compact} | ({"locator": wallet.locator(compact)} if decision == "given" else {})
    body = strict_json.compact(value)
    proof = city.proof(wallet.key, "POST", "/me/grants", body)
    for status in (201, 401):
        answer = city.send("POST", "/me/grants", body, request_proof=proof, content_type=spec.MEDIA_JSON)
        assert answer.status_code == status
    assert "jti was used before" in answer.json()["error_description"]


def test_the_proof_of_a_refused_grant_is_spent(wallet: Wallet) -> None:
    """Whether the message is at fault, or what lies here is not as it says."""
    city = wallet.city
    asked = city.ask()
    wallet.give(asked)
    compact = wallet.sign_grant(asked, SoftwareSigner.generate())
    late = {"grant": compact, "locator": wallet.locator(compact)}
    for value, status in (({"grant": "x", "locator": "x"}, 400), (late, 409)):
        body = strict_json.compact(value)
        proof = city.proof(wallet.key, "POST", "/me/grants", body)
        for expected in (status, 401):
            answer = city.send("POST", "/me/grants", body, request_proof=proof, content_type=spec.MEDIA_JSON)
            assert answer.status_code == expected
        assert "jti was used before" in answer.json()["error_description"]


def test_the_first_decision_closes_a_request(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    wallet.give(asked)
    other = Wallet(city, "other").enrolled()
    for one in (wallet, other):
        answer, *_ = one.answer(asked)
        assert (answer.status_code, answer.json()) == (409, {"error": "request_closed"})
    assert city.get(f"/requests/{asked.request.id}/jwt").status_code == 404


def test_a_refusal(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    grant_id = fresh_id()
    compact = wallet.sign_grant(asked, SoftwareSigner.generate(), decision="refused", grant_id=grant_id)
    with_locator = wallet.call("POST", "/me/grants", {"grant": compact, "locator": wallet.locator(compact)})
    assert with_locator.status_code == 400
    answer = wallet.call("POST", "/me/grants", {"grant": compact})
    assert (answer.status_code, answer.json()) == (201, {"state": "refused"})
    state = city.proven(city.signer(SERVICE), "GET", f"/requests/{asked.request.id}")
    assert state.json() == {"state": "refused"}
    again = wallet.call("POST", "/me/grants", {"grant": compact})
    assert (again.status_code, again.json()["error"]) == (409, "request_closed")
    held = wallet.give(grant_id=grant_id)
    assert held.id == grant_id, "a refusal uses no grant id up"


def test_a_grant_needs_its_locator(wallet: Wallet) -> None:
    compact = wallet.sign_grant(wallet.city.ask(), SoftwareSigner.generate())
    for locator in ({}, {"locator": ""}, {"locator": 1}, {"locator": "x" * 16_385}):
        answer = wallet.call("POST", "/me/grants", {"grant": compact, **locator})
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_taken_grant_id(wallet: Wallet) -> None:
    held = wallet.give()
    opening = wallet.opening(held)
    asked = wallet.city.ask()
    answer, *_ = wallet.answer(asked, grant_id=held.id)
    assert (answer.status_code, answer.json()) == (409, {"error": "taken"})
    assert wallet.opening(held).raw == opening.raw
    assert wallet.give(asked).id != held.id, "the request is still open"


@pytest.mark.parametrize(
    "changes",
    [
        {"terms": {"household.size": Term("raw", True)}},
        {"terms": {"income.band": Term("raw", False), "household.size": Term("raw", True)}},
        {"terms": {"income.band": Term("binned:eur-6", True), "household.size": Term("raw", True)}},
        {"datatypes": ("household.size", "income.band")},
        {"not_after": NOW + 20 * DAY + 1},
        {"not_before": NOW - 61},
        {"max_uses": 11},
        {"max_uses": None},
        {"frequency": None},
        {"frequency": Frequency(6, DAY)},
        {"frequency": Frequency(5, DAY - 1)},
        {"data_life_seconds": 30 * DAY + 1},
        {"on_change": "follow"},
        {"mode": "store"},
        {"level": "hidden"},
        {"fetch": "onetime"},
        {"purpose": "https://w3id.org/dpv#Marketing"},
        {"procedure": "parking"},
        {"identifier": "other@1"},
        {"holder": "urn:atorga:party:health"},
    ],
    ids=lambda changes: "-".join(changes),
)
def test_nothing_wider_than_asked(wallet: Wallet, changes: dict[str, Any]) -> None:
    asked = wallet.city.ask()
    answer, *_ = wallet.answer(asked, detail=replace(asked.request.detail, **changes))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize(
    "changes",
    [{"now": NOW - 301}, {"now": NOW + 301}, {"decision": "maybe"}, {"grant_id": "x"}],
    ids=lambda changes: "-".join(changes),
)
def test_grants_that_are_refused(wallet: Wallet, changes: dict[str, Any]) -> None:
    answer, *_ = wallet.answer(wallet.city.ask(), **changes)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_a_grant_that_would_be_over_already(wallet: Wallet) -> None:
    request = wallet.city.ask()
    over = replace(request.request.detail, not_after=NOW)
    answer = wallet.answer(request, detail=over)[0]
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert "its period has passed" in answer.json()["error_description"]
    assert wallet.call("GET", "/me/grants").json() == {"grants": []}
    wallet.give(request)


def test_a_request_that_was_never_registered(wallet: Wallet) -> None:
    """Signed by its service, and yet not what lies here: nobody can have it decided behind our back."""
    city = wallet.city
    asked = city.ask()
    twin = ConsentRequest(SERVICE, CONSENT, asked.request.id, NOW, NOW + 599, None, asked.request.detail)
    unregistered = ConsentRequest(SERVICE, CONSENT, fresh_id(), NOW, NOW + 600, None, asked.request.detail)
    for request in (twin, unregistered):
        compact = sign_request(request, city.signer(SERVICE))
        verified = verify_request(compact, key_of=city.key_of, consent=CONSENT, now=NOW)
        answer, *_ = wallet.answer(verified)
        assert (answer.status_code, answer.json()) == (404, {"error": "unknown_request"})


def test_a_request_signed_by_a_stranger(wallet: Wallet) -> None:
    """A grant minted around a request that its service never signed."""
    asked = wallet.city.ask()
    forged = sign_request(asked.request, SoftwareSigner.generate())
    answer, *_ = wallet.answer(replace(asked, compact=forged, digest=asked.digest))
    assert answer.status_code == 400


def test_a_request_in_a_mailbox_is_for_its_owner(wallet: Wallet) -> None:
    city = wallet.city
    box = fresh_id()
    wallet.call("POST", "/me/mailboxes", {"mailbox": box})
    asked = city.ask(mailbox=box)
    other = Wallet(city, "other").enrolled()
    answer, *_ = other.answer(asked)
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_request")
    wallet.give(asked)


def test_a_request_that_ended_meanwhile(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask(expires=NOW + 10)
    assert isinstance(city.clock, Clock)
    city.clock.now += 10
    early, *_ = wallet.answer(asked, now=NOW + 9)
    assert (early.status_code, early.json()["error"]) == (409, "request_closed")
    late, *_ = wallet.answer(asked)
    assert late.status_code == 400, "signed after the request's end"


def test_a_procedure_that_needs_less_by_now(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    city.declare(city.purpose_declaration(version=2, datatypes=("income.band",)))
    answer, *_ = wallet.answer(asked)
    assert answer.status_code == 400


def test_a_withdrawal_that_came_first(wallet: Wallet) -> None:
    """C5: whoever holds the grant key may withdraw before the grant arrives."""
    city = wallet.city
    key, grant_id = SoftwareSigner.generate(), fresh_id()
    asked = city.ask()
    for signer, status in ((SoftwareSigner.generate(), 202), (key, 202)):
        compact = sign_withdrawal(grant_id, None, signer=signer, now=NOW, random=secrets.token_bytes)
        answer = city.post_jws("/withdrawals", compact)
        assert (answer.status_code, answer.json()) == (status, {"state": "noted"})
    grant = sign_grant(
        grant_id=grant_id, request=asked, detail=asked.request.detail, decision="given", now=NOW, signer=key
    )
    answer = wallet.call("POST", "/me/grants", {"grant": grant, "locator": wallet.locator(grant)})
    assert (answer.status_code, answer.json()) == (409, {"error": "withdrawn"})
    assert not [path for path in (city.folder / "opening").rglob("*") if path.is_file()]
    other, *_ = wallet.answer(asked, grant_id=grant_id)
    assert other.status_code == 201, "another key's withdrawal of this id says nothing"


def test_a_grant_that_did_not_come_about_leaves_no_opening_key(wallet: Wallet) -> None:
    asked = wallet.city.ask()
    wallet.give(asked)
    before = sorted(path for path in (wallet.city.folder / "opening").rglob("*") if path.is_file())
    answer, *_ = wallet.answer(asked)
    assert answer.status_code == 409
    assert sorted(path for path in (wallet.city.folder / "opening").rglob("*") if path.is_file()) == before


def test_fetched_once_means_used_once(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(fetch="onetime", max_uses=None, frequency=None)))
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["max_uses"] == 1
    first, second = city.use_request(held.id), city.use_request(held.id)
    city.prove(city.use(first), first, wallet)
    assert city.reasons(city.use(second), second) == ["max_uses"]


def test_a_log_that_does_not_run_takes_no_grant(wallet: Wallet) -> None:
    asked = wallet.city.ask()
    wallet.city.office.sequencer.stop()
    answer, *_ = wallet.answer(asked)
    assert answer.status_code == 503
    assert wallet.call("GET", "/me/grants").json() == {"grants": []}


def test_the_receipt_speaks_the_readers_language(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    for header, language in (("ca,en;q=0.5", "ca"), ("pl", "en"), ("", "en"), ("ca-ES", "ca")):
        proof = city.proof(wallet.key, "GET", held.receipt)
        answer = city.send("GET", held.receipt, request_proof=proof, accept_language=header)
        assert answer.json()["notice"]["language"] == language
