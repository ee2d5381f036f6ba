"""Who waits for a leaf without a thread of its own: told once a batch, in the thread of the log."""

from collections.abc import Mapping
from typing import Protocol

from consent.service.log_news import Key
from consent.service.sequencer import Sequencer


class LeafWaiter(Protocol):
    def logged(self, index: int) -> None:
        """The leaf is durable under a signed checkpoint. Called in the thread of the log."""
        ...


class LeafWaiters:
    """Register before the commit: a leaf that is logged at once finds who waits for it. Threads may share it."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._waiters: dict[Key, LeafWaiter] = {}
        sequencer.listen(self._tell)

    def expect(self, key: Key, waiter: LeafWaiter) -> None:
        self._waiters[key] = waiter

    def forget(self, key: Key, waiter: LeafWaiter) -> None:
        if self._waiters.get(key) is waiter:
            del self._waiters[key]

    def _tell(self, places: Mapping[Key, int]) -> None:
        # One look-up a leaf, whoever wrote it: other processes' leaves come by here too.
        for key, index in places.items():
            waiter = self._waiters.pop(key, None)
            if waiter is not None:
                waiter.logged(index)
