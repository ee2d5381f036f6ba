"""The portal's service desk and its admin helpers, over the kit and a real data holder."""

import json
from collections.abc import Iterator
from hashlib import sha256
from threading import Event
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from atorga.town.portal_admin import portal_admin_routes
from tests.holder_city import HOLDER, NOW, PURPOSE, SERVICE, Wallet, purpose_declaration
from tests.unit.verifier.kit.conftest import Service, make_kit
from verifier.errors import DeskClosed, NotAsked
from verifier.kit.outcome import Refused, Released
from verifier.portal.subsidy import Need, Permission, ServiceDesk, value_of

TOKEN = "the town's own token"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}


def made(service: Service, **change: Any) -> ServiceDesk:
    city = service.city
    return ServiceDesk(
        change.get("kit", service.kit),
        change.get("declaration", purpose_declaration()),
        Need(HOLDER, ("income.band",), "binned:eur-6", 90),
        registry=city.registry,
        now=city.clock,
    )


@pytest.fixture
def desk(service: Service) -> ServiceDesk:
    return made(service)


@pytest.fixture
def http(desk: ServiceDesk) -> Iterator[TestClient]:
    routes = portal_admin_routes({desk.service: desk}, token_sha256=sha256(TOKEN.encode()).hexdigest())
    with TestClient(Starlette(routes=routes)) as client:
        yield client


def give(service: Service, wallet: Wallet, request_id: str) -> str:
    """The wallet grants what was asked; nobody has told the service yet."""
    city = service.city
    request = city.consent.requests[request_id]
    signed = city.signed_grant(wallet, request, request.request.detail)
    return city.consent.give(signed, city.locator(wallet, signed), city.declaration.resolutions)


def test_what_the_procedure_needs_is_asked(service: Service, desk: ServiceDesk) -> None:
    asked = desk.ask()
    detail = service.city.consent.requests[asked.request_id].request.detail
    assert (detail.holder, detail.procedure, detail.purpose) == (HOLDER, purpose_declaration().procedure, PURPOSE)
    assert {name: term.resolution for name, term in detail.terms.items()} == {"income.band": "binned:eur-6"}
    assert detail.not_after - detail.not_before == 90 * 86_400
    assert detail.not_before == NOW


def test_what_is_said_is_asked_instead(service: Service, desk: ServiceDesk) -> None:
    asked = desk.ask(attributes=("income.band", "household.size"), resolution="raw", days=30)
    detail = service.city.consent.requests[asked.request_id].request.detail
    assert detail.datatypes == ("income.band", "household.size")
    assert {term.resolution for term in detail.terms.values()} == {"raw"}
    assert detail.not_after - detail.not_before == 30 * 86_400


def test_names_come_from_the_list(desk: ServiceDesk) -> None:
    assert desk.name_of(SERVICE)
    with pytest.raises(DeskClosed):
        desk.name_of("urn:atorga:party:nobody")


def test_standing(service: Service, desk: ServiceDesk, anna: Wallet) -> None:
    asked = desk.ask()
    assert desk.standing(asked.request_id) == Permission("pending")
    grant_id = give(service, anna, asked.request_id)
    assert desk.standing(asked.request_id) == Permission("given", grant_id)
    service.withdraw(anna, grant_id)
    assert desk.standing(asked.request_id) == Permission("withdrawn", grant_id)
    refused = desk.ask()
    service.city.consent.answers[refused.request_id] = "refused"
    assert desk.standing(refused.request_id) == Permission("refused")
    assert desk.standing("AAAAAAAAAAAAAAAAAAAAAA") == Permission("expired")


def test_a_grant_that_nobody_asked_for_yet_is_read(service: Service, desk: ServiceDesk, anna: Wallet) -> None:
    """Also after a restart in between: the requests lie in the kit's folder."""
    grant_id = give(service, anna, desk.ask().request_id)
    reopened = made(service, kit=make_kit(service.city, service.folder))
    read = reopened.read(grant_id)
    assert isinstance(read, Released), read
    assert value_of(read) is not None
    assert read.leaf_index >= 0


def test_after_a_withdrawal_nothing_is_read(service: Service, desk: ServiceDesk, anna: Wallet) -> None:
    grant_id = give(service, anna, desk.ask().request_id)
    assert isinstance(desk.read(grant_id), Released)
    service.withdraw(anna, grant_id)
    read = desk.read(grant_id)
    assert isinstance(read, Refused)
    assert (read.reasons, value_of(read)) == (("withdrawn",), None)


def test_the_declaration_is_registered_again_and_again(service: Service, desk: ServiceDesk) -> None:
    second = made(service, declaration=purpose_declaration(version=2))
    assert second.declare(Event())
    assert second.declare(Event())
    # Another content under a version that is taken is refused, and not tried for ever.
    assert not made(service, declaration=purpose_declaration(version=2, sensitive=True)).declare(Event())
    stopped = Event()
    stopped.set()
    assert not desk.declare(stopped)


def test_admin_asks_and_reads(service: Service, http: TestClient, anna: Wallet) -> None:
    answer = http.post("/admin/requests", json={}, headers=ADMIN)
    assert answer.status_code == 200
    assert answer.json().keys() == {"request", "id"}
    assert answer.json()["request"].startswith("atorga-consent://?request_uri=")
    grant_id = give(service, anna, answer.json()["id"])
    read = http.post("/admin/reads", json={"grant": grant_id, "attribute": "income.band"}, headers=ADMIN)
    assert read.json().keys() == {"state", "reasons", "value", "leaf_index"}
    assert (read.json()["state"], read.json()["reasons"]) == ("released", [])
    assert isinstance(read.json()["leaf_index"], int)
    service.withdraw(anna, grant_id)
    read = http.post("/admin/reads", json={"grant": grant_id, "attribute": "income.band"}, headers=ADMIN)
    assert read.json() == {"state": "refused", "reasons": ["withdrawn"], "leaf_index": None}


def test_admin_names_what_it_wants(service: Service, http: TestClient) -> None:
    body = {
        "service": SERVICE,
        "holder": HOLDER,
        "attributes": ["household.size"],
        "purpose": PURPOSE,
        "resolution": "raw",
        "days": 7,
    }
    asked = http.post("/admin/requests", json=body, headers=ADMIN).json()
    detail = service.city.consent.requests[asked["id"]].request.detail
    assert (detail.datatypes, detail.not_after - detail.not_before) == (("household.size",), 7 * 86_400)


def test_an_unknown_grant_and_attribute(service: Service, http: TestClient, anna: Wallet) -> None:
    read = http.post("/admin/reads", json={"grant": "AAAAAAAAAAAAAAAAAAAAAA", "attribute": "x"}, headers=ADMIN)
    assert read.json() == {"state": "refused", "reasons": ["unknown_grant"], "leaf_index": None}
    grant_id = give(service, anna, http.post("/admin/requests", json={}, headers=ADMIN).json()["id"])
    read = http.post("/admin/reads", json={"grant": grant_id, "attribute": "household.size"}, headers=ADMIN)
    assert read.json()["state"] == "refused"
    assert read.json()["leaf_index"] is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/admin/requests", {"service": "urn:atorga:party:other"}),
        ("/admin/requests", {"later": 1}),
        ("/admin/requests", {"days": 0}),
        ("/admin/requests", {"days": "x"}),
        ("/admin/requests", {"attributes": "income.band"}),
        ("/admin/requests", {"attributes": []}),
        ("/admin/requests", []),
        ("/admin/reads", {}),
        ("/admin/reads", {"grant": "x"}),
        ("/admin/reads", {"grant": "x", "attribute": 1}),
        ("/admin/reads", {"grant": "x" * 65, "attribute": "a"}),
        ("/admin/reads", {"grant": "x", "attribute": "a", "later": 1}),
    ],
)
def test_admin_refused(http: TestClient, path: str, body: Any) -> None:
    answer = http.post(path, json=body, headers=ADMIN)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert http.post(path, json=body).status_code == 401


@pytest.mark.parametrize("path", ["/admin/requests", "/admin/reads"])
def test_admin_bodies(http: TestClient, path: str) -> None:
    assert http.post(path, content=json.dumps({}), headers=ADMIN | {"Content-Type": "text/plain"}).status_code == 415
    assert (
        http.post(path, content=b" " * 65_537, headers=ADMIN | {"Content-Type": "application/json"}).status_code == 413
    )
    assert http.post(path, content=b"{", headers=ADMIN | {"Content-Type": "application/json"}).status_code == 400


def test_the_consent_service_refuses_or_is_gone(service: Service, desk: ServiceDesk, http: TestClient) -> None:
    from dataclasses import replace

    from consent.errors import MessageError, PeerUnavailable
    from tests.holder_city import CONSENT

    def raising(fault: Exception) -> Any:
        def ask(*_: Any, **__: Any) -> Any:
            raise fault

        return ask

    kept = service.kit.ask
    service.kit.ask = raising(MessageError("consent request: refused"))  # type: ignore[method-assign]
    with pytest.raises(NotAsked):
        desk.ask()
    assert http.post("/admin/requests", json={}, headers=ADMIN).status_code == 400
    service.kit.ask = raising(PeerUnavailable("gone"))  # type: ignore[method-assign]
    with pytest.raises(DeskClosed):
        desk.ask()
    assert http.post("/admin/requests", json={}, headers=ADMIN).status_code == 503
    service.kit.ask = kept  # type: ignore[method-assign]
    asked = desk.ask()
    service.city.parties[CONSENT] = replace(service.city.parties[CONSENT], roles=frozenset({"service"}))
    with pytest.raises(DeskClosed):
        desk.standing(asked.request_id)
