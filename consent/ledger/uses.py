"""The lane of uses: each process decides and writes them one batch after the other, many in one transaction.

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
    """One use on its way. ``judge`` and ``entry`` are called by the lane, inside the transaction."""

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
        """After the commit. Must not hold the lane up."""
        ...


class LaneFull(Exception):
    """More uses wait than are kept."""


class UseLane(Protocol):
    """Decides and writes what is submitted between ``start`` and ``stop``."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Ends after what has been submitted."""
        ...

    def submit(self, order: Order) -> None:
        """Raises LaneFull."""
        ...


class Waiting:
    """Orders that wait for their turn. Threads may share it."""

    def __init__(self) -> None:
        self._orders: deque[Order] = deque()

    def __len__(self) -> int:
        return len(self._orders)

    def add(self, order: Order) -> None:
        if len(self._orders) >= MAX_WAITING:
            raise LaneFull
        self._orders.append(order)

    def take(self) -> list[Order]:
        """The next batch, by grant id: every process takes the rows in this order, so none waits for another
        in a circle."""
        batch = [self._orders.popleft() for _ in range(min(len(self._orders), MAX_BATCH))]
        batch.sort(key=lambda order: order.grant_id)
        return batch


class Forgetting:
    """When it is time to delete what has expired."""

    def __init__(self) -> None:
        self._at = 0

    def is_due(self, now: int) -> bool:
        due = now >= self._at + FORGET_SECONDS
        if due:
            self._at = now
        return due


def note_failure(batch: Sequence[Order], fault: Exception) -> None:
    # The text of such a fault may quote a statement's values.
    _log.warning("uses: a batch of %d failed (%s)", len(batch), type(fault).__name__)


class UseStore(Protocol):
    """Uses of one database, for a thread."""

    def write(self, orders: Sequence[Order]) -> list[Outcome]:
        """One durable transaction, in the order given, or an exception and nothing."""
        ...

    def forget(self, now: int) -> None:
        """Deletes proofs and use requests that have expired, in a transaction of its own."""
        ...


class ThreadLane:
    """A lane in a thread of its own: for a database that makes whoever writes wait for its disk."""

    def __init__(self, store: UseStore, *, written: Callable[[], None]) -> None:
        """``written`` is called after each batch: there may be something to log."""
        self._store = store
        self._written = written
        self._waiting = Waiting()
        self._turn = Condition()
        self._stopping = False
        self._thread: Thread | None = None
        self._forgetting = Forgetting()

    def start(self) -> None:
        self._stopping = False
        self._thread = Thread(target=self._run, name="uses", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        with self._turn:
            self._stopping = True
            self._turn.notify()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def submit(self, order: Order) -> None:
        with self._turn:
            self._waiting.add(order)
            if len(self._waiting) == 1:
                self._turn.notify()

    def _run(self) -> None:
        while batch := self._next():
            self._write(batch)
            if self._forgetting.is_due(batch[0].now):
                self._forget(batch[0].now)

    def _next(self) -> list[Order]:
        """What waits; empty at the end."""
        with self._turn:
            self._turn.wait_for(lambda: len(self._waiting) or self._stopping)
            return self._waiting.take()

    def _write(self, batch: Sequence[Order]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = self._store.write(batch)
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is one use's own or nobody's
            note_failure(batch, fault)
            outcomes = [fault] if len(batch) == 1 else [self._alone(order) for order in batch]
        self._written()
        for order, outcome in zip(batch, outcomes, strict=True):
            order.done(outcome)

    def _alone(self, order: Order) -> Outcome:
        try:
            return self._store.write([order])[0]
        except Exception as fault:  # noqa: BLE001  # its caller is told; the thread goes on
            return fault

    def _forget(self, now: int) -> None:
        try:
            self._store.forget(now)
        except Exception as fault:  # noqa: BLE001  # nothing depends on it
            _log.warning("uses: what has expired is kept for now (%s)", type(fault).__name__)
