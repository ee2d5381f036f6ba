"""An audit of the consent log, from its checkpoint, tiles and entries alone (DESIGN §8, WIRE C6).

It needs no account, no operator's help and no resident's name, and believes only the pinned key.
What it cannot show: a release that operator and data holder hid together, and what a commitment
holds. The residents' own checks (counters, openings) and the data holders' journals show those.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from consent.errors import LogError
from consent.ledger.findings import Finding, Invariant, Tally
from consent.ledger.latency import Latencies
from consent.ledger.leaf import Kind
from consent.ledger.numbers import PublishedNumbers
from consent.ledger.promise import Promise
from consent.ledger.promises import PromiseWatch
from consent.ledger.replay import SKEW_SECONDS, Replay
from consent.log.checkpoint import Checkpoint, VerifiedCheckpoint
from consent.log.quorum import Quorum
from consent.log.reader import LogReader, Tree
from consent.log.seen import SeenCheckpoint

Progress = Callable[[int, int], None]
"""(leaves read, leaves in all)"""


@dataclass(frozen=True, slots=True)
class PeriodLog:
    """The log of one period and the checkpoint up to which it is read."""

    reader: LogReader
    checkpoint: VerifiedCheckpoint


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What was read, what held and what did not."""

    checkpoint: VerifiedCheckpoint
    leaves_read: int
    cosigned: Mapping[str, int]
    """Known witness → when it saw this checkpoint."""
    witnessed: bool
    """Whether the quorum is met; never without one."""
    counts: Mapping[Invariant, tuple[int, int]]
    """Per invariant: checks, violations."""
    findings: tuple[Finding, ...]
    kinds: Mapping[Kind, int]
    grants: Mapping[str, int]
    latencies: Latencies
    promises: Mapping[str, int]
    """How many were kept, are not due yet, came late or were broken."""
    spare_minutes: Mapping[int, int]
    """Minutes between a promised leaf and its due time → how often."""
    without_entries: tuple[str, ...]
    """Earlier periods of which only the hashes are served: their records were deleted and not replayed."""
    adopted: int
    """Grants whose beginning lies in such a period."""

    @property
    def passed(self) -> bool:
        return not any(violations for _, violations in self.counts.values())


def audit(
    logs: Sequence[PeriodLog],
    *,
    seen: Sequence[SeenCheckpoint],
    quorum: Quorum | None,
    quorum_required: bool,
    now: int,
    promises: Sequence[Promise] = (),
    numbers: PublishedNumbers | None = None,
    retention_seconds: int | None = None,
    progress: Progress = lambda done, total: None,
) -> AuditReport:
    """Replays the periods of one log, oldest first; the last is the current one.

    1. Every entry stands in its tile, every tile is the one its entries make, and the root is the
       signed one. A log that fails here is read no further. Of an earlier period whose entries were
       deleted after their retention, the hash tiles must still lead to the signed root; they may be
       gone ``retention_seconds`` after the next period began, and where none is published never.
    2. Every checkpoint in ``seen`` is the beginning of the log of its period.
    3. A period's first leaf commits to the last checkpoint of the period before it.
    4. Every leaf is replayed (``Replay``); minutes lie between the times at which the checkpoints
       around them were seen, by the quorum's witnesses or by this auditor.
    5. The current checkpoint carries the quorum's cosignatures, where they are required.
    6. Every promise in ``promises`` that is due has its leaf, with a minute that is not later.
    7. Every number that a leaf bears is among the published ``numbers``, where they are given, and
       means whom it meant at earlier visits.
    """
    tally = Tally()
    replay = Replay(tally, now=now)
    watch = PromiseWatch(promises)
    total, read = sum(log.checkpoint.size for log in logs), 0
    whole, without_entries, deleted = True, [], False
    for at, log in enumerate(logs):
        tally.origin = log.checkpoint.checkpoint.origin
        same = [one for one in seen if one.checkpoint.checkpoint.origin == tally.origin]
        reading = _Reading(log, same, tally, replay, watch, _bounds(log.checkpoint, same, quorum))
        previous = logs[at - 1].checkpoint if at else None
        if at < len(logs) - 1 and log.checkpoint.size and not log.reader.has_entries(log.checkpoint.checkpoint):
            without_entries.append(tally.origin)
            replay.blind = True
            whole = reading.run_hashes()
        else:
            whole = reading.run(previous, partial(_shifted, progress, read, total))
            read += reading.tree.size
            if deleted and reading.began is not None:
                _retained(tally, without_entries[-1], reading.began, retention_seconds, now)
        deleted = bool(without_entries) and without_entries[-1] == tally.origin
        if not whole:
            break
    current = logs[-1].checkpoint
    tally.origin = current.checkpoint.origin
    replay.settle()
    if whole:
        # Of a log that could not be read to its end nothing is known to be absent.
        watch.settle(tally, now=now)
    if numbers is not None:
        numbers.check(tally, replay.named)
    cosigned: Mapping[str, int] = {}
    if quorum is not None:
        try:
            cosigned = quorum.times(current.note)
        except LogError as fault:
            tally.check(Invariant.WITNESSES, False, "wrong-cosignature", None, str(fault), quorum.threshold)
    witnessed = quorum is not None and quorum.met_by(cosigned)
    if quorum is not None and quorum_required:
        tally.check(Invariant.WITNESSES, witnessed, "not-witnessed", None, len(cosigned), quorum.threshold)
    return AuditReport(
        current, read, cosigned, witnessed, tally.counts(), tuple(tally.findings), replay.kinds, replay.grants,
        replay.latencies, watch.counts, watch.spare, tuple(without_entries), replay.adopted,
    )  # fmt: skip


class _Reading:
    """One pass through the log of one period."""

    def __init__(
        self,
        log: PeriodLog,
        seen: Sequence[SeenCheckpoint],
        tally: Tally,
        replay: Replay,
        watch: PromiseWatch,
        bounds: "_Bounds",
    ) -> None:
        self._log = log
        self._tally = tally
        self._replay = replay
        self._watch = watch
        self._bounds = bounds
        self._seen: dict[int, list[SeenCheckpoint]] = {}
        for one in seen:
            self._seen.setdefault(one.checkpoint.size, []).append(one)
        self.tree = Tree()
        self.began: int | None = None
        """Minute of the first leaf."""

    def run(self, previous: VerifiedCheckpoint | None, progress: Callable[[int], None]) -> bool:
        """Whether the whole log could be read."""
        signed = self._begin()
        take, watched = self._replay.take, self._watch.ids
        try:
            for run in self._log.reader.runs(signed, self.tree, stops=sorted(self._seen)):
                # A run ends at each checkpoint that was seen: between two of them the times are the same.
                between = self._bounds.at(run.index)
                for index, entry in enumerate(run.entries, run.index):
                    take(index, entry, between)
                    if not index or entry[1:2] == _LINK:
                        self._period(index, entry, previous)
                        if not index:
                            self.began = int.from_bytes(entry[32:36], "big")
                    if watched and entry[4:20] in watched:
                        self._watch.see(entry)
                self._tally.checked[Invariant.TREE] += len(run.entries)
                self._compare(self.tree.size)
                progress(self.tree.size)
        except LogError as fault:
            return self._damaged(fault)
        return True

    def run_hashes(self) -> bool:
        """As ``run`` where the entries were deleted: what is left are hashes under the signed root."""
        signed = self._begin()
        try:
            for size in self._log.reader.hashes(signed, self.tree, stops=sorted(self._seen)):
                self._compare(size)
        except LogError as fault:
            return self._damaged(fault)
        self._tally.checked[Invariant.TREE] += signed.size
        return True

    def _begin(self) -> Checkpoint:
        signed = self._log.checkpoint.checkpoint
        self._compare(0)
        for size in self._seen:
            if size > signed.size:
                self._tally.check(Invariant.CONTINUATION, False, "log-shrank", None, signed.size, size)
        return signed

    def _damaged(self, fault: LogError) -> bool:
        root = self._log.checkpoint.root.hex()
        self._tally.check(Invariant.TREE, False, "damaged", self.tree.size, str(fault), root)
        return False

    def _compare(self, size: int) -> None:
        for one in self._seen.get(size, ()):
            same = one.checkpoint.root == self.tree.root
            self._tally.check(
                Invariant.CONTINUATION, same, "another-history", size, self.tree.root.hex(), one.checkpoint.root.hex()
            )

    def _period(self, index: int, entry: bytes, previous: VerifiedCheckpoint | None) -> None:
        is_link = entry[1:2] == _LINK
        check = self._tally.check
        if index:
            check(Invariant.PERIODS, False, "link-inside", index, Kind.PREVIOUS.word, 0)
        elif previous is None:
            check(Invariant.PERIODS, not is_link, "earlier-period-not-read", 0, Kind.PREVIOUS.word, "its period")
        else:
            expected = sha256(previous.note.text.encode()).digest()
            linked = is_link and entry[48:] == expected
            check(Invariant.PERIODS, linked, "other-earlier-period", 0, previous.size, previous.checkpoint.origin)


def _retained(tally: Tally, origin: str, closed_minute: int, retention_seconds: int | None, now: int) -> None:
    """Entries are deleted after the published retention, not before (DESIGN §8)."""
    until = closed_minute * 60 + retention_seconds if retention_seconds is not None else _NEVER
    expected = until // 60 if retention_seconds is not None else "a published retention"
    tally.check(Invariant.TREE, now + SKEW_SECONDS >= until, "deleted-too-early", None, origin, expected)


class _Bounds:
    """Between which times a leaf must have got its minute.

    A leaf below a checkpoint's size is older than the first time it was seen; one at or above its
    size is younger than the last time at which it was the newest.
    """

    def __init__(self, marks: Iterable[tuple[int, int, int]]) -> None:
        ordered = sorted(marks)
        self._sizes = [size for size, _, _ in ordered]
        earliest, latest = [0], [_NEVER]
        for _, _, last in ordered:
            earliest.append(max(earliest[-1], last))
        for _, first, _ in reversed(ordered):
            latest.append(min(latest[-1], first))
        self._between = list(zip(earliest, reversed(latest), strict=True))

    def at(self, index: int) -> tuple[int, int] | None:
        return self._between[bisect_right(self._sizes, index)] if self._sizes else None


_NEVER = 1 << 62
_LINK = bytes([Kind.PREVIOUS])


def _bounds(current: VerifiedCheckpoint, seen: Sequence[SeenCheckpoint], quorum: Quorum | None) -> _Bounds:
    marks: list[tuple[int, int, int]] = []
    for one in (*seen, SeenCheckpoint(current)):
        if one.first is not None and one.last is not None:
            marks.append((one.checkpoint.size, one.first, one.last))
        if quorum is not None:
            # A wrong cosignature says nothing of a time; on the current checkpoint it is a finding.
            with suppress(LogError):
                marks += [(one.checkpoint.size, at, at) for at in quorum.times(one.checkpoint.note).values()]
    return _Bounds(marks)


def _shifted(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)
