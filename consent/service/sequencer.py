"""The one writer of the log: takes committed events in their order, makes them durable, tells who waits.

A batch is what was committed while the one before was being made durable, and under load a little
longer. Events get their places in one transaction, then the tiles and the checkpoint are written; the
database is the source of truth, so a crash in between is made good on start. A use waits here for
its proof; a withdrawal may, and never has to.

Of several processes on one data folder one writes, by the lock on the log's folder and, where the
database is shared, by its advisory lock; the others *follow*: they learn of each checkpoint by a
bell (``consent.log.bells``), prove from the tiles, and one of them takes over when the lock is free.

States: *running* (it writes); *following*; *halted* (follows a writer that logs nothing); *behind*
(the database lacks entries that were signed: an old copy was restored; nothing is signed and no use
is served until what is missing was taken in); *failed* (the files contradict what we would sign).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from threading import Thread

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import LedgerConflict, LogError, OutOfService, StoreBehindLog
from consent.ledger.events import EventStore
from consent.ledger.log_turn import LogTurn
from consent.ledger.placing import BATCH, Placing
from consent.log.bells import Bells
from consent.log.writer import LogWriter
from consent.service.log_news import Listener, LogNews
from consent.service.log_work import LogWork, TurnLost
from identity.clock import Clock

RETRY_SECONDS = 0.2
"""After a full disk or a busy database: soon enough for a use that still waits."""

FOLLOW_SECONDS = 0.02
"""After so long without a bell, whoever follows looks whether the writer has died."""

MANY = 8
GATHER_SECONDS = 0.05
"""While leaves come in batches of so many, one begins so long after the one before at the earliest: a checkpoint
costs as much as ten uses, and who comes alone waits for nobody."""

IDLE_SECONDS = 1.0
"""How often the writer looks for leaves whose time has come, without a bell."""

HALTED_SECONDS = 4.0
"""A writer that answers no bell for so long logs nothing, and a use gives up by then; one that has died is
replaced long before."""

BEHIND_SECONDS = 10.0
"""After so long a database that is behind is looked at again: somebody may have restored a newer copy."""

RUNNING, FOLLOWING, HALTED, BEHIND, FAILED, STOPPED = "running", "following", "halted", "behind", "failed", "stopped"
_LOGGING = (RUNNING, FOLLOWING)
_NEVER = float("-inf")

_log = logging.getLogger("atorga.consent")


@dataclass(frozen=True, slots=True)
class Logged:
    """A leaf in a durable tile under a signed checkpoint (*integrated*); ``index`` is that in its log."""

    index: int
    proof: str


class Sequencer:
    """Runs ``writer`` in a thread of its own between ``start`` and ``stop``; threads may share it."""

    def __init__(
        self,
        events: EventStore,
        placing: Placing,
        writer: LogWriter,
        *,
        turn: LogTurn,
        bells: Bells,
        clock: Clock,
        compare: Callable[[LogWriter], None],
        first: int = 0,
        prove_earlier: Callable[[int], Logged] | None = None,
        catch_up: Callable[[LogWriter], None] | None = None,
    ) -> None:
        """``compare`` raises StoreBehindLog or LogError where witnesses know more, or otherwise, than the files.

        ``first`` is the place of the log's first leaf; ``prove_earlier`` proves places of earlier
        periods; ``catch_up`` takes into the database what only the files have.
        """
        self._events = events
        self._writer = writer
        self._bells = bells
        self._news = LogNews()
        self._work = LogWork(events, placing, writer, turn=turn, bells=bells, news=self._news, clock=clock, first=first)
        self._compare = compare
        self._first = first
        self._prove_earlier = prove_earlier
        self._catch_up = catch_up
        self._stopping = False
        self._thread: Thread | None = None
        self._state = "not started"
        self._answered = self._compared = self._tried = self._began = _NEVER
        self._leaves = 0
        """Of the last batch, which began at ``_began``."""

    @property
    def writer(self) -> LogWriter:
        return self._writer

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes the log."""
        return self._state == RUNNING

    @property
    def state(self) -> str:
        return self._state

    def start(self) -> None:
        """Brings the files up to the database, or follows who does. A database that is behind says so."""
        self._state = HALTED
        if not self._take_over():
            # Nothing is served before the writer answers: it may be taking in what a restored database lacks.
            self._look_after_writer()
        elif self._state == BEHIND:
            # Before anything is served: an act that was taken meanwhile could contradict the log.
            self._take_in()
        self._thread = Thread(target=self._run, name="sequencer", daemon=True)
        self._thread.start()
        self.wake()

    def compare_again(self) -> None:
        """A witness did not cosign: where it can show why, nothing more is signed."""
        try:
            self._compare(self._writer)
        except LogError as fault:
            self._fail(fault)

    def stop(self) -> None:
        """Ends after the batch in hand and gives the log's lock back."""
        self._stopping = True
        self._bells.ring_own()
        if self._thread is not None:
            self._thread.join()
        self._set(STOPPED)
        self._bells.close()
        self._work.release()

    def require_running(self) -> None:
        """Raises OutOfService where nothing can be logged now."""
        if self._state not in _LOGGING:
            raise OutOfService("log: it takes no entries now")

    def listen(self, listener: Listener) -> None:
        """``listener`` is called in the thread of the log, which it must not hold up."""
        self._news.listen(listener)

    def wake(self) -> None:
        """There is something to log."""
        if self._state == FOLLOWING:
            self._bells.ring_writer()
        else:
            self._bells.ring_own()

    def published(self) -> None:
        """The checkpoint has changed, by a cosignature: whoever follows looks again."""
        self._bells.ring_others()

    def wait(self, grant_id: bytes, counter: int, *, seconds: float) -> Logged | None:
        """The committed event with its proof; None where it is not in the log in time."""
        self.wake()
        index = self._place(grant_id, counter, seconds)
        return None if index is None else Logged(index, self._writer.prove(index))

    def find(self, grant_id: bytes, counter: int) -> Logged | None:
        """The event with its proof, if it is in the log already."""
        found = self._events.of_grant(grant_id, counter)
        return None if found is None else self.logged(found.leaf_index)

    def is_logged(self, place: int | None) -> bool:
        """A place counts once a signed checkpoint covers it."""
        return place is not None and place < self._first + self._writer.size

    def logged(self, place: int | None) -> Logged | None:
        """The leaf at this place with its proof, from the log of its period; None while it is in none."""
        if place is None or not self.is_logged(place):
            return None
        if place >= self._first:
            return Logged(place - self._first, self._writer.prove(place - self._first))
        if self._prove_earlier is None:
            raise LogError("log: of a period that is not here")
        return self._prove_earlier(place)

    def wait_for_size(self, size: int, *, seconds: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Waits until a checkpoint beyond ``size`` entries was published, or for so long, or until ``nudge``
        finds that the waiter has given up."""
        self.wait_until(lambda: self._writer.size > size or given_up(), seconds=seconds)
        return self._writer.size > size

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Until it holds, looked at whenever the log has news, or for so long; whether it does."""
        return self._news.wait_until(lambda: condition() or self._stopping, seconds=seconds)

    def nudge(self) -> None:
        """Whoever waits looks again."""
        self._news.nudge()

    def _place(self, grant_id: bytes, counter: int, seconds: float) -> int | None:
        kept = self._news.place_of((grant_id, counter), seconds=seconds, given_up=lambda: self._state not in _LOGGING)
        if kept is not None:
            return kept
        # It may have come so long ago that its place is no longer kept here.
        found = self._events.of_grant(grant_id, counter)
        if found is None or found.leaf_index is None or found.leaf_index < self._first:
            return None
        return found.leaf_index - self._first if self.is_logged(found.leaf_index) else None

    # ── the thread ───────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            while not self._stopping and self._state not in (FAILED, STOPPED):
                if self._state == RUNNING:
                    self._write()
                elif self._state == BEHIND:
                    self._bells.wait(BEHIND_SECONDS)
                    if not self._stopping and time.monotonic() >= self._tried + BEHIND_SECONDS:
                        self._take_in()
                elif not self._bells.wait(FOLLOW_SECONDS):
                    self._look_after_writer()
                else:
                    self._follow()
        except LogError as fault:
            self._fail(fault)
        finally:
            self._set(STOPPED if self._stopping else FAILED)
            self._bells.stop_answering()
            self._news.end()

    def _set(self, state: str) -> None:
        if self._state != FAILED:
            self._state = state
        self._news.nudge()

    def _fail(self, fault: LogError) -> None:
        _log.critical("log: %s; nothing more is logged, no use is served", fault)
        self._set(FAILED)
        self._bells.ring_own()

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def _take_over(self) -> bool:
        """Becomes the writer if nobody is: the files are brought up to the database before anything else."""
        try:
            if not self._work.take():
                return False
            self._compare(self._writer)
            self._work.recover()
        except StoreBehindLog as fault:
            _log.critical("log: %s; no use is served", fault)
            self._set(BEHIND)
        except LogError as fault:
            self._fail(fault)
        else:
            self._begin()
        return True

    def _begin(self) -> None:
        self._bells.answer_as_writer()
        self._set(RUNNING)
        self._bells.ring_others()
        self._bells.ring_own()

    def _take_in(self) -> None:
        """Takes in what the restored database lacks; the log goes on when nothing is missing any more."""
        self._tried = time.monotonic()
        if self._catch_up is None:
            return
        try:
            self._writer.reopen()
            self._catch_up(self._writer)
            self._compare(self._writer)
            self._work.recover()
        except (StoreBehindLog, OSError, SQLAlchemyError) as fault:
            _log.critical("log: what is missing could not be taken in (%s)", type(fault).__name__)
        except LogError as fault:
            self._fail(fault)
        else:
            self._begin()

    def _write(self) -> None:
        self._bells.wait(IDLE_SECONDS)
        try:
            while not self._stopping and self._state == RUNNING and self._batch() >= BATCH:
                pass
        except TurnLost:
            self._give_up()
        except (OSError, SQLAlchemyError, LedgerConflict) as fault:
            _log.error("log: a batch could not be written (%s); trying again", type(fault).__name__)
            self._reopen()

    def _batch(self) -> int:
        now = time.monotonic()
        if MANY <= self._leaves < BATCH and now < self._began + GATHER_SECONDS:
            time.sleep(self._began + GATHER_SECONDS - now)
        self._began = time.monotonic()
        self._leaves = self._work.batch()
        return self._leaves

    def _reopen(self) -> None:
        """After a failed write: what of it reached the disk? Then on from there."""
        while not self._stopping:
            time.sleep(RETRY_SECONDS)
            try:
                self._work.reopen()
            except TurnLost:
                self._give_up()
                return
            except (OSError, SQLAlchemyError) as fault:
                _log.error("log: it cannot be opened again (%s); trying again", type(fault).__name__)
            else:
                self._bells.ring_own()
                return

    def _give_up(self) -> None:
        """The database's session has ended, and the turn with it: another process may have it."""
        _log.error("log: the database's lock was lost; another process may write now")
        self._bells.stop_answering()
        self._work.release()
        self._answered = time.monotonic()
        self._set(FOLLOWING)

    # ── following ────────────────────────────────────────────────────────────────────────────

    def _follow(self) -> None:
        """Looks at the newest checkpoint; whoever waits for what is new below it is told."""
        before = self._writer.size
        try:
            changed = self._writer.look()
        except OSError:
            # There is no log yet, or its files are just not to be had: nothing new is known.
            return
        if changed and self._bells.writer_answers():
            # Whoever publishes is alive, however busy: a quiet moment to look after it may not come.
            self._answered = time.monotonic()
            self._set(FOLLOWING)
        if self._writer.size > before:
            self._work.tell_of(before)
        else:
            self.nudge()

    def _look_after_writer(self) -> None:
        """Nobody rang: has the writer died, or does it log nothing?"""
        try:
            # Who answers has the lock: only where nobody does is the database asked for it, some hundred
            # times dearer.
            answers = self._bells.writer_answers()
            if not answers and self._take_over():
                return
            self._follow()
            now = time.monotonic()
            if answers:
                self._answered = now
            if now > self._compared + IDLE_SECONDS:
                self._compared = now
                # Read after the checkpoint: a database that both share has all that was signed.
                if self._events.size() < self._first + self._writer.size:
                    self._answered = _NEVER
        except (OSError, SQLAlchemyError) as fault:
            _log.error("log: cannot be followed now (%s)", type(fault).__name__)
            self._answered = _NEVER
        self._set(FOLLOWING if time.monotonic() <= self._answered + HALTED_SECONDS else HALTED)
