"""A consent log's leaves as an honest city writes them, for tests of who checks them."""

from dataclasses import dataclass, field
from hashlib import sha256
from random import Random

from consent.ledger.leaf import DAY_ONLY, GROUPED, Kind, Leaf, end_day

FLAGS = (0, 0, 0, DAY_ONLY, GROUPED, DAY_ONLY | GROUPED)
MINUTES = (0, 0, 0, 0, 0, 1, 7, 300)
MOST_LIVE = 40

START_MINUTE = 29_921_918
"""2026-11-22, 02:38."""


@dataclass(slots=True)
class GrantModel:
    """What the city knows of a grant; a state machine of its own, beside the auditor's."""

    id: bytes
    service: int
    purpose: int
    flags: int
    counter: int
    mask: int
    end_day: int
    max_uses: int
    uses: int = 0
    paused: bool = False
    refused: int = 0
    """Minute of the last refusal that became a leaf."""


@dataclass(slots=True)
class History:
    """Every method appends one leaf and returns its index."""

    random: Random
    minute: int = START_MINUTE
    leaves: list[Leaf] = field(default_factory=list)
    live: list[GrantModel] = field(default_factory=list)
    ended: list[GrantModel] = field(default_factory=list)

    @property
    def entries(self) -> list[bytes]:
        return [leaf.to_bytes() for leaf in self.leaves]

    def give(
        self,
        *,
        mask: int = 0b111,
        days: int = 90,
        max_uses: int = 0,
        flags: int = 0,
        service: int = 1,
        purpose: int = 1,
    ) -> GrantModel:
        grant = GrantModel(
            self.random.randbytes(16), service, purpose, flags, 0, mask, end_day(self.minute * 60) + days, max_uses
        )
        self.live.append(grant)
        self._of_grant(Kind.GRANT, grant)
        return grant

    def use(self, grant: GrantModel, mask: int = 1) -> int:
        grant.uses += 1
        return self._of_grant(Kind.USE, grant, mask=mask)

    def amend(
        self, grant: GrantModel, *, mask: int | None = None, days_less: int = 0, max_uses: int | None = None
    ) -> int:
        grant.mask = grant.mask if mask is None else mask
        grant.end_day -= days_less
        grant.max_uses = grant.max_uses if max_uses is None else max_uses
        return self._of_grant(Kind.AMEND, grant)

    def pause(self, grant: GrantModel) -> int:
        grant.paused = True
        return self._of_grant(Kind.PAUSE, grant)

    def resume(self, grant: GrantModel) -> int:
        grant.paused = False
        return self._of_grant(Kind.RESUME, grant)

    def deny(self, grant: GrantModel) -> int:
        grant.refused = self.minute
        return self._of_grant(Kind.DENY, grant)

    def end(self, grant: GrantModel, kind: Kind = Kind.WITHDRAW) -> int:
        """Also a grant that has ended: erased, or by a dishonest city."""
        if grant in self.live:
            self.live.remove(grant)
            self.ended.append(grant)
        return self._of_grant(kind, grant)

    def other(self, kind: Kind, *, flags: int = 0, service: int = 1, purpose: int = 1) -> int:
        """A leaf of no grant: request, refuse, notice, oppose, declare."""
        return self._append(kind, self.random.randbytes(16), 0, flags, service, purpose)

    def previous(self, closed: str) -> int:
        """The link to the period before: its last checkpoint's text."""
        leaf = Leaf(Kind.PREVIOUS, 0, bytes(16), 0, 0, 0, self.minute, 0, 0, 0, sha256(closed.encode()).digest())
        self.leaves.append(leaf)
        return len(self.leaves) - 1

    def step(self) -> None:
        """Something that an honest city does next."""
        random = self.random
        self.minute += random.choice(MINUTES)
        if not self.live or (len(self.live) < MOST_LIVE and random.random() < 0.15):
            self.give(
                mask=random.choice((1, 0b11, 0b1011, 1 << 63 | 1)), days=random.choice((2, 30)),
                max_uses=random.choice((0, 0, 1, 5)), flags=random.choice(FLAGS),
                service=random.randint(1, 9), purpose=random.randint(1, 4),
            )  # fmt: skip
            return
        grant = random.choice(self.live)
        match random.randrange(10):
            case 0:
                self.other(random.choice((Kind.REQUEST, Kind.REFUSE, Kind.NOTICE, Kind.OPPOSE, Kind.DECLARE)))
            case 1:
                (self.resume if grant.paused else self.pause)(grant)
            case 2:
                self._narrow(grant)
            case 3:
                self.end(grant, random.choice((Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE)))
            case 4:
                refused = random.choice([*self.live, *self.ended[-3:]])
                if self.minute >= refused.refused + 60:
                    self.deny(refused)
            case 5:
                if self.ended:
                    self.end(random.choice(self.ended), Kind.ERASE)
            case _:
                self._use_if_allowed(grant)

    def _narrow(self, grant: GrantModel) -> None:
        lowest = grant.mask & -grant.mask
        self.amend(
            grant,
            mask=self.random.choice((grant.mask, lowest)),
            days_less=self.random.choice((0, 1)),
            max_uses=self.random.choice((grant.max_uses, 3)) if grant.max_uses in (0, 5) else grant.max_uses,
        )

    def _use_if_allowed(self, grant: GrantModel) -> None:
        spent = 0 < grant.max_uses <= grant.uses
        if not grant.paused and not spent and end_day(self.minute * 60) <= grant.end_day:
            self.use(grant, self.random.choice((grant.mask, grant.mask & -grant.mask)))

    def _of_grant(self, kind: Kind, grant: GrantModel, *, mask: int = 0) -> int:
        counter = 0
        if kind is not Kind.DENY:
            grant.counter += 1
            counter = grant.counter
        limits = kind in (Kind.GRANT, Kind.AMEND)
        return self._append(
            kind, grant.id, counter, grant.flags, grant.service, grant.purpose,
            mask=grant.mask if limits else mask, end=grant.end_day if limits else 0,
            most=grant.max_uses if limits else 0,
        )  # fmt: skip

    def _append(
        self, kind: Kind, grant_id: bytes, counter: int, flags: int, service: int, purpose: int,
        *, mask: int = 0, end: int = 0, most: int = 0,
    ) -> int:  # fmt: skip
        commitment = self.random.randbytes(32)
        leaf = Leaf(kind, flags, grant_id, counter, service, purpose, 0, mask, end, most, commitment)
        self.leaves.append(leaf.at_minute(self.minute))
        return len(self.leaves) - 1


def random_history(seed: int, leaves: int) -> History:
    history = History(Random(seed))
    while len(history.leaves) < leaves:
        history.step()
    del history.leaves[leaves:]
    return history
