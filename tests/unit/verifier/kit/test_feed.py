"""The feed of the kit (ADR 0009, D7): signed, applied by sequence, gaps filled; introspection and status lists."""

import secrets
from collections.abc import Callable
from threading import Event, Thread
from typing import Any
from urllib.parse import parse_qs

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent.errors import PeerUnavailable
from consent.grant.feed import Feed, FeedItem, sign_feed
from identity.codec import base64url
from identity.errors import StatusUnavailable
from identity.keys.signer import SoftwareSigner
from identity.status.status_list import StatusList
from identity.status.token import sign_status_list
from tests.holder_city import CONSENT, CONSENT_URL, NOW, OTHER_SERVICE, SERVICE, Wallet
from tests.unit.verifier.kit.conftest import KIT_URL, Service
from verifier.kit import kit as kit_module
from verifier.kit.feed import MAX_FEED_BYTES
from verifier.kit.outcome import Refused, Released
from verifier.kit.receipts import AFTER_END_SECONDS

LIST = f"{CONSENT_URL}/status/3"


def item(sequence: int, grant_id: str, state: str = "given", **changes: Any) -> FeedItem:
    named: dict[str, Any] = {
        "sequence": sequence, "grant_id": grant_id, "state": state, "counter": sequence, "at": NOW,
        "status_uri": LIST, "status_index": 5,
    }  # fmt: skip
    return FeedItem(**named | changes)


class Told:
    """A consent service's feed, statuses and introspection, beside the scripted one."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.city = service.city
        self.items: list[FeedItem] = []
        self.asked: list[int] = []
        self.page = 256
        self.statuses = StatusList(2, 16)
        self.list_signer: SoftwareSigner = self.city.keys[CONSENT]
        self.answer: Any = {"active": False}
        self.fetched = 0
        app = self.city.hosts[CONSENT_URL]
        app.router.routes.extend(
            [
                Route("/feed", self._feed, methods=["GET"]),
                Route("/status/{number}", self._status, methods=["GET"]),
                Route("/introspect", self._introspect, methods=["POST"]),
            ]
        )
        self.city.hosts[KIT_URL].router.routes.append(service.kit.feed_route())

    def signed(self, items: list[FeedItem], **changes: Any) -> str:
        named: dict[str, Any] = {
            "consent": CONSENT, "service": SERVICE, "id": base64url.encode(secrets.token_bytes(16)), "issued": NOW,
            "first": items[0].sequence if items else len(self.items) + 1, "items": tuple(items),
        }  # fmt: skip
        signer = changes.pop("signer", self.city.keys[CONSENT])
        return sign_feed(Feed(**named | changes), signer)

    def push(self, compact: str, media_type: str = "application/jwt") -> Any:
        with self.city.http() as http:
            return http.post(f"{KIT_URL}/feed", content=compact, headers={"Content-Type": media_type})

    async def _feed(self, request: Request) -> Response:
        refused = self.city.consent._caller(request, b"", SERVICE)
        if refused is not None:
            return refused
        after = int(parse_qs(str(request.url.query))["after"][0])
        self.asked.append(after)
        found = [one for one in self.items if one.sequence > after][: self.page]
        first = found[0].sequence if found else after + 1
        return Response(self.signed(found, first=first), media_type="application/jwt")

    async def _status(self, _: Request) -> Response:
        self.fetched += 1
        token = sign_status_list(
            self.statuses, uri=LIST, signer=self.list_signer, x5c=[], iat=NOW, exp=NOW + 86_400, ttl=10
        )
        return Response(token, media_type="application/statuslist+jwt")

    async def _introspect(self, request: Request) -> Response:
        body = await request.body()
        refused = self.city.consent._caller(request, body, SERVICE)
        if refused is not None:
            return refused
        assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
        self.asked_for = parse_qs(body.decode())["token"][0]
        return JSONResponse(self.answer)


@pytest.fixture
def told(service: Service) -> Told:
    return Told(service)


GRANT, OTHER = (base64url.encode(bytes([number] * 16)) for number in (1, 2))


def test_items_are_applied_once_and_in_order(told: Told) -> None:
    kit = told.service.kit
    assert told.push(told.signed([item(1, GRANT), item(2, OTHER)])).json() == {"state": "taken"}
    assert told.push(told.signed([item(2, OTHER), item(3, GRANT, "paused")])).status_code == 200
    state = kit.state(GRANT)
    assert state is not None and (state.state, state.counter) == ("paused", 3)
    assert told.push(told.signed([item(1, GRANT)])).status_code == 200, "an old one again"
    assert kit.state(GRANT) == state and kit.state("AAAAAAAAAAAAAAAAAAAAAA") is None
    assert told.asked == []
    again = told.service.reopened()
    assert again.state(GRANT) == state


def test_a_gap_is_filled_before_what_is_behind_it(told: Told) -> None:
    told.items = [item(1, GRANT), item(2, GRANT, "paused"), item(3, GRANT), item(4, GRANT, "withdrawn")]
    told.page = 2
    assert told.push(told.signed([told.items[0]])).status_code == 200
    assert told.push(told.signed([told.items[3]])).status_code == 200
    assert told.asked == [1, 3, 4]
    state = told.service.kit.state(GRANT)
    assert state is not None and (state.state, state.counter, state.is_over) == ("withdrawn", 4, True)


def test_a_gap_that_cannot_be_filled_is_not_skipped(told: Told) -> None:
    told.items = [item(1, GRANT)]
    told.push(told.signed([told.items[0]]))
    del told.city.hosts[CONSENT_URL].router.routes[-3:]
    answer = told.push(told.signed([item(3, GRANT, "withdrawn")]))
    assert answer.status_code == 503, "it comes again"
    state = told.service.kit.state(GRANT)
    assert state is not None and state.state == "given"


@pytest.mark.parametrize(
    ("found", "left"),
    [((200, "given"), 1), ((200, "paused"), 1), ((200, "withdrawn"), 0), ((404, "unknown_grant"), 0)],
    ids=str,
)
def test_items_that_are_no_longer_kept(told: Told, anna: Wallet, found: tuple[int, str], left: int) -> None:
    """What was missed is looked at grant by grant, before anything is skipped."""
    kit, grant_id = told.service.kit, told.service.given(anna)
    told.items = [item(3, OTHER)]
    assert told.push(told.signed([told.items[0]])).status_code == 503, "a grant cannot be looked at now"
    assert kit.state(OTHER) is None and len(kit.grants()) == 1

    async def grant(request: Request) -> Response:
        assert request.path_params["grant_id"] == grant_id
        return JSONResponse({"grant_id": grant_id, "state": found[1], "error": found[1]}, found[0])

    told.city.hosts[CONSENT_URL].router.routes.append(Route("/grants/{grant_id}", grant))
    assert told.push(told.signed([told.items[0]])).status_code == 200
    assert kit.state(OTHER) is not None and len(kit.grants()) == left


def test_catching_up_at_start(told: Told) -> None:
    told.items = [item(number, GRANT) for number in range(1, 8)]
    told.page = 3
    assert told.service.kit.catch_up() == 7 and told.service.kit.catch_up() == 0


@pytest.mark.parametrize(
    "changes",
    [{"signer": SoftwareSigner.generate()}, {"consent": OTHER_SERVICE}, {"service": OTHER_SERVICE}, {"first": 2}],
    ids=["key", "sender", "addressee", "first"],
)
def test_what_is_not_our_feed(told: Told, changes: dict[str, Any]) -> None:
    answer = told.push(told.signed([item(1, GRANT)], **changes))
    assert answer.status_code == 400 and told.service.kit.state(GRANT) is None


def test_bodies(told: Told) -> None:
    assert told.push(told.signed([item(1, GRANT)]), "application/json").status_code == 415
    assert told.push("x" * (MAX_FEED_BYTES + 1)).status_code == 413
    for body in ("", "a.b.c", "ñ"):
        assert told.push(body).status_code == 400
    lists: list[Callable[[], str]] = [
        lambda: told.signed([item(1, GRANT, "unknown")]),
        lambda: told.signed([item(1, "x")]),
        lambda: told.signed([item(1, GRANT), item(3, GRANT)]),
        lambda: told.signed([item(1, GRANT, status_index=-1)]),
    ]
    for make in lists:
        assert told.push(make()).status_code == 400


def test_an_ended_grant_is_read_no_more(told: Told, anna: Wallet) -> None:
    service = told.service
    grant_id = service.given(anna)
    assert isinstance(service.kit.read(grant_id, ("income.band",)), Released)
    ended = item(1, grant_id, "revoked", at=NOW + 100)
    told.push(told.signed([ended]))
    seen = len(service.between.seen)
    assert service.kit.read(grant_id) == Refused(grant_id, ("revoked",), "the consent service's feed says so")
    assert len(service.between.seen) == seen and service.kit.grants() == []
    assert [duty.due for duty in service.kit.deletions()] == [NOW + 100 + AFTER_END_SECONDS]


def test_a_paused_grant_is_asked_for(told: Told, anna: Wallet) -> None:
    """A resume may be on its way: the data holder says what holds."""
    grant_id = told.service.given(anna)
    told.push(told.signed([item(1, grant_id, "paused")]))
    assert isinstance(told.service.kit.read(grant_id, ("income.band",)), Released)


# Status lists.


def test_status_lists(told: Told) -> None:
    kit = told.service.kit
    with pytest.raises(StatusUnavailable, match="has not said"):
        kit.status(GRANT)
    told.push(told.signed([item(1, GRANT), item(2, OTHER, status_index=6)]))
    told.statuses.set(6, 1)
    assert (kit.status(GRANT), kit.status(OTHER), told.fetched) == ("usable", "ended", 1)
    told.statuses.set(5, 2)
    assert kit.status(GRANT) == "usable", "for the list's own time"
    told.city.clock.now += 10
    assert (kit.status(GRANT), told.fetched) == ("paused", 2)


@pytest.mark.parametrize("fault", ["signer", "value", "index", "address", "gone"])
def test_a_status_that_is_not_known(told: Told, fault: str) -> None:
    changes: dict[str, Any] = {}
    match fault:
        case "signer":
            told.list_signer = SoftwareSigner.generate()
        case "value":
            told.statuses.set(5, 3)
        case "index":
            changes["status_index"] = 16
        case "address":
            changes["status_uri"] = "http://localhost:8199/status/3"
        case "gone":
            changes["status_uri"] = f"{CONSENT_URL}/status/a/b"
    told.push(told.signed([item(1, GRANT, **changes)]))
    with pytest.raises(StatusUnavailable):
        told.service.kit.status(GRANT)


def test_an_old_list_is_not_believed(told: Told) -> None:
    told.push(told.signed([item(1, GRANT)]))
    told.city.clock.now += 86_400
    with pytest.raises(StatusUnavailable, match="expired"):
        told.service.kit.status(GRANT)


# Introspection.


def test_introspection(told: Told) -> None:
    kit = told.service.kit
    assert kit.introspect(GRANT) is None and told.asked_for == GRANT
    told.answer = {
        "active": True, "iss": CONSENT, "client_id": SERVICE, "exp": NOW + 9, "counter": 3,
        "terms": {"income.band": {"resolution": "binned:eur-6", "optional": False}},
    }  # fmt: skip
    found = kit.introspect(GRANT)
    assert found is not None
    assert (found.expires, found.counter, found.terms) == (NOW + 9, 3, {"income.band": "binned:eur-6"})


@pytest.mark.parametrize(
    "answer",
    [
        {}, {"active": "true"}, {"active": False, "exp": 1}, {"active": True},
        {"active": True, "iss": OTHER_SERVICE, "client_id": SERVICE, "exp": 1, "counter": 1, "terms": {}},
        {"active": True, "iss": CONSENT, "client_id": OTHER_SERVICE, "exp": 1, "counter": 1, "terms": {}},
        {"active": True, "iss": CONSENT, "client_id": SERVICE, "exp": "1", "counter": 1, "terms": {}},
        {"active": True, "iss": CONSENT, "client_id": SERVICE, "exp": 1, "counter": 1, "terms": {"a": "raw"}},
        {"active": 1, "iss": CONSENT, "client_id": SERVICE, "exp": 1, "counter": 1, "terms": {}},
    ],
    ids=str,
)  # fmt: skip
def test_an_introspection_that_says_nothing(told: Told, answer: Any) -> None:
    told.answer = answer
    with pytest.raises(Exception, match="introspection"):
        told.service.kit.introspect(GRANT)


def test_the_app_of_a_kit_has_its_routes(told: Told) -> None:
    app = Starlette(routes=[told.service.kit.feed_route("/told"), told.service.kit.withdrawals_route()])
    assert [getattr(route, "path", "") for route in app.routes] == ["/told", "/withdrawals"]


def test_keeping_up_survives_what_fails(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread of the service: it asks at once, and goes on after every kind of fault."""
    monkeypatch.setattr(kit_module, "UPKEEP_SECONDS", 0.01)
    monkeypatch.setattr(kit_module, "RETRY_SECONDS", 0.01)
    told.items = [item(1, GRANT)]
    faults: list[Exception] = [PeerUnavailable("gone"), RuntimeError("broken"), StatusUnavailable("gone")]
    kit, stop, done = told.service.kit, Event(), Event()
    real = kit._feed.catch_up

    def catch_up() -> int:
        if faults:
            raise faults.pop()
        taken = real()
        done.set()
        return taken

    monkeypatch.setattr(kit._feed, "catch_up", catch_up)
    thread = Thread(target=kit.keep_up, args=(stop,))
    thread.start()
    assert done.wait(10)
    stop.set()
    thread.join(10)
    assert not thread.is_alive() and kit.state(GRANT) is not None


def test_no_other_address_is_asked_for_a_status(told: Told) -> None:
    told.city.hosts["http://localhost:8199"] = Starlette(routes=[Route("/status/3", told._status, methods=["GET"])])
    told.service.kit = told.service.reopened()
    told.push(told.signed([item(1, GRANT, status_uri="http://localhost:8199/status/3")]))
    with pytest.raises(StatusUnavailable, match="not the consent service's"):
        told.service.kit.status(GRANT)
    assert told.fetched == 0
