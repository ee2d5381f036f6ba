"""Keeps status lists fresh from a thread of its own, for as long as a service runs."""

from threading import Event, Thread
from types import TracebackType
from typing import Self

from identity.status.checker import StatusChecker


class StatusSchedule:
    """``start`` when the service starts, ``stop`` when it ends; or a ``with`` statement.

    The first round runs at once in the thread: until it is done credentials with a status are
    refused as "unavailable".
    """

    def __init__(self, checker: StatusChecker) -> None:
        self._checker = checker
        self._stopped = Event()
        self._thread = Thread(target=self._run, name="status lists", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, timeout_seconds: float = 1.0) -> None:
        """Does not wait for an address that does not answer."""
        self._stopped.set()
        self._thread.join(timeout_seconds)

    def _run(self) -> None:
        while not self._stopped.is_set():
            self._stopped.wait(self._checker.refresh_due())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
