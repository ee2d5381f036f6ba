"""The lane of uses: one thread per process decides and writes them, many in one transaction.

A batch is what came while the one before was being made durable: no timer, no idle wait. Each use
keeps its own statements (``uses_sqlite``, ``uses_postgresql``), in ascending order of grant ids, and
nothing that is refused takes another with it; where a whole batch fails, each is tried alone. A
withdrawal never rides along: closings have transactions of their own (DESIGN §7).

What is read of a grant before the conditional UPDATE only chooses what the UPDATE asks for. The
UPDATE decides: it repeats every condition, and that the acts on the grant are still those that
were read.
"""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from threading import Condition, Thread
from typing import Protocol

from consent.ledger.grant_row import Entry, GrantBody, HotRow

MAX_BATCH = 256
"""Uses in one transaction: it holds its rows for some tens of milliseconds at most, whatever comes in."""

MAX_WAITING = 8_192
"""Uses that wait for their turn; who comes beyond that is told to come again, and not kept in memory."""

FORGET_SECONDS = 5
"""How often what has expired is deleted: proofs and use requests are kept a little longer than they must be."""

SEEN_SECONDS = 60
"""A use request is remembered so much longer than it is valid: clocks of services differ."""

_log = logging.getLogger("atorga.consent")


class Refused(Enum):
    """Why a use was not written."""

    PROOF_SPENT = "the caller's proof was used before"
    REPLAYED = "the use request was used before"
    NOT_NOW = "the row forbids it, or has changed since it was read"
    NOT_ASKED = "who judged the grant asked for nothing"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the UPDATE shall find and do; ``act`` is the act number of what was read."""

    service: int
    holder: int
    purpose: int
    mask: int
    act: int


@dataclass(frozen=True, slots=True)
class SpentProof:
    """A caller proof (C1), single use also where the use is refused."""

    thumbprint: str
    jti: str
    expires: int


Outcome = HotRow | Refused | Exception
"""The row after the use; or why there was none."""


class Order(Protocol):
    """One use on its way. ``judge`` and ``entry`` are called in the lane's thread, inside the transaction."""

    @property
    def grant_id(self) -> bytes: ...

    @property
    def proof(self) -> SpentProof | None: ...

    @property
    def now(self) -> int: ...

    @property
    def jti(self) -> bytes: ...

    @property
    def request_hash(self) -> bytes: ...

    @property
    def expires(self) -> int: ...

    def judge(self, row: HotRow | None, body: GrantBody | None) -> Wanted | None:
        """What to ask of the row; None = nothing. May be called again with what is there by then."""
        ...

    def entry(self, row: HotRow) -> Entry:
        """The leaf and the sealed event, from the row after the use."""
        ...

    def done(self, outcome: Outcome) -> None:
        """After the commit. Must not hold the thread up."""
        ...


class UseStore(Protocol):
    """Uses of one database."""

    def write(self, orders: Sequence[Order]) -> list[Outcome]:
        """One durable transaction, in the order given, or an exception and nothing."""
        ...

    def forget(self, now: int) -> None:
        """Deletes proofs and use requests that have expired, in a transaction of its own."""
        ...

    def close(self) -> None: ...


class LaneFull(Exception):
    """More uses wait than are kept."""


class UseLane:
    """Runs between ``start`` and ``stop``; any thread may submit."""

    def __init__(self, store: UseStore, *, written: Callable[[], None]) -> None:
        """``written`` is called after each batch: there may be something to log."""
        self._store = store
        self._written = written
        self._waiting: deque[Order] = deque()
        self._turn = Condition()
        self._stopping = False
        self._thread: Thread | None = None
        self._forgot_at = 0

    def start(self) -> None:
        self._stopping = False
        self._thread = Thread(target=self._run, name="uses", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after what has been submitted."""
        with self._turn:
            self._stopping = True
            self._turn.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, order: Order) -> None:
        """Raises LaneFull."""
        with self._turn:
            if len(self._waiting) >= MAX_WAITING:
                raise LaneFull
            self._waiting.append(order)
            if len(self._waiting) == 1:
                self._turn.notify()

    def _run(self) -> None:
        try:
            while batch := self._next():
                self._write(batch)
                self._forget(batch[0].now)
        finally:
            self._store.close()

    def _next(self) -> list[Order]:
        """What waits, by grant id; empty at the end."""
        with self._turn:
            self._turn.wait_for(lambda: self._waiting or self._stopping)
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
        # Every process takes the rows in this order, so none waits for another in a circle.
        batch.sort(key=lambda order: order.grant_id)
        return batch

    def _write(self, batch: Sequence[Order]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = self._store.write(batch)
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is one use's own or nobody's
            if len(batch) == 1:
                outcomes = [fault]
            else:
                _log.warning("uses: a batch of %d failed (%s); each is tried alone", len(batch), type(fault).__name__)
                outcomes = [self._alone(order) for order in batch]
        self._written()
        for order, outcome in zip(batch, outcomes, strict=True):
            order.done(outcome)

    def _alone(self, order: Order) -> Outcome:
        try:
            return self._store.write([order])[0]
        except Exception as fault:  # noqa: BLE001  # its caller is told; the thread goes on
            return fault

    def _forget(self, now: int) -> None:
        if now < self._forgot_at + FORGET_SECONDS:
            return
        self._forgot_at = now
        try:
            self._store.forget(now)
        except Exception as fault:  # noqa: BLE001  # nothing depends on it
            _log.warning("uses: what has expired is kept for now (%s)", type(fault).__name__)
