"""What the writer of the log tidies up beside its work: files that nobody needs, entries whose retention has ended."""

import logging
import time
from collections.abc import Callable
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError

from consent.errors import LogError
from consent.service.sequencer import Sequencer

PRUNE_SECONDS = 5.0
"""Little at a time: a busy log makes some thousand files a minute that are superseded at once."""

RETENTION_SECONDS = 600.0
"""How often entries are looked for whose retention has ended; it is counted in months."""

_log = logging.getLogger("atorga.consent")


class Housekeeping:
    """Runs in a thread of its own between ``start`` and ``stop``, and does something only where this process writes."""

    def __init__(self, sequencer: Sequencer, *, delete_due: Callable[[], object]) -> None:
        self._sequencer = sequencer
        self._delete_due = delete_due
        self._ended = Event()
        self._looked = float("-inf")
        self._thread: Thread | None = None

    def start(self) -> None:
        self._thread = Thread(target=self._run, name="log housekeeping", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def once(self) -> None:
        if not self._sequencer.writes:
            return
        try:
            self._sequencer.writer.prune()
            if time.monotonic() >= self._looked + RETENTION_SECONDS:
                self._delete_due()
                self._looked = time.monotonic()
        except (OSError, LogError, SQLAlchemyError) as fault:
            _log.error("log: it could not be tidied up (%s); trying again", type(fault).__name__)

    def _run(self) -> None:
        while not self._ended.wait(PRUNE_SECONDS):
            self.once()
