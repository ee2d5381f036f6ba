"""``POST /withdrawals`` of data holders and services (C5)."""

import sqlite3
from pathlib import Path

import pytest

from consent.door.effect import Kept, effect, withdrawn
from consent.door.rate import PerMinute
from consent.grant.detail import Term
from consent.grant.withdrawal import NOTED_SECONDS
from tests.holder_city import ANNA, NOW, City, Clock, Wallet

JWT = {"Content-Type": "application/jwt"}
UNKNOWN = "AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


@pytest.fixture
def anna(city: City) -> Wallet:
    return city.resident()


@pytest.fixture
def known(city: City, anna: Wallet) -> str:
    """A grant that this door knows, since it was used."""
    grant_id = city.grant(anna)
    assert city.read(grant_id).status_code == 200
    return grant_id


def test_whole(city: City, anna: Wallet, known: str) -> None:
    city.clock.now += 5
    answer = city.withdraw(anna, known)
    assert (answer.status_code, answer.json()) == (200, {"state": "withdrawn", "effective_at": NOW + 5})
    city.clock.now += 5
    assert city.withdraw(anna, known).json() == answer.json(), "a repeat gets the first effective_at"


def test_single_attributes(city: City, anna: Wallet, known: str) -> None:
    first = city.withdraw(anna, known, ("household.size",))
    expected = {"state": "given", "attributes": ["income.band"], "effective_at": NOW}
    assert (first.status_code, first.json()) == (200, expected)
    city.clock.now += 5
    assert city.withdraw(anna, known, ("household.size",)).json() == expected
    rest = city.withdraw(anna, known, ("income.band",))
    assert rest.json() == {"state": "withdrawn", "effective_at": NOW + 5}, "nothing is left"
    city.clock.now += 5
    for attributes in (None, ("household.size",), ("income.band",)):
        assert city.withdraw(anna, known, attributes).json() == rest.json()


def test_of_a_known_grant_no_more_is_kept_than_it_has(city: City, anna: Wallet, known: str) -> None:
    """Its own key may withdraw as often as it likes: what takes nothing away leaves no row."""
    names = ("household.size", "income.band")
    nothing = city.withdraw(anna, known, ("never.given",)).json()
    assert nothing == {"state": "given", "attributes": list(reversed(names)), "effective_at": NOW}
    for number in range(20):
        city.withdraw(anna, known, (f"never.given.{number}",))
        city.withdraw(anna, known, ("household.size", f"never.given.{number}"))
    assert city.withdraw(anna, known, names).json() == {"state": "withdrawn", "effective_at": NOW}
    city.withdraw(anna, known)
    with sqlite3.connect(city.folder / "holder.db") as database:
        kept = database.execute("SELECT attributes FROM withdrawal ORDER BY number").fetchall()
    assert kept == [('["household.size"]',), ('["household.size", "income.band"]',)]


def test_what_was_withdrawn_in_parts(city: City, anna: Wallet) -> None:
    """Each part at its own time; both together since the later."""
    grant_id = city.grant(
        anna,
        datatypes=("income.band", "household.size"),
        terms={"income.band": Term("binned:eur-6", True), "household.size": Term("raw", True)},
    )
    assert city.read(grant_id).status_code == 200
    city.clock.now += 3
    city.withdraw(anna, grant_id, ("household.size",))
    city.clock.now += 3
    answer = city.withdraw(anna, grant_id, ("household.size", "never.given"))
    assert answer.json() == {"state": "given", "attributes": ["income.band"], "effective_at": NOW + 3}


def test_all_attributes_in_one(city: City, anna: Wallet, known: str) -> None:
    answer = city.withdraw(anna, known, ("household.size", "income.band"))
    assert answer.json() == {"state": "withdrawn", "effective_at": NOW}


def test_the_order_of_names_says_nothing(city: City, anna: Wallet, known: str) -> None:
    first = city.withdraw(anna, known, ("other", "household.size")).json()
    city.clock.now += 5
    assert city.withdraw(anna, known, ("household.size", "other")).json() == first


def test_unknown_grant_and_wrong_key_get_the_same_answer(city: City, anna: Wallet, known: str) -> None:
    answers = [city.withdraw(Wallet(ANNA), known), city.withdraw(anna, UNKNOWN)]
    assert [(one.status_code, one.json()) for one in answers] == [(202, {"state": "noted"})] * 2
    assert answers[0].headers["Content-Type"] == answers[1].headers["Content-Type"]
    assert city.read(known).status_code == 200, "a withdrawal by another key does nothing"


def test_a_note_is_kept_for_a_year(city: City, anna: Wallet) -> None:
    grant_id = city.grant(anna, not_after=NOW + 900 * 86_400)
    city.withdraw(anna, grant_id)
    city.clock.now += NOTED_SECONDS
    city.withdraw(anna, UNKNOWN)
    assert city.read(grant_id).status_code == 200


def test_notes_are_capped_by_address_and_minute(city: City, anna: Wallet, known: str) -> None:
    city.clock.now = float(NOW // 60 * 60)
    signed = city.withdrawal(anna, UNKNOWN)
    with city.http() as http:

        def send(compact: str) -> int:
            return http.post("http://localhost:8102/withdrawals", content=compact, headers=JWT).status_code

        assert {send(signed) for _ in range(100)} == {202}
        assert send(signed) == 429
        assert send(city.withdrawal(anna, known)) == 200, "of a grant known here, never turned away"
        city.clock.now += 60
        assert send(signed) == 202


def test_bodies(city: City, anna: Wallet, known: str) -> None:
    signed = city.withdrawal(anna, known)
    assert city.call("POST", "/withdrawals", content=signed).status_code == 415
    assert city.call("POST", "/withdrawals", content="x" * 16_385, headers=JWT).status_code == 413
    for content in (b"", b"{}", signed.encode() + b" ", signed[:-4].encode(), b"\xff", signed.encode() * 2):
        answer = city.call("POST", "/withdrawals", content=content, headers=JWT)
        assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    assert city.read(known).status_code == 200


def test_effect() -> None:
    granted = ("a", "b", "c")
    assert effect(granted, []).left == granted
    assert effect(granted, [Kept(("b",), 5)]).left == ("a", "c")
    assert effect(granted, [Kept(("a", "c"), 9), Kept(("b",), 5)]).ended_at == 9
    assert effect(granted, [Kept(None, 7), Kept(("b",), 5)]).ended_at == 7
    assert effect(granted, [Kept(("x",), 5)]).ended_at is None


def test_withdrawn() -> None:
    assert withdrawn(("a", "b"), []) == ()
    assert withdrawn(("a", "b"), [Kept(("b", "c"), 1)]) == ("b",)
    assert withdrawn(("a",), [Kept(("b",), 1), Kept(None, 2)]) == (None,)


def test_a_cap_counts_a_subscriber_once() -> None:
    cap = PerMinute(1, Clock())
    assert [cap.take("2001:db8::1"), cap.take("2001:db8::2"), cap.take("2001:db8:0:1::1")] == [True, False, True]


def test_a_cap_counts_many_addresses_in_bounded_memory() -> None:
    clock = Clock()
    cap = PerMinute(1, clock)
    assert [cap.take(str(address)) for address in range(10_000)] == [True] * 10_000
    assert [cap.take("new"), cap.take("newer"), cap.take("7")] == [True, False, False]
    clock.now += 60
    assert cap.take("newer")
