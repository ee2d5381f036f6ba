"""A row: one operation of ours, who does the same beside it, and how much better we must be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bench.measure import Unit

Verdict = Literal["goal", "gate", "FAIL", "below goal", "shown"]


@dataclass(frozen=True, slots=True)
class FasterThan:
    """Our operation against a peer's: peer ÷ ours must be at least that."""

    peer: str
    gate: float | None
    goal: float | None


@dataclass(frozen=True, slots=True)
class AtMost:
    """Our operation against a peer that does less: ours ÷ peer must be at most that."""

    peer: str
    gate: float | None
    goal: float | None


@dataclass(frozen=True, slots=True)
class WithinFloor:
    """Our operation against the sum of its unavoidable parts: ours ÷ floor must be at most that."""

    floor: str
    microseconds: Callable[[Unit], float]
    gate: float | None
    goal: float | None


@dataclass(frozen=True, slots=True)
class PerSecond:
    """Things done in a second, with ``count`` in one call: must be at least that."""

    count: int
    gate: float | None
    goal: float | None


Target = FasterThan | AtMost | WithinFloor | PerSecond


@dataclass(frozen=True, slots=True)
class Row:
    """``measure`` turns an operation into microseconds of one call; contenders are measured in turns."""

    name: str
    ours: Callable[[], object]
    peers: Mapping[str, Callable[[], object]]
    targets: tuple[Target, ...]
    measure: Callable[[Callable[[], object]], float]


@dataclass(slots=True)
class Measured:
    """The rounds of one contender: microseconds, and the same in OpenSSL verifications of that round."""

    microseconds: list[float] = field(default_factory=list)
    in_units: list[float] = field(default_factory=list)

    def add(self, microseconds: float, unit: Unit) -> None:
        self.microseconds.append(microseconds)
        self.in_units.append(microseconds / unit.verify_us)

    @property
    def best_us(self) -> float:
        return min(self.microseconds)

    @property
    def best_units(self) -> float:
        return min(self.in_units)


@dataclass(frozen=True, slots=True)
class Result:
    """One target of one row."""

    operation: str
    against: str
    ours: str
    theirs: str
    ratio: float
    sense: Literal["≥", "≤"]
    gate: float | None
    goal: float | None

    @property
    def verdict(self) -> Verdict:
        if self.goal is not None and self._holds(self.goal):
            return "goal"
        if self.gate is None:
            return "shown" if self.goal is None else "below goal"
        return "gate" if self._holds(self.gate) else "FAIL"

    def _holds(self, bound: float) -> bool:
        return self.ratio >= bound if self.sense == "≥" else self.ratio <= bound


def judge(row: Row, ours: Measured, peers: Mapping[str, Measured], units: list[Unit]) -> list[Result]:
    results = []
    for target in row.targets:
        mine = f"{ours.best_us:,.1f} µs"
        match target:
            case FasterThan(peer, gate, goal):
                other = peers[peer]
                ratio = other.best_units / ours.best_units
                results.append(Result(row.name, peer, mine, f"{other.best_us:,.1f} µs", ratio, "≥", gate, goal))
            case AtMost(peer, gate, goal):
                other = peers[peer]
                ratio = ours.best_units / other.best_units
                results.append(Result(row.name, peer, mine, f"{other.best_us:,.1f} µs", ratio, "≤", gate, goal))
            case WithinFloor(floor, microseconds, gate, goal):
                # Each round against its own floor: a slow minute is slow for both.
                floors = [microseconds(unit) for unit in units]
                ratio = min(us / part for us, part in zip(ours.microseconds, floors, strict=True))
                results.append(Result(row.name, floor, mine, f"{min(floors):,.1f} µs", ratio, "≤", gate, goal))
            case PerSecond(count, gate, goal):
                rate = count * 1e6 / ours.best_us
                results.append(Result(row.name, "a second", mine, f"{count:,} a call", rate, "≥", gate, goal))
    return results
