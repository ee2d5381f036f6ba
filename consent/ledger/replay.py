"""The log replayed leaf by leaf: every promise that the leaves themselves can show (WIRE C6, DESIGN §8).

What is remembered: per live grant its state, per ended grant one row of 21 bytes, nothing per use.
A finding does not stop the replay; the state goes on from what the log says, so that one wrong leaf
is one finding and not one for each leaf behind it.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from consent.errors import LogError
from consent.ledger.findings import Invariant, Tally
from consent.ledger.leaf import COUNTED, DAY_ONLY, GROUPED, Kind, Leaf, end_day

DAY_MINUTES = 24 * 60

SKEW_SECONDS = 120
"""Clocks of log, witness and auditor, and the time from a leaf's minute to the witness's answer."""

ENDINGS = frozenset({Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE, Kind.ERASE})
AFTER_ENDING = frozenset({Kind.DENY, Kind.ERASE})
OF_A_GRANT = COUNTED | {Kind.DENY}
WITH_MASK = frozenset({Kind.GRANT, Kind.AMEND, Kind.USE})
WITH_LIMITS = frozenset({Kind.GRANT, Kind.AMEND})

_ENDED = struct.Struct(">QIIIB")
_NO_ID = bytes(16)


@dataclass(slots=True)
class _Grant:
    service: int
    purpose: int
    flags: int
    counter: int
    mask: int
    end_day: int
    max_uses: int
    uses: int = 0
    paused: bool = False


class Replay:
    """Takes the leaves of one log after the other, in order, and notes in ``tally`` what does not hold."""

    def __init__(self, tally: Tally, *, now: int) -> None:
        self._tally = tally
        self._now = now
        self._live: dict[bytes, _Grant] = {}
        self._ended: dict[bytes, bytes] = {}
        """Grant id → index of its ending, counter, service, purpose, flags."""
        self._minute = 0
        self.kinds: Counter[Kind] = Counter()

    @property
    def grants(self) -> Mapping[str, int]:
        return {"live": len(self._live), "ended": len(self._ended)}

    def take(self, index: int, entry: bytes, between: tuple[int, int] | None = None) -> Leaf | None:
        """One leaf; ``between`` are the times (seconds) that bound its minute, where some are known.

        Returns the leaf, or None where it has not its form and nothing more can be said of it.
        """
        try:
            leaf = Leaf.from_bytes(entry)
        except LogError as fault:
            self._tally.check(Invariant.FORM, False, "no-leaf", index, str(fault), 80)
            return None
        self._tally.checked[Invariant.FORM] += 1
        self.kinds[leaf.kind] += 1
        self._fields(index, leaf)
        self._time(index, leaf, between)
        if leaf.kind is Kind.GRANT:
            self._begin(index, leaf)
        elif leaf.kind in OF_A_GRANT:
            self._go_on(index, leaf)
        elif leaf.kind is not Kind.PREVIOUS:
            known = leaf.id in self._live or leaf.id in self._ended
            self._tally.check(Invariant.BEGINNING, not known, "id-of-a-grant", index, leaf.kind.word, "a fresh id")
        return leaf

    # ── every leaf ───────────────────────────────────────────────────────────────────────────

    def _fields(self, index: int, leaf: Leaf) -> None:
        """WIRE C6: mask, end day, max uses and counter are 0 except where they say something."""
        unused = (
            (leaf.mask if leaf.kind not in WITH_MASK else 0)
            | (leaf.end_day | leaf.max_uses if leaf.kind not in WITH_LIMITS else 0)
        )  # fmt: skip
        if leaf.kind is Kind.PREVIOUS:
            unused |= leaf.service | leaf.purpose | leaf.flags | int.from_bytes(leaf.id, "big")
        self._tally.check(Invariant.EMPTY_FIELDS, not unused, "field-not-empty", index, leaf.kind.word, 0)
        if leaf.kind not in COUNTED:
            self._tally.check(Invariant.COUNTER, not leaf.counter, "counter-not-zero", index, leaf.counter, 0)

    def _time(self, index: int, leaf: Leaf, between: tuple[int, int] | None) -> None:
        # A minute that is only the day's start stands for any minute of that day.
        last = leaf.minute + (DAY_MINUTES - 1 if leaf.flags & DAY_ONLY else 0)
        whole_day = not leaf.flags & DAY_ONLY or leaf.minute % DAY_MINUTES == 0
        check = self._tally.check
        check(Invariant.MINUTES, last >= self._minute, "minute-falls", index, leaf.minute, self._minute)
        check(Invariant.MINUTES, whole_day, "not-a-day", index, leaf.minute, leaf.minute - leaf.minute % DAY_MINUTES)
        check(
            Invariant.MINUTES,
            leaf.minute * 60 <= self._now + SKEW_SECONDS,
            "minute-ahead",
            index,
            leaf.minute,
            self._now // 60,
        )
        self._minute = max(self._minute, leaf.minute)
        if between is not None:
            earliest, latest = between
            check(
                Invariant.WITNESS_TIMES, last * 60 + 59 >= earliest - SKEW_SECONDS,
                "before-it-was-seen", index, leaf.minute, earliest // 60,
            )  # fmt: skip
            check(
                Invariant.WITNESS_TIMES, leaf.minute * 60 <= latest + SKEW_SECONDS,
                "after-it-was-seen", index, leaf.minute, latest // 60,
            )  # fmt: skip

    # ── the life of a grant ──────────────────────────────────────────────────────────────────

    def _begin(self, index: int, leaf: Leaf) -> None:
        new = leaf.id not in self._live and leaf.id not in self._ended
        self._tally.check(Invariant.BEGINNING, new, "given-twice", index, leaf.id.hex(), "a fresh id")
        self._tally.check(Invariant.COUNTER, leaf.counter == 1, "counter-gap", index, leaf.counter, 1)
        named = leaf.service > 0 and leaf.purpose > 0
        self._tally.check(Invariant.SAME_PARTIES, named, "nobody-named", index, leaf.service, "a service and a purpose")
        if new:
            self._live[leaf.id] = _Grant(
                leaf.service, leaf.purpose, leaf.flags, leaf.counter, leaf.mask, leaf.end_day, leaf.max_uses
            )

    def _go_on(self, index: int, leaf: Leaf) -> None:
        grant = self._live.get(leaf.id)
        if grant is None:
            self._after_ending(index, leaf)
            return
        self._tally.checked[Invariant.BEGINNING] += 1
        self._parties(index, leaf, grant.service, grant.purpose, grant.flags)
        grant.flags |= leaf.flags & DAY_ONLY
        if leaf.kind is not Kind.DENY:
            self._count(index, leaf, grant.counter + 1)
            grant.counter = leaf.counter
        match leaf.kind:
            case Kind.AMEND:
                self._amend(index, leaf, grant)
            case Kind.PAUSE:
                grant.paused = True
            case Kind.RESUME:
                grant.paused = False
            case Kind.USE:
                self._use(index, leaf, grant)
            case kind if kind in ENDINGS:
                del self._live[leaf.id]
                self._ended[leaf.id] = _ENDED.pack(index, leaf.counter, grant.service, grant.purpose, grant.flags)

    def _amend(self, index: int, leaf: Leaf, grant: _Grant) -> None:
        """Narrower or equal (WIRE C3, C5); what the last amend left is what counts from now on."""
        fewer = leaf.mask != 0 and leaf.mask & ~grant.mask == 0
        uses = leaf.max_uses == grant.max_uses or (
            leaf.max_uses > 0 and (leaf.max_uses < grant.max_uses or not grant.max_uses)
        )
        check = self._tally.check
        check(Invariant.NARROWING, fewer, "more-attributes", index, f"{leaf.mask:#x}", f"{grant.mask:#x}")
        check(Invariant.NARROWING, leaf.end_day <= grant.end_day, "longer", index, leaf.end_day, grant.end_day)
        check(Invariant.NARROWING, uses, "more-uses", index, leaf.max_uses, grant.max_uses)
        grant.mask, grant.end_day, grant.max_uses = leaf.mask, leaf.end_day, leaf.max_uses

    def _use(self, index: int, leaf: Leaf, grant: _Grant) -> None:
        grant.uses += 1
        within = leaf.mask != 0 and leaf.mask & ~grant.mask == 0
        few = not grant.max_uses or grant.uses <= grant.max_uses
        day = end_day(leaf.minute * 60)
        check = self._tally.check
        self._tally.checked[Invariant.ENDING] += 1
        check(Invariant.PAUSE, not grant.paused, "use-while-paused", index, leaf.counter, "a resume before it")
        check(Invariant.ATTRIBUTES, within, "use-outside", index, f"{leaf.mask:#x}", f"{grant.mask:#x}")
        check(Invariant.MAX_USES, few, "use-beyond-max", index, grant.uses, grant.max_uses)
        check(Invariant.END_DAY, day <= grant.end_day, "use-after-end-day", index, day, grant.end_day)

    def _after_ending(self, index: int, leaf: Leaf) -> None:
        ended = self._ended.get(leaf.id)
        code = "use-without-grant" if leaf.kind is Kind.USE else "record-without-grant"
        if not self._tally.check(Invariant.BEGINNING, ended is not None, code, index, leaf.kind.word, Kind.GRANT.word):
            return
        assert ended is not None
        at, counter, service, purpose, flags = _ENDED.unpack(ended)
        self._parties(index, leaf, service, purpose, flags)
        code = "use-after-ending" if leaf.kind is Kind.USE else "record-after-ending"
        self._tally.check(Invariant.ENDING, leaf.kind in AFTER_ENDING, code, index, leaf.kind.word, at)
        if leaf.kind is not Kind.DENY:
            self._count(index, leaf, counter + 1)
            self._ended[leaf.id] = _ENDED.pack(at, leaf.counter, service, purpose, flags)

    def _count(self, index: int, leaf: Leaf, expected: int) -> None:
        self._tally.check(Invariant.COUNTER, leaf.counter == expected, "counter-gap", index, leaf.counter, expected)

    def _parties(self, index: int, leaf: Leaf, service: int, purpose: int, flags: int) -> None:
        """Service, purpose and their flag are the grant's; a minute once told by the day only stays so."""
        same = (leaf.service, leaf.purpose, leaf.flags & GROUPED) == (service, purpose, flags & GROUPED)
        self._tally.check(
            Invariant.SAME_PARTIES,
            same,
            "other-parties",
            index,
            f"{leaf.service}/{leaf.purpose}",
            f"{service}/{purpose}",
        )
        coarse = leaf.flags & DAY_ONLY >= flags & DAY_ONLY
        self._tally.check(Invariant.SAME_PARTIES, coarse, "minute-told", index, leaf.minute, "the day only")
