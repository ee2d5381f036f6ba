"""What the ledger of grants does, in the fewest words: one grant as a dictionary would keep it.

No database, no batch, no lock: the stores are held to this by ``test_ledger_machine.py``.
"""

from dataclasses import dataclass, field

from consent.ledger.grant_row import ERASED, EXPIRED, GIVEN, PAUSED, WINDOW_EPOCH, WITHDRAWN
from consent.ledger.leaf import Kind

LIVE = (GIVEN, PAUSED)


class ForbiddenError(Exception):
    """The grant is not in a state for it."""


@dataclass
class ModelGrant:
    mask: int
    not_before: int
    not_after: int
    max_uses: int
    window_max: int
    window_seconds: int
    state: int = GIVEN
    counter: int = 1
    act: int = 0
    uses: int = 0
    window_start: int = 0
    window_uses: int = 0
    log: list[tuple[Kind, int, int]] = field(default_factory=list)
    """Kind, counter, mask: what its leaves say, in their order."""

    def give(self) -> None:
        self.log.append((Kind.GRANT, 1, self.mask))

    def use(self, mask: int, now: int) -> bool:
        since = now - WINDOW_EPOCH
        running = self.window_uses > 0 and since < self.window_start + self.window_seconds
        ended = since >= self.window_start + self.window_seconds
        allowed = (
            self.state == GIVEN
            and mask & ~self.mask == 0
            and self.not_before <= now < self.not_after
            and (self.max_uses == 0 or self.uses < self.max_uses)
            and (self.window_max == 0 or self.window_uses < self.window_max or ended)
        )
        if allowed:
            self.uses += 1
            self.window_uses, self.window_start = (self.window_uses + 1, self.window_start) if running else (1, since)
            self._count(Kind.USE, mask)
        return allowed

    def withdraw(self, mask: int | None) -> None:
        if self.state not in LIVE or (mask is not None and not self.mask & mask):
            return
        left = 0 if mask is None else self.mask & ~mask
        if left:
            self.mask = left
            self._count(Kind.AMEND, left)
        else:
            self._end(WITHDRAWN, Kind.WITHDRAW)

    def do(self, kind: Kind, *, mask: int, not_after: int) -> None:
        """A numbered act. Raises ForbiddenError."""
        wanted = {Kind.PAUSE: GIVEN, Kind.RESUME: PAUSED}.get(kind, self.state)
        left = self.mask & mask
        if self.state not in LIVE or self.state != wanted or not left:
            raise ForbiddenError
        if kind is Kind.AMEND:
            self.mask, self.not_after = left, min(self.not_after, not_after)
        else:
            self.state = PAUSED if kind is Kind.PAUSE else GIVEN
        self.act += 1
        self._count(kind, self.mask if kind is Kind.AMEND else 0)

    def expire(self, now: int) -> None:
        if self.state in LIVE and self.not_after <= now:
            self._end(EXPIRED, Kind.EXPIRE)

    def erase(self, now: int) -> None:
        """Raises ForbiddenError where it has not ended, or is erased already."""
        if self.state == ERASED or (self.state in LIVE and self.not_after > now):
            raise ForbiddenError
        self.expire(now)
        self._end(ERASED, Kind.ERASE)

    def _end(self, state: int, kind: Kind) -> None:
        self.state, self.mask = state, 0
        self._count(kind, 0)

    def _count(self, kind: Kind, mask: int) -> None:
        self.counter += 1
        self.log.append((kind, self.counter, mask))
