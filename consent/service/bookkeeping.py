"""What is done in rounds, beside all requests: expired grants, freezes that end, deletions that are due.

One process does it, the one that writes the log; every step is a conditional statement, so that
two would do no harm. Nothing here decides on a use: what a round has not written down yet is
refused all the same.
"""

import logging
from collections.abc import Callable, Sequence
from threading import Event, Thread

ROUND_SECONDS = 1.0

_log = logging.getLogger("atorga.consent")


class Bookkeeping:
    def __init__(
        self, rounds: Sequence[Callable[[], object]], *, leads: Callable[[], bool], seconds: float = ROUND_SECONDS
    ) -> None:
        """``leads``: whether this process is the one; ``seconds`` between two rounds."""
        self._rounds = tuple(rounds)
        self._seconds = seconds
        self._leads = leads
        self._stopped = Event()
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="bookkeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ends after the round in hand."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()

    def round(self) -> None:
        """Each step by itself: one that fails is tried again and holds up no other."""
        for step in self._rounds:
            try:
                step()
            except Exception as fault:  # noqa: BLE001  # whatever a step trips over, the others go on
                # The text of such a fault may quote a statement's values.
                _log.error("bookkeeping: a step failed (%s); trying again", type(fault).__name__)

    def _run(self) -> None:
        while not self._stopped.wait(self._seconds):
            if self._leads():
                self.round()
