"""What the writer of the log does: places, then tiles, then the checkpoint, then whoever waits is told.

Only by one thread at a time, while its process has the log's turn: the lock on its folder and, where
the database is shared, the database's lock as well.
"""

from collections.abc import Sequence

from consent.errors import LogInUse
from consent.ledger.events import EventStore
from consent.ledger.log_turn import LogTurn
from consent.ledger.placing import Placing
from consent.log.bells import Bells
from consent.log.writer import LogWriter
from consent.service.log_news import KEPT_PLACES, LogNews
from identity.clock import Clock


class TurnLost(Exception):
    """The database's session has ended, and the turn with it: another process may have it."""


class LogWork:
    """``first`` is the place of the log's first leaf."""

    def __init__(
        self,
        events: EventStore,
        placing: Placing,
        writer: LogWriter,
        *,
        turn: LogTurn,
        bells: Bells,
        news: LogNews,
        clock: Clock,
        first: int,
    ) -> None:
        self._events = events
        self._placing = placing
        self._writer = writer
        self._turn = turn
        self._bells = bells
        self._news = news
        self._clock = clock
        self._first = first

    def take(self) -> bool:
        """Whether this process has the turn now. Raises LogError, and what disk and database raise."""
        if not self._turn.take():
            return False
        try:
            if self._writer.writes:
                # An earlier attempt failed at the disk or the database: what of it is there?
                self._writer.reopen()
            self._writer.take()
        except LogInUse:
            self._turn.release()
            return False
        return True

    def release(self) -> None:
        """Gives the turn back."""
        self._writer.close()
        self._placing.end()
        self._turn.release()

    def recover(self) -> None:
        """The files up to the database; whoever waits for what came so is told as well. Raises LogError."""
        before = self._writer.size
        self._placing.begin()
        self._writer.recover(
            lambda index: self._events.leaves_from(self._first + index), self._events.size() - self._first
        )
        if self._writer.size > before:
            self.tell_of(before)

    def reopen(self) -> None:
        """After a failed write: looks what of it is there, and goes on from there. Raises TurnLost, LogError."""
        if not self._turn.keeps():
            raise TurnLost
        self._writer.reopen()
        self.recover()
        self._bells.ring_others()

    def batch(self) -> int:
        """One batch; returns how many leaves. Raises TurnLost."""
        if not self._turn.keeps():
            raise TurnLost
        placed = self._placing.place(now=int(self._clock() * 1000))
        if not placed.leaves:
            return 0
        leaves: Sequence[bytes] = placed.leaves
        if placed.first != self._first + self._writer.size:
            leaves = self._events.leaves_from(self._first + self._writer.size)
        first = self._writer.append(leaves)
        self._news.tell(first, leaves)
        self._bells.ring_others()
        return len(leaves)

    def tell_of(self, before: int) -> None:
        """What the log has beyond ``before``; of very much, the newest."""
        size = self._writer.size
        first = max(before, size - KEPT_PLACES)
        self._news.tell(first, self._writer.entries(first, size))
