"""The one writer of the log: takes committed events in their order, makes them durable, tells who waits.

A batch is what was committed while the one before was being made durable: no timer, no idle wait.
Events get their places in one transaction, then the tiles and the checkpoint are written; the
database is the source of truth, so a crash in between is made good on start. A use waits here for
its proof; a withdrawal may, and never has to.

States: *running*; *behind* (the database lacks entries that were signed: an old copy was restored;
nothing is signed and no use is served); *failed* (the files contradict what we would sign).
"""

import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Condition, Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import LogError, OutOfService, StoreBehindLog
from consent.ledger.events import EventStore
from consent.log.writer import LogWriter
from identity.clock import Clock

RETRY_SECONDS = 0.2
"""After a full disk or a busy database: soon enough for a use that still waits."""

KEPT_PLACES = 8_192
"""Places of the newest leaves, for whoever comes to ask just after: more than any batch has."""

Key = tuple[bytes, int]
"""Grant id and counter."""

Listener = Callable[[Mapping[Key, int]], None]
"""Gets the places of a batch once its checkpoint is durable; nothing at all where the log stops."""

_log = logging.getLogger("atorga.consent")


@dataclass(frozen=True, slots=True)
class Logged:
    """A leaf in a durable tile under a signed checkpoint (*integrated*)."""

    index: int
    proof: str


class Sequencer:
    """Runs ``writer`` in a thread of its own between ``start`` and ``stop``; threads may share it."""

    def __init__(
        self, events: EventStore, writer: LogWriter, *, clock: Clock, compare: Callable[[LogWriter], None]
    ) -> None:
        """``compare`` raises StoreBehindLog or LogError where witnesses know more, or otherwise, than the files."""
        self._events = events
        self._writer = writer
        self._clock = clock
        self._compare = compare
        self._work = Event()
        self._stopping = False
        self._thread: Thread | None = None
        self._changed = Condition()
        self._places: OrderedDict[Key, int] = OrderedDict()
        self._state = "not started"
        self._listeners: tuple[Listener, ...] = ()

    @property
    def writer(self) -> LogWriter:
        return self._writer

    def start(self) -> None:
        """Brings the files up to the database. A database that is behind starts nothing, and says so."""
        try:
            self._compare(self._writer)
            self._writer.recover(self._events.leaves_from, self._events.size())
        except LogError as fault:
            self._state = "behind" if isinstance(fault, StoreBehindLog) else "failed"
            _log.critical("log: %s; no use is served", fault)
            return
        self._state = "running"
        self._thread = Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()
        self.wake()

    def compare_again(self) -> None:
        """A witness did not cosign: where it can show why, nothing more is signed."""
        try:
            self._compare(self._writer)
        except LogError as fault:
            _log.critical("log: %s; nothing more is logged, no use is served", fault)
            self._stopping = True
            self._work.set()
            with self._changed:
                self._state = "failed"
                self._changed.notify_all()

    def stop(self) -> None:
        """Ends after the batch in hand and gives the log's lock back."""
        self._stopping = True
        self._work.set()
        if self._thread is not None:
            self._thread.join()
        with self._changed:
            self._state = "stopped"
            self._changed.notify_all()
        self._writer.close()

    def require_running(self) -> None:
        """Raises OutOfService where nothing can be logged now."""
        if self._state != "running":
            raise OutOfService("log: it takes no entries now")

    def listen(self, listener: Listener) -> None:
        """``listener`` is called in the thread of the log, which it must not hold up."""
        self._listeners = (*self._listeners, listener)

    def _tell(self, places: Mapping[Key, int]) -> None:
        for listener in self._listeners:
            listener(places)

    def wake(self) -> None:
        """There is something to log."""
        self._work.set()

    def wait(self, grant_id: bytes, counter: int, *, seconds: float) -> Logged | None:
        """The committed event with its proof; None where it is not in the log in time."""
        self.wake()
        index = self._place(grant_id, counter, seconds)
        return None if index is None else Logged(index, self._writer.prove(index))

    def find(self, grant_id: bytes, counter: int) -> Logged | None:
        """The event with its proof, if it is in the log already."""
        found = self._events.of_grant(grant_id, counter)
        if found is None or found.leaf_index is None or found.leaf_index >= self._writer.size:
            return None
        return Logged(found.leaf_index, self._writer.prove(found.leaf_index))

    def wait_for_size(self, size: int, *, seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Waits until a checkpoint beyond ``size`` entries was published, or for so long, or until ``nudge``
        finds that the waiter has given up."""
        with self._changed:
            self._changed.wait_for(lambda: self._writer.size > size or self._stopping or given_up(), seconds)
            return self._writer.size > size

    def nudge(self) -> None:
        """Whoever waits looks again."""
        with self._changed:
            self._changed.notify_all()

    def _place(self, grant_id: bytes, counter: int, seconds: float) -> int | None:
        key = (grant_id, counter)
        with self._changed:
            self._changed.wait_for(lambda: key in self._places or self._state != "running", seconds)
            if key in self._places:
                return self._places[key]
        # It may have come so long ago that its place is no longer kept here.
        found = self._events.of_grant(grant_id, counter)
        index = None if found is None else found.leaf_index
        return index if index is not None and index < self._writer.size else None

    def _run(self) -> None:
        try:
            while not self._stopping:
                self._work.wait()
                self._work.clear()
                try:
                    while self._batch():
                        pass
                except (OSError, SQLAlchemyError) as fault:
                    _log.error("log: a batch could not be written (%s); trying again", type(fault).__name__)
                    self._reopen()
        except LogError as fault:
            _log.critical("log: %s; nothing more is logged, no use is served", fault)
        finally:
            with self._changed:
                if self._state == "running":
                    self._state = "stopped" if self._stopping else "failed"
                self._changed.notify_all()
            self._tell({})

    def _batch(self) -> bool:
        """One batch: places, then tiles, then the checkpoint, then whoever waits. False = nothing to do."""
        self._events.place(minute=int(self._clock()) // 60)
        leaves = self._events.leaves_from(self._writer.size)
        if not leaves:
            return False
        first = self._writer.append(leaves)
        placed = {
            (leaf[4:20], int.from_bytes(leaf[20:24], "big")): first + position for position, leaf in enumerate(leaves)
        }
        with self._changed:
            self._places.update(placed)
            while len(self._places) > KEPT_PLACES:
                self._places.popitem(last=False)
            self._changed.notify_all()
        self._tell(placed)
        return True

    def _reopen(self) -> None:
        """After a failed write: what of it reached the disk? Then on from there."""
        while not self._stopping:
            time.sleep(RETRY_SECONDS)
            try:
                self._writer.reopen()
                self._writer.recover(self._events.leaves_from, self._events.size())
            except (OSError, SQLAlchemyError) as fault:
                _log.error("log: it cannot be opened again (%s); trying again", type(fault).__name__)
            else:
                self._work.set()
                return
