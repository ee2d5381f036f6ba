"""The log replayed leaf by leaf: every promise that the leaves themselves can show (WIRE C6, DESIGN §8).

What is remembered: per live grant its state, per ended grant one row of 33 bytes, nothing per use.
A finding does not stop the replay; the state goes on from what the log says, so that one wrong leaf
is one finding and not one for each leaf behind it.

A city's log is replayed whole, so a leaf that is right costs few steps: it is compared in place, and
how often each invariant was looked at follows from how many leaves of each kind there were.
"""

import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from consent.errors import LogError
from consent.ledger.findings import Invariant, Tally
from consent.ledger.latency import Latencies
from consent.ledger.leaf import COUNTED, DAY_ONLY, END_DAY_EPOCH, GROUPED, LAYOUT, LEAF_BYTES, Kind, Leaf

DAY_MINUTES = 24 * 60

SKEW_SECONDS = 120
"""Clocks of log, witness and auditor, and the time from a leaf's minute to the witness's answer."""

DENY_MINUTES = 60 - SKEW_SECONDS // 60
"""At most one refusal of a grant an hour is a leaf (DESIGN §8); its minute is that of the logging."""

DENIES_A_DAY = 25
"""Where a leaf tells only the day: as many as a day has hours, and one that waited for midnight."""

ENDINGS = frozenset({Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE, Kind.ERASE})
AFTER_ENDING = frozenset({Kind.DENY, Kind.ERASE})
OF_A_GRANT = COUNTED | {Kind.DENY}

_KINDS = range(len(Kind) + 1)
_MASKED = tuple(kind in (Kind.GRANT, Kind.AMEND, Kind.USE) for kind in _KINDS)
_LIMITED = tuple(kind in (Kind.GRANT, Kind.AMEND) for kind in _KINDS)
_COUNTED = tuple(kind in COUNTED for kind in _KINDS)
_OF_A_GRANT = tuple(kind in OF_A_GRANT for kind in _KINDS)
_ENDS = tuple(kind in ENDINGS for kind in _KINDS)
_GRANT, _AMEND, _PAUSE, _RESUME, _USE, _DENY, _ERASE, _PREVIOUS = (
    int(kind)
    for kind in (
        Kind.GRANT, Kind.AMEND, Kind.PAUSE, Kind.RESUME, Kind.USE, Kind.DENY, Kind.ERASE, Kind.PREVIOUS,
    )
)  # fmt: skip

_ENDED = struct.Struct(">QIIIBIIBI")
_UNKNOWN = -1
"""Counter of a grant whose earlier records nobody can read."""
_EPOCH_MINUTES = END_DAY_EPOCH // 60
_FORM_WORDS = f"a leaf of {LEAF_BYTES} bytes"


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
    refused: int = 0
    """Minute of its last refusal."""
    refusals: int = 0
    """Refusals that bear this same minute."""


@dataclass(slots=True)
class _Ended:
    at: int
    counter: int
    service: int
    purpose: int
    flags: int
    minute: int
    refused: int = 0
    refusals: int = 0
    refused_after: int = 0
    """How many refusals came after the ending."""

    def pack(self) -> bytes:
        return _ENDED.pack(
            self.at, self.counter, self.service, self.purpose, self.flags, self.minute,
            self.refused, min(self.refusals, 0xFF), self.refused_after,
        )  # fmt: skip


class Replay:
    """Takes the leaves of one log after the other, in order, and notes in ``tally`` what does not hold.

    ``blind``: the entries of an earlier period were deleted after their retention, so that a grant may
    be met whose beginning nobody can read; its records are held against each other only.
    """

    def __init__(self, tally: Tally, *, now: int, blind: bool = False) -> None:
        self._tally = tally
        self._latest = (now + SKEW_SECONDS) // 60
        self._now = now
        self.blind = blind
        self._live: dict[bytes, _Grant] = {}
        self._ended: dict[bytes, bytes] = {}
        self._minute = 0
        self._counts = [0] * len(_KINDS)
        self._malformed = self._bounded = self._unknown = self._used = self._amended = self.adopted = 0
        self.latencies = Latencies()
        self.named: dict[tuple[bool, int, int], int] = {}
        """Whether by group codes, service, purpose → index of the first leaf that names them."""

    @property
    def grants(self) -> Mapping[str, int]:
        return {"live": len(self._live), "ended": len(self._ended)}

    @property
    def kinds(self) -> Counter[Kind]:
        return Counter({kind: self._counts[kind] for kind in Kind if self._counts[kind]})

    def settle(self) -> None:
        """Adds to the tally how often each invariant was looked at; once, after the last leaf."""
        total = sum(self._counts)
        later = sum(self._counts[kind] for kind in OF_A_GRANT) - self._counts[_GRANT] - self._unknown
        self._tally.checked.update(
            {
                Invariant.FORM: total + self._malformed,
                Invariant.EMPTY_FIELDS: total,
                Invariant.MINUTES: 3 * total,
                Invariant.WITNESS_TIMES: 2 * self._bounded,
                Invariant.BEGINNING: total - self._counts[_PREVIOUS],
                Invariant.COUNTER: total - self._unknown,
                Invariant.SAME_PARTIES: self._counts[_GRANT] + 2 * later,
                Invariant.ENDING: later,
                Invariant.PAUSE: self._used,
                Invariant.ATTRIBUTES: self._used,
                Invariant.MAX_USES: self._used,
                Invariant.END_DAY: self._used,
                Invariant.NARROWING: 3 * self._amended,
                Invariant.DENIES: self._counts[_DENY],
            }
        )

    def take(self, index: int, entry: bytes, between: tuple[int, int] | None = None) -> None:
        """One leaf; ``between`` are the times (seconds) that bound its minute, where some are known."""
        fail = self._tally.fail
        if len(entry) != LEAF_BYTES or entry[0] != 1 or not 0 < entry[1] <= 16 or entry[2] > 3 or entry[3]:
            self._malformed += 1
            fail(Invariant.FORM, "no-leaf", index, _fault(entry), _FORM_WORDS)
            return
        _, kind, flags, _, leaf_id, counter, service, purpose, minute, mask, last_day, most, _ = LAYOUT.unpack(entry)
        self._counts[kind] += 1

        # Every leaf: mask, end day, max uses and counter are 0 except where they say something.
        if (mask and not _MASKED[kind]) or ((last_day or most) and not _LIMITED[kind]):
            fail(Invariant.EMPTY_FIELDS, "field-not-empty", index, Kind(kind).word, 0)
        if counter and not _COUNTED[kind]:
            fail(Invariant.COUNTER, "counter-not-zero", index, counter, 0)

        # Its minute; one that is only the day's start stands for any minute of that day.
        last = minute
        if flags & DAY_ONLY:
            last += DAY_MINUTES - 1
            if minute % DAY_MINUTES:
                fail(Invariant.MINUTES, "not-a-day", index, minute, minute - minute % DAY_MINUTES)
        if last < self._minute:
            fail(Invariant.MINUTES, "minute-falls", index, minute, self._minute)
        if minute > self._latest:
            fail(Invariant.MINUTES, "minute-ahead", index, minute, self._now // 60)
        if minute > self._minute:
            self._minute = minute
        if between is not None:
            self._bounded += 1
            if last * 60 + 59 < between[0] - SKEW_SECONDS:
                fail(Invariant.WITNESS_TIMES, "before-it-was-seen", index, minute, between[0] // 60)
            if minute * 60 > between[1] + SKEW_SECONDS:
                fail(Invariant.WITNESS_TIMES, "after-it-was-seen", index, minute, between[1] // 60)

        # The life of a grant.
        grant = self._live.get(leaf_id)
        if not _OF_A_GRANT[kind]:
            if kind == _PREVIOUS:
                if any((service, purpose, flags, *leaf_id)):
                    fail(Invariant.EMPTY_FIELDS, "field-not-empty", index, Kind(kind).word, 0)
            elif grant is not None or leaf_id in self._ended:
                fail(Invariant.BEGINNING, "id-of-a-grant", index, Kind(kind).word, "a fresh id")
            if service or purpose:
                self.named.setdefault((bool(flags & GROUPED), service, purpose), index)
            return
        if kind == _GRANT:
            self._begin(index, leaf_id, _Grant(service, purpose, flags, counter, mask, last_day, most))
            return
        if grant is None:
            grant = self._not_live(index, leaf_id, kind, flags, counter, service, purpose, minute)
            if grant is None:
                return
        if service != grant.service or purpose != grant.purpose or (flags ^ grant.flags) & GROUPED:
            self._other_parties(index, service, purpose, grant.service, grant.purpose)
        if flags & DAY_ONLY < grant.flags & DAY_ONLY:
            fail(Invariant.SAME_PARTIES, "minute-told", index, minute, "the day only")
        grant.flags |= flags & DAY_ONLY
        if kind == _DENY:
            self._refuse(index, grant, flags, minute)
            return
        if counter != grant.counter + 1 and grant.counter != _UNKNOWN:
            fail(Invariant.COUNTER, "counter-gap", index, counter, grant.counter + 1)
        grant.counter = counter
        if kind == _USE:
            self._used += 1
            grant.uses += 1
            if grant.paused:
                fail(Invariant.PAUSE, "use-while-paused", index, counter, "a resume before it")
            if not mask or mask & ~grant.mask:
                fail(Invariant.ATTRIBUTES, "use-outside", index, f"{mask:#x}", f"{grant.mask:#x}")
            if grant.max_uses and grant.uses > grant.max_uses:
                fail(Invariant.MAX_USES, "use-beyond-max", index, grant.uses, grant.max_uses)
            day = (minute - _EPOCH_MINUTES) // DAY_MINUTES
            if day > grant.end_day:
                fail(Invariant.END_DAY, "use-after-end-day", index, day, grant.end_day)
        elif kind == _AMEND:
            self._amend(index, grant, mask, last_day, most)
        elif kind == _PAUSE:
            grant.paused = True
        elif kind == _RESUME:
            grant.paused = False
        else:
            self._end(index, leaf_id, grant, minute)

    def _begin(self, index: int, leaf_id: bytes, grant: _Grant) -> None:
        fail = self._tally.fail
        self.named.setdefault((bool(grant.flags & GROUPED), grant.service, grant.purpose), index)
        if grant.counter != 1:
            fail(Invariant.COUNTER, "counter-gap", index, grant.counter, 1)
        if not (grant.service and grant.purpose):
            fail(Invariant.SAME_PARTIES, "nobody-named", index, grant.service, "a service and a purpose")
        if leaf_id in self._live or leaf_id in self._ended:
            fail(Invariant.BEGINNING, "given-twice", index, leaf_id.hex(), "a fresh id")
        else:
            self._live[leaf_id] = grant

    def _amend(self, index: int, grant: _Grant, mask: int, last_day: int, most: int) -> None:
        """Narrower or equal (WIRE C3, C5); what the last amend left is what counts from now on."""
        fail = self._tally.fail
        self._amended += 1
        if not mask or mask & ~grant.mask:
            fail(Invariant.NARROWING, "more-attributes", index, f"{mask:#x}", f"{grant.mask:#x}")
        if last_day > grant.end_day:
            fail(Invariant.NARROWING, "longer", index, last_day, grant.end_day)
        if most != grant.max_uses and (not most or (grant.max_uses and most > grant.max_uses)):
            fail(Invariant.NARROWING, "more-uses", index, most, grant.max_uses)
        grant.mask, grant.end_day, grant.max_uses = mask, last_day, most

    def _refuse(self, index: int, one: _Grant | _Ended, flags: int, minute: int) -> None:
        """At most one refusal of a grant an hour is a leaf: else whoever asks could flood the log (DESIGN §8)."""
        same = one.refused == minute
        one.refusals = one.refusals + 1 if same else 1
        most = DENIES_A_DAY if flags & DAY_ONLY else 1
        near = not same and not flags & DAY_ONLY and one.refused and minute - one.refused < DENY_MINUTES
        if near or one.refusals > most:
            self._tally.fail(Invariant.DENIES, "refusals-flood", index, minute, one.refused)
        one.refused = max(one.refused, minute)

    def _end(self, index: int, leaf_id: bytes, grant: _Grant, minute: int) -> None:
        del self._live[leaf_id]
        self._ended[leaf_id] = _Ended(
            index, grant.counter, grant.service, grant.purpose, grant.flags, minute, grant.refused, grant.refusals
        ).pack()

    def _not_live(
        self, index: int, leaf_id: bytes, kind: int, flags: int, counter: int, service: int, purpose: int, minute: int
    ) -> _Grant | None:
        """A record of a grant that has ended or never began; a grant to go on with where its beginning is gone."""
        fail = self._tally.fail
        packed = self._ended.get(leaf_id)
        if packed is None:
            if self.blind and counter != 1:
                self.adopted += 1
                grant = _Grant(service, purpose, flags, _UNKNOWN, (1 << 64) - 1, 0xFFFF, 0)
                self._live[leaf_id] = grant
                return grant
            self._unknown += 1
            code = "use-without-grant" if kind == _USE else "record-without-grant"
            fail(Invariant.BEGINNING, code, index, Kind(kind).word, Kind.GRANT.word)
            return None
        ended = _Ended(*_ENDED.unpack(packed))
        if (service, purpose, flags & GROUPED) != (ended.service, ended.purpose, ended.flags & GROUPED):
            self._other_parties(index, service, purpose, ended.service, ended.purpose)
        if flags & DAY_ONLY < ended.flags & DAY_ONLY:
            fail(Invariant.SAME_PARTIES, "minute-told", index, minute, "the day only")
        if kind == _DENY:
            if not ended.refused_after:
                self.latencies.refused(minute - ended.minute, coarse=bool(flags & DAY_ONLY))
            ended.refused_after = min(ended.refused_after + 1, 0xFFFF_FFFF)
            self._refuse(index, ended, flags, minute)
        else:
            if kind != _ERASE:
                code = "use-after-ending" if kind == _USE else "record-after-ending"
                fail(Invariant.ENDING, code, index, Kind(kind).word, ended.at)
            if counter != ended.counter + 1:
                fail(Invariant.COUNTER, "counter-gap", index, counter, ended.counter + 1)
            ended.counter = counter
        self._ended[leaf_id] = ended.pack()
        return None

    def _other_parties(self, index: int, service: int, purpose: int, own_service: int, own_purpose: int) -> None:
        """Service, purpose and their flag are the grant's; a minute once told by the day only stays so."""
        self._tally.fail(
            Invariant.SAME_PARTIES, "other-parties", index, f"{service}/{purpose}", f"{own_service}/{own_purpose}"
        )


def _fault(entry: bytes) -> str:
    try:
        Leaf.from_bytes(entry)
    except LogError as fault:
        return str(fault)
    raise AssertionError("a leaf that the replay refuses is refused by its reader")
