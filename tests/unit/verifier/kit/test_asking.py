"""Asking through the kit, and the grants it takes."""

from dataclasses import replace

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent.errors import LedgerConflict, MessageError, PeerUnavailable
from consent.grant.detail import Term
from consent.grant.grant import REFUSED, sign_grant, verify_grant
from tests.holder_city import CONSENT, CONSENT_URL, HOLDER, NOW, PURPOSE, SERVICE, City, Wallet
from tests.unit.verifier.kit.conftest import Service, make_kit
from verifier.kit.outcome import AlreadyWithdrawn, Declined, Given, Lapsed, Pending


def test_a_request_is_asked_and_answered(service: Service, anna: Wallet) -> None:
    city = service.city
    asked = service.kit.ask(service.detail())
    assert asked.link == f"atorga-consent://?request_uri={asked.request_uri}" and asked.expires_at == NOW + 600
    assert service.kit.answer(asked.request_id) == Pending()
    request = city.consent.requests[asked.request_id]
    assert request.request.service == SERVICE
    detail = request.request.detail.without(frozenset({"household.size"}))
    signed = city.signed_grant(anna, request, detail)
    grant_id = city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    answer = service.kit.answer(asked.request_id)
    assert isinstance(answer, Given)
    assert (answer.grant.grant_id, answer.grant.attributes, answer.grant.jws) == (grant_id, ("income.band",), signed)
    city.consent.requests.clear()
    assert service.kit.answer(asked.request_id) == answer, "a grant that was taken is not asked for again"
    assert service.kit.grants() == [answer.grant]


def test_refused_and_ended(service: Service) -> None:
    refused, ended = (service.kit.ask(service.detail()).request_id for _ in range(2))
    service.city.consent.answers[refused] = "refused"
    assert service.kit.answer(refused) == Declined()
    service.city.clock.now += 600
    assert service.kit.answer(ended) == Lapsed()
    service.city.consent.requests.clear()
    assert service.kit.answer(ended) == Lapsed()
    assert service.kit.answer("AAAAAAAAAAAAAAAAAAAAAA") == Lapsed()


def answering(service: Service, status: int, body: object) -> None:
    """The consent service says this to whatever it is asked."""

    async def say(_: Request) -> Response:
        return JSONResponse(body, status)

    service.city.hosts[CONSENT_URL].routes.insert(0, Route("/{path:path}", say, methods=["GET", "POST"]))


@pytest.mark.parametrize("status", [400, 403, 409])
def test_a_request_that_is_refused(service: Service, status: int) -> None:
    answering(service, status, {"error": "taken"})
    with pytest.raises(MessageError, match="refuses it \\(taken\\)"):
        service.kit.ask(service.detail())


@pytest.mark.parametrize("status", [200, 202, 301, 401, 404, 429, 500, 503])
def test_a_request_without_an_answer(service: Service, status: int) -> None:
    answering(service, status, {"request_id": "AAAAAAAAAAAAAAAAAAAAAA", "request_uri": "x", "link": "x"})
    with pytest.raises(PeerUnavailable, match=f"answered {status}"):
        service.kit.ask(service.detail())


def test_an_answer_about_another_request(service: Service) -> None:
    answering(service, 201, {"request_id": "AAAAAAAAAAAAAAAAAAAAAA", "request_uri": "x", "link": "x"})
    with pytest.raises(MessageError, match="about another one"):
        service.kit.ask(service.detail())


@pytest.mark.parametrize("body", [{}, {"state": "granted"}, {"state": None}, {"state": ["given"]}])
def test_a_state_that_does_not_exist(service: Service, body: object) -> None:
    asked = service.kit.ask(service.detail())
    answering(service, 200, body)
    with pytest.raises(PeerUnavailable, match="a state that does not exist"):
        service.kit.answer(asked.request_id)


@pytest.mark.parametrize("status", [201, 400, 403, 500])
def test_a_poll_without_an_answer(service: Service, status: int) -> None:
    asked = service.kit.ask(service.detail())
    answering(service, status, {"state": "refused"})
    with pytest.raises(PeerUnavailable, match=f"answered {status} to a poll"):
        service.kit.answer(asked.request_id)


def test_answers_are_taken_together(service: Service, anna: Wallet) -> None:
    city = service.city
    good, bad, refused, pending = (service.kit.ask(service.detail()).request_id for _ in range(4))
    for request_id in (bad, good):
        request = city.consent.requests[request_id]
        answered(service, city.signed_grant(anna, request, request.request.detail), request_id)
    city.consent.answers[bad] = city.consent.answers[good]
    city.consent.answers[refused] = "refused"
    service.kit.take_answers()
    assert [grant.grant_id for grant in service.kit.grants()] == [city.consent.answers[good]]
    city.consent.requests.clear()
    assert service.kit.answer(refused) == Declined(), "an end is remembered"
    assert service.kit.answer(pending) == Lapsed() == service.kit.answer(pending)


def answered(service: Service, signed: str, request_id: str) -> None:
    """The consent service says that this grant answers the request."""
    city = service.city
    grant = verify_grant(
        signed, key_of=city.key_of, consent=CONSENT, resolutions=lambda _: city.declaration.resolutions, fresh_at=None
    )
    city.consent.accept(grant, "")
    city.consent.answers[request_id] = grant.id


def test_a_grant_that_answers_another_request(service: Service, anna: Wallet) -> None:
    city = service.city
    asked = service.kit.ask(service.detail())
    other = city.request(service.detail())
    answered(service, city.signed_grant(anna, other, service.detail()), asked.request_id)
    with pytest.raises(MessageError, match="another request"):
        service.kit.answer(asked.request_id)
    assert service.kit.grants() == []


def test_a_refusal_that_is_called_a_grant(service: Service, anna: Wallet) -> None:
    asked = service.kit.ask(service.detail())
    request = service.city.consent.requests[asked.request_id]
    signed = sign_grant(
        grant_id="AAAAAAAAAAAAAAAAAAAAAA", request=request, detail=request.request.detail, decision=REFUSED,
        now=NOW, signer=anna.grant_key,
    )  # fmt: skip
    answered(service, signed, asked.request_id)
    with pytest.raises(MessageError):
        service.kit.answer(asked.request_id)


def test_a_grant_wider_than_the_request(service: Service, anna: Wallet) -> None:
    city = service.city
    asked = service.kit.ask(service.detail())
    request = city.consent.requests[asked.request_id]
    wider = replace(request.request.detail, not_after=request.request.detail.not_after + 1)
    signed = city.signed_grant(anna, request, wider)
    narrow = city.signed_grant(anna, request, request.request.detail)
    answered(service, narrow, asked.request_id)
    city.consent.grants[city.consent.answers[asked.request_id]].jws = signed
    with pytest.raises(MessageError, match="period"):
        service.kit.answer(asked.request_id)


def test_another_id_than_the_announced_one(service: Service, anna: Wallet) -> None:
    city = service.city
    asked = service.kit.ask(service.detail())
    request = city.consent.requests[asked.request_id]
    answered(service, city.signed_grant(anna, request, request.request.detail), asked.request_id)
    grant_id = city.consent.answers[asked.request_id]
    city.consent.grants["AAAAAAAAAAAAAAAAAAAAAA"] = city.consent.grants[grant_id]
    city.consent.answers[asked.request_id] = "AAAAAAAAAAAAAAAAAAAAAA"
    with pytest.raises(MessageError, match="another request"):
        service.kit.answer(asked.request_id)


def test_a_grant_withdrawn_before_it_came(service: Service, anna: Wallet) -> None:
    city = service.city
    asked = service.kit.ask(service.detail())
    request = city.consent.requests[asked.request_id]
    signed = city.signed_grant(anna, request, request.request.detail)
    grant_id = city.consent.give(signed, city.locator(anna, signed), city.declaration.resolutions)
    assert service.withdraw(anna, grant_id).json() == {"state": "noted"}
    assert service.kit.answer(asked.request_id) == AlreadyWithdrawn(grant_id)
    assert service.kit.grants() == []
    assert service.kit.answer(asked.request_id) == AlreadyWithdrawn(grant_id)


def test_consent_services_that_are_not_listed_are_not_asked(service: Service) -> None:
    city = service.city
    city.parties[CONSENT] = replace(city.parties[CONSENT], roles=frozenset({"service"}))
    with pytest.raises(PeerUnavailable, match="not listed"):
        service.kit.ask(service.detail())
    assert city.consent.requests == {}


def test_a_consent_service_that_does_not_answer(service: Service, city: City) -> None:
    city.parties[CONSENT] = replace(city.parties[CONSENT], endpoints={"consent": "http://localhost:8199"})
    with pytest.raises(PeerUnavailable):
        service.kit.ask(service.detail())


def test_declaring_again_changes_nothing(service: Service, city: City) -> None:
    city.consent.declarations.clear()
    for kit in (service.kit, service.kit, service.reopened()):
        kit.declare(city.purpose)
    assert len(city.consent.declarations) == 1
    with pytest.raises(LedgerConflict, match="version"):
        service.kit.declare(replace(city.purpose, retention_seconds=1))
    service.kit.declare(replace(city.purpose, retention_seconds=1, version=2))
    assert len(city.consent.declarations) == 2
    city.consent.declarations[0] = city.consent.declarations[1]
    with pytest.raises(LedgerConflict, match="taken"):
        make_kit(city, service.folder.with_name("lost")).declare(replace(city.purpose, retention_seconds=1, version=2))


def test_what_is_asked(service: Service, city: City) -> None:
    terms = {"income.band": Term("binned:eur-6", False), "household.size": Term("raw", True)}
    detail = service.kit.detail(city.purpose, holder=HOLDER, terms=terms, days=90, max_uses=3)
    assert (detail.identifier, detail.procedure, detail.purpose) == ("rent-subsidy@1", "rent-subsidy", PURPOSE)
    assert detail.datatypes == ("income.band", "household.size")
    assert (detail.not_before, detail.not_after) == (NOW, NOW + 90 * 86_400)
    assert detail.data_life_seconds == city.purpose.retention_seconds
    asked = service.kit.ask(detail)
    assert city.consent.requests[asked.request_id].request.detail == detail


def test_nothing_is_lost_when_the_service_restarts(service: Service, anna: Wallet) -> None:
    grant_id = service.given(anna)
    waiting = service.kit.ask(service.detail()).request_id
    service.kit.close()
    kit = service.reopened()
    assert [grant.grant_id for grant in kit.grants()] == [grant_id]
    assert kit.answer(waiting) == Pending()
