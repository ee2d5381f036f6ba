"""D6: a freeze stops everything at once, tells the log late and apart, and ends in its time or by an act."""

from typing import Any

import pytest
from sqlalchemy import text

from consent.ledger.leaf import Kind
from consent.ledger.promise import verify_promise
from identity.codec import base64url
from tests.consent_city import DAY, NOW, Clock, ConsentCity, Wallet


def freeze(wallet: Wallet, until: int | None = None) -> list[str]:
    answer = wallet.call("POST", "/me/freeze", {"until": until})
    assert answer.status_code == 200, answer.text
    value: dict[str, Any] = answer.json()
    assert value.keys() == {"paused", "promises"} and len(value["paused"]) == len(value["promises"])
    return list(value["paused"])


def states(wallet: Wallet) -> dict[str, str]:
    return {one["grant_id"]: one["state"] for one in wallet.call("GET", "/me/grants").json()["grants"]}


def later(city: ConsentCity, seconds: float) -> None:
    assert isinstance(city.clock, Clock)
    city.clock.now += seconds
    city.registry = city.keys.listed(city.clock())


def test_all_that_is_given_stands_still_at_once(wallet: Wallet) -> None:
    city = wallet.city
    held = [wallet.give() for _ in range(3)]
    other = Wallet(city, "other").enrolled()
    foreign = other.give()
    assert sorted(freeze(wallet)) == sorted(one.id for one in held)
    for one in held:
        request = city.use_request(one.id)
        assert city.reasons(city.use(request), request) == ["paused"]
    request = city.use_request(foreign.id)
    assert city.use(request).status_code == 200
    assert freeze(wallet) == []


def test_a_freeze_does_not_change_the_act_number(wallet: Wallet) -> None:
    held = wallet.give()
    freeze(wallet)
    assert wallet.act(held, 1, "resume").status_code == 200
    request = wallet.city.use_request(held.id)
    assert wallet.city.use(request).status_code == 200


def test_leaves_are_promised_and_never_together(wallet: Wallet) -> None:
    """The promises are kept within the hour; none of the leaves stands in the log at once."""
    city = wallet.city
    held = [wallet.give() for _ in range(4)]
    answer = wallet.call("POST", "/me/freeze", {"until": None}).json()
    promises = [verify_promise(one, city.vkey) for one in answer["promises"]]
    assert {base64url.encode(one.leaf.id) for one in promises} == {one.id for one in held}
    assert all(one.leaf.kind is Kind.PAUSE and NOW < one.due <= NOW + 3_600 for one in promises)
    with city.engine.begin() as connection:
        waiting = connection.execute(
            text("SELECT due FROM event WHERE kind = 5 AND leaf_index IS NULL AND due > :now"), {"now": NOW * 1000}
        ).all()
    assert len(waiting) == 4 and len({row[0] for row in waiting}) == 4


def test_one_grant_alone_is_logged_at_once(wallet: Wallet) -> None:
    held = wallet.give()
    freeze(wallet)
    assert wallet.city.office.sequencer.wait(base64url.decode(held.id), 2, seconds=5) is not None


def test_a_use_after_the_resume_never_stands_before_the_pause(wallet: Wallet) -> None:
    city = wallet.city
    first, _ = wallet.give(), wallet.give()
    freeze(wallet)
    assert wallet.act(first, 1, "resume").status_code == 200
    assert city.use(city.use_request(first.id)).status_code == 200
    with city.engine.begin() as connection:
        rows = connection.execute(
            text("SELECT counter, leaf_index FROM event WHERE grant_id = :id ORDER BY leaf_index"),
            {"id": base64url.decode(first.id)},
        ).all()
    assert [row[0] for row in rows] == [1, 2, 3, 4] and all(row[1] is not None for row in rows)


def test_it_ends_in_its_time(wallet: Wallet) -> None:
    city = wallet.city
    held = [wallet.give(), wallet.give()]
    freeze(wallet, NOW + DAY)
    later(city, DAY - 1)
    city.office.duties.bookkeeping.round()
    assert set(states(wallet).values()) == {"paused"}
    later(city, 1)
    city.office.duties.bookkeeping.round()
    assert set(states(wallet).values()) == {"given"}
    for one in held:
        assert city.use(city.use_request(one.id)).status_code == 200


def test_what_the_resident_did_meanwhile_stands(wallet: Wallet) -> None:
    city = wallet.city
    resumed, paused, narrowed, withdrawn = (wallet.give() for _ in range(4))
    freeze(wallet, NOW + DAY)
    assert wallet.act(resumed, 1, "resume").is_success and wallet.act(resumed, 2, "pause").is_success
    assert wallet.act(paused, 1, "resume").is_success and wallet.act(paused, 2, "pause").is_success
    assert wallet.withdraw(narrowed, "household.size").is_success
    assert wallet.withdraw(withdrawn).is_success
    later(city, DAY)
    city.office.duties.bookkeeping.round()
    found = states(wallet)
    assert [found[one.id] for one in (resumed, paused, narrowed)] == ["paused"] * 3
    assert found[withdrawn.id] == "withdrawn"


def test_a_second_freeze_only_makes_it_longer(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    freeze(wallet, NOW + 2 * DAY)
    assert freeze(wallet, NOW + DAY) == []
    later(city, DAY)
    city.office.duties.bookkeeping.round()
    assert set(states(wallet).values()) == {"paused"}
    assert freeze(wallet) == []
    later(city, 2 * DAY)
    city.office.duties.bookkeeping.round()
    assert set(states(wallet).values()) == {"paused"}, "a freeze without an end has none"


def test_what_ended_meanwhile_is_not_resumed(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    freeze(wallet, NOW + 21 * DAY)
    later(city, 21 * DAY)
    city.office.duties.bookkeeping.round()
    assert set(states(wallet).values()) == {"expired"}


def test_without_the_log_it_takes_effect(wallet: Wallet, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet.give()
    monkeypatch.setattr(wallet.city.office.sequencer, "_state", "failed")
    assert len(freeze(wallet)) == 1
    assert set(states(wallet).values()) == {"paused"}


@pytest.mark.parametrize(
    "body", [{}, {"until": "x"}, {"until": NOW}, {"until": 2**40}, {"until": True}, {"until": None, "x": 1}]
)
def test_a_malformed_freeze_is_refused(wallet: Wallet, body: Any) -> None:
    wallet.give()
    assert wallet.call("POST", "/me/freeze", body).status_code == 400
    assert set(states(wallet).values()) == {"given"}


def test_nobody_freezes_for_another(wallet: Wallet) -> None:
    wallet.give()
    stranger = Wallet(wallet.city, "stranger")
    assert stranger.call("POST", "/me/freeze", {"until": None}).status_code == 401
    assert set(states(wallet).values()) == {"given"}
