"""Small parts with rules of their own: how often an address may ask, which answers are held."""

import pytest

from consent.errors import TooMany
from consent.service import allowance
from consent.service.allowance import Allowance
from consent.service.held_answers import HeldAnswer, HeldAnswers
from consent.service.path_id import path_id
from tests.consent_city import NOW, Clock


def test_an_address_has_so_many_a_minute() -> None:
    clock = Clock()
    limit = Allowance(2, clock)
    limit.spend("a")
    clock.now += 30
    limit.spend("a")
    limit.spend("b")
    with pytest.raises(TooMany):
        limit.spend("a")
    clock.now += 30
    limit.spend("a")
    with pytest.raises(TooMany):
        limit.spend("a")


def test_addresses_are_forgotten_before_memory_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowance, "MAX_ADDRESSES", 2)
    limit = Allowance(1, Clock())
    for address in ("a", "b", "c"):
        limit.spend(address)
    limit.spend("a")
    with pytest.raises(TooMany):
        limit.spend("c")


def test_an_address_that_is_gone_takes_no_memory() -> None:
    """Each has as many times as it may spend; without this the last minute of every address would stay."""
    clock = Clock()
    limit = Allowance(600, clock)
    for address in range(50):
        limit.spend(str(address))
    clock.now += 60
    limit.spend("late")
    assert list(limit._seen) == ["late"]


def test_one_subscriber_is_one_address() -> None:
    limit = Allowance(1, Clock())
    limit.spend("2001:db8::1")
    for address in ("2001:db8::2", "2001:db8::ffff:1:2", "2001:0db8:0:0::1"):
        with pytest.raises(TooMany):
            limit.spend(address)
    limit.spend("2001:db8:0:1::1")
    limit.spend("::ffff:192.0.2.1")
    with pytest.raises(TooMany):
        limit.spend("192.0.2.1")
    limit.spend("192.0.2.2")
    limit.spend("")


def held(release_before: int = NOW + 5) -> HeldAnswer:
    return HeldAnswer("hash", bytes(16), 1, "answer", release_before)


def test_an_answer_is_held_until_nothing_may_be_released_on_it() -> None:
    answers = HeldAnswers()
    answers.hold(1, "jti", held(), now=NOW)
    assert answers.find(1, "jti", now=NOW + 4) == held()
    assert answers.find(1, "jti", now=NOW + 5) is None
    assert answers.find(2, "jti", now=NOW) is None and answers.find(1, "other", now=NOW) is None


def test_old_answers_leave_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consent.service.held_answers.MAX_HELD", 2)
    answers = HeldAnswers()
    for jti in ("a", "b", "c"):
        answers.hold(1, jti, held(), now=NOW)
    assert answers.find(1, "a", now=NOW) is None and answers.find(1, "c", now=NOW) is not None
    answers.hold(1, "d", held(NOW + 20), now=NOW + 6)
    assert len(answers._held) == 1


@pytest.mark.parametrize("text", ["", "A" * 21, "A" * 23, "A" * 21 + "B", "é", "A" * 22 + "=", "A" * 43])
def test_texts_that_are_no_id(text: str) -> None:
    assert path_id(text) is None


def test_an_id() -> None:
    assert path_id("A" * 22) == bytes(16)
