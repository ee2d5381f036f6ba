"""D7, D9, introspection: what services and auditors are told, and what a dead target does: nothing to anybody else."""

import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from consent import spec
from consent.errors import MessageError, SenderUnproven
from consent.grant.feed import Feed, sign_feed, verify_feed
from consent.ledger.feed import KEPT_SECONDS
from consent.ledger.status_places import StatusPlaces, permutation
from consent.service.feed_delivery import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, FeedDelivery
from consent.signed_message import sign_by_kid
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from identity.status.spec import SHARD_ENTRIES
from identity.status.token import VerifiedStatusList, verify_status_list
from tests.consent_city import (
    CONSENT,
    DAY,
    HOLDER,
    NOW,
    OTHER_SERVICE,
    SERVICE,
    URL,
    Clock,
    ConsentCity,
    Held,
    Wallet,
)  # fmt: skip


def backfill(city: ConsentCity, after: int | None = None, *, caller: str = SERVICE) -> Feed:
    city.office.duties.feeding.round(True)
    path, query = "/feed", "" if after is None else f"?after={after}"
    for _ in range(2):
        proof = city.proof(city.signer(caller), "GET", path)
        answer = city.send("GET", path + query, request_proof=proof)
        if answer.status_code != 401:
            break
    assert answer.status_code == 200 and answer.headers["content-type"] == spec.MEDIA_JWT, answer.text
    return verify_feed(answer.text, consent_key=city.key_of(CONSENT), consent=CONSENT, service=caller)


def told(feed: Feed) -> list[tuple[str, str, int]]:
    return [(item.grant_id, item.state, item.counter) for item in feed.items]


def later(city: ConsentCity, seconds: float) -> None:
    assert isinstance(city.clock, Clock)
    city.clock.now += seconds
    city.registry = city.keys.listed(city.clock())


# ── the feed ─────────────────────────────────────────────────────────────────────────────────


def test_a_service_is_told_every_change_and_no_use(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    city.use(city.use_request(held.id))
    wallet.act(held, 1, "pause")
    wallet.act(held, 2, "resume")
    wallet.withdraw(held, "household.size")
    wallet.withdraw(held)
    feed = backfill(city)
    assert told(feed) == [
        (held.id, "given", 1), (held.id, "paused", 3), (held.id, "given", 4), (held.id, "given", 5),
        (held.id, "withdrawn", 6),
    ]  # fmt: skip
    assert feed.first == 1 and [item.sequence for item in feed.items] == [1, 2, 3, 4, 5]
    assert all(item.at == NOW for item in feed.items)
    assert told(backfill(city, 4)) == [(held.id, "withdrawn", 6)]
    assert (backfill(city, 5).items, backfill(city, 5).first) == ((), 6)


def test_ends_by_others_and_by_time_are_told(wallet: Wallet) -> None:
    city = wallet.city
    back, frozen, expired = wallet.give(), wallet.give(), wallet.give()
    assert city.proven(city.signer(SERVICE), "DELETE", f"/grants/{back.id}").is_success
    wallet.call("POST", "/me/freeze", {"until": None})
    later(city, 21 * DAY)
    city.office.duties.bookkeeping.round()
    found = told(backfill(city, 3))
    assert found[0] == (back.id, "revoked", 2)
    assert sorted(found[1:3]) == sorted([(frozen.id, "paused", 2), (expired.id, "paused", 2)])
    assert sorted(found[3:]) == sorted([(frozen.id, "expired", 3), (expired.id, "expired", 3)])


def test_a_feed_is_its_services_own(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    assert backfill(city, caller=OTHER_SERVICE).items == ()
    answer = city.proven(city.signer(HOLDER), "GET", "/feed")
    assert (answer.status_code, answer.json()["error"]) == (403, "not_a_service")
    assert city.get("/feed").status_code == 401


def test_pages_are_bounded(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.feeding.MAX_ITEMS", 2)
    for _ in range(3):
        wallet.give()
    first = backfill(wallet.city)
    assert [item.sequence for item in first.items] == [1, 2]
    assert [item.sequence for item in backfill(wallet.city, 2).items] == [3]


def test_what_was_undone_is_not_told(wallet: Wallet) -> None:
    """The item is part of the act: an act that is refused leaves none."""
    held = wallet.give()
    answer, _, _ = wallet.answer(wallet.city.ask(), grant_id=held.id)
    assert answer.status_code == 409
    assert told(backfill(wallet.city)) == [(held.id, "given", 1)]


def test_old_items_are_forgotten_and_sequences_go_on(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    backfill(city)
    later(city, KEPT_SECONDS + 1)
    city.office.duties.bookkeeping.round()
    city.office.duties.feeding.round(True)
    feed = backfill(city)
    assert [item.sequence for item in feed.items] == [2] and feed.first == 2, "the end of the grant, 90 days on"


def test_a_feed_is_read_strictly(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    feed = backfill(city)
    signer = city.signer(CONSENT)
    named: dict[str, Any] = {"consent_key": city.key_of(CONSENT), "consent": CONSENT, "service": SERVICE}
    assert verify_feed(sign_feed(feed, signer), **named) == feed
    [item] = feed.items
    for wrong in (
        replace(feed, service=OTHER_SERVICE), replace(feed, consent=SERVICE), replace(feed, first=2),
        replace(feed, items=(item, item)), replace(feed, items=(replace(item, state="alive"),)),
        replace(feed, items=(replace(item, counter=0),)), replace(feed, items=(item,) * 257), replace(feed, id="x"),
    ):  # fmt: skip
        with pytest.raises(MessageError):
            verify_feed(sign_feed(wrong, signer), **named)
    with pytest.raises(SenderUnproven):
        verify_feed(sign_feed(feed, SoftwareSigner.generate()), **named)
    malformed: tuple[Any, ...] = ("x", ["x"], [{}])
    for items in malformed:
        claims = {"iss": CONSENT, "aud": SERVICE, "jti": feed.id, "iat": NOW, "first": 1, "items": items}
        with pytest.raises(MessageError):
            verify_feed(sign_by_kid(claims, signer, typ=spec.TYP_FEED), **named)


# ── delivery ─────────────────────────────────────────────────────────────────────────────────


class Target:
    """A service's address; ``answers`` makes each answer."""

    def __init__(self, answers: Callable[["Target", BaseHTTPRequestHandler], None]) -> None:
        self.bodies: list[str] = []
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                target.bodies.append(self.rfile.read(int(self.headers["content-length"])).decode())
                answers(target, self)

            def log_message(self, *_: Any) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/feed"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait(self, count: int, seconds: float = 15.0) -> None:
        until = time.monotonic() + seconds
        while len(self.bodies) < count:
            assert time.monotonic() < until, f"{len(self.bodies)} of {count} came"
            time.sleep(0.02)


def says(status: int, **headers: str) -> Callable[[Target, BaseHTTPRequestHandler], None]:
    def answer(_: Target, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("content-length", "0")
        handler.end_headers()

    return answer


@pytest.fixture
def tarpit() -> Iterator[str]:
    """Takes every connection and never answers."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}/feed"
    listening.close()


def address(city: ConsentCity, **urls: str) -> None:
    registry = city.keys.listed(city.clock())
    named = {SERVICE: urls.get("service"), OTHER_SERVICE: urls.get("other")}
    parties = tuple(
        replace(party, endpoints=MappingProxyType({"feed": url})) if (url := named.get(party.id)) else party
        for party in registry.parties
    )
    city.registry = replace(registry, parties=parties)


@pytest.fixture
def delivery(wallet: Wallet) -> Iterator[FeedDelivery]:
    duties = wallet.city.office.duties
    running = FeedDelivery(
        feeding=duties.feeding, store=duties.delivery._store, catalogue=wallet.city.office.catalogue,
        parties=duties.delivery._parties, leads=lambda: True, random=secrets.token_bytes, allow_loopback_http=True,
        seconds=0.05,
    )  # fmt: skip
    running.start()
    yield running
    running.stop()


def test_what_happens_is_delivered(wallet: Wallet, delivery: FeedDelivery) -> None:
    target = Target(says(204))
    address(wallet.city, service=target.url)
    held = wallet.give()
    target.wait(1)
    wallet.withdraw(held)
    target.wait(2)
    feeds = [
        verify_feed(body, consent_key=wallet.city.key_of(CONSENT), consent=CONSENT, service=SERVICE)
        for body in target.bodies
    ]
    assert [told(feed) for feed in feeds] == [[(held.id, "given", 1)], [(held.id, "withdrawn", 2)]]
    target.close()


def test_what_is_not_taken_comes_again(wallet: Wallet, delivery: FeedDelivery) -> None:
    def at_last(target: Target, handler: BaseHTTPRequestHandler) -> None:
        says(500 if len(target.bodies) < 2 else 200)(target, handler)

    target = Target(at_last)
    address(wallet.city, service=target.url)
    wallet.give()
    target.wait(2)
    feeds = [
        verify_feed(body, consent_key=wallet.city.key_of(CONSENT), consent=CONSENT, service=SERVICE)
        for body in target.bodies
    ]
    assert feeds[0].items == feeds[1].items and feeds[0].id != feeds[1].id
    time.sleep(0.3)
    assert len(target.bodies) == 2
    target.close()


def test_a_redirect_leads_nowhere(wallet: Wallet, delivery: FeedDelivery) -> None:
    elsewhere = Target(says(200))
    target = Target(says(307, location=elsewhere.url))
    address(wallet.city, service=target.url)
    wallet.give()
    target.wait(1)
    time.sleep(0.3)
    assert elsewhere.bodies == []
    with wallet.city.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM feed_target")).scalar_one() == 0
    target.close()
    elsewhere.close()


def test_a_tarpit_holds_nobody_up(wallet: Wallet, delivery: FeedDelivery, tarpit: str) -> None:
    """A target that never answers delays no withdrawal, no use and no other target."""
    city = wallet.city
    target = Target(says(200))
    assert city.declare(city.purpose_declaration(iss=OTHER_SERVICE, id="cards"))[0].status_code == 201
    address(city, service=tarpit, other=target.url)
    for _ in range(3):
        wallet.give()
    detail = city.detail(identifier="cards@1")
    other = wallet.give(city.ask(detail, service=OTHER_SERVICE))
    target.wait(1, seconds=5)
    time.sleep(0.2)
    held = wallet.give()
    began = time.monotonic()
    assert city.use(city.use_request(held.id)).status_code == 200
    assert wallet.withdraw(held).status_code == 200
    assert wallet.withdraw(other).status_code == 200
    assert time.monotonic() - began < 5
    target.wait(2, seconds=5)
    assert told(backfill(city))[-1] == (held.id, "withdrawn", 3)
    target.close()


def test_only_an_address_of_the_list_is_asked(wallet: Wallet, delivery: FeedDelivery) -> None:
    target = Target(says(200))
    wallet.give()
    time.sleep(0.3)
    assert target.bodies == []
    address(wallet.city, service=target.url)
    target.wait(1)
    city = wallet.city
    city.registry = city.keys.listed(city.clock())
    wallet.give()
    time.sleep(0.4)
    assert len(target.bodies) == 1, "it is not in the list any more"
    target.close()


def test_outside_the_sandbox_no_plain_http(wallet: Wallet) -> None:
    target = Target(says(200))
    address(wallet.city, service=target.url)
    wallet.give()
    duties = wallet.city.office.duties
    running = FeedDelivery(
        feeding=duties.feeding, store=duties.delivery._store, catalogue=wallet.city.office.catalogue,
        parties=duties.delivery._parties, leads=lambda: True, random=secrets.token_bytes, allow_loopback_http=False,
        seconds=0.05,
    )  # fmt: skip
    running.start()
    time.sleep(0.4)
    running.stop()
    assert target.bodies == []
    target.close()


def test_pauses_grow_and_differ(wallet: Wallet) -> None:
    delivery = wallet.city.office.duties.delivery
    pauses = [delivery.pause(failures) for failures in range(1, 30)]
    assert FIRST_PAUSE_SECONDS * 0.5 <= pauses[0] <= FIRST_PAUSE_SECONDS * 1.5
    assert pauses[5] > pauses[0] and max(pauses) <= LONGEST_PAUSE_SECONDS * 1.5
    assert len({delivery.pause(3) for _ in range(20)}) > 10


# ── status lists ─────────────────────────────────────────────────────────────────────────────


def status(city: ConsentCity, uri: str) -> VerifiedStatusList:
    answer = city.get(uri.removeprefix(URL))
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/statuslist+jwt"
    return verify_status_list(
        answer.text, uri=uri, key_for=lambda header, _: city.key_of(CONSENT), now=int(city.clock())
    )


def test_a_list_tells_usable_ended_and_paused(wallet: Wallet) -> None:
    city = wallet.city
    given, paused, ended = (wallet.give() for _ in range(3))
    wallet.act(paused, 1, "pause")
    wallet.withdraw(ended)
    places = {item.grant_id: (item.status_uri, item.status_index) for item in backfill(city).items}
    assert {uri for uri, _ in places.values()} == {f"{URL}/status/1"}

    def value(held: Held) -> int:
        uri, index = places[held.id]
        return status(city, uri).get(index)

    assert [value(held) for held in (given, paused, ended)] == [0, 2, 1]
    wallet.act(paused, 2, "resume")
    wallet.withdraw(given, "household.size")
    city.office.duties.feeding.round(True)
    assert [value(held) for held in (given, paused, ended)] == [0, 0, 1]


def test_a_list_is_signed_only_when_something_changed(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    backfill(city)
    first = city.get("/status/1").text
    city.use(city.use_request(held.id))
    wallet.withdraw(held, "household.size")
    backfill(city)
    assert city.get("/status/1").text == first
    later(city, 12 * 3_600 + 1)
    city.office.duties.bookkeeping.round()
    renewed = city.get("/status/1").text
    assert renewed != first and status(city, f"{URL}/status/1").iat == int(city.clock())


def test_the_lists_are_not_signed_for_every_act(wallet: Wallet) -> None:
    """Packing a list takes longer than all the acts of a second: what has changed waits for its turn."""
    city, feeding = wallet.city, wallet.city.office.duties.feeding
    held = wallet.give()
    [item] = backfill(city).items
    wallet.withdraw(held)
    feeding.round(True, sign=False)
    assert status(city, item.status_uri).get(item.status_index) == 0
    feeding.round(True)
    assert status(city, item.status_uri).get(item.status_index) == 1


def test_a_process_that_takes_over_makes_good_what_the_last_one_left(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    [item] = backfill(city).items
    # Numbered, and then the process ended before the list was signed.
    wallet.withdraw(held)
    city.office.duties.delivery._store.number()
    assert status(city, item.status_uri).get(item.status_index) == 0
    city.office.duties.feeding.round(False)
    city.office.duties.feeding.round(True)
    assert status(city, item.status_uri).get(item.status_index) == 1


@pytest.mark.parametrize("number", ["0", "2", "x", "99999", "-1", "1x", "%31x", "٣"])
def test_a_list_that_is_not_there(wallet: Wallet, number: str) -> None:
    wallet.give()
    backfill(wallet.city)
    assert wallet.city.get(f"/status/{number}").status_code == 404


def test_places_are_random_and_never_given_twice(wallet: Wallet) -> None:
    engine = wallet.city.engine
    workers = [StatusPlaces(engine, secrets.token_bytes) for _ in range(3)]
    taken = [worker.take() for _ in range(600) for worker in workers]
    assert len(set(taken)) == len(taken) and min(taken) >= SHARD_ENTRIES
    steps = [abs(a - b) for a, b in pairwise(taken)]
    assert sum(steps) / len(steps) > SHARD_ENTRIES / 10, "neighbours in time are no neighbours in the list"


def test_the_permutation_is_one_to_one() -> None:
    shuffled, other = permutation(secrets.token_bytes(32)), permutation(secrets.token_bytes(32))
    assert len({shuffled(count) for count in range(SHARD_ENTRIES)}) == SHARD_ENTRIES
    sample = range(0, SHARD_ENTRIES, 1_024)
    assert all(0 <= shuffled(count) < SHARD_ENTRIES for count in sample)
    assert [shuffled(count) for count in sample] != [other(count) for count in sample]


def test_a_full_list_is_followed_by_another(wallet: Wallet) -> None:
    engine = wallet.city.engine
    StatusPlaces(engine, secrets.token_bytes).take()
    with engine.begin() as connection:
        connection.execute(text("UPDATE status_list SET next = :next"), {"next": SHARD_ENTRIES - 100})
    assert StatusPlaces(engine, secrets.token_bytes).take() // SHARD_ENTRIES == 2


# ── introspection ────────────────────────────────────────────────────────────────────────────


def introspect(city: ConsentCity, body: bytes, *, caller: str = SERVICE) -> httpx.Response:
    for _ in range(2):
        proof = city.proof(city.signer(caller), "POST", "/introspect", body)
        answer = city.send("POST", "/introspect", body, request_proof=proof, content_type=spec.MEDIA_FORM)
        if answer.status_code != 401:
            break
    return answer


def test_a_service_introspects_its_own_grants(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    answer = introspect(city, f"token={held.id}".encode())
    assert answer.status_code == 200 and answer.json() == {
        "active": True, "iss": CONSENT, "client_id": SERVICE, "exp": NOW + 20 * DAY, "counter": 1,
        "terms": {
            "income.band": {"resolution": "binned:eur-6", "optional": False},
            "household.size": {"resolution": "raw", "optional": True},
        },
    }  # fmt: skip
    wallet.withdraw(held, "household.size")
    assert introspect(city, f"token={held.id}&token_type_hint=grant".encode()).json()["terms"].keys() == {"income.band"}


def test_for_everybody_else_it_is_inactive(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    known = f"token={held.id}".encode()
    bodies = [
        introspect(city, known, caller=OTHER_SERVICE),
        introspect(city, known, caller=HOLDER),
        introspect(city, b"token=" + base64url.encode(bytes(16)).encode()),
        introspect(city, b"token=no-id-at-all"),
    ]
    assert {(answer.status_code, answer.text) for answer in bodies} == {(200, '{"active":false}')}
    assert city.send("POST", "/introspect", known, content_type=spec.MEDIA_FORM).status_code == 401


@pytest.mark.parametrize("how", ["pause", "withdraw", "expire", "exhaust", "early"])
def test_what_cannot_be_used_now_is_inactive(wallet: Wallet, how: str) -> None:
    city = wallet.city
    changes: dict[str, Any] = {"exhaust": {"max_uses": 1}, "early": {"not_before": NOW + DAY}}.get(how, {})
    held = wallet.give(city.ask(city.detail(**changes)))
    match how:
        case "pause":
            wallet.act(held, 1, "pause")
        case "withdraw":
            wallet.withdraw(held)
        case "expire":
            later(city, 21 * DAY)
        case "exhaust":
            assert city.use(city.use_request(held.id)).status_code == 200
    assert introspect(city, f"token={held.id}".encode()).json() == {"active": False}


@pytest.mark.parametrize(
    "body", [b"", b"token", b"id=x", b"token=a&token=b", b"token=a&more=b", b"token=" + b"a" * 300]
)
def test_a_malformed_introspection(wallet: Wallet, body: bytes) -> None:
    answer = introspect(wallet.city, body)
    assert answer.status_code in (400, 415)


# ── journal roots ────────────────────────────────────────────────────────────────────────────


def root(city: ConsentCity, *, by: str = HOLDER, **changes: Any) -> httpx.Response:
    day = NOW // DAY - 1
    claims = {
        "iss": by, "aud": CONSENT, "iat": int(city.clock()), "day": day, "count": 3,
        "root": base64url.encode(bytes(32)),
    } | changes  # fmt: skip
    return city.post_jws("/journal-roots", sign_by_kid(claims, city.signer(by), typ=spec.TYP_JOURNAL_ROOT))


def test_roots_are_kept_as_they_came(wallet: Wallet) -> None:
    city = wallet.city
    assert city.get("/journal-roots").json() == {"roots": []}
    answer = root(city)
    assert (answer.status_code, answer.json()) == (201, {"day": NOW // DAY - 1, "count": 3})
    assert root(city, count=4).status_code == 201, "a corrected root stands beside the first"
    assert len(city.get("/journal-roots").json()["roots"]) == 2


def test_only_a_data_holder_states_a_root_of_a_day_that_is_over(wallet: Wallet) -> None:
    city = wallet.city
    for changes in (
        {"by": SERVICE}, {"aud": SERVICE}, {"day": NOW // DAY}, {"iat": NOW + 100}, {"root": "x"}, {"count": -1},
        {"more": 1}, {"iat": NOW - 3 * DAY},
    ):  # fmt: skip
        assert root(city, **changes).status_code == 400, changes
    assert city.get("/journal-roots").json() == {"roots": []}
