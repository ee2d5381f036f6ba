"""What the pages show: the copy of the log, and what the last audit of it found."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from atorga.audit import Answer, Question, answer, quorum_of
from atorga.audit_sources import Below, KeptLog, numbers
from consent.errors import LogError
from consent.ledger.leaf import DAY_ONLY
from consent.ledger.numbers import PublishedNumbers
from consent.log.note import NoteKey
from consent.log.view import LogView
from identity.clock import Clock

_MINUTE = slice(32, 36)
"""Of a leaf (WIRE C6)."""

RUN = 65_536


@dataclass(frozen=True, slots=True)
class LastAudit:
    """The newest audit, when it was made, and how the log had grown by then."""

    answer: Answer
    at: int
    per_minute: Counter[int]
    """Entries of each minute."""
    numbers: PublishedNumbers | None


class Explored:
    """One log, its copy in ``folder``, and the last audit. Pages read; ``refresh`` follows the log."""

    def __init__(
        self,
        url: str,
        key: NoteKey,
        folder: Path,
        *,
        below: Below,
        witnesses: tuple[str, ...] = (),
        clock: Clock = time.time,
    ) -> None:
        self.url = url
        self.key = key
        self._below = below
        self._clock = clock
        self._folder = folder
        self._quorum = quorum_of(witnesses, None)
        self._views: dict[str, LogView] = {}
        self._busy = Lock()
        self.last: LastAudit | None = None
        self.fault: str | None = None
        """Why the last attempt to follow the log failed."""

    def refresh(self, progress: Callable[[int, int], None] = lambda done, total: None) -> None:
        """Follows the log and audits it; a log that cannot be followed leaves the last audit in place."""
        if not self._busy.acquire(blocking=False):
            return
        try:
            kept = KeptLog(self._folder, self.key)
            with kept.held():
                question = Question(
                    url=self.url, key=self.key, quorum=self._quorum, quorum_required=False, wait_seconds=0,
                    memory=None, seen=tuple(kept.mirror.seen.of(self.key)), periods=frozenset(), kept=kept,
                    numbers_folder=self._folder,
                )  # fmt: skip
                found = answer(question, self._below, clock=self._clock, progress=progress)
                published = numbers(self._below, self._folder)
            for name in kept.mirror.periods():
                self.view(name).look()
            self.last = LastAudit(found, int(self._clock()), self._per_minute(), published)
            self.fault = found.mirror_fault
        except (LogError, OSError) as fault:
            self.fault = str(fault)
        finally:
            self._busy.release()

    @property
    def periods(self) -> list[str]:
        return KeptLog(self._folder, self.key).mirror.periods()

    @property
    def newest(self) -> str:
        """The period that the newest checkpoint is of."""
        if self.last is None:
            raise LogError("log: nothing of it is here yet")
        return self.last.answer.report.checkpoint.checkpoint.origin.rpartition("/")[2]

    def view(self, name: str) -> LogView:
        """The copy of one period. Raises LogError."""
        if name not in self._views:
            if name not in self.periods:
                raise LogError("log: no such period is here")
            mirror = KeptLog(self._folder, self.key).mirror
            signed = mirror.checkpoint(name)
            assert signed is not None
            view = LogView(self._folder / name, self.key.renamed(signed.checkpoint.origin))
            view.look()
            self._views[name] = view
        return self._views[name]

    def _per_minute(self) -> Counter[int]:
        """A leaf that tells only its day is counted at the minute of the one before it, or behind it."""
        counted: Counter[int] = Counter()
        latest = untold = 0
        for name in self.periods:
            view = self.view(name)
            try:
                for first in range(0, view.size, RUN):
                    for entry in view.entries(first, min(first + RUN, view.size)):
                        if not entry[2] & DAY_ONLY:
                            latest = max(latest, int.from_bytes(entry[_MINUTE], "big"))
                        elif not latest:
                            untold += 1
                            continue
                        counted[latest] += 1 + untold
                        untold = 0
            except OSError:
                # Of a period whose entries were deleted there are only hashes.
                continue
        return counted
