"""Data holder, kit and the real consent service together: notices, spool, roots, feed, standing, deletion, acts."""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse

from consent.grant.act import Pause, Resume, sign_act
from consent.grant.detail import AuthorizationDetail
from consent.grant.opening import open_event
from consent.grant.request import verify_request
from consent.holder.app import holder_app
from consent.holder.link import link_nonce, seal_link
from consent.ledger.journal_root import verify_journal_root
from consent.procedure.declaration import sign_declaration
from consent.service.app import create_app
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from identity.trust.bases import VerifiedBases
from tests.consent_city import OTHER_HOLDER, ConsentCity, Held, Keys
from tests.consent_city import Wallet as Resident
from tests.holder_city import (
    ANNA,
    CLAIM,
    CONSENT,
    CONSENT_URL,
    HOLDER,
    HOLDER_URL,
    INCOME,
    NOW,
    SERVICE,
    City,
    Wallet,
    purpose_declaration,
)  # fmt: skip
from tests.unit.consent.holder.test_law import approve, basis_request, opened
from tests.unit.consent.holder.test_release import reasons
from tests.unit.verifier.kit.conftest import make_kit
from verifier.kit.outcome import Given, Refused, Released, ReleasedByLaw, Urgent

LAW = "rent-inspection@1"


class Switch:
    """The consent service, while nobody pulls the plug."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.down = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        app = JSONResponse({"error": "down"}, 503) if self.down and scope["type"] == "http" else self.app
        await app(scope, receive, send)


class Together:
    def __init__(self, folder: Path) -> None:
        self.city = City(folder)
        city = self.city
        keys = Keys({**city.keys, OTHER_HOLDER: SoftwareSigner.generate()}, hpke=city.hpke)
        self.real = ConsentCity(_made(folder / "consent"), keys=keys, clock=city.clock)
        self.switch = Switch(create_app(self.real.office))
        city.hosts[CONSENT_URL] = self.switch  # type: ignore[assignment]
        city.consent.vkey = self.real.vkey
        city.services = city.holder_services()
        city.hosts[HOLDER_URL] = holder_app(city.services)
        for compact in city.consent.declarations:
            assert self.real.post_jws("/declarations", compact).status_code == 201
        self.kit = make_kit(city, folder / "kit")
        self.resident = Resident(self.real).enrolled()
        self.mailbox = base64url.encode(secrets.token_bytes(16))
        assert self.resident.call("POST", "/me/mailboxes", {"mailbox": self.mailbox}).status_code == 201
        self.wallet = self._linked()
        self.resident.link, self.resident.link_key = self.wallet.link, self.wallet.link_key

    def _linked(self) -> Wallet:
        wallet = Wallet(ANNA)
        thumbprint = wallet.link_key.public_key.thumbprint
        nonce = link_nonce(HOLDER, thumbprint, self.mailbox)
        vp_token = self.city.presentation(wallet, self.mailbox, nonce=nonce)
        sealed = seal_link(
            self.city.hpke.public, holder=HOLDER, link_key=wallet.link_key.public_key, mailbox=self.mailbox,
            vp_token=vp_token,
        )  # fmt: skip
        answer = self.city.call("POST", "/links", json={"sealed": sealed})
        assert answer.status_code == 201, answer.text
        wallet.link = answer.json()["link"]
        return wallet

    def given(self, detail: AuthorizationDetail | None = None) -> Held:
        """Asked by the kit, answered by the resident, taken by the kit."""
        asked = self.kit.ask(detail or self.city.detail())
        found = self.real.get(asked.request_uri.removeprefix(self.real.url))
        request = verify_request(found.text, key_of=self.city.key_of, consent=CONSENT, now=int(self.city.clock()))
        held = self.resident.give(request)
        assert isinstance(self.kit.answer(asked.request_id), Given)
        return held

    def lawful(self) -> None:
        self.declaration = purpose_declaration(id="rent-inspection", legal_basis="legal-obligation")
        compact = sign_declaration(self.declaration, self.city.keys[SERVICE])
        assert self.real.post_jws("/declarations", compact).status_code == 201
        approve(self.city, jws.digest(compact))
        self.real.bases = VerifiedBases(
            "urn:atorga:party:registry", 1, NOW - 10, NOW + 10**9, "", tuple(self.city.approved)
        )

    def told(self) -> int:
        """Items of the feed that are new to the kit."""
        self.real.office.duties.feeding.round(True)
        return self.kit.catch_up()

    def statistics(self) -> dict[str, Any]:
        value: dict[str, Any] = self.real.get("/statistics").json()
        return value

    def kinds(self) -> list[str]:
        """What the resident's timeline shows."""
        return [item["kind"] for item in self.resident.call("GET", "/me/timeline").json()["items"]]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Together]:
    made = Together(tmp_path)
    yield made
    made.kit.close()
    made.real.close()


def test_access_by_law(together: Together) -> None:
    together.lawful()
    city, reply = together.city, AgreementPrivateKey.generate()
    compact = basis_request(city, reply=reply)
    answer = city.send(compact)
    assert answer.status_code == 200, answer.text
    assert opened(city, compact, reply, answer.json()) == {"income.band": INCOME}
    assert together.kinds() == ["notice"], "the resident sees it"
    assert [one["grant_id"] for one in city.journal(together.wallet)["releases"]] == [answer.json()["use_id"]]
    read = together.kit.read_by_law(
        together.declaration, holder=HOLDER, attributes=("income.band",), subject={CLAIM: ANNA}
    )
    assert isinstance(read, ReleasedByLaw), read
    assert together.statistics()["notices"] == 2


def test_three_exchanges_are_three_lines_and_a_neighbour_has_none(together: Together) -> None:
    """Row M4: who asked, what, under which procedure, on which basis; by law and by consent side by side."""
    together.lawful()
    neighbour = Resident(together.real, claim="q8y4").enrolled()
    held = together.given()
    assert isinstance(together.kit.read(held.id, ("income.band",)), Released)
    for _ in range(2):
        read = together.kit.read_by_law(
            together.declaration, holder=HOLDER, attributes=("income.band",), subject={CLAIM: ANNA}
        )
        assert isinstance(read, ReleasedByLaw), read
    opening = together.resident.opening(held)
    lines = [
        open_event(
            together.resident.view_key if item["kind"] == "notice" else opening,
            item["sealed"],
            leaf_id=item["grant_id"],
            counter=item["counter"],
        ).event
        for item in together.resident.call("GET", "/me/timeline").json()["items"]
        if item["kind"] in ("use", "notice")
    ]
    assert [(one["kind"], one["service"], one["attributes"]) for one in lines] == [
        ("use", SERVICE, ["income.band"]),
        ("notice", SERVICE, ["income.band"]),
        ("notice", SERVICE, ["income.band"]),
    ]
    assert lines[0]["purpose"] == lines[1]["purpose"] == together.declaration.purpose and lines[1]["declaration"] == LAW
    assert neighbour.call("GET", "/me/timeline").json()["items"] == []


def test_urgent_and_delivered_later(together: Together) -> None:
    together.lawful()
    city = together.city
    assert city.send(basis_request(city)).status_code == 200
    together.kit.published.refresh()
    together.kit.close()
    together.kit = make_kit(city, city.folder / "kit")
    together.switch.down = True
    read = together.kit.read_by_law(
        together.declaration, holder=HOLDER, attributes=("income.band",), subject={CLAIM: ANNA}, urgent=True
    )
    assert isinstance(read, Urgent), read
    city.clock.now += 1_800
    together.switch.down = False
    assert together.kinds() == ["notice"]
    assert city.sending.notices() == 1
    assert together.kinds() == ["notice", "notice"]
    found = together.statistics()
    assert (found["late_notices"], found["late"]) == (
        1, [{"holder": HOLDER, "count": 1, "longest_seconds": 1_800}],
    )  # fmt: skip
    city.clock.now += 1
    shown = [item["grant_id"] for item in together.resident.call("GET", "/me/timeline").json()["items"]]
    assert [one["grant_id"] for one in city.journal(together.wallet)["releases"]] == shown


def test_a_days_root_is_taken(together: Together) -> None:
    together.lawful()
    held = together.given()
    assert isinstance(together.kit.read(held.id, ("income.band",)), Released)
    assert together.city.send(basis_request(together.city)).status_code == 200
    assert together.city.sending.roots() == 0
    together.city.clock.now = float((NOW // 86_400 + 1) * 86_400 + 600)
    assert together.city.sending.roots() == 1
    [compact] = together.real.get("/journal-roots").json()["roots"]
    stated = verify_journal_root(compact, key_of=together.city.key_of, consent=CONSENT)
    assert (stated.day, stated.count) == (NOW // 86_400, 2)
    assert base64url.encode(stated.root) == together.city.records.root_of(stated.day).root


def test_feed_standing_and_deletion(together: Together) -> None:
    held, kit = together.given(), together.kit
    assert isinstance(kit.read(held.id, ("income.band",)), Released)
    assert together.told() == 1
    state = kit.state(held.id)
    assert state is not None and state.state == "given"
    active = kit.introspect(held.id)
    assert active is not None and set(active.terms) == {"income.band", "household.size"}
    assert together.resident.act(held, 1, "pause").status_code == 200
    assert (together.told(), kit.introspect(held.id)) == (1, None)
    assert together.resident.withdraw(held).status_code == 200
    assert together.told() == 1
    state = kit.state(held.id)
    assert state is not None and state.is_over and kit.grants() == []
    assert isinstance(kit.read(held.id), Refused)
    together.city.clock.now += 60
    kit.deleted(held.id)
    assert kit.deletions() == []
    [told] = together.resident.call("GET", "/me/deletions").json()["deletions"]
    assert (told["grant_id"], told["state"]) == (held.id, "received") and told["receipt"]


def test_a_pause_that_reached_the_data_holder_alone(together: Together) -> None:
    """The consent service still allows: what the resident said at the data holder's door holds."""
    held, city = together.given(), together.city
    assert isinstance(together.kit.read(held.id, ("income.band",)), Released)

    def tell(number: int, deed: Any) -> Any:
        compact = sign_act(
            held.id, number, deed, consent=CONSENT, signer=held.key, now=int(city.clock()), random=secrets.token_bytes
        )
        at_holder = city.call("POST", "/acts", content=compact, headers={"Content-Type": "application/jwt"})
        return at_holder, compact

    answer, compact = tell(1, Pause())
    assert answer.json() == {"state": "paused", "act": 1}
    assert reasons(city.read(held.id)) == [("paused", None)]
    assert together.real.post_jws(f"/me/grants/{held.id}", compact, "PATCH").status_code == 200, "one JWS, two doors"
    answer, compact = tell(2, Resume())
    assert together.real.post_jws(f"/me/grants/{held.id}", compact, "PATCH").status_code == 200
    assert isinstance(together.kit.read(held.id, ("income.band",)), Released)


def test_a_dead_consent_service_releases_nothing_and_loses_nothing(together: Together) -> None:
    held = together.given()
    together.switch.down = True
    refused = together.kit.read(held.id)
    assert isinstance(refused, Refused) and refused.reasons == ("consent_unavailable",)
    assert together.city.journal(together.wallet)["releases"] == []
    together.switch.down = False
    assert isinstance(together.kit.read(held.id), Released)
