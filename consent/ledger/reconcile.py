"""The log held against the data holders' own words (ADR 0009, D9): every release is logged, every logged use was one.

Neither side can be believed alone. The consent service could log a use that no data holder ever
answered, a data holder could release without a leaf; each would contradict the other's signed figures:

  1. Each statement is signed by the registry key of a listed data holder. The newest one of a day
     counts; earlier ones stay, and are told.
  2. Of every day that is over, the sum of the data holders' counts is the number of its leaves of
     kinds 7 and 12.
  3. A data holder's records, where its operator hands them out, lead to the count and root that it
     signed; without a statement they are one that the consent service does not publish.
  4. Each record is a leaf of that kind, id, counter and day: else a release that nobody logged.
  5. No leaf is claimed by two data holders. Where every data holder that counted a day handed out its
     records, a leaf that none of them has is a use that nobody released.

What it cannot show: a release that operator and data holder both hide, and whether the answer to a
proven allow reached its service.
"""

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from consent.ledger.journal_root import COUNTED_KINDS, DayRecords, JournalRoot

MINUTES_A_DAY = 1_440

MAX_FAULTS = 1_000
"""Kept word by word; all are counted."""

_HEAD = struct.Struct(">xB2x16sI8xI")
"""Of a leaf: kind, id, counter, minute (WIRE C6)."""

_KINDS = frozenset(map(int, COUNTED_KINDS))

Place = tuple[str, int]
"""Origin of a log, index of a leaf in it."""


class ReleaseLeaves:
    """The leaves behind which data may have left a register, by day, gathered while a log is read."""

    def __init__(self, days: Iterable[int] = ()) -> None:
        self._only = frozenset(days)
        self.days: dict[int, dict[Place, tuple[int, bytes, int]]] = defaultdict(dict)
        """Day → place → kind, id, counter."""

    def see(self, origin: str, index: int, entry: bytes) -> None:
        kind, leaf_id, counter, minute = _HEAD.unpack_from(entry)
        if kind in _KINDS:
            day = minute // MINUTES_A_DAY
            if not self._only or day in self._only:
                self.days[day][origin, index] = kind, leaf_id, counter


@dataclass(frozen=True, slots=True)
class Fault:
    """``code`` names the sentence; ``holder`` and ``place`` where it lies, as far as that is known."""

    code: str
    day: int
    holder: str | None
    place: Place | None
    found: int | str
    expected: int | str


@dataclass(slots=True)
class Reconciliation:
    """What was compared and what does not fit."""

    statements: int = 0
    corrected: int = 0
    """Statements that a later one of the same day replaced."""
    days: int = 0
    leaves: int = 0
    records: int = 0
    days_with_all_records: int = 0
    faults: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.counts

    def fault(
        self, code: str, day: int, *, found: int | str, expected: int | str,
        holder: str | None = None, place: Place | None = None,
    ) -> None:  # fmt: skip
        self.counts[code] += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(Fault(code, day, holder, place, found, expected))


def reconcile(
    leaves: ReleaseLeaves, statements: Sequence[JournalRoot], records: Sequence[DayRecords], *,
    today: int, days: Iterable[int] = (),
) -> Reconciliation:  # fmt: skip
    """``statements`` are verified (step 1 of the list above); ``today`` itself is not over and is not counted."""
    result = Reconciliation()
    # 1
    newest = _newest(statements, result)
    wanted = set(days) or {*leaves.days, *(day for _, day in newest), *(one.day for one in records)}
    stated: dict[int, dict[str, JournalRoot]] = defaultdict(dict)
    for (holder, day), one in newest.items():
        stated[day][holder] = one
    for day in sorted(day for day in wanted if day < today):
        result.days += 1
        logged = leaves.days.get(day, {})
        result.leaves += len(logged)
        # 2
        total = sum(one.count for one in stated[day].values())
        if total != len(logged):
            result.fault("day-sum", day, found=total, expected=len(logged))
        _of_day(result, day, logged, stated[day], [one for one in records if one.day == day])
    return result


def _newest(statements: Sequence[JournalRoot], result: Reconciliation) -> dict[tuple[str, int], JournalRoot]:
    """Per data holder and day the statement that counts: the last of those with the latest time."""
    newest: dict[tuple[str, int], JournalRoot] = {}
    for one in statements:
        result.statements += 1
        known = newest.get((one.holder, one.day))
        if known is not None:
            result.corrected += 1
        if known is None or one.issued >= known.issued:
            newest[one.holder, one.day] = one
    return newest


def _of_day(
    result: Reconciliation,
    day: int,
    logged: Mapping[Place, tuple[int, bytes, int]],
    stated: Mapping[str, JournalRoot],
    records: Sequence[DayRecords],
) -> None:
    claimed: dict[Place, str] = {}
    for one in records:
        result.records += len(one.records)
        # 3
        word = stated.get(one.holder)
        if word is None:
            result.fault("root-not-published", day, found=len(one.records), expected="a statement", holder=one.holder)
        elif (word.count, word.root) != (len(one.records), one.root):
            result.fault(
                "records-differ", day, holder=one.holder,
                found=f"{len(one.records)}, {one.root.hex()[:16]}", expected=f"{word.count}, {word.root.hex()[:16]}",
            )  # fmt: skip
        for record in one.records:
            place = record.log, record.leaf_index
            # 4
            if logged.get(place) != (record.kind, record.id, record.counter):
                result.fault(
                    "release-not-logged", day, holder=one.holder, place=place,
                    found=f"{record.id.hex()}/{record.counter}", expected="a leaf",
                )  # fmt: skip
            # 5
            elif place in claimed:
                result.fault(
                    "claimed-twice", day, holder=one.holder, place=place, found=one.holder, expected=claimed[place]
                )
            else:
                claimed[place] = one.holder
    given = {one.holder for one in records}
    if records and given >= set(stated):
        result.days_with_all_records += 1
        for place, (_, leaf_id, counter) in logged.items():
            if place not in claimed:
                result.fault(
                    "use-not-released", day, place=place, found=f"{leaf_id.hex()}/{counter}", expected="a release"
                )
