"""The events of one grant in their order: what the wallet calls a lie."""

from typing import Any

import pytest

from consent.ledger.event import format_time
from consent.ledger.leaf import Kind
from wallet_cli.consents import sequence
from wallet_cli.consents.entry import Entry
from wallet_cli.store.acts import Freeze

NOW = 1_795_315_010
GRANT = "A" * 22
OWN = "own-act"
LIMITS = {"attributes": ["income.band", "household.size"], "not_after": NOW + 1_000, "max_uses": 3}


def entries(*steps: tuple[Kind, dict[str, Any]]) -> list[Entry]:
    """Behind a grant; a second apart, but where ``at`` says otherwise."""
    made = []
    for counter, (kind, members) in enumerate([(Kind.GRANT, LIMITS), *steps], start=1):
        event = {"kind": kind.word, **members}
        event["time"] = format_time(event.pop("at", NOW + counter) * 1000)
        made.append(Entry(GRANT, kind, counter, counter, event, bytes(32)))
    return made


def codes(*steps: tuple[Kind, dict[str, Any]], freezes: tuple[Freeze, ...] = ()) -> list[str]:
    return [one.code for one in sequence.check(entries(*steps), frozenset({OWN}), freezes)]


USE = (Kind.USE, {"attributes": ["income.band"]})
PAUSE, RESUME = (Kind.PAUSE, {"act_hash": OWN}), (Kind.RESUME, {"act_hash": OWN})
FROZEN, THAWED = (Kind.PAUSE, {"by": "freeze"}), (Kind.RESUME, {"by": "freeze"})
WITHDRAWN = (Kind.WITHDRAW, {"withdrawal_hash": "x"})
LESS = (Kind.AMEND, {"attributes": ["income.band"], "not_after": NOW + 500, "max_uses": 2})


@pytest.mark.parametrize(
    "steps",
    [
        (USE, USE, USE),
        (PAUSE, RESUME, USE),
        (LESS, USE, USE),
        (USE, PAUSE, WITHDRAWN, (Kind.ERASE, {"hash": "x"})),
        (USE, (Kind.EXPIRE, {"by": "end"})),
    ],
)
def test_an_honest_order(steps: Any) -> None:
    assert codes(*steps) == []


@pytest.mark.parametrize(
    ("steps", "code"),
    [
        ((USE, PAUSE, USE), "use_while_paused"),
        ((FROZEN, USE), "use_while_paused"),
        ((USE, USE, USE, USE), "use_beyond"),
        ((LESS, (Kind.USE, {"attributes": ["household.size"]})), "use_beyond"),
        ((LESS, USE, USE, USE), "use_beyond"),
        ((LESS, (Kind.USE, {"attributes": ["income.band"], "at": NOW + 600})), "use_beyond"),
        (((Kind.USE, {"attributes": ["shoe.size"]}),), "use_beyond"),
        ((WITHDRAWN, USE), "event_after_end"),
        (((Kind.REVOKE, {"by": "service"}), PAUSE), "event_after_end"),
        ((LESS, (Kind.AMEND, LIMITS)), "event_after_end"),
        ((LESS, (Kind.AMEND, {**LESS[1], "max_uses": None})), "event_after_end"),
        ((PAUSE, (Kind.RESUME, {"act_hash": "foreign"})), "foreign_resume"),
        ((PAUSE, (Kind.RESUME, {"by": "operator"})), "foreign_resume"),
        ((PAUSE, THAWED), "foreign_resume"),
    ],
)
def test_what_does_not_hold(steps: Any, code: str) -> None:
    assert code in codes(*steps)


def test_a_freeze_opens_again_at_its_own_end_only() -> None:
    thawed = (Kind.RESUME, {"by": "freeze", "at": NOW + 400})
    assert codes(FROZEN, thawed, freezes=(Freeze("c", NOW + 390, NOW),)) == []
    assert codes(FROZEN, thawed, freezes=(Freeze("c", None, NOW),)) == ["foreign_resume"]
    assert codes(FROZEN, thawed, freezes=(Freeze("c", NOW + 9_000, NOW),)) == ["foreign_resume"]
    # One by somebody with a mandate: this wallet knows of no freeze of its own.
    assert codes(FROZEN, thawed) == []
