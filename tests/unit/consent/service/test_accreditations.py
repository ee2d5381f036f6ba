"""A grant for any accredited service: checked at every use, by consent service and data holder alike."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.errors import MessageError
from consent.grant.accreditation import announcement_nonce, verify_accreditation
from consent.grant.detail import Grantee
from consent.grant.receipt import parse_served
from consent.grant.use import VerifiedUseRequest
from consent.ledger.case import CaseEvent, parse_case, resident_case, verify_case
from consent.spec import VCT_ACCREDITATION, VCT_MANDATE
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import VerifiedRegistry
from tests.consent_city import CONSENT, HOLDER, OTHER_SERVICE, PURPOSE, SERVICE, Clock, ConsentCity, Held, Wallet
from tests.credential_bureau import ACCREDITOR, Bureau

GRANTEE = Grantee(VCT_ACCREDITATION, ACCREDITOR)


class AccreditedCity(ConsentCity):
    def __init__(self, folder: Path) -> None:
        self.bureau = Bureau(clock := Clock())
        self.library = SoftwareSigner.generate()
        super().__init__(folder, clock=clock, credentials=self.bureau.credentials(self._current))

    def _current(self) -> VerifiedRegistry:
        return self.bureau.listed(super()._current())

    def shown(self, request_id: str, **changes: Any) -> str:
        named = {"organisation": OTHER_SERVICE} | changes
        audience, holder = named.pop("audience", HOLDER), named.pop("key", self.library)
        credential = self.bureau.accreditation(holder=self.library.public_key, **named)
        return self.bureau.present(credential, holder, audience=audience, nonce=request_id)

    def use_by_library(self, held: Held, accreditation: str | None = None, **changes: Any) -> VerifiedUseRequest:
        plain = self.use_request(held.id, service=OTHER_SERVICE)
        shown = accreditation or self.shown(plain.request.id, **changes)
        return self.use_request(held.id, service=OTHER_SERVICE, id=plain.request.id, accreditation=shown)

    def announce(self, presentation: str | None = None, *, caller: str = OTHER_SERVICE) -> httpx.Response:
        credential = self.bureau.accreditation(OTHER_SERVICE, self.library.public_key)
        nonce = announcement_nonce(CONSENT, OTHER_SERVICE)
        made = presentation or self.bureau.present(credential, self.library, audience=CONSENT, nonce=nonce)
        return self.proven(self.signer(caller), "POST", "/accreditations", {"presentation": made})

    def qualified(self, accreditor: str = ACCREDITOR) -> list[dict[str, Any]]:
        answer = self.get(f"/accredited?vct={VCT_ACCREDITATION}&accreditor={accreditor}")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["services"])


@pytest.fixture
def city(tmp_path: Path) -> Iterator[AccreditedCity]:
    city = AccreditedCity(tmp_path)
    city.declare_all()
    yield city
    city.close()


@pytest.fixture
def wallet(city: AccreditedCity) -> Wallet:
    return Wallet(city).enrolled()


def lent(wallet: Wallet) -> Held:
    return wallet.give(wallet.city.ask(wallet.city.detail(grantee=GRANTEE)))


def verified(city: AccreditedCity, request: VerifiedUseRequest) -> Any:
    asked = request.request
    assert asked.accreditation is not None
    return verify_accreditation(
        asked.accreditation, service=asked.service, audience=HOLDER, nonce=asked.id, issuer_key=city.bureau.issuer_key,
        check_status=city.bureau.check_status, registry=city._current(), now=int(city.clock()),
    )  # fmt: skip


def test_another_service_uses_what_it_is_accredited_for(city: AccreditedCity, wallet: Wallet) -> None:
    held = lent(wallet)
    request = city.use_by_library(held)
    answer = city.use(request)
    allow = city.answer(answer, request)
    assert answer.status_code == 200 and allow.event["service"] == OTHER_SERVICE  # type: ignore[union-attr]
    proven = city.prove(answer, request, wallet, accreditation=verified(city, request))
    assert proven.grant.service == SERVICE
    assert city.use(city.use_request(held.id)).status_code == 200, "the service that asked uses it as before"


def test_the_data_holder_believes_no_consent_service_about_it(city: AccreditedCity, wallet: Wallet) -> None:
    request = city.use_by_library(lent(wallet))
    with pytest.raises(MessageError, match="of another service"):
        city.prove(city.use(request), request, wallet)
    other = replace(verified(city, request), accreditor="urn:atorga:party:somebody")
    with pytest.raises(MessageError, match="of another service"):
        city.prove(city.use(request), request, wallet, accreditation=other)


@pytest.mark.parametrize(
    "changes",
    [
        {"organisation": SERVICE},
        {"audience": CONSENT},
        {"index": None},
        {"vct": VCT_MANDATE},
        {"exp": 1},
        {"signer": SoftwareSigner.generate()},
        {"issuer": "https://other.example"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_what_does_not_hold_shows_nothing(city: AccreditedCity, wallet: Wallet, changes: dict[str, Any]) -> None:
    request = city.use_by_library(lent(wallet), **changes)
    assert city.reasons(city.use(request), request) == ["unknown_grant"]


def test_a_presentation_is_for_one_use(city: AccreditedCity, wallet: Wallet) -> None:
    held = lent(wallet)
    first = city.use_by_library(held)
    assert city.use(first).status_code == 200
    second = city.use_by_library(held, first.request.accreditation)
    assert city.reasons(city.use(second), second) == ["unknown_grant"]


def test_a_revoked_one_is_none_at_the_next_use(city: AccreditedCity, wallet: Wallet) -> None:
    held = lent(wallet)
    assert city.use(city.use_by_library(held)).status_code == 200
    city.bureau.revoked.add(1)
    request = city.use_by_library(held)
    assert city.reasons(city.use(request), request) == ["unknown_grant"]


def test_a_status_that_cannot_be_known_allows_nothing(city: AccreditedCity, wallet: Wallet) -> None:
    held = lent(wallet)
    city.bureau.silent = True
    assert city.use(city.use_by_library(held)).status_code == 503


@pytest.mark.parametrize("how", ["delisted", "other types"])
def test_an_accreditor_that_is_not_listed_for_it_accredits_nobody(
    city: AccreditedCity, wallet: Wallet, how: str
) -> None:
    held = lent(wallet)
    if how == "delisted":
        city.bureau.is_listed = False
    else:
        city.bureau.vcts = (VCT_MANDATE,)
    request = city.use_by_library(held)
    assert city.reasons(city.use(request), request) == ["unknown_grant"]


def test_a_grant_for_one_service_is_for_no_other(city: AccreditedCity, wallet: Wallet) -> None:
    request = city.use_by_library(wallet.give())
    assert city.reasons(city.use(request), request) == ["unknown_grant"]


@pytest.mark.parametrize(
    "grantee", [Grantee(VCT_MANDATE, ACCREDITOR), Grantee(VCT_ACCREDITATION, "urn:atorga:party:other-board")]
)
def test_another_type_or_accreditor_than_the_resident_named_is_none(
    city: AccreditedCity, wallet: Wallet, grantee: Grantee
) -> None:
    held = wallet.give(city.ask(city.detail(grantee=grantee)))
    request = city.use_by_library(held)
    assert city.reasons(city.use(request), request) == ["unknown_grant"]


@pytest.mark.parametrize("grantee", [None, Grantee(VCT_ACCREDITATION, "urn:atorga:party:other-board")])
def test_the_grantee_is_what_was_asked(city: AccreditedCity, wallet: Wallet, grantee: Grantee | None) -> None:
    asked = city.ask(city.detail(grantee=GRANTEE))
    answer, _, _ = wallet.answer(asked, detail=replace(asked.request.detail, grantee=grantee))
    assert (answer.status_code, "grantee differs" in answer.text) == (400, True)


def test_refusals_count_on_the_grant_whoever_asks(city: AccreditedCity, wallet: Wallet) -> None:
    held = wallet.give(city.ask(city.detail(grantee=GRANTEE, max_uses=1, frequency=None)))
    assert city.use(city.use_request(held.id)).status_code == 200
    request = city.use_by_library(held)
    assert city.reasons(city.use(request), request) == ["max_uses"]
    wallet.withdraw(held)
    request = city.use_by_library(held)
    assert "withdrawn" in city.reasons(city.use(request), request)


def test_its_case_names_both_services(city: AccreditedCity, wallet: Wallet) -> None:
    """What a resident hands to an auditor: uses by another service belong to a grant for any accredited one."""
    held = lent(wallet)
    assert city.use(city.use_by_library(held)).status_code == 200
    assert city.use(city.use_request(held.id)).status_code == 200
    opening, writer = wallet.opening(held), city.office.sequencer.writer
    items = wallet.call("GET", "/me/timeline").json()["items"]
    opened = [(item, wallet.open(item, opening)) for item in items]
    later = [
        CaseEvent(event.event, event.salt, writer.prove(item["leaf_index"]))
        for item, event in opened
        if item["counter"] > 1
    ]
    served = parse_served(wallet.call("GET", held.receipt).json())
    receipt = served.opened(opening, grant_id=held.id, counter=1)
    found = verify_case(parse_case(resident_case(receipt, later).format()), log_vkey=city.vkey)
    assert [one.event["service"] for one in found.events] == [SERVICE, OTHER_SERVICE, SERVICE]


# Who qualifies today


def test_who_qualifies_is_listed(city: AccreditedCity) -> None:
    assert city.qualified() == []
    answer = city.announce()
    assert (answer.status_code, answer.json()["vct"]) == (201, VCT_ACCREDITATION)
    (one,) = city.qualified()
    assert (one["id"], one["name"]) == (OTHER_SERVICE, {"en": "library"})
    assert one["until"] == answer.json()["until"]
    assert city.announce().status_code == 201, "again"
    assert len(city.qualified()) == 1
    assert city.qualified("urn:atorga:party:other-board") == []


def test_who_qualifies_no_more_is_listed_no_more(city: AccreditedCity) -> None:
    assert city.announce().status_code == 201
    now: dict[str, Any]
    for now in ({"revoked": {1}}, {"silent": True}, {"is_listed": False}, {"vcts": ()}):
        before = {name: getattr(city.bureau, name) for name in now}
        for values, listed in ((now, 0), (before, 1)):
            for name, value in values.items():
                setattr(city.bureau, name, value)
            assert len(city.qualified()) == listed, now
    city.clock.now += 8 * 86_400  # type: ignore[attr-defined]
    assert city.qualified() == []


def test_an_announcement_is_ones_own_and_for_us(city: AccreditedCity) -> None:
    bureau, nonce = city.bureau, announcement_nonce(CONSENT, OTHER_SERVICE)
    credential = bureau.accreditation(OTHER_SERVICE, city.library.public_key)
    for presentation in (
        bureau.present(credential, city.library, audience=HOLDER, nonce=nonce),
        bureau.present(credential, city.library, audience=CONSENT, nonce=announcement_nonce(CONSENT, SERVICE)),
        bureau.present(credential, city.library, audience=CONSENT, nonce=nonce, now=int(city.clock()) - 400),
        credential,
        "x",
    ):
        assert city.announce(presentation).status_code == 400
    good = bureau.present(credential, city.library, audience=CONSENT, nonce=nonce)
    assert city.announce(good, caller=SERVICE).status_code == 400, "another's"
    assert city.announce(good, caller=HOLDER).json()["error"] == "not_a_service"
    bureau.silent = True
    assert city.announce(good).status_code == 503
    assert city.qualified() == []


@pytest.mark.parametrize(
    "query", ["", "?vct=x", "?accreditor=x", "?vct=x&accreditor=y&z=1", f"?vct={'x' * 300}&accreditor=y"]
)
def test_the_list_is_asked_for_exactly(city: AccreditedCity, query: str) -> None:
    assert city.get(f"/accredited{query}").status_code == 400


def test_without_trust_in_any_issuer_nobody_is_accredited(tmp_path: Path) -> None:
    plain = ConsentCity(tmp_path)
    try:
        plain.declare_all()
        wallet = Wallet(plain).enrolled()
        held = wallet.give(plain.ask(plain.detail(grantee=GRANTEE, purpose=PURPOSE)))
        request = plain.use_request(held.id, service=OTHER_SERVICE, accreditation="x")
        assert plain.use(request).status_code == 503
        assert plain.use(plain.use_request(held.id)).status_code == 200
    finally:
        plain.close()
