"""What withdrawals leave of a grant: a pure function, the same at every door."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """A withdrawal as a door keeps it; ``attributes`` None = the whole grant."""

    attributes: tuple[str, ...] | None
    at: int


@dataclass(frozen=True, slots=True)
class Effect:
    left: tuple[str, ...]
    """Granted attributes that nobody has withdrawn, in the grant's order."""
    ended_at: int | None
    """When nothing was left for the first time."""


def effect(granted: Sequence[str], withdrawals: Iterable[Kept]) -> Effect:
    """In the order in which they came: withdrawing what leaves no attribute is a whole withdrawal (C5)."""
    left = tuple(granted)
    for one in sorted(withdrawals, key=lambda kept: kept.at):
        left = () if one.attributes is None else tuple(name for name in left if name not in one.attributes)
        if not left:
            return Effect((), one.at)
    return Effect(left, None)


def withdrawn(asked: Iterable[str], withdrawals: Iterable[Kept]) -> tuple[str | None, ...]:
    """What of the attributes asked for is withdrawn: their names, or None where the whole grant is."""
    names: set[str] = set()
    for one in withdrawals:
        if one.attributes is None:
            return (None,)
        names.update(one.attributes)
    return tuple(name for name in asked if name in names)
