"""Decision receipts and deletion receipts of the kit: what was answered, and what must be gone by when."""

import secrets
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent.errors import MessageError, NotKnown, PeerUnavailable
from consent.grant.deletion_receipt import verify_deletion_receipt
from consent.grant.detail import Grantee
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_leaf_proof
from identity.envelope import jws
from tests.holder_city import CONSENT, CONSENT_URL, HOLDER, INCOME, NOW, OTHER_SERVICE, PURPOSE, SERVICE, Wallet
from tests.unit.consent.holder.test_accredited import ACCREDITOR, VCT, shown
from tests.unit.verifier.kit.conftest import Service
from verifier.kit.kit import ConsentKit
from verifier.kit.outcome import Given, Refused, Released
from verifier.kit.receipts import AFTER_END_SECONDS, DELETED, DUE, OVERDUE, Duty

LIFE = 7_776_000


class Receiving:
    """``POST /grants/{id}/deletion-receipts``."""

    def __init__(self, service: Service) -> None:
        self.city = service.city
        self.status = 201
        self.taken: list[tuple[str, str]] = []
        self.city.hosts[CONSENT_URL].router.routes.append(
            Route("/grants/{grant_id}/deletion-receipts", self._receive, methods=["POST"])
        )

    async def _receive(self, request: Request) -> Response:
        body = await request.body()
        if (refused := self.city.consent._caller(request, body, SERVICE)) is not None:
            return refused
        assert request.headers["Content-Type"] == "application/jwt"
        if self.status == 201:
            self.taken.append((request.path_params["grant_id"], body.decode()))
        return JSONResponse({"state": "received"} if self.status == 201 else {"error": "no"}, self.status)


@pytest.fixture
def receiving(service: Service) -> Receiving:
    return Receiving(service)


# Decision receipts.


def test_each_answer_has_a_receipt_that_can_be_checked_later(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    first = service.kit.read(grant_id, ("income.band",))
    assert isinstance(first, Released)
    service.kit.read(grant_id)
    service.withdraw(anna, grant_id)
    kept = service.reopened().receipts(grant_id)
    assert [(one.counter, one.attributes) for one in kept] == [
        (2, ("income.band",)), (3, ("income.band", "household.size")),
    ]  # fmt: skip
    one = kept[0]
    assert (one.use_id, one.leaf_index, one.at, one.holder, one.purpose) == (first.use_id, 0, NOW, HOLDER, PURPOSE)
    leaf = verify_leaf_proof(one.proof, service.city.consent.vkey).leaf
    assert (leaf.kind, leaf.counter) == (Kind.USE, 2)
    assert jws.parse(one.request).claims()["grant_id"] == grant_id
    assert service.kit.receipts("AAAAAAAAAAAAAAAAAAAAAA") == []


def test_no_value_is_kept(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    released = service.kit.read(grant_id)
    assert isinstance(released, Released) and released.attributes["income.band"] == "3"
    stored = b"".join(path.read_bytes() for path in service.folder.glob("kit.db*"))
    assert str(INCOME).encode() not in stored and b'"3"' not in stored and b"99999990S" not in stored


def test_a_refusal_leaves_none(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.between.change = lambda value: value | {"proof": "x"}
    assert isinstance(service.kit.read(grant_id), Refused)
    assert service.kit.receipts() == [] and service.kit.deletions() == []


# What must be deleted.


def test_what_was_read_is_due(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    assert service.kit.deletions() == []
    service.kit.read(grant_id, ("household.size",))
    service.city.clock.now += 100
    service.kit.read(grant_id, ("income.band",))
    due = NOW + 100 + LIFE
    assert service.kit.deletions() == [Duty(grant_id, ("household.size", "income.band"), due, DUE)]
    service.city.clock.now = float(due)
    assert service.kit.deletions()[0].state == OVERDUE


def test_an_end_brings_it_forward(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    service.kit.read(grant_id)
    service.city.clock.now += 50
    service.withdraw(anna, grant_id)
    assert [duty.due for duty in service.kit.deletions()] == [NOW + 50 + AFTER_END_SECONDS]
    short = service.given(anna, service.detail(data_life_seconds=60))
    service.kit.read(short)
    assert service.kit.deletions()[0] == Duty(short, ("income.band", "household.size"), NOW + 110, DUE), "the earliest"
    over = service.given(anna, service.detail(data_life_seconds=10**8, not_after=NOW + 1_000))
    service.kit.read(over)
    assert [duty.due for duty in service.kit.deletions() if duty.grant_id == over] == [
        NOW + 1_000 + AFTER_END_SECONDS
    ], "the grant's own end"


def test_the_signed_word_reaches_the_consent_service(service: Service, anna: Wallet, receiving: Receiving) -> None:
    grant_id = service.given(anna)
    service.kit.read(grant_id)
    service.city.clock.now += 60
    service.kit.deleted(grant_id)
    [(named, compact)] = receiving.taken
    receipt = verify_deletion_receipt(compact, key_of=service.city.key_of, consent=CONSENT, grant_id=grant_id)
    assert (named, receipt.service, receipt.deleted_at) == (grant_id, SERVICE, NOW + 60)
    assert receipt.attributes == ("income.band", "household.size")
    assert service.kit.deletions() == [] and service.kit.send_receipts() == 0


def test_it_is_sent_again_until_it_is_taken(service: Service, anna: Wallet, receiving: Receiving) -> None:
    grant_id = service.given(anna)
    service.kit.read(grant_id)
    receiving.status = 503
    with pytest.raises(PeerUnavailable):
        service.kit.deleted(grant_id)
    kit = service.reopened()
    assert [duty.state for duty in kit.deletions()] == [DELETED], "deleted here, and not yet acknowledged"
    with pytest.raises(PeerUnavailable):
        kit.send_receipts()
    receiving.status = 400
    with pytest.raises(MessageError, match="refuses"):
        kit.send_receipts()
    receiving.status = 201
    assert kit.send_receipts() == 1 and kit.deletions() == [] and len(receiving.taken) == 1


def test_a_further_read_begins_anew(service: Service, anna: Wallet, receiving: Receiving) -> None:
    grant_id = service.given(anna)
    service.kit.read(grant_id)
    service.kit.deleted(grant_id)
    service.city.clock.now += 10
    service.kit.read(grant_id, ("household.size",))
    assert service.kit.deletions() == [Duty(grant_id, ("household.size",), NOW + 10 + LIFE, DUE)]


def test_nothing_read_nothing_to_delete(service: Service, anna: Wallet, receiving: Receiving) -> None:
    with pytest.raises(NotKnown, match="unknown_grant"):
        service.kit.deleted(service.given(anna))
    assert receiving.taken == []


# Grants for whoever is accredited.


@pytest.fixture
def other(service: Service) -> ConsentKit:
    """The kit of another service, that shows an accreditation."""
    asked: list[tuple[str, str]] = []

    def present(audience: str, nonce: str) -> str:
        asked.append((audience, nonce))
        return "right"

    city = service.city
    city.accreditations["right"] = shown()
    kit = ConsentKit(
        service.folder.with_name("other-kit"), party=OTHER_SERVICE, signer=city.keys[OTHER_SERVICE], consent=CONSENT,
        log_vkey=city.consent.vkey, registry=city.registry, client=city.client(OTHER_SERVICE), clock=city.clock,
        random=secrets.token_bytes, accreditation=present,
    )  # fmt: skip
    kit.presented = asked  # type: ignore[attr-defined]
    return kit


def test_an_accredited_service_adopts_a_grant(service: Service, anna: Wallet, other: Any) -> None:
    grant_id = service.given(anna, service.detail(grantee=Grantee(VCT, ACCREDITOR)))
    signed = service.city.consent.grants[grant_id].jws
    taken = other.adopt(signed)
    assert isinstance(taken, Given) and taken.grant.service == SERVICE
    released = other.read(grant_id, ("income.band",))
    assert isinstance(released, Released), released
    request = jws.parse(other.receipts()[0].request).claims()
    assert other.presented == [(HOLDER, request["jti"])] and request["accreditation"] == "right"
    assert isinstance(service.kit.read(grant_id, ("income.band",)), Released)
    assert "accreditation" not in jws.parse(service.kit.receipts()[0].request).claims()


def test_a_grant_for_its_service_alone_is_not_adopted(service: Service, anna: Wallet, other: ConsentKit) -> None:
    grant_id = service.given(anna)
    signed = service.city.consent.grants[grant_id].jws
    with pytest.raises(MessageError, match="alone"):
        other.adopt(signed)
    with pytest.raises(MessageError):
        other.adopt(signed[:-4] + "AAAA")
    assert other.grants() == []
