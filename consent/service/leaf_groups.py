"""Under which numbers a leaf names service and purpose: their own, or their group's while they are rare."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from consent.ledger.codes import Codes
from consent.ledger.grant_row import Entry
from consent.ledger.groups import Group, GroupStore, PublishedGroup
from consent.ledger.leaf import DAY_ONLY, DAY_SECONDS, GROUPED
from consent.ledger.pair_days import DAYS, FEW
from identity.clock import Clock

REFRESH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Known:
    groups: tuple[PublishedGroup, ...] = ()
    grants: Mapping[tuple[int, int], int] = field(default_factory=dict)


class LeafGroups:
    """``active``: the groups in use; others stay published for the leaves that bear their numbers.

    Where no group has a pair, its leaves bear its own numbers and minutes, however rare it is: the
    operator decides what hides behind what, and publishes it.
    """

    def __init__(self, store: GroupStore, active: Sequence[Group], clock: Clock) -> None:
        self._store = store
        self._groups = tuple(active)
        self._active: Collection[int] = {group.number for group in active}
        self._clock = clock
        self._turn = Lock()
        self._known = _Known()
        self._read_at = float("-inf")

    def register(self, make_entry: Callable[[PublishedGroup], Entry]) -> int:
        """Publishes what is new or has changed; returns how many leaves that made."""
        changed = self._store.register(self._groups, make_entry=make_entry)
        self._read_at = float("-inf")
        return changed

    def published(self) -> tuple[PublishedGroup, ...]:
        return self._current().groups

    def codes(self, service: int, purpose: int) -> Codes:
        """For a grant or a notice of this pair, now; a grant's later leaves repeat what its first bears."""
        grouped = self.grouped(service, purpose)
        if not grouped.service or self._current().grants.get((service, purpose), 0) >= FEW:
            return Codes(service, purpose)
        return grouped

    def grouped(self, service: int, purpose: int | None) -> Codes:
        """For what always hides: requests, refusals, oppositions. No number where no group has the pair."""
        for group in self._current().groups:
            in_it = service in group.services and (purpose is None or purpose in group.purposes)
            if in_it and group.number in self._active:
                return Codes(group.number, group.number, DAY_ONLY | GROUPED)
        return Codes(0, 0, DAY_ONLY | GROUPED)

    def _current(self) -> _Known:
        if self._clock() >= self._read_at + REFRESH_SECONDS:
            with self._turn:
                if self._clock() >= self._read_at + REFRESH_SECONDS:
                    now = self._clock()
                    # Without groups nothing has to be counted.
                    since = int(now) // DAY_SECONDS - DAYS
                    grants = self._store.grants_since(since) if self._active else {}
                    self._known = _Known(tuple(self._store.all()), grants)
                    self._read_at = now
        return self._known
