"""``docs/lifecycle.md`` draws what ``consent/grant/lifecycle.py`` does: every state and every transition, no other."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.grant import lifecycle
from consent.ledger.leaf import Kind

PAGE = Path(__file__).parents[2] / "docs" / "lifecycle.md"
KINDS = {"Consent": lifecycle.CONSENT, "Legal-basis notice": lifecycle.NOTICE, "Opposition": lifecycle.OPPOSITION}


def picture(kind: tuple[type, ...]) -> Iterator[str]:
    """The states of one kind of record, as a Mermaid diagram and a table."""
    ways = list(lifecycle.transitions(kind))
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {kind[0].__name__}"
    for way in ways:
        yield f"    {way.before.__name__} --> {way.after.__name__}: {way.verb}"
    for state in kind:
        if not any(way.before is state and way.after is not state for way in ways):
            yield f"    {state.__name__} --> [*]"
    yield "```"
    yield ""
    yield "| from | verb | to | by | how | leaf |"
    yield "|---|---|---|---|---|---|"
    for way in ways:
        who = ", ".join(way.cause.actors)
        leaf = "–" if way.cause.leaf is None else f"`{way.cause.leaf}`"
        yield f"| {way.before.__name__} | {way.verb} | {way.after.__name__} | {who} | {way.cause.how} | {leaf} |"
    yield ""
    yield "| state | means |"
    yield "|---|---|"
    for state in kind:
        yield f"| {state.__name__} | {' '.join((state.__doc__ or '').split())} |"


@pytest.mark.parametrize("title", KINDS)
def test_the_page_draws_the_code(title: str) -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition(f"\n## {title}\n")
    drawn = section.partition("\n## ")[0]
    expected = "\n".join(picture(KINDS[title]))
    assert expected in drawn, f"the section should have:\n\n{expected}"
    rows = [line for line in drawn.splitlines() if line.startswith("| ")]
    assert len(rows) == sum(line.startswith("| ") for line in expected.splitlines()), "a row that the code has not"


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_state_can_be_reached_and_every_way_stays_within_its_kind(kind: tuple[type, ...]) -> None:
    reached = {kind[0]} | {way.after for way in lifecycle.transitions(kind)}
    assert reached == set(kind)


def test_leaves_are_of_kinds_that_exist() -> None:
    words = {one.word for one in Kind}
    for kind in KINDS.values():
        assert {way.cause.leaf for way in lifecycle.transitions(kind)} - {None} <= words


def test_what_has_ended_does_not_come_back() -> None:
    live = {lifecycle.Given, lifecycle.RenewedGiven, lifecycle.Paused, lifecycle.Requested, lifecycle.Deferred}
    for way in lifecycle.transitions(lifecycle.CONSENT):
        assert way.before in live or way.after is lifecycle.Erased
