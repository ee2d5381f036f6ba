"""A restored copy of the database catches up with its log: what it lacks is read from the entry bundles (DESIGN §8).

Only while this process has the log's turn, before anything is placed or served. A copy with another
history than the log's is no copy, and takes in nothing.
"""

import logging

from consent.errors import LogError
from consent.ledger.events import EventStore
from consent.ledger.restoring import Restoring
from consent.log.writer import LogWriter
from consent.service.periods import Periods
from identity.clock import Clock

RUN = 1_024
"""Leaves taken in within one transaction."""

_log = logging.getLogger("atorga.consent")


class CatchingUp:
    def __init__(self, events: EventStore, periods: Periods, restoring: Restoring, clock: Clock) -> None:
        self._events = events
        self._periods = periods
        self._restoring = restoring
        self._clock = clock

    def __call__(self, writer: LogWriter) -> None:
        """Raises LogError where the database has another history, OSError where entries are gone."""
        place, end = self._events.size(), self._periods.first + writer.size
        if place >= end:
            return
        _log.critical("log: the database lacks %d entries that were signed; taking them in", end - place)
        self._require_same_history(place, writer)
        self._periods.adopt()
        self._restoring.skip_given_out()
        lost = 0
        while place < end:
            leaves = self._periods.leaves(place, writer, at_most=RUN)
            taken = self._restoring.take_in(place, leaves, now=int(self._clock()))
            place += taken.leaves
            lost += taken.lost
        _log.critical("log: taken in; %d entries are of grants, declarations or oppositions whose text is lost", lost)

    def _require_same_history(self, place: int, writer: LogWriter) -> None:
        if not place:
            return
        (stored,) = self._events.leaves_from(place - 1, at_most=1)
        if self._periods.leaves(place - 1, writer, at_most=1)[0] != stored:
            raise LogError(f"entry {place - 1} of the database is not the one in the log")
