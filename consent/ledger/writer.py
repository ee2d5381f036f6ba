"""Group commit: one thread of a process writes what many requests ask for, and answers when it is on disk.

A disk takes as long for one act as for a thousand. So whatever came while the batch before was
being made durable is the next batch: no timer, no idle wait (DESIGN §10). In one transaction the
works stand in ascending order of their keys, so that no two processes wait for each other in a
circle; each has a savepoint of its own, so that one that is refused takes no other with it. Where
the transaction itself fails, each work is tried alone.

Closings (withdraw, revoke, pause, erase) go first and never share a transaction with anything
else: no use that fails, and no use that is slow, stands in the way of a withdrawal.

``OneByOne`` is the same without the batch: a transaction for each work, in the caller's thread.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition, Thread, current_thread
from typing import Any, Protocol, TypeVar

from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from consent.errors import OutOfService
from consent.ledger.address import POSTGRESQL
from consent.ledger.schema import open_direct, turn_of, turns_of
from consent.ledger.statements import Direct, Statements
from consent.ledger.turns import Turns
from consent.ledger.wal import Checkpointer

MAX_WORKS = 1_024
"""Of one transaction: what a crash undoes was never acknowledged, but each waits for the last."""

MAX_BATCH_SECONDS = 0.1
"""A batch that takes longer to execute ends there: rows stay locked no longer, and closings wait no longer."""

MAX_WAITING = 16_384
"""Works in memory at one time; beyond, whoever comes is told to come again."""

PATIENCE_SECONDS = 10.0
"""How long a caller waits for its answer."""

T = TypeVar("T")
Work = Callable[[Statements], T]
"""Its statements; what it returns is answered after the commit, what it raises undoes its own part only."""

_log = logging.getLogger("atorga.consent")


class Writes(Protocol):
    def run(self, work: Work[T], *, key: bytes = b"", closing: bool = False) -> T:
        """What ``work`` returned, once it is durable; raises what it raised, and then nothing of it is there."""
        ...


class OneByOne:
    """A transaction for each work."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, work: Work[T], *, key: bytes = b"", closing: bool = False) -> T:
        with self._engine.begin() as connection:
            return work(connection)


@dataclass(slots=True, eq=False)
class _Job:
    work: Work[Any]
    key: bytes
    future: "Future[Any]" = field(default_factory=Future)
    result: Any = None
    fault: Exception | None = None

    def answer(self) -> None:
        if self.fault is not None:
            self.future.set_exception(self.fault)
        else:
            self.future.set_result(self.result)


class Writer:
    """Starts with ``start`` or its first work, and ends with ``stop``; threads share it.

    It has a connection of its own, of the driver itself, and opens it again after a fault.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns: Turns | None = None if engine.dialect.name == POSTGRESQL else turns_of(engine)
        self._checkpointer = Checkpointer(engine, self._turns) if self._turns is not None else None
        self._direct: Direct | None = None
        self._changed = Condition()
        self._closings: deque[_Job] = deque()
        self._others: deque[_Job] = deque()
        self._thread: Thread | None = None
        self._state = "new"
        self.failed_batches = 0
        """Batches that were retried singly, since the start."""

    def run(self, work: Work[T], *, key: bytes = b"", closing: bool = False) -> T:
        """Raises what ``work`` raised, and OutOfService where the database does not answer in time."""
        if current_thread() is self._thread:
            raise RuntimeError("writer: a work asked for another one")
        future = self.submit(work, key=key, closing=closing)
        try:
            return future.result(PATIENCE_SECONDS)
        except TimeoutError:
            if future.done():
                raise  # the work's own
            if future.cancel():
                raise OutOfService("database: it does not answer in time; nothing was done") from None
            raise OutOfService("database: it does not answer in time; what was asked for may still be done") from None

    def submit(self, work: Work[T], *, key: bytes = b"", closing: bool = False) -> "Future[T]":
        """The same without waiting. Raises OutOfService where nothing can be written."""
        job = _Job(work, key)
        with self._changed:
            self._begin()
            if self._state != "running":
                raise OutOfService("database: nothing can be written now")
            if len(self._others) + len(self._closings) >= MAX_WAITING:
                raise OutOfService("database: too much waits to be written")
            (self._closings if closing else self._others).append(job)
            self._changed.notify()
        return job.future

    def start(self) -> None:
        """Now rather than with the first work: SQLite's log is looked after also where others write."""
        with self._changed:
            self._begin()

    def stop(self) -> None:
        """Ends after what was handed in."""
        with self._changed:
            self._state = "stopped"
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _begin(self) -> None:
        if self._state != "new":
            return
        self._state = "running"
        self._thread = Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()
        if self._checkpointer is not None:
            self._checkpointer.start()

    def _run(self) -> None:
        try:
            while batch := self._take():
                self._write(batch)
        except BaseException as fault:  # noqa: BLE001  # whatever ended the thread, nobody may wait for it
            _log.critical("database: the writer ended (%s); nothing is written any more", type(fault).__name__)
        finally:
            self._end()

    def _end(self) -> None:
        with self._changed:
            self._state = "stopped"
            left = [*self._closings, *self._others]
            self._closings.clear()
            self._others.clear()
        for job in left:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(OutOfService("database: nothing can be written any more"))
        self._drop()
        if self._checkpointer is not None:
            self._checkpointer.stop()

    def _take(self) -> list[_Job]:
        """The next batch; empty at the end. A job whose caller has gone is left out."""
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._closings or self._others or self._state != "running")
                waiting = self._closings or self._others
                if not waiting:
                    return []
                batch = [waiting.popleft() for _ in range(min(len(waiting), MAX_WORKS))]
                if wanted := [job for job in batch if job.future.set_running_or_notify_cancel()]:
                    return self.in_order(wanted)

    def in_order(self, batch: list[_Job]) -> list[_Job]:
        """Ascending keys in every process, or two of them could wait for each other's rows."""
        return sorted(batch, key=lambda job: job.key)

    def _write(self, batch: Sequence[_Job]) -> None:
        """Every job of the batch is answered, whatever happens."""
        left = deque(batch)
        try:
            while left:
                for job in self._decided(left):
                    left.remove(job)
                    job.answer()
        finally:
            for job in left:
                job.future.set_exception(OutOfService("database: nothing can be written any more"))

    def _decided(self, jobs: Sequence[_Job]) -> Iterator[_Job]:
        """Jobs as they are durable, or found not to be: as many as one transaction has time for."""
        jobs = tuple(jobs)
        try:
            yield from self._transaction(jobs)
        except _OutcomeUnknownError as fault:
            _log.error("database: its connection was lost in a commit; what was asked for may still be done")
            yield from _refused(fault.jobs)
        except TimeoutError:
            yield from _refused(jobs)
        except SQLAlchemyError as fault:
            if len(jobs) == 1:
                jobs[0].fault = fault
                yield jobs[0]
                return
            self.failed_batches += 1
            _log.warning("database: a batch failed (%s); each of it is tried alone", type(fault).__name__)
            for job in jobs:
                yield from self._decided([job])

    def _transaction(self, jobs: Sequence[_Job]) -> list[_Job]:
        """Mostly all of a batch succeed, and need no savepoint of their own: to a server that is a journey each.

        Where one does not, all is undone and done again, each behind its savepoint.
        """
        with turn_of(self._engine):
            done = self._attempt(jobs, _execute)
            if done is None:
                done = self._attempt(jobs, _execute_behind_savepoint, _SAVEPOINT)
            assert done is not None
            return done

    def _attempt(
        self, jobs: Sequence[_Job], execute: Callable[[Direct, _Job], None], *savepoint: str
    ) -> list[_Job] | None:
        """Those that are settled; None where a fault undid those before it as well."""
        done = list[_Job]()
        direct = self._begun(*savepoint)
        try:
            until = time.monotonic() + MAX_BATCH_SECONDS
            for job in jobs:
                done.append(job)
                execute(direct, job)
                if time.monotonic() > until or (job.fault is not None and not savepoint):
                    break
        except BaseException:
            self._roll_back(direct)
            raise
        if done[-1].fault is None or savepoint:
            self._commit(direct, done)
            return done
        self._roll_back(direct)
        return done if len(jobs) == 1 else None

    def _commit(self, direct: Direct, done: Sequence[_Job]) -> None:
        try:
            direct.run("COMMIT")
        except SQLAlchemyError as fault:
            if not self._roll_back(direct) and self._turns is None:
                # The server may have committed before it was lost. SQLite's file is only ours: it has not.
                raise _OutcomeUnknownError(done) from fault
            raise

    def _roll_back(self, direct: Direct) -> bool:
        """Whether it is known to be undone; a connection that cannot say so is given up."""
        try:
            direct.run("ROLLBACK")
        except SQLAlchemyError:
            self._drop()
            return False
        return True

    def _begun(self, *more: str) -> Direct:
        """A transaction. A connection that was lost while idle is opened again: nothing hung on it."""
        begin = ("BEGIN" if self._turns is None else "BEGIN IMMEDIATE", *more)
        if self._direct is not None:
            try:
                self._direct.run(*begin)
            except SQLAlchemyError:
                self._drop()
            else:
                return self._direct
        direct = self._connected()
        direct.run(*begin)
        return direct

    def _connected(self) -> Direct:
        if self._direct is None:
            self._direct = open_direct(self._engine)
            if self._turns is not None:
                self._direct.run("PRAGMA wal_autocheckpoint=0")
        return self._direct

    def _drop(self) -> None:
        direct, self._direct = self._direct, None
        if direct is not None:
            direct.close()


class _OutcomeUnknownError(Exception):
    def __init__(self, jobs: Sequence[_Job]) -> None:
        super().__init__("commit without an answer")
        self.jobs = jobs


_SAVEPOINT = "SAVEPOINT work"


def _execute(direct: Direct, job: _Job) -> None:
    """The job's statements; raises only what the transaction does not survive."""
    job.result = job.fault = None
    try:
        job.result = job.work(direct)
    except IntegrityError as fault:
        job.fault = fault
    except SQLAlchemyError:
        raise
    except Exception as fault:  # noqa: BLE001  # it is its caller's, and undoes its own part only
        job.fault = fault


def _execute_behind_savepoint(direct: Direct, job: _Job) -> None:
    _execute(direct, job)
    if job.fault is not None:
        direct.run(f"ROLLBACK TO {_SAVEPOINT}")
    else:
        direct.run(f"RELEASE {_SAVEPOINT}", _SAVEPOINT)


def _refused(jobs: Sequence[_Job]) -> Iterator[_Job]:
    for job in jobs:
        job.fault = OutOfService("database: it does not answer; what was asked for may or may not be done")
        yield job
