"""D1, D3, D4, D5: access that rests on law is approved, not opposed, logged and shown before anything is released."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from consent import spec
from consent.errors import MessageError, OutOfService, SenderUnproven, StaleMessage
from consent.grant.notice import (
    BasisRequest,
    NoticeAllow,
    NoticeDeny,
    VerifiedBasisRequest,
    sign_basis_request,
    verify_basis_request,
    verify_notice_answer,
)
from consent.grant.opening import open_event
from consent.grant.spooled_notice import SpooledNotice, sign_spooled
from consent.ledger.event import parse_time
from consent.ledger.leaf import Kind
from consent.ledger.proof import verify_event_proof
from consent.procedure.declaration import sign_declaration
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from identity.trust.bases import Basis, VerifiedBases
from tests.consent_city import (
    CONSENT,
    DAY,
    HOLDER,
    NOW,
    OTHER_HOLDER,
    OTHER_PURPOSE,
    OTHER_SERVICE,
    PURPOSE,
    SERVICE,
    Clock,
    ConsentCity,
    Wallet,
)  # fmt: skip

MAILBOX = base64url.encode(bytes(range(16)))


def approve(city: ConsentCity, **changes: Any) -> None:
    """A declaration that rests on law, registered and approved."""
    declared = city.purpose_declaration(id="inspection", legal_basis="public-task")
    compact = sign_declaration(declared, city.signer(SERVICE))
    answer = city.post_jws("/declarations", compact)
    assert answer.status_code == 201, answer.text
    basis = Basis(
        "inspection@1", jws.digest(compact), SERVICE, frozenset({HOLDER}), MappingProxyType({"en": "Act 7/1985"}),
        "Data protection officer", True, True, NOW - DAY, NOW + 10 * DAY,
    )  # fmt: skip
    city.bases = VerifiedBases(
        "urn:atorga:party:registry", 1, NOW, NOW + 20 * DAY, "", (replace(basis, **changes),)
    )  # fmt: skip


@pytest.fixture
def law(city: ConsentCity) -> ConsentCity:
    city.declare_all()
    approve(city)
    return city


@pytest.fixture
def wallet(law: ConsentCity) -> Wallet:
    wallet = Wallet(law).enrolled()
    assert wallet.call("POST", "/me/mailboxes", {"mailbox": MAILBOX}).status_code == 201
    return wallet


def asked(city: ConsentCity, **changes: Any) -> VerifiedBasisRequest:
    now = int(city.clock())
    request = BasisRequest(
        service=SERVICE, holder=HOLDER, id=base64url.encode(secrets.token_bytes(16)), issued=now, expires=now + 60,
        declaration="inspection@1", procedure="rent-subsidy", purpose=PURPOSE, attributes=("income.band",),
        subject="sealed", urgent=True, visible_from=None, reply_key=AgreementPrivateKey.generate().public,
    )  # fmt: skip
    request = replace(request, **changes)
    compact = sign_basis_request(request, city.signer(request.service))
    return VerifiedBasisRequest(request, compact, jws.digest(compact))


def notify(city: ConsentCity, request: VerifiedBasisRequest, *, caller: str = HOLDER, **more: Any) -> httpx.Response:
    body = {"basis_request": request.compact, "mailboxes": [MAILBOX]} | more
    return city.proven(city.signer(caller), "POST", "/notices", body)


def read(city: ConsentCity, answer: httpx.Response, request: VerifiedBasisRequest) -> NoticeAllow | NoticeDeny:
    assert answer.status_code in (200, 403) and answer.headers["content-type"] == spec.MEDIA_JWT, answer.text
    read = verify_notice_answer(
        answer.text, consent_key=city.key_of(CONSENT), consent=CONSENT, request=request, now=int(city.clock())
    )
    assert isinstance(read, NoticeAllow) == (answer.status_code == 200)
    return read


def denied(city: ConsentCity, request: VerifiedBasisRequest, **more: Any) -> tuple[str, ...]:
    found = read(city, notify(city, request, **more), request)
    assert isinstance(found, NoticeDeny), found
    return found.reasons


def items(wallet: Wallet, after: int | None = None) -> list[Mapping[str, Any]]:
    query = "" if after is None else f"?after={after}"
    proof = wallet.city.proof(wallet.key, "GET", "/me/timeline")
    answer = wallet.city.send("GET", f"/me/timeline{query}", request_proof=proof)
    if answer.status_code == 401:
        proof = wallet.city.proof(wallet.key, "GET", "/me/timeline")
        answer = wallet.city.send("GET", f"/me/timeline{query}", request_proof=proof)
    found: list[Mapping[str, Any]] = answer.json()["items"]
    return found


def test_an_approved_access_is_logged_and_shown(law: ConsentCity, wallet: Wallet) -> None:
    request = asked(law)
    allow = read(law, notify(law, request), request)
    assert isinstance(allow, NoticeAllow)
    logged = verify_event_proof(allow.proof, law.vkey, allow.event, base64url.decode(allow.salt))
    assert (logged.leaf.kind, logged.leaf.counter) == (Kind.NOTICE, 0)
    assert logged.leaf.id == base64url.decode(allow.notice_id)
    assert (allow.event["declaration"], allow.event["attributes"]) == ("inspection@1", ["income.band"])
    assert allow.event["hash"] == request.digest and allow.release_before == NOW + 5
    [item] = items(wallet)
    assert (item["grant_id"], item["kind"], item["counter"]) == (allow.notice_id, "notice", 0)
    assert item["leaf_index"] == logged.index
    opened = open_event(wallet.view_key, item["sealed"], leaf_id=item["grant_id"], counter=0)
    assert opened.event == allow.event and opened.salt == base64url.decode(allow.salt)


def test_it_is_logged_also_where_nobody_has_a_mailbox(law: ConsentCity, wallet: Wallet) -> None:
    for mailboxes in ([], [base64url.encode(bytes(16))]):
        request = asked(law)
        assert isinstance(read(law, notify(law, request, mailboxes=mailboxes), request), NoticeAllow)
    assert items(wallet) == [] and law.get("/statistics").json()["notices"] == 2


def test_what_is_not_approved_is_refused(law: ConsentCity) -> None:
    for changes in (
        {"declaration": "inspection@2"},
        {"declaration": "rent-subsidy@1"},
        {"service": OTHER_SERVICE},
    ):
        assert denied(law, asked(law, **changes)) == ("not_approved",), changes
    assert denied(law, asked(law, purpose=OTHER_PURPOSE)) == ("other_purpose",)
    assert denied(law, asked(law, procedure="other")) == ("other_purpose",)
    assert denied(law, asked(law, attributes=("health.state",))) == ("attribute_not_granted",)


@pytest.mark.parametrize(
    "changes",
    [
        {"declaration_hash": base64url.encode(bytes(32))},
        {"holders": frozenset({OTHER_HOLDER})},
        {"valid_to": NOW},
        {"valid_from": NOW + 1},
    ],
)
def test_a_basis_is_for_one_text_one_holder_and_its_time(city: ConsentCity, changes: dict[str, Any]) -> None:
    city.declare_all()
    approve(city, **changes)
    assert denied(city, asked(city)) == ("not_approved",)


def test_consent_is_no_law(city: ConsentCity) -> None:
    """A declaration that rests on consent cannot be approved into an access without it."""
    city.declare_all()
    approve(city)
    stored = city.get("/declarations").json()["declarations"][1]
    assert city.bases is not None
    basis = replace(city.bases.bases[0], declaration="rent-subsidy@1", declaration_hash=jws.digest(stored))
    city.bases = replace(city.bases, bases=(basis,))
    assert denied(city, asked(city, declaration="rent-subsidy@1")) == ("not_approved",)


def test_without_a_current_list_nothing_rests_on_law(law: ConsentCity) -> None:
    bases = law.bases
    assert bases is not None
    law.bases = None
    assert denied(law, asked(law)) == ("not_approved",)
    law.bases = replace(bases, expires=NOW)
    assert denied(law, asked(law)) == ("not_approved",)


def test_only_the_data_holder_it_is_made_for_gives_notice(law: ConsentCity) -> None:
    for caller in (SERVICE, OTHER_HOLDER):
        answer = notify(law, asked(law), caller=caller)
        assert answer.status_code == 403 and answer.json()["error"] in ("not_a_holder", "not_the_holder")
    assert law.get("/statistics").json()["notices"] == 0


def test_signature_and_time_come_first(law: ConsentCity) -> None:
    clock = law.clock
    assert isinstance(clock, Clock)
    request = asked(law)
    forged = sign_basis_request(request.request, SoftwareSigner.generate())
    answer = notify(law, replace(request, compact=forged))
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_signature")
    clock.now += 60
    answer = notify(law, request)
    assert (answer.status_code, answer.json()["error"]) == (400, "stale_request")
    future = asked(law, issued=NOW + 100, expires=NOW + 160)
    assert notify(law, future).json()["error"] == "stale_request"
    hidden = asked(law, visible_from=int(clock()) + 367 * DAY)
    assert notify(law, hidden).json()["error"] == "invalid_request"
    long = asked(law, expires=int(clock()) + 61)
    assert notify(law, long).json()["error"] == "invalid_request"


def test_a_repeat_gets_the_first_answer_and_no_second_leaf(law: ConsentCity, wallet: Wallet) -> None:
    request = asked(law)
    first, again = notify(law, request), notify(law, request)
    assert first.status_code == again.status_code == 200 and first.text == again.text
    other = asked(law, id=request.request.id)
    assert denied(law, other) == ("replayed",)
    clock = law.clock
    assert isinstance(clock, Clock)
    clock.now += 6
    assert denied(law, request) == ("replayed",)
    assert len(items(wallet)) == 1


def test_an_opposition_stops_what_may_be_opposed(law: ConsentCity, wallet: Wallet) -> None:
    opposed = {"service": SERVICE, "purpose": None, "holder": None}
    answer = wallet.call("POST", "/me/oppositions", opposed)
    assert answer.status_code == 201
    opposition_id = answer.json()["opposition_id"]
    assert wallet.call("GET", "/me/oppositions").json() == {
        "oppositions": [{"opposition_id": opposition_id, **opposed, "since": NOW}]
    }
    assert denied(law, asked(law)) == ("opposition",)
    law.office.sequencer.wait_for_size(3, seconds=3)
    [item] = items(wallet)
    assert (item["kind"], item["counter"]) == ("oppose", 0) and item["grant_id"] != opposition_id
    assert "hash" in open_event(wallet.view_key, item["sealed"], leaf_id=item["grant_id"], counter=0).event
    other = Wallet(law, "other").enrolled()
    assert other.call("DELETE", f"/me/oppositions/{opposition_id}").status_code == 404
    assert denied(law, asked(law)) == ("opposition",)
    ended = wallet.call("DELETE", f"/me/oppositions/{opposition_id}")
    assert (ended.status_code, ended.json()) == (200, {"opposition_id": opposition_id, "state": "ended"})
    assert wallet.call("DELETE", f"/me/oppositions/{opposition_id}").json() == {"error": "unknown_opposition"}
    assert notify(law, asked(law)).status_code == 200


@pytest.mark.parametrize(
    ("opposed", "stops"),
    [
        ({"service": SERVICE, "purpose": PURPOSE, "holder": HOLDER}, True),
        ({"service": SERVICE, "purpose": OTHER_PURPOSE, "holder": None}, False),
        ({"service": SERVICE, "purpose": None, "holder": OTHER_HOLDER}, False),
        ({"service": OTHER_SERVICE, "purpose": None, "holder": None}, False),
    ],
)
def test_an_opposition_stops_what_it_names(
    law: ConsentCity, wallet: Wallet, opposed: dict[str, Any], stops: bool
) -> None:
    assert wallet.call("POST", "/me/oppositions", opposed).status_code == 201
    assert notify(law, asked(law)).status_code == (403 if stops else 200)


def test_what_the_law_does_not_let_be_opposed_goes_on(city: ConsentCity) -> None:
    city.declare_all()
    approve(city, opposable=False)
    wallet = Wallet(city).enrolled()
    wallet.call("POST", "/me/mailboxes", {"mailbox": MAILBOX})
    assert wallet.call("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None}).is_success
    assert notify(city, asked(city)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {}, {"service": SERVICE}, {"service": 1, "purpose": None, "holder": None},
        {"service": SERVICE, "purpose": 5, "holder": None}, {"service": "x" * 129, "purpose": None, "holder": None},
        {"service": "urn:atorga:party:nobody", "purpose": None, "holder": None},
        {"service": SERVICE, "purpose": None, "holder": "urn:atorga:party:nobody"},
        {"service": SERVICE, "purpose": None, "holder": None, "more": 1},
    ],
)  # fmt: skip
def test_a_malformed_opposition_is_refused(wallet: Wallet, body: Any) -> None:
    assert wallet.call("POST", "/me/oppositions", body).status_code == 400
    assert wallet.call("GET", "/me/oppositions").json() == {"oppositions": []}


def test_an_account_has_a_bounded_number_of_oppositions(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.opposing.MAX_OPPOSITIONS", 1)
    body = {"service": SERVICE, "purpose": None, "holder": None}
    assert wallet.call("POST", "/me/oppositions", body).status_code == 201
    assert wallet.call("POST", "/me/oppositions", body).json() == {"error": "too_many"}


def test_what_is_hidden_at_first_appears_in_its_time(law: ConsentCity, wallet: Wallet) -> None:
    clock = law.clock
    assert isinstance(clock, Clock)
    hidden = asked(law, visible_from=NOW + 3 * DAY)
    allow = read(law, notify(law, hidden), hidden)
    assert isinstance(allow, NoticeAllow)
    shown = asked(law)
    assert notify(law, shown).status_code == 200
    [seen] = items(wallet)
    assert seen["grant_id"] != allow.notice_id
    clock.now += 3 * DAY
    assert [one["grant_id"] for one in items(wallet)][:1] == [allow.notice_id]
    # Whoever has read further already gets it at the end.
    assert [one["grant_id"] for one in items(wallet, seen["leaf_index"])] == [allow.notice_id]
    clock.now += 31 * DAY
    law.registry = law.keys.listed(clock())
    assert items(wallet, seen["leaf_index"]) == []


def spooled(city: ConsentCity, request: VerifiedBasisRequest, *, by: str = HOLDER, **changes: Any) -> str:
    notice = SpooledNotice(by, CONSENT, request.digest, 1, request.request.issued)
    return sign_spooled(replace(notice, **changes), city.signer(by))


def test_what_was_released_from_the_spool_is_delivered_late_and_counted(law: ConsentCity, wallet: Wallet) -> None:
    clock = law.clock
    assert isinstance(clock, Clock)
    request = asked(law)
    statement = spooled(law, request)
    # The resident had objected; the release has happened all the same, and that must be seen.
    assert wallet.call("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None}).is_success
    clock.now += 3_600
    answer = notify(law, request, spooled=statement)
    allow = read(law, answer, request)
    assert isinstance(allow, NoticeAllow) and parse_time(allow.event["time"]) == NOW * 1_000, "when it was released"
    assert [one["kind"] for one in items(wallet)] == ["oppose", "notice"]
    assert law.get("/statistics").json() == {
        "notices": 1, "late_notices": 1, "late": [{"holder": HOLDER, "count": 1, "longest_seconds": 3_600}],
        "deletions_overdue": [],
    }  # fmt: skip
    assert notify(law, request, spooled=statement).text == answer.text
    clock.now += 10
    assert denied(law, request, spooled=statement) == ("replayed",)


def test_a_spooled_release_is_logged_whatever_id_its_service_drew(law: ConsentCity, wallet: Wallet) -> None:
    """A service that draws an id twice would else have an access that nobody logs and nobody counts."""
    logged = asked(law)
    assert isinstance(read(law, notify(law, logged), logged), NoticeAllow)
    another = asked(law, id=logged.request.id)
    assert denied(law, another) == ("replayed",)
    assert isinstance(read(law, notify(law, another, spooled=spooled(law, another)), another), NoticeAllow)
    assert law.get("/statistics").json()["late_notices"] == 1 and len(items(wallet)) == 2


def test_a_release_whose_first_notice_got_no_answer_is_logged_as_late(law: ConsentCity, wallet: Wallet) -> None:
    request = asked(law)
    statement = spooled(law, request)
    assert notify(law, request).status_code == 200
    assert isinstance(law.clock, Clock)
    law.clock.now += 6
    assert isinstance(read(law, notify(law, request, spooled=statement), request), NoticeAllow)
    assert law.get("/statistics").json()["late_notices"] == 1


def test_a_spooled_statement_is_the_data_holders_own_about_this_request(law: ConsentCity) -> None:
    request = asked(law)
    wrong = {
        "another request's": spooled(law, asked(law)),
        "another's": spooled(law, request, by=OTHER_HOLDER),
        "for another": spooled(law, request, consent=SERVICE),
        "from the future": spooled(law, request, time=NOW + 100),
        "none": "x",
    }
    for name, statement in wrong.items():
        assert notify(law, request, spooled=statement).status_code == 400, name
    late = spooled(law, request, time=NOW + 2)
    expired = replace(request, request=request.request)
    assert notify(law, expired, spooled=late).status_code == 200
    stale = asked(law, issued=NOW - 200, expires=NOW - 140)
    assert notify(law, stale, spooled=spooled(law, stale, time=NOW - 100)).json()["error"] == "stale_request"


@pytest.mark.parametrize(("basis", "urgent"), [({"urgent": False}, True), ({}, False)])
def test_only_what_basis_and_request_call_urgent_may_have_been_spooled(
    city: ConsentCity, basis: dict[str, Any], urgent: bool
) -> None:
    city.declare_all()
    approve(city, **basis)
    request = asked(city, urgent=urgent)
    assert denied(city, request, spooled=spooled(city, request)) == ("not_approved",)


@pytest.mark.parametrize(
    "more",
    [
        {"mailboxes": "x"}, {"mailboxes": ["short"]}, {"mailboxes": [MAILBOX] * 2}, {"more": 1}, {"basis_request": 5},
        {"mailboxes": [base64url.encode(secrets.token_bytes(16)) for _ in range(9)]}, {"spooled": 3},
    ],
)  # fmt: skip
def test_a_malformed_notice_is_refused(law: ConsentCity, more: dict[str, Any]) -> None:
    assert notify(law, asked(law), **more).status_code == 400


def test_without_a_log_nothing_is_allowed(law: ConsentCity, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped() -> None:
        raise OutOfService("log: it takes no entries now")

    monkeypatch.setattr(law.office.sequencer, "require_running", stopped)
    assert notify(law, asked(law)).status_code == 503
    with law.engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM notice")).scalar_one() == 0


def test_the_answer_is_read_strictly(law: ConsentCity, wallet: Wallet) -> None:
    request = asked(law)
    answer = notify(law, request).text

    def again(text: str, **changes: Any) -> NoticeAllow | NoticeDeny:
        named: dict[str, Any] = {
            "consent_key": law.key_of(CONSENT), "consent": CONSENT, "request": request, "now": NOW,
        }  # fmt: skip
        return verify_notice_answer(text, **named | changes)

    assert isinstance(again(answer), NoticeAllow)
    with pytest.raises(MessageError, match="another basis request"):
        again(answer, request=asked(law))
    with pytest.raises(MessageError, match="another consent service"):
        again(answer, consent=SERVICE)
    with pytest.raises(SenderUnproven):
        again(answer, consent_key=law.key_of(SERVICE))
    for now in (NOW + 5, NOW - 3):
        with pytest.raises(StaleMessage):
            again(answer, now=now)
    with pytest.raises(StaleMessage):
        verify_basis_request(request.compact, key_of=law.key_of, holder=HOLDER, now=NOW + 60)
    with pytest.raises(MessageError, match="another data holder"):
        verify_basis_request(request.compact, key_of=law.key_of, holder=OTHER_HOLDER, now=NOW)
