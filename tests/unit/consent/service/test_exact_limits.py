"""How often, how long, at which level and in which mode: to the event, also when uses come together."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from consent import spec
from consent.grant.detail import Frequency, Term
from identity.codec import strict_json
from tests.consent_city import DAY, HOLDER, Clock, ConsentCity, Held, Wallet


def clock_of(city: Any) -> Clock:
    assert isinstance(city.clock, Clock)
    return city.clock


def codes(city: Any, held: Held, **changes: Any) -> list[str]:
    request = city.use_request(held.id, **changes)
    answer = city.use(request)
    return [] if answer.status_code == 200 else city.reasons(answer, request)


def together(city: ConsentCity, held: Held, count: int) -> list[httpx.Response]:
    """So many uses at once, each a request of its own."""
    city.get("/services")
    calls = []
    for _ in range(count):
        body = strict_json.compact({"use_request": city.use_request(held.id).compact})
        proof = city.proof(city.signer(HOLDER), "POST", "/uses", body)
        calls.append(("POST", "/uses", body, {"Request-Proof": proof, "content-type": spec.MEDIA_JSON}))
    return city.send_all(calls)


def given(wallet: Wallet, **changes: Any) -> Held:
    return wallet.give(wallet.city.ask(wallet.city.detail(**changes)))


def test_what_is_fetched_once_is_used_once_whatever_max_uses_says(wallet: Wallet) -> None:
    held = given(wallet, fetch="onetime", max_uses=10, frequency=None)
    assert wallet.call("GET", f"/me/grants/{held.id}").json()["max_uses"] == 1
    assert codes(wallet.city, held) == []
    assert codes(wallet.city, held) == ["max_uses"]


def test_what_is_fetched_once_stays_so_when_it_is_narrowed(wallet: Wallet) -> None:
    held = given(wallet, fetch="onetime", max_uses=None, frequency=None)
    detail = wallet.city.detail(fetch="onetime", max_uses=5, frequency=None, not_after=int(wallet.city.clock()) + DAY)
    assert wallet.act(held, 1, "amend", detail).status_code == 200
    assert [codes(wallet.city, held) for _ in range(2)] == [[], ["max_uses"]]


@pytest.mark.parametrize(
    "changes", [{"max_uses": 3, "frequency": None}, {"frequency": Frequency(3, 60), "max_uses": None}]
)
def test_uses_that_come_together_are_counted_one_by_one(wallet: Wallet, changes: dict[str, Any]) -> None:
    held = given(wallet, **changes)
    answers = together(wallet.city, held, 12)
    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [403] * 9


def test_a_window_ends_to_the_second_and_begins_with_the_next_use(wallet: Wallet) -> None:
    city, clock = wallet.city, clock_of(wallet.city)
    held = given(wallet, frequency=Frequency(2, 60), max_uses=None)
    assert [codes(city, held) for _ in range(3)] == [[], [], ["frequency"]]
    clock.now += 59
    assert codes(city, held) == ["frequency"]
    clock.now += 1
    assert codes(city, held) == []
    clock.now += 59
    assert [codes(city, held) for _ in range(2)] == [[], ["frequency"]], (
        "from the use that began it, not from the first"
    )


def test_the_period_is_half_open(wallet: Wallet) -> None:
    city, clock = wallet.city, clock_of(wallet.city)
    now = int(clock.now)
    held = given(wallet, not_before=now + 10, not_after=now + 20)
    expected: tuple[tuple[int, list[str]], ...] = ((9, ["not_yet_valid"]), (10, []), (19, []), (20, ["expired"]))
    for seconds, reasons in expected:
        clock.now = now + seconds
        assert codes(city, held) == reasons, seconds


def test_fewer_uses_than_there_were_leave_none(wallet: Wallet) -> None:
    city = wallet.city
    held = given(wallet, max_uses=10, frequency=None)
    assert [codes(city, held) for _ in range(3)] == [[], [], []]
    assert wallet.act(held, 1, "amend", city.detail(max_uses=2, frequency=None)).status_code == 200
    assert codes(city, held) == ["max_uses"]


def test_a_refused_use_counts_for_nothing(wallet: Wallet) -> None:
    city = wallet.city
    held = given(wallet, max_uses=1, frequency=Frequency(1, 60))
    assert codes(city, held, attributes=("tax.debt",)) == ["attribute_not_granted"]
    assert codes(city, held) == []


@pytest.mark.parametrize("changes", [{"level": "hidden"}, {"level": "discoverable"}, {"mode": "stream"}])
def test_what_may_not_be_read_by_asking_is_not(wallet: Wallet, changes: dict[str, str]) -> None:
    assert codes(wallet.city, given(wallet, **changes)) == ["attribute_not_granted"]


@pytest.mark.parametrize("mode", ["view", "store", "query"])
def test_the_other_modes_are_read_by_asking(wallet: Wallet, mode: str) -> None:
    assert codes(wallet.city, given(wallet, mode=mode)) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("level", "hidden"), ("mode", "store"), ("fetch", "onetime"), ("on_change", "follow"), ("procedure", "x"),
     ("data_life_seconds", 31 * DAY), ("max_uses", 11), ("max_uses", None), ("frequency", None),
     ("frequency", Frequency(6, DAY)), ("frequency", Frequency(5, DAY - 1))],
)  # fmt: skip
def test_an_act_widens_nothing(wallet: Wallet, name: str, value: Any) -> None:
    held = wallet.give()
    before = wallet.city.detail()
    assert wallet.act(held, 1, "amend", replace(before, **{name: value})).status_code == 400
    assert codes(wallet.city, held) == []


def test_each_attribute_has_a_resolution_of_its_own(wallet: Wallet) -> None:
    city = wallet.city
    asked = city.ask()
    terms = {**asked.request.detail.terms, "income.band": Term("binned:eur-3", False)}
    held = wallet.give(asked, detail=replace(asked.request.detail, terms=terms))
    request = city.use_request(held.id, attributes=("income.band", "household.size"))
    allow = city.answer(city.use(request), request)
    assert allow.resolutions == {"income.band": "binned:eur-3", "household.size": "raw"}  # type: ignore[union-attr]
