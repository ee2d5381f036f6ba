"""The kit reads under a law (ADR 0009, D1): with the proof of a notice, or, if urgent, with a signed word."""

from typing import Any

import pytest

from consent.grant.spooled_notice import SpooledNotice, sign_spooled
from consent.grant.use import DataAnswer, seal_data_answer
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPublicKey
from identity.keys.signer import SoftwareSigner
from tests.holder_city import ANNA, BERTA, CLAIM, CONSENT, HOLDER, INCOME, NOW, SERVICE, Wallet, purpose_declaration
from tests.unit.consent.holder.test_law import approve, declare
from tests.unit.verifier.kit.conftest import Service
from verifier.kit.outcome import Refused, ReleasedByLaw, Urgent

DECLARATION = purpose_declaration(id="rent-inspection", legal_basis="legal-obligation")


@pytest.fixture
def lawful(service: Service) -> Service:
    approve(service.city, declare(service.city))
    return service


def read(service: Service, who: str = ANNA, **named: Any) -> Any:
    asked: dict[str, Any] = {"holder": HOLDER, "attributes": ("income.band",), "subject": {CLAIM: who}}
    return service.kit.read_by_law(DECLARATION, **asked | named)


def refused(answer: Any) -> tuple[str, ...]:
    assert isinstance(answer, Refused), answer
    return answer.reasons


def test_it_reads_with_the_proof_of_a_notice(lawful: Service) -> None:
    answer = read(lawful, visible_from=NOW + 100)
    assert isinstance(answer, ReleasedByLaw), answer
    assert answer.attributes == {"income.band": INCOME} and answer.leaf_index == 0
    [receipt] = lawful.kit.receipts(answer.notice_id)
    assert (receipt.counter, receipt.leaf_index, receipt.attributes) == (0, 0, ("income.band",))
    claims = jws.parse(receipt.request).claims()
    assert (claims["visible_from"], claims["urgent"], claims["iss"]) == (NOW + 100, False, SERVICE)
    assert lawful.kit.deletions() == [], "kept as the law says, not as a grant"


def test_reasons_of_the_data_holder(lawful: Service) -> None:
    assert refused(read(lawful, "00000000T")) == ("subject_mismatch",)
    assert refused(read(lawful, attributes=("income.band", "household.size"), holder=SERVICE)) == (
        "holder_unavailable",
    )
    lawful.city.consent.lies.denies_notices = "opposition"
    assert refused(read(lawful)) == ("opposition",)
    lawful.city.approved.clear()
    assert refused(read(lawful)) == ("not_approved",)


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value | {"proof": "x"},
        lambda value: value | {"counter": 1},
        lambda value: value | {"counter": False},
        lambda value: value | {"use_id": base64url.encode(bytes(16)), "grant_id": base64url.encode(bytes(16))},
        lambda value: value | {"grant_id": base64url.encode(bytes(16))},
        lambda value: value | {"sealed": value["sealed"][:-4] + "AAAA"},
        lambda value: value | {"more": 1},
        lambda value: {name: value[name] for name in value if name != "proof"},
        lambda value: {name: value[name] for name in value if name != "proof"} | {"spooled": "a.b.c"},
    ],
    ids=["proof", "counter", "false", "other id", "two ids", "seal", "more", "none", "a word instead"],
)
def test_an_answer_without_its_proof(lawful: Service, change: Any) -> None:
    lawful.between.change = change
    assert refused(read(lawful)) == ("answer_not_proven",)
    assert lawful.kit.receipts() == []


def test_the_proof_of_a_use_is_none_of_a_notice(lawful: Service, anna: Wallet) -> None:
    grant_id = lawful.given(anna)
    lawful.kit.read(grant_id, ("income.band",))
    proof = lawful.kit.receipts()[0].proof
    lawful.between.change = lambda value: value | {"proof": proof}
    assert refused(read(lawful)) == ("answer_not_proven",)


def test_one_notice_proves_one_answer(lawful: Service) -> None:
    first = read(lawful)
    assert isinstance(first, ReleasedByLaw)
    [receipt] = lawful.kit.receipts()
    assert not lawful.kit._receipts.record(receipt, None)


def test_urgent_while_nobody_logs(lawful: Service) -> None:
    read(lawful)
    lawful.city.consent.lies.down = True
    assert refused(read(lawful)) == ("consent_unavailable",), "not urgent: not read"
    answer = read(lawful, urgent=True)
    assert isinstance(answer, Urgent), answer
    assert answer.attributes == {"income.band": INCOME}
    [receipt] = lawful.kit.receipts(answer.request_id)
    assert receipt.leaf_index is None and receipt.proof == answer.statement
    lawful.city.consent.lies.down = False
    assert isinstance(read(lawful, urgent=True), ReleasedByLaw), "with a proof, where there is one"


def _statement(service: Service, compact: str, **changes: Any) -> str:
    named: dict[str, Any] = {
        "holder": HOLDER, "consent": CONSENT, "basis_request_hash": jws.digest(compact), "sequence": 1, "time": NOW,
    } | changes  # fmt: skip
    signer = named.pop("signer", service.city.keys[HOLDER])
    return sign_spooled(SpooledNotice(**named), signer)


@pytest.mark.parametrize(
    "changes",
    [
        {"signer": SoftwareSigner.generate()}, {"holder": SERVICE}, {"consent": SERVICE},
        {"basis_request_hash": base64url.encode(bytes(32))},
    ],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_an_urgent_answer_on_somebody_elses_word(lawful: Service, changes: dict[str, Any]) -> None:
    read(lawful, BERTA)
    lawful.city.consent.lies.down = True
    lawful.between.change = lambda value: value | {"spooled": _statement(lawful, lawful.between.seen[-1], **changes)}
    assert refused(read(lawful, urgent=True)) == ("answer_not_proven",)


# A data holder that lies: what it says is well signed and sealed.


def forged(service: Service, named: str, rests_on: dict[str, str]) -> dict[str, Any]:
    """An answer to the newest request, under any id and on any ground."""
    compact = service.between.seen[-1]
    claims = jws.parse(compact).claims()
    answer = DataAnswer(HOLDER, SERVICE, named, named, jws.digest(compact), NOW, {"income.band": INCOME})
    sealed = seal_data_answer(answer, service.city.keys[HOLDER], AgreementPublicKey.from_jwk(claims["reply_key"]))
    return {"use_id": named, "grant_id": named, "counter": 0, "sealed": sealed, **rests_on}


def test_the_proof_of_another_notice(lawful: Service) -> None:
    read(lawful)
    proof = lawful.kit.receipts()[0].proof
    lawful.between.change = lambda value: forged(lawful, base64url.encode(bytes(16)), {"proof": proof})
    assert refused(read(lawful)) == ("answer_not_proven",)


def test_a_notice_that_proved_an_answer_before(lawful: Service) -> None:
    first = read(lawful)
    proof = lawful.kit.receipts()[0].proof
    lawful.between.change = lambda value: forged(lawful, first.notice_id, {"proof": proof})
    assert refused(read(lawful)) == ("answer_not_proven",)
    assert len(lawful.kit.receipts()) == 1


def test_a_signed_word_where_nobody_said_urgent(lawful: Service) -> None:
    def word(_: dict[str, Any]) -> dict[str, Any]:
        compact = lawful.between.seen[-1]
        return forged(lawful, jws.parse(compact).claims()["jti"], {"spooled": _statement(lawful, compact)})

    lawful.between.change = word
    assert refused(read(lawful)) == ("answer_not_proven",)
    assert isinstance(read(lawful, urgent=True), Urgent), "the same word, where it was said"
