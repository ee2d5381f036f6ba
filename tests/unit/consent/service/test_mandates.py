"""Acting for somebody by a mandate: within verbs and purposes, until it ends, and not one act further."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.account import account_nonce
from consent.grant.mandate import MAX_SECONDS
from consent.ledger.event import parse_time
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import VerifiedRegistry
from tests.consent_city import CONSENT, DAY, OTHER_PURPOSE, PURPOSE, Clock, ConsentCity, Held, Wallet
from tests.credential_bureau import Bureau

ALL = ["read", "withdraw", "pause", "oppose", "grant"]


class RepresentedCity(ConsentCity):
    def __init__(self, folder: Path) -> None:
        self.bureau = Bureau(clock := Clock())
        super().__init__(folder, clock=clock, credentials=self.bureau.credentials(self._current))

    def _current(self) -> VerifiedRegistry:
        return self.bureau.listed(super()._current())


class Delegate:
    """Somebody with a mandate's key."""

    def __init__(self, city: RepresentedCity, represented: str = "p7x3", *, index: int = 7, **claims: Any) -> None:
        self.city = city
        self.key = SoftwareSigner.generate()
        self.represented = represented
        self.index = index
        until = int(city.clock()) + 100 * DAY
        self.claims = {"role": "guardian", "verbs": ALL, "purposes": ["*"], "until": until} | claims
        self.id = ""

    def register(self, **changes: Any) -> httpx.Response:
        thumbprint = self.key.public_key.thumbprint
        offered = self.city.get(f"/me/account/request?jkt={thumbprint}&mandate=1")
        assert offered.status_code == 200, offered.text
        nonce = account_nonce(CONSENT, thumbprint, base64url.decode(offered.json()["random"]))
        assert offered.json()["request"] == f"mandate-jar.{nonce}"
        shown = {"nonce": nonce, "represented": self.represented, "claims": self.claims, "index": self.index}
        return self.call("POST", "/me/mandates", {"vp_token": shown | changes}, with_jwk=True)

    def registered(self) -> "Delegate":
        answer = self.register()
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["mandate_id"]
        return self

    def call(self, method: str, path: str, value: Any = None, *, with_jwk: bool = False) -> httpx.Response:
        return self.city.proven(self.key, method, path, value, with_jwk=with_jwk)

    def grants(self) -> list[str]:
        answer = self.call("GET", "/me/grants")
        assert answer.status_code == 200, answer.text
        return [one["grant_id"] for one in answer.json()["grants"]]


@pytest.fixture
def city(tmp_path: Path) -> Iterator[RepresentedCity]:
    city = RepresentedCity(tmp_path)
    city.declare_all()
    yield city
    city.close()


@pytest.fixture
def wallet(city: RepresentedCity) -> Wallet:
    return Wallet(city).enrolled()


def other_purpose(city: ConsentCity, wallet: Wallet, *, sensitive: bool = False) -> Held:
    """A grant for another purpose."""
    data = city.data_declaration(id="other-data", version=1)
    attributes = {
        name: type(one)(one.category, one.resolutions, (OTHER_PURPOSE,)) for name, one in data.attributes.items()
    }
    declared = city.declare(
        city.data_declaration(id="other-data", attributes=attributes),
        city.purpose_declaration(id="other", purpose=OTHER_PURPOSE, sensitive=sensitive),
    )
    assert [answer.status_code for answer in declared] == [201, 201]
    return wallet.give(city.ask(city.detail(identifier="other@1", purpose=OTHER_PURPOSE)))


def refused(answer: httpx.Response) -> bool:
    return answer.status_code == 403 and answer.json()["error"] == "mandate"


def test_a_guardian_reads_answers_and_takes_back(city: RepresentedCity, wallet: Wallet) -> None:
    held = wallet.give()
    guardian = Delegate(city).registered()
    assert guardian.grants() == [held.id]
    assert guardian.call("GET", f"/me/grants/{held.id}").json()["state"] == "given"
    kinds = [item["kind"] for item in guardian.call("GET", "/me/timeline").json()["items"]]
    assert kinds == ["grant"]
    assert guardian.call("GET", held.receipt).status_code == 200
    # A grant by the guardian is the represented person's.
    request = city.ask()
    key = SoftwareSigner.generate()
    compact = wallet.sign_grant(request, key)
    given = guardian.call("POST", "/me/grants", {"grant": compact, "locator": wallet.locator(compact)})
    assert (given.status_code, given.json()["state"]) == (201, "given")
    assert given.json()["grant_id"] in [one["grant_id"] for one in wallet.call("GET", "/me/grants").json()["grants"]]
    answer = guardian.call("POST", f"/me/grants/{held.id}/withdrawal")
    assert (answer.status_code, answer.json()["state"]) == (200, "withdrawn")
    assert city.use(city.use_request(held.id)).status_code == 403


def test_the_event_says_that_it_was_by_mandate(city: RepresentedCity, wallet: Wallet) -> None:
    held = wallet.give()
    opening = wallet.opening(held)
    assert Delegate(city).registered().call("POST", f"/me/grants/{held.id}/withdrawal").status_code == 200
    items = wallet.call("GET", "/me/timeline").json()["items"]
    event = wallet.open(next(item for item in items if item["kind"] == "withdraw"), opening).event
    assert event["by"] == "mandate"
    assert parse_time(event["time"]) >= 0


def test_the_answer_to_a_registration(city: RepresentedCity, wallet: Wallet) -> None:
    delegate = Delegate(city, role="helper", verbs=["read"], purposes=[PURPOSE])
    answer = delegate.register()
    assert answer.status_code == 201
    assert answer.json().keys() == {"mandate_id", "verbs", "purposes", "until"}
    assert answer.json()["purposes"] == [PURPOSE]


# What a helper may not


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/me/grants", None),
        ("GET", "/me/grants/{grant}", None),
        ("GET", "/me/timeline", None),
        ("GET", "{receipt}", None),
        ("GET", "/me/requests", None),
        ("POST", "/me/freeze", {"until": None}),
        ("POST", "/me/oppositions", {"service": "s", "purpose": None, "holder": None}),
    ],
)
def test_a_helper_that_may_only_withdraw(
    city: RepresentedCity, wallet: Wallet, method: str, path: str, body: Any
) -> None:
    held = wallet.give()
    helper = Delegate(city, role="helper", verbs=["withdraw"]).registered()
    assert refused(helper.call(method, path.format(grant=held.id, receipt=held.receipt), body))
    assert helper.call("POST", f"/me/grants/{held.id}/withdrawal").json()["state"] == "withdrawn"


def test_a_helper_that_may_only_read(city: RepresentedCity, wallet: Wallet) -> None:
    held = wallet.give()
    helper = Delegate(city, role="helper", verbs=["read"]).registered()
    assert refused(helper.call("POST", f"/me/grants/{held.id}/withdrawal"))
    compact = wallet.sign_grant(city.ask(), SoftwareSigner.generate())
    assert refused(helper.call("POST", "/me/grants", {"grant": compact, "locator": wallet.locator(compact)}))
    assert refused(helper.call("POST", "/me/freeze", {"until": None}))
    assert city.use(city.use_request(held.id)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/me/mailboxes", {"mailbox": "A" * 22}),
        ("DELETE", "/me/mailboxes", {"mailbox": "A" * 22}),
        ("GET", "/me/export", None),
        ("POST", "/me/erasure", {"grant_id": None}),
        ("GET", "/me/oppositions", None),
        ("GET", "/me/recoveries", None),
        ("GET", "/me/deletions", None),
    ],
)
def test_what_no_mandate_opens(city: RepresentedCity, wallet: Wallet, method: str, path: str, body: Any) -> None:
    guardian = Delegate(city).registered()
    assert guardian.call(method, path, body).status_code in (401, 404)


def test_other_purposes_are_not_there(city: RepresentedCity, wallet: Wallet) -> None:
    mine, other = wallet.give(), other_purpose(city, wallet)
    helper = Delegate(city, role="helper", verbs=ALL[:4], purposes=[PURPOSE]).registered()
    assert helper.grants() == [mine.id]
    assert helper.call("GET", f"/me/grants/{other.id}").status_code == 404
    assert helper.call("GET", other.receipt).status_code == 404
    assert helper.call("POST", f"/me/grants/{other.id}/withdrawal").status_code == 404
    shown = {item["grant_id"] for item in helper.call("GET", "/me/timeline").json()["items"]}
    assert shown == {mine.id}
    assert refused(helper.call("POST", "/me/freeze", {"until": None})), "a freeze is of every purpose"
    for purpose in (None, OTHER_PURPOSE):
        body = {"service": "urn:atorga:party:library", "purpose": purpose, "holder": None}
        assert refused(helper.call("POST", "/me/oppositions", body))
    assert city.use(city.use_request(other.id, purpose=OTHER_PURPOSE)).status_code == 200


def test_a_guardian_answers_within_the_purposes(city: RepresentedCity, wallet: Wallet) -> None:
    other_purpose(city, wallet)
    guardian = Delegate(city, purposes=[OTHER_PURPOSE]).registered()
    compact = wallet.sign_grant(city.ask(), SoftwareSigner.generate())
    assert refused(guardian.call("POST", "/me/grants", {"grant": compact, "locator": wallet.locator(compact)}))
    for body in ({}, {"grant": "x"}, {"grant": 1}):
        assert guardian.call("POST", "/me/grants", body).status_code == 400


def test_there_is_no_timeline_of_sensitive_purposes(city: RepresentedCity, wallet: Wallet) -> None:
    mine, other = wallet.give(), other_purpose(city, wallet, sensitive=True)
    guardian = Delegate(city).registered()
    assert set(guardian.grants()) == {mine.id, other.id}
    assert {item["grant_id"] for item in guardian.call("GET", "/me/timeline").json()["items"]} == {mine.id}
    assert guardian.call("GET", other.receipt).status_code == 404


def test_another_residents_grants_are_not_there(city: RepresentedCity, wallet: Wallet) -> None:
    stranger = Wallet(city, claim="q8y4").enrolled()
    held = stranger.give()
    guardian = Delegate(city).registered()
    assert guardian.grants() == []
    assert guardian.call("GET", f"/me/grants/{held.id}").status_code == 404
    assert guardian.call("POST", f"/me/grants/{held.id}/withdrawal").status_code == 404


# Its end


def test_a_revoked_mandate_does_nothing_from_then_on(city: RepresentedCity, wallet: Wallet) -> None:
    held = wallet.give()
    guardian = Delegate(city).registered()
    city.bureau.revoked.add(7)
    assert refused(guardian.call("GET", "/me/grants"))
    assert refused(guardian.call("POST", f"/me/grants/{held.id}/withdrawal"))


def test_what_cannot_be_known_allows_nothing(city: RepresentedCity, wallet: Wallet) -> None:
    guardian = Delegate(city).registered()
    city.bureau.silent = True
    assert guardian.call("GET", "/me/grants").status_code == 503


@pytest.mark.parametrize("how", ["delisted", "other types"])
def test_an_issuer_that_may_not_any_more(city: RepresentedCity, wallet: Wallet, how: str) -> None:
    guardian = Delegate(city).registered()
    if how == "delisted":
        city.bureau.is_listed = False
    else:
        city.bureau.vcts = ()
    assert refused(guardian.call("GET", "/me/grants"))


def test_it_ends_by_itself(city: RepresentedCity, wallet: Wallet) -> None:
    guardian = Delegate(city, until=int(city.clock()) + 100).registered()
    city.clock.now += 100  # type: ignore[attr-defined]
    assert refused(guardian.call("GET", "/me/grants"))


def test_the_resident_ends_it_by_one_act(city: RepresentedCity, wallet: Wallet) -> None:
    guardian = Delegate(city).registered()
    (one,) = wallet.call("GET", "/me/mandates").json()["mandates"]
    assert (one["mandate_id"], one["role"], one["own"]) == (guardian.id, "guardian", False)
    ended = wallet.call("DELETE", f"/me/mandates/{guardian.id}")
    assert (ended.status_code, ended.json()) == (200, {"mandate_id": guardian.id, "state": "ended"})
    assert guardian.call("GET", "/me/grants").status_code == 401
    assert wallet.call("GET", "/me/mandates").json() == {"mandates": []}
    assert wallet.call("DELETE", f"/me/mandates/{guardian.id}").status_code == 404


def test_what_was_ended_is_not_registered_again(city: RepresentedCity, wallet: Wallet) -> None:
    """Neither by another key, nor by another copy of the same credential; a mandate that says something else is one."""
    guardian = Delegate(city).registered()
    assert wallet.call("DELETE", f"/me/mandates/{guardian.id}").status_code == 200
    for again in (Delegate(city), Delegate(city, index=8)):
        answer = again.register()
        assert (answer.status_code, answer.json()) == (409, {"error": "ended"})
    assert wallet.call("GET", "/me/mandates").json() == {"mandates": []}
    renewed = Delegate(city, until=int(city.clock()) + 101 * DAY).registered()
    assert renewed.call("DELETE", f"/me/mandates/{renewed.id}").status_code == 200
    assert Delegate(city, until=renewed.claims["until"]).register().status_code == 201, "it ended its own key alone"


def test_its_holder_ends_it_and_no_other(city: RepresentedCity, wallet: Wallet) -> None:
    first, second = Delegate(city).registered(), Delegate(city, index=8).registered()
    assert [one["mandate_id"] for one in first.call("GET", "/me/mandates").json()["mandates"]] == [first.id]
    assert first.call("DELETE", f"/me/mandates/{second.id}").status_code == 404
    assert first.call("DELETE", f"/me/mandates/{first.id}").status_code == 200
    assert first.call("GET", "/me/mandates").status_code == 401
    assert second.call("GET", "/me/grants").status_code == 200
    stranger = Wallet(city, claim="q8y4").enrolled()
    assert stranger.call("DELETE", f"/me/mandates/{second.id}").status_code == 404


# Registration


@pytest.mark.parametrize(
    "claims",
    [
        {"role": "friend"},
        {"verbs": ["read", "erase"]},
        {"verbs": []},
        {"verbs": "read"},
        {"purposes": []},
        {"purposes": ["https://w3id.org/dpv#Nothing"]},
        {"purposes": ["*", PURPOSE]},
        {"role": "helper", "verbs": ["grant", "withdraw"]},
        {"verbs": ["grant"]},
        {"until": 1},
        {"until": None},
    ],
)
def test_a_mandate_for_what_does_not_exist(city: RepresentedCity, wallet: Wallet, claims: dict[str, Any]) -> None:
    assert Delegate(city, **claims).register().status_code == 400


def test_a_mandate_ends_within_twelve_months(city: RepresentedCity, wallet: Wallet) -> None:
    now = int(city.clock())
    assert Delegate(city, until=now + MAX_SECONDS + 10).register().status_code == 400
    assert Delegate(city, until=now + MAX_SECONDS - 10).register().status_code == 201


def test_a_presentation_is_for_one_key_and_once(city: RepresentedCity, wallet: Wallet) -> None:
    delegate = Delegate(city)
    assert delegate.register(nonce="another").status_code == 400
    shown = {"nonce": "x", "represented": "p7x3", "claims": delegate.claims, "index": 7}
    assert delegate.call("POST", "/me/mandates", {"vp_token": shown}, with_jwk=True).status_code == 400
    for body in ({}, {"vp_token": 1}, {"vp_token": shown, "more": 1}):
        assert delegate.call("POST", "/me/mandates", body, with_jwk=True).status_code == 400


def test_a_revoked_credential_makes_no_mandate(city: RepresentedCity, wallet: Wallet) -> None:
    city.bureau.revoked.add(7)
    assert Delegate(city).register().status_code == 400
    city.bureau.silent = True
    assert Delegate(city).register().status_code == 503


def test_whom_nobody_knows_here_is_represented_by_nobody(city: RepresentedCity, wallet: Wallet) -> None:
    answer = Delegate(city, "nobody").register()
    assert (answer.status_code, answer.json()["error"]) == (404, "unknown_account")


def test_a_key_has_one_meaning(city: RepresentedCity, wallet: Wallet) -> None:
    delegate = Delegate(city).registered()
    assert delegate.register().json()["error"] == "taken"
    delegate.key = wallet.key
    assert delegate.register().json()["error"] == "taken"


def test_there_are_not_more_than_a_few(city: RepresentedCity, wallet: Wallet) -> None:
    for index in range(16):
        Delegate(city, index=index).registered()
    assert Delegate(city).register().json()["error"] == "too_many"


@pytest.mark.parametrize("query", ["&mandate=0", "&mandate=", "&mandate=1&x=1", "&mandate=1&mandate=1"])
def test_the_request_for_a_mandate_is_asked_for_exactly(city: RepresentedCity, query: str) -> None:
    thumbprint = SoftwareSigner.generate().public_key.thumbprint
    assert city.get(f"/me/account/request?jkt={thumbprint}{query}").status_code == 400


def test_a_strangers_key_opens_nothing(city: RepresentedCity, wallet: Wallet) -> None:
    assert Delegate(city).call("GET", "/me/grants").status_code == 401
