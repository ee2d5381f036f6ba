"""Closed periods of the log (WIRE C6): turned over on start, proven from, and their entries deleted when it is time.

A period ends by configuration: the service is stopped, gets the name of the next, and is started
again. Under the lock of the closed log, and in this order: its files are brought up to the database;
one transaction gives the next place to a leaf that commits to its last checkpoint, and opens the new
period there; its folder moves aside in one step; the new log is written from the database like any
other. After a crash between two steps the next start goes on where it stopped.

Hash tiles and checkpoints of a closed period stay for ever, so receipts verify. Its entry bundles are
deleted after the retention that ``GET /log/periods`` publishes.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import Any

from consent.errors import LogError, LogInUse, StoreBehindLog
from consent.ledger.events import EventStore
from consent.ledger.periods import PeriodStore, StoredPeriod
from consent.log import durable, note, period
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey
from consent.log.view import CHECKPOINT, LogView
from consent.log.writer import LogWriter
from consent.service.sequencer import Logged
from identity.clock import Clock
from identity.keys.ed25519 import Ed25519Signer

TURN_SECONDS = 30.0
"""How long a process waits on start for another that turns the period over."""

ENTRIES = Path("tile") / "entries"


class Periods:
    """All periods of one log: the current one in ``folder``, closed ones beside it."""

    def __init__(
        self,
        folder: Path,
        origin: str,
        signer: Ed25519Signer,
        *,
        store: PeriodStore,
        events: EventStore,
        clock: Clock,
        retention_seconds: int | None,
    ) -> None:
        """``retention_seconds`` after its end a period's entries are deleted; None = they are kept."""
        self._folder = folder
        self._prefix, _, self.name = origin.rpartition("/")
        self._origin = origin
        self._signer = signer
        self._store = store
        self._events = events
        self._clock = clock
        self._retention = retention_seconds
        self._views: dict[str, LogView] = {}
        self._turn = Lock()
        self._first = 0

    @property
    def first(self) -> int:
        """The place of the current log's first leaf."""
        return self._first

    def folder_of(self, name: str) -> Path | None:
        """Where the files of a period lie."""
        if name == self.name:
            return self._folder
        closed = self._closed(name)
        return closed if period.is_period(name) and closed.is_dir() else None

    def open(self) -> int:
        """Turns over where the files are of an earlier period; returns ``first``. Raises LogError.

        Raises LogInUse where the earlier period is still written.
        """
        self._folder.parent.mkdir(parents=True, exist_ok=True)
        if not self._store.all() and self._closed(self.name).parent.is_dir():
            raise StoreBehindLog("the database knows no period, and closed ones are here")
        held = _wait_for_lock(self._folder.with_name(f"{self._folder.name}-period.lock"))
        try:
            self._store.begin(self.name)
            found = _origin_in(self._folder)
            if found is not None and found != self._origin:
                if not period.same_log(found, self._origin):
                    raise LogError("log: its files are another log's")
                self._turn_over(found)
            self._first = self._first_place()
        finally:
            os.close(held)
        return self._first

    def prove(self, place: int) -> Logged:
        """A leaf of a closed period, under its last checkpoint."""
        stored = [one for one in self._store.all() if one.first <= place]
        if not stored:
            raise LogError("log: a place before its first period")
        view = self._view(stored[-1].name)
        (entry,) = self._events.leaves_from(place, at_most=1)
        index = place - stored[-1].first
        return Logged(index, view.prove(index, entry=entry))

    def adopt(self) -> None:
        """Where a restored database does not know the current period, it begins where the closed logs end."""
        stored = self._store.all()
        if all(one.name != self.name for one in stored):
            self._store.adopt(self.name, self._first, after=stored[-1].name, closed=int(self._clock()))

    def leaves(self, place: int, current: LogView, *, at_most: int) -> list[bytes]:
        """Leaves from ``place`` on, of one period, as their files have them. Raises OSError, LogError."""
        if place >= self._first:
            return current.entries(place - self._first, min(place - self._first + at_most, current.size))
        stored = [one for one in self._store.all() if one.first <= place][-1]
        view = LogView(self._closed(stored.name), self._view(stored.name).key)
        view.look()
        return view.entries(place - stored.first, min(place - stored.first + at_most, view.size))

    def to_json(self) -> dict[str, Any]:
        """What ``GET /log/periods`` answers."""
        stored = self._store.all()
        ends = [after.first for after in stored[1:]]
        return {
            "retention_seconds": self._retention,
            "periods": [
                {
                    "period": one.name,
                    "first": one.first,
                    "size": end - one.first if end is not None else None,
                    "closed": one.closed,
                    "entries": "kept" if one.deleted is None else "deleted",
                }
                for one, end in zip(stored, [*ends, None], strict=True)
            ],
        }

    def delete_due(self) -> list[str]:
        """Deletes the entry bundles of periods whose retention has ended; returns their names. Raises OSError."""
        now = int(self._clock())
        due = [one for one in self._store.all() if self._is_due(one, now)]
        for one in due:
            # First the files, then the word that they are gone: a crash in between is made good.
            folder = self._closed(one.name) / ENTRIES
            shutil.rmtree(folder, ignore_errors=True)
            if folder.exists():
                raise OSError(f"period {one.name}: its entries cannot be deleted")
            durable.sync(folder.parent)
            self._store.deleted(one.name, now=now)
        return [one.name for one in due]

    def _is_due(self, one: StoredPeriod, now: int) -> bool:
        if self._retention is None or one.closed is None or one.deleted is not None or one.name == self.name:
            return False
        return one.closed + self._retention <= now

    # ── turning over ─────────────────────────────────────────────────────────────────────────

    def _turn_over(self, origin: str) -> None:
        old = origin.rpartition("/")[2]
        known = {one.name: one for one in self._store.all()}
        if old not in known:
            raise StoreBehindLog(f"the database knows nothing of period {old}, whose log is here")
        try:
            writer = LogWriter(self._folder, origin, self._signer)
        except LogInUse:
            raise LogInUse(f"another process still writes period {old}: end it before {self.name} begins") from None
        try:
            if self.name not in known:
                self._close(writer, known[old])
            elif known[self.name].first != known[old].first + writer.size:
                raise LogError(f"period {self.name}: it does not begin where the log of {old} ends")
        finally:
            writer.close()
        closed = self._closed(old)
        made: set[Path] = set()
        durable.make_folders(closed.parent, made)
        os.rename(self._folder, closed)
        for folder in {*made, closed.parent, self._folder.parent}:
            durable.sync(folder)

    def _close(self, writer: LogWriter, old: StoredPeriod) -> None:
        writer.recover(lambda index: self._events.leaves_from(old.first + index), self._events.size() - old.first)
        text = note.parse(writer.signed_checkpoint).text
        self._store.turn_over(
            old.name,
            self.name,
            commitment=sha256(text.encode()).digest(),
            first=old.first + writer.size,
            now=int(self._clock()),
        )

    def _first_place(self) -> int:
        """Where the current period begins: by the database, or by the closed logs where a copy was restored."""
        stored = self._store.all()
        for one in stored:
            if one.name == self.name:
                return one.first
        return stored[-1].first + self._view(stored[-1].name).size

    def _view(self, name: str) -> LogView:
        with self._turn:
            if name not in self._views:
                key = NoteKey(f"{self._prefix}/{name}", note.ED25519, self._signer.public)
                view = LogView(self._closed(name), key)
                view.look(with_entries=False)
                self._views[name] = view
            return self._views[name]

    def _closed(self, name: str) -> Path:
        return self._folder.with_name(f"{self._folder.name}-closed") / name


def _origin_in(folder: Path) -> str | None:
    """Whose log lies there: by its current checkpoint, else by a kept one (a crash may have come between)."""
    paths = [folder / CHECKPOINT, *sorted(folder.glob(f"{CHECKPOINT}.*"))]
    for path in paths:
        with suppress(FileNotFoundError):
            return Checkpoint.parse(note.parse(path.read_text(encoding="utf-8")).text).origin
    return None


def _wait_for_lock(path: Path, sleep: Callable[[float], None] = time.sleep) -> int:
    until = time.monotonic() + TURN_SECONDS
    while True:
        try:
            return durable.lock(path, what="turns the log's period over")
        except LogInUse:
            if time.monotonic() >= until:
                raise
            sleep(0.02)
