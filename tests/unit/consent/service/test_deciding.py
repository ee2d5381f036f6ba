"""C4: yes only with a proof, no with reasons for the grant's own service and one uniform answer for all others."""

from dataclasses import replace
from typing import Any

import pytest

from consent import spec
from consent.grant.detail import Frequency, Term
from consent.grant.use import Allow, sign_use_request
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import Placed, Placing
from identity.codec import base64url
from identity.envelope import jws
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.consent_city import (
    CONSENT,
    DAY,
    HOLDER,
    NOW,
    OTHER_HOLDER,
    OTHER_PURPOSE,
    OTHER_SERVICE,
    SERVICE,
    Clock,
    ConsentCity,
    Held,
    Wallet,
)


@pytest.fixture
def held(wallet: Wallet) -> Held:
    return wallet.give()


def clock_of(city: ConsentCity) -> Clock:
    assert isinstance(city.clock, Clock)
    return city.clock


def later(city: ConsentCity, seconds: float) -> None:
    clock_of(city).now += seconds


def leaves(city: ConsentCity) -> list[Leaf]:
    log = city.office.sequencer.writer
    return [Leaf.from_bytes(log.entry(index)) for index in range(log.size)]


# Denied, with reasons


def test_a_paused_grant(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    wallet.act(held, 1, "pause")
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["paused"]
    wallet.act(held, 2, "resume")
    again = city.use_request(held.id)
    city.prove(city.use(again), again, wallet)


def test_a_grant_that_has_ended_by_time(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    later(city, 20 * DAY - 1)
    last = city.use_request(held.id)
    city.prove(city.use(last), last, wallet)
    later(city, 1)
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["expired"]
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["state"] == "expired"


def test_a_grant_that_has_not_begun(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(not_before=NOW + 100)))
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["not_yet_valid"]


def test_a_grant_that_the_service_gave_back(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    answer = city.proven(city.signer(SERVICE), "DELETE", f"/grants/{held.id}")
    assert (answer.status_code, answer.json()) == (200, {"state": "revoked", "counter": 2})
    again = city.proven(city.signer(SERVICE), "DELETE", f"/grants/{held.id}")
    assert again.json() == {"state": "revoked", "counter": 2}
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["revoked"]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"purpose": OTHER_PURPOSE}, ["other_purpose"]),
        ({"procedure": "parking"}, ["other_purpose"]),
        ({"attributes": ("income.exact",)}, ["attribute_not_granted"]),
        ({"attributes": ("income.band", "income.exact")}, ["attribute_not_granted"]),
        ({"attributes": ("x", "y"), "purpose": OTHER_PURPOSE}, ["other_purpose", *["attribute_not_granted"] * 2]),
    ],
)
def test_a_use_beyond_the_grant(wallet: Wallet, held: Held, changes: dict[str, Any], reasons: list[str]) -> None:
    city = wallet.city
    use = city.use_request(held.id, **changes)
    assert city.reasons(city.use(use), use) == reasons
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["counter"] == 1


def test_an_attribute_that_was_not_given(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    held = wallet.give(asked, detail=asked.request.detail.without(frozenset({"household.size"})))
    use = city.use_request(held.id, attributes=("income.band", "household.size"))
    denied = city.answer(city.use(use), use)
    assert [reason.to_json() for reason in denied.reasons] == [  # type: ignore[union-attr]
        {"code": "attribute_not_granted", "attribute": "household.size"}
    ]


def test_limits_are_exact(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(max_uses=3, frequency=Frequency(2, 100))))
    answers = []
    for seconds in (0, 0, 0, 100, 0):
        later(city, seconds)
        use = city.use_request(held.id)
        answer = city.answer(city.use(use), use)
        answers.append("allow" if isinstance(answer, Allow) else answer.reasons[0].code)
    assert answers == ["allow", "allow", "frequency", "allow", "max_uses"]


def test_a_grant_that_lets_nothing_be_read(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(level="discoverable")))
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["attribute_not_granted"]


def test_a_procedure_that_needs_less_than_it_did(wallet: Wallet, held: Held) -> None:
    """Refused at run time, as it would be when it is asked for."""
    city = wallet.city
    city.declare(city.purpose_declaration(version=2, datatypes=("household.size",)))
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["attribute_not_granted"]
    other = city.use_request(held.id, attributes=("household.size",))
    city.prove(city.use(other), other, wallet)
    city.declare(city.purpose_declaration(version=3, purpose=OTHER_PURPOSE))
    use = city.use_request(held.id, attributes=("household.size",))
    assert city.reasons(city.use(use), use) == ["other_purpose"]


# One uniform answer


def test_everyone_else_gets_one_answer(wallet: Wallet, held: Held) -> None:
    """No such grant, another service's, another data holder's, a caller that is none: not to be told apart."""
    city = wallet.city
    wallet.withdraw(held)
    city.declare(city.purpose_declaration(iss=OTHER_SERVICE, id="cards"))
    nothing = base64url.encode(bytes(16))
    told = []
    for request, caller in (
        (city.use_request(nothing), HOLDER),
        (city.use_request(held.id, service=OTHER_SERVICE), HOLDER),
        (city.use_request(held.id, holder=OTHER_HOLDER), OTHER_HOLDER),
        (city.use_request(held.id), OTHER_HOLDER),
        (city.use_request(held.id, holder=OTHER_HOLDER), HOLDER),
        (city.use_request(held.id), SERVICE),
        (city.use_request(held.id, holder=SERVICE), SERVICE),
    ):
        answer = city.use(request, caller=caller)
        claims = jws.parse(answer.text).claims()
        assert city.reasons(answer, request, caller=caller) == ["unknown_grant"]
        told.append((answer.status_code, claims["decision"], claims["reasons"], sorted(claims)))
    assert len({str(one) for one in told}) == 1
    assert Kind.DENY not in [leaf.kind for leaf in leaves(city)], "and nothing of it is logged"


# Decided before any look at the grant


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"issued": NOW - 60, "expires": NOW}, "stale_request"),
        ({"issued": NOW + 3, "expires": NOW + 30}, "stale_request"),
        ({"expires": NOW + 61}, "invalid_request"),
        ({"attributes": ()}, "invalid_request"),
        ({"attributes": ("a", "a")}, "invalid_request"),
        ({"id": "x"}, "invalid_request"),
    ],
)
def test_use_requests_that_are_refused(wallet: Wallet, held: Held, changes: dict[str, Any], error: str) -> None:
    city = wallet.city
    request = replace(city.use_request(held.id).request, **changes)
    compact = sign_use_request(request, city.signer(SERVICE))
    answer = city.proven(city.signer(HOLDER), "POST", "/uses", {"use_request": compact})
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert [leaf.kind for leaf in leaves(city)].count(Kind.DENY) == 0


def test_use_requests_that_their_service_did_not_sign(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    use = city.use_request(held.id)
    other_key = replace(use.request, reply_key=AgreementPrivateKey.generate().public)
    head, _, signature = use.compact.split(".")
    changed = sign_use_request(other_key, city.signer(SERVICE)).split(".")[1]
    for compact in (
        f"{head}.{changed}.{signature}",
        sign_use_request(use.request, SoftwareSigner.generate()),
        sign_use_request(use.request, city.signer(OTHER_SERVICE)),
        sign_use_request(replace(use.request, service=HOLDER), city.signer(HOLDER)),
        sign_use_request(replace(use.request, service="urn:atorga:party:nobody"), city.signer(SERVICE)),
        jws.sign(use.request.claims(), city.signer(SERVICE), typ="other+jwt", header={"kid": "x"}),
    ):
        answer = city.proven(city.signer(HOLDER), "POST", "/uses", {"use_request": compact})
        assert (answer.status_code, answer.json()["error"]) == (400, "bad_signature")
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["counter"] == 1


@pytest.mark.parametrize("value", [{}, {"use_request": 1}, {"use_request": "x", "more": 1}, {"use_request": ""}])
def test_bodies_that_are_refused(wallet: Wallet, value: dict[str, Any]) -> None:
    answer = wallet.city.proven(wallet.city.signer(HOLDER), "POST", "/uses", value)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


# Replay


def test_a_repeat_gets_its_first_answer_and_counts_once(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    use = city.use_request(held.id)
    first, second = city.use(use), city.use(use)
    assert (first.status_code, first.text) == (200, second.text)
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["counter"] == 2


def test_a_repeat_after_release_before(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    use = city.use_request(held.id)
    city.use(use)
    later(city, 5)
    assert city.reasons(city.use(use), use) == ["replayed"]


@pytest.mark.parametrize("how", ["withdraw", "withdraw one", "pause", "narrow", "give back"])
def test_a_repeat_does_not_outlive_the_grant(wallet: Wallet, held: Held, how: str) -> None:
    city = wallet.city
    use = city.use_request(held.id)
    assert city.use(use).status_code == 200
    match how:
        case "withdraw":
            wallet.withdraw(held)
        case "withdraw one":
            wallet.withdraw(held, "income.band")
        case "pause":
            wallet.act(held, 1, "pause")
        case "narrow":
            coarser = {**city.detail().terms, "income.band": Term("binned:eur-3", False)}
            assert wallet.act(held, 1, "amend", city.detail(terms=coarser)).status_code == 200
        case "give back":
            city.proven(city.signer(SERVICE), "DELETE", f"/grants/{held.id}")
    assert city.reasons(city.use(use), use) == ["replayed"]


def test_a_repeat_does_not_outlive_the_period(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(not_after=int(city.clock()) + 2)))
    use = city.use_request(held.id)
    first = city.use(use)
    later(city, 1)
    assert city.use(use).text == first.text
    later(city, 1)
    assert city.reasons(city.use(use), use) == ["replayed"]


def test_another_request_under_a_used_jti(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    use = city.use_request(held.id)
    city.use(use)
    for changes in ({"attributes": ("household.size",)}, {"attributes": ("unknown",)}):
        other = city.use_request(held.id, id=use.request.id, **changes)
        assert city.reasons(city.use(other), other) == ["replayed"]


def test_a_refused_use_may_be_asked_again(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    wallet.act(held, 1, "pause")
    use = city.use_request(held.id)
    assert city.reasons(city.use(use), use) == ["paused"]
    wallet.act(held, 2, "resume")
    city.prove(city.use(use), use, wallet)


# What an allow says, and what is logged


def test_an_allow_covers_what_was_asked_and_five_seconds(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give()
    later(city, 0.9)
    use = city.use_request(held.id)
    allow = city.answer(city.use(use), use)
    assert isinstance(allow, Allow)
    assert allow.resolutions == {"income.band": "binned:eur-6"}
    assert (allow.issued, allow.release_before) == (NOW, NOW + 5)
    assert allow.event["time"].endswith(".900Z")
    assert (allow.consent, allow.holder, allow.grant) == (CONSENT, HOLDER, held.compact)


def test_an_answer_that_the_log_makes_too_late_is_none(
    wallet: Wallet, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    city = wallet.city
    clock = clock_of(city)
    prove = city.office.sequencer.writer.prove

    def slow(*arguments: Any, **named: Any) -> Any:
        clock.now += 5
        return prove(*arguments, **named)

    monkeypatch.setattr(city.office.sequencer.writer, "prove", slow)
    answer = city.use(city.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


def test_no_proof_no_answer(wallet: Wallet, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    city = wallet.city
    monkeypatch.setattr("consent.service.deciding.LOG_SECONDS", 0.05)
    monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
    use = city.use_request(held.id)
    answer = city.use(use)
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert "event" not in answer.text
    monkeypatch.undo()
    # It was counted, so it is logged when the log goes on, and its request is spent.
    assert city.reasons(city.use(use), use) == ["replayed"]
    assert city.office.sequencer.wait_for_size(4, seconds=5)
    assert Kind.USE in [leaf.kind for leaf in leaves(city)]


def test_a_log_that_does_not_run_decides_nothing(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    city.office.sequencer.stop()
    answer = city.use(city.use_request(held.id))
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["counter"] == 1


def test_refusals_are_one_leaf_an_hour_that_counts_them(wallet: Wallet, held: Held) -> None:
    city = wallet.city
    wallet.withdraw(held)
    for seconds in (0, 1, 1, 3_600):
        later(city, seconds)
        use = city.use_request(held.id)
        assert city.reasons(city.use(use), use) == ["withdrawn"]
    assert city.office.sequencer.wait_for_size(6, seconds=5)
    denies = [leaf for leaf in leaves(city) if leaf.kind is Kind.DENY]
    assert [(leaf.counter, leaf.mask) for leaf in denies] == [(0, 0), (0, 0)]
    items = [item for item in wallet.call("GET", "/me/timeline").json()["items"] if item["kind"] == "deny"]
    opening = wallet.opening(held)
    assert [wallet.open(item, opening).event["count"] for item in items] == [1, 3]


def test_many_at_once_are_all_proved_and_counted_once_each(wallet: Wallet) -> None:
    city = wallet.city
    held = wallet.give(city.ask(city.detail(frequency=None, max_uses=24)))
    requests = [city.use_request(held.id) for _ in range(30)]
    calls = []
    for request in requests:
        body = f'{{"use_request":"{request.compact}"}}'.encode()
        proof = city.proof(city.signer(HOLDER), "POST", "/uses", body)
        headers = {"Request-Proof": proof, "Content-Type": spec.MEDIA_JSON}
        calls.append(("POST", "/uses", body, headers))
    answers = city.send_all(calls)
    read = [city.answer(answer, request) for answer, request in zip(answers, requests, strict=True)]
    allowed = sorted(one.counter for one in read if isinstance(one, Allow))
    assert allowed == list(range(2, 26))
    for answer, request in zip(answers, requests, strict=True):
        if answer.status_code == 200:
            city.prove(answer, request, wallet)


def test_a_use_is_for_the_listed_key_of_today(wallet: Wallet, held: Held) -> None:
    """A service whose key changed, or that left the list, uses nothing with its old key."""
    city = wallet.city
    use = city.use_request(held.id)
    city.keys.signers[SERVICE] = SoftwareSigner.generate()
    city.registry = city.keys.listed(NOW)
    answer = city.use(use)
    assert (answer.status_code, answer.json()["error"]) == (400, "bad_signature")
    renewed = city.use_request(held.id)
    assert city.answer(city.use(renewed), renewed)
