"""Why a use is refused: a pure function over a grant's state (DESIGN §7).

The conditional UPDATE on the grant row decides; this explains, from the same fields, for the
grant's own service only. A property test holds both to one answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent.grant.lifecycle import LIVE, State
from consent.grant.use import Reason

# Whoever asks for a decision finds here what it is about.
__all__ = ("GrantState", "State", "refusals")


@dataclass(frozen=True, slots=True)
class GrantState:
    """What a decision depends on. Times are NumericDates; 0 in ``max_uses``, ``window_max`` = no limit."""

    state: State
    purpose: str
    active: frozenset[str]
    not_before: int
    not_after: int
    uses: int
    max_uses: int
    window_start: int
    window_uses: int
    window_max: int
    window_seconds: int


def refusals(grant: GrantState, *, purpose: str, attributes: Sequence[str], now: int) -> tuple[Reason, ...]:
    """All reasons against a use, in a fixed order; none = it is allowed. One refused attribute refuses all."""
    reasons: list[Reason] = []
    if grant.state is not State.GIVEN:
        # An erased grant had ended before; its service learns no more than that.
        reasons.append(Reason("withdrawn" if grant.state is State.ERASED else grant.state.word))
    if now < grant.not_before:
        reasons.append(Reason("not_yet_valid"))
    if now >= grant.not_after and grant.state is not State.EXPIRED:
        reasons.append(Reason("expired"))
    if purpose != grant.purpose:
        reasons.append(Reason("other_purpose"))
    if grant.state in LIVE:
        # An ended grant has no active attribute; saying so of each would add nothing.
        reasons.extend(Reason("attribute_not_granted", name) for name in attributes if name not in grant.active)
    if grant.max_uses and grant.uses >= grant.max_uses:
        reasons.append(Reason("max_uses"))
    in_window = grant.window_uses > 0 and now < grant.window_start + grant.window_seconds
    if grant.window_max and in_window and grant.window_uses >= grant.window_max:
        reasons.append(Reason("frequency"))
    return tuple(reasons)
