"""Reading through the kit: what counts as an answer, and what does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from consent.grant.use import DataAnswer, seal_data_answer
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_leaf_proof
from consent.log.proof import Proof
from consent.log.writer import LogWriter
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPublicKey
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from tests.holder_city import ANNA, BERTA, CLAIM, HOLDER, INCOME, SERVICE, Wallet
from tests.unit.verifier.kit.conftest import Service
from verifier.kit.outcome import Refused, Released


def refused(service: Service, grant_id: str, **asked: Any) -> tuple[str, ...]:
    answer = service.kit.read(grant_id, **asked)
    assert isinstance(answer, Refused) and answer.description
    return answer.reasons


def test_read(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    answer = service.kit.read(grant_id)
    assert isinstance(answer, Released)
    assert answer.attributes == {"income.band": "3", "household.size": 3}
    assert (answer.counter, answer.leaf_index) == (2, service.city.consent.log.size - 1)
    again = service.kit.read(grant_id, ("household.size",))
    assert isinstance(again, Released) and again.counter == 3 and again.attributes == {"household.size": 3}


def test_expected_subject(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    assert isinstance(service.kit.read(grant_id, expected_subject={CLAIM: ANNA}), Released)
    assert refused(service, grant_id, expected_subject={CLAIM: BERTA}) == ("subject_mismatch",)
    assert all(ANNA not in one and BERTA not in one for one in service.between.seen)


def test_reply_keys_are_fresh(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    for _ in range(2):
        service.kit.read(grant_id)
    keys = [jws.parse(one).claims()["reply_key"]["x"] for one in service.between.seen]
    assert len(set(keys)) == 2


def test_a_line_that_breaks_loses_no_use(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.between.breaks = 1
    answer = service.kit.read(grant_id)
    assert isinstance(answer, Released) and answer.counter == 2
    assert len(set(service.between.seen)) == 1, "the same use request again"
    service.between.breaks = 2
    assert refused(service, grant_id) == ("holder_unavailable",)


def test_reasons_are_the_data_holders(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.city.consent.grants[grant_id].state = "paused"
    assert refused(service, grant_id) == ("paused",)
    service.city.consent.lies.down = True
    assert refused(service, grant_id) == ("consent_unavailable",)
    assert refused(service, "AAAAAAAAAAAAAAAAAAAAAA") == ("unknown_grant",)


@pytest.mark.parametrize(
    ("answer", "reasons"),
    [
        (JSONResponse({"error": "temporarily_unavailable"}, 503), ("temporarily_unavailable",)),
        (JSONResponse({"decision": "deny", "reasons": "all"}, 403), ("holder_unavailable",)),
        (JSONResponse({"decision": "deny", "reasons": [{"code": 7}, "x", {}]}, 403), ("holder_unavailable",)),
        (JSONResponse([], 403), ("holder_unavailable",)),
        (Response("<html>", 502), ("holder_unavailable",)),
        (Response("", 302, headers={"Location": "http://localhost:8102/data"}), ("holder_unavailable",)),
        (Response("x" * 262_145, 200), ("holder_unavailable",)),
        (JSONResponse([], 200), ("answer_not_proven",)),
        (JSONResponse({}, 200), ("answer_not_proven",)),
        (Response("", 200), ("answer_not_proven",)),
    ],
    ids=lambda value: str(getattr(value, "body", value))[:40],
)
def test_answers_that_are_none(service: Service, anna: Wallet, answer: Response, reasons: tuple[str, ...]) -> None:
    grant_id = service.given(anna)
    service.between.answer = answer
    assert refused(service, grant_id) == reasons


# An answer without proof, with another proof, or by somebody else.


CHANGED: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "no proof": lambda value: {name: one for name, one in value.items() if name != "proof"},
    "an empty proof": lambda value: value | {"proof": ""},
    "a broken proof": lambda value: value | {"proof": value["proof"].replace("index 0", "index 1")},
    "another counter": lambda value: value | {"counter": value["counter"] + 1},
    "counter 1": lambda value: value | {"counter": 1},
    "another use": lambda value: value | {"use_id": base64url.encode(bytes(16))},
    "another grant": lambda value: value | {"grant_id": base64url.encode(bytes(16))},
    "an unknown member": lambda value: value | {"more": 1},
    "sealed to another key": lambda value: value | {"sealed": base64url.encode(bytes(200))},
}


@pytest.mark.parametrize("name", CHANGED)
def test_an_answer_changed_under_way(service: Service, anna: Wallet, name: str) -> None:
    grant_id = service.given(anna)
    service.between.change = CHANGED[name]
    assert refused(service, grant_id) == ("answer_not_proven",)
    assert not any(str(INCOME) in one for one in service.between.seen)


def resealed(service: Service, signer: SoftwareSigner, /, **changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Somebody between makes an answer of their own, sealed rightly to the reply key."""

    def change(value: dict[str, Any]) -> dict[str, Any]:
        claims = jws.parse(service.between.seen[-1]).claims()
        named: dict[str, Any] = {
            "holder": HOLDER,
            "service": SERVICE,
            "use_id": value["use_id"],
            "grant_id": value["grant_id"],
            "use_request_hash": jws.digest(service.between.seen[-1]),
            "issued": claims["iat"],
            "attributes": {"income.band": "6", "household.size": 9},
        } | changes
        reply = AgreementPublicKey.from_jwk(claims["reply_key"])
        return value | {"sealed": seal_data_answer(DataAnswer(**named), signer, reply)}

    return change


def test_an_answer_re_sealed_by_a_third_party(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.between.change = resealed(service, SoftwareSigner.generate())
    assert refused(service, grant_id) == ("answer_not_proven",)
    service.between.change = resealed(service, service.city.keys[SERVICE])
    assert refused(service, grant_id) == ("answer_not_proven",)
    service.between.change = resealed(service, service.city.keys[HOLDER])
    assert isinstance(service.kit.read(grant_id), Released), "this test can tell"


@pytest.mark.parametrize(
    "changes",
    [
        {"holder": SERVICE},
        {"service": HOLDER},
        {"use_request_hash": base64url.encode(bytes(32))},
        {"attributes": {"income.band": "6"}},
        {"attributes": {"income.band": "6", "household.size": 9, "more": 1}},
    ],
    ids=str,
)
def test_an_answer_about_something_else(service: Service, anna: Wallet, changes: dict[str, Any]) -> None:
    grant_id = service.given(anna)
    service.between.change = resealed(service, service.city.keys[HOLDER], **changes)
    assert refused(service, grant_id) == ("answer_not_proven",)


LEAVES: dict[str, dict[str, Any]] = {
    "another kind": {"kind": Kind.DENY},
    "another grant": {"id": bytes(16)},
    "another counter": {"counter": 9},
    "fewer attributes": {"mask": 0b01},
    "more attributes": {"mask": 0b111},
}


@pytest.mark.parametrize("name", LEAVES)
def test_a_proof_of_another_leaf(service: Service, anna: Wallet, name: str) -> None:
    """Data holder and consent service together: what a service can see alone is the leaf."""
    city, grant_id = service.city, service.given(anna)

    def change(value: dict[str, Any]) -> dict[str, Any]:
        leaf = verify_leaf_proof(value["proof"], city.consent.vkey).leaf
        return value | {"proof": city.consent.prove(replace(leaf, **LEAVES[name]))}

    service.between.change = change
    assert refused(service, grant_id) == ("answer_not_proven",)


def test_a_proof_by_another_log(service: Service, anna: Wallet) -> None:
    city, grant_id = service.city, service.given(anna)
    other = LogWriter(city.folder / "second", "localhost:8101/log/2026", Ed25519Signer(bytes(32)))

    def change(value: dict[str, Any]) -> dict[str, Any]:
        entry = Proof.parse(value["proof"]).entry
        return value | {"proof": other.prove(other.append([entry]))}

    service.between.change = change
    assert refused(service, grant_id) == ("answer_not_proven",)


def test_one_leaf_proves_one_answer(service: Service, anna: Wallet) -> None:
    """A data holder that skips the consent service has only an old proof to show."""
    grant_id = service.given(anna)
    first: dict[str, Any] = {}

    def keep(value: dict[str, Any]) -> dict[str, Any]:
        first.update(value)
        return value

    service.between.change = keep
    assert isinstance(service.kit.read(grant_id), Released)

    def again(value: dict[str, Any]) -> dict[str, Any]:
        made = resealed(service, service.city.keys[HOLDER])(value)
        return made | {"counter": first["counter"], "proof": first["proof"]}

    service.between.change = again
    assert refused(service, grant_id) == ("answer_not_proven",)


# Addresses and keys come from the list.


def test_a_data_holder_that_is_not_listed_is_not_asked(service: Service, anna: Wallet) -> None:
    city, grant_id = service.city, service.given(anna)
    listed = city.parties[HOLDER]
    for changed in (replace(listed, roles=frozenset({"service"})), replace(listed, endpoints={}), None):
        city.parties.pop(HOLDER)
        if changed is not None:
            city.parties[HOLDER] = changed
        assert refused(service, grant_id) == ("holder_unavailable",)
        city.parties[HOLDER] = listed
    assert service.between.seen == []


def test_plain_http_beyond_this_machine_is_not_asked(service: Service, anna: Wallet) -> None:
    city, grant_id = service.city, service.given(anna)
    city.parties[HOLDER] = replace(city.parties[HOLDER], endpoints={"data": "http://holder.example/data"})
    assert refused(service, grant_id) == ("holder_unavailable",)


def test_without_the_list_nothing_is_asked(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.city.registry_down = True
    assert refused(service, grant_id) == ("holder_unavailable",)


# Withdrawals at the service's own door.


def test_a_withdrawn_grant_is_forgotten_and_never_used(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    assert service.withdraw(anna, grant_id).json()["state"] == "withdrawn"
    asked = len(service.between.seen)
    assert refused(service, grant_id) == ("withdrawn",)
    assert service.kit.grants() == [] and len(service.between.seen) == asked
    assert service.withdraw(anna, grant_id).json()["state"] == "withdrawn"
    kit = service.reopened()
    assert kit.grants() == [] and kit.read(grant_id) == service.kit.read(grant_id)


def test_a_withdrawn_attribute_is_not_asked_for(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    left = service.withdraw(anna, grant_id, ("household.size",)).json()
    assert left["attributes"] == ["income.band"]
    assert refused(service, grant_id, attributes=("income.band", "household.size")) == ("withdrawn",)
    assert service.between.seen == []
    answer = service.kit.read(grant_id)
    assert isinstance(answer, Released) and answer.attributes == {"income.band": "3"}


def test_a_withdrawal_by_another_key_changes_nothing(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    assert service.withdraw(Wallet(ANNA), grant_id).status_code == 202
    assert isinstance(service.kit.read(grant_id), Released)


def test_no_value_is_kept(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    assert isinstance(service.kit.read(grant_id, expected_subject={CLAIM: ANNA}), Released)
    stored = b"".join(path.read_bytes() for path in service.folder.glob("kit.db*"))
    assert ANNA.encode() not in stored and str(INCOME).encode() not in stored
