"""How long after the end of a grant the first refusal stands in the log, as far as a log can show it.

A leaf tells minutes, and a refusal is there only where somebody asked: this is the time until the
first *attempt* that was refused, not the time in which a withdrawal takes hold. The latter is in
the events (milliseconds), which residents hold: see ``consent.ledger.case``.
"""

from collections import Counter
from collections.abc import Mapping


class Latencies:
    """Minutes from a grant's last record to the first refusal after it."""

    def __init__(self) -> None:
        self.minutes: Counter[int] = Counter()
        self.untold = 0
        """Refusals of grants whose leaves tell only the day."""

    def refused(self, minutes: int, *, coarse: bool) -> None:
        if coarse:
            self.untold += 1
        else:
            self.minutes[max(minutes, 0)] += 1

    def summary(self) -> Mapping[str, int | None]:
        return {"counted": self.minutes.total(), "told_by_the_day": self.untold, **quantiles(self.minutes)}


def quantiles(counted: Mapping[int, int]) -> dict[str, int | None]:
    """p50, p99 and the largest of values with their counts; None where there are none."""
    total, ordered = sum(counted.values()), sorted(counted)
    found: dict[str, int | None] = {"p50": None, "p99": None, "max": ordered[-1] if ordered else None}
    for name, percent in (("p50", 50), ("p99", 99)):
        passed = 0
        for value in ordered:
            passed += counted[value]
            if passed * 100 >= total * percent:
                found[name] = value
                break
    return found
