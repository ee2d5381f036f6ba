"""How often one address may do what costs us something and proves nothing."""

from collections import OrderedDict, deque
from threading import Lock

from consent.door.subscriber import subscriber
from consent.errors import TooMany
from identity.clock import Clock

WINDOW_SECONDS = 60
MAX_ADDRESSES = 65_536
"""Remembered at a time: a few megabytes; the address unseen for longest is forgotten."""


class Allowance:
    """At most ``at_most`` in a minute for one address. Threads may share it."""

    def __init__(self, at_most: int, clock: Clock) -> None:
        self._at_most = at_most
        self._clock = clock
        self._turn = Lock()
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()

    def spend(self, address: str) -> None:
        """Raises TooMany."""
        now, address = self._clock(), subscriber(address)
        with self._turn:
            self._forget(now - WINDOW_SECONDS)
            times = self._seen.setdefault(address, deque())
            self._seen.move_to_end(address)
            while times and times[0] <= now - WINDOW_SECONDS:
                times.popleft()
            if len(times) >= self._at_most:
                raise TooMany(f"more than {self._at_most} in {WINDOW_SECONDS} s")
            times.append(now)
            while len(self._seen) > MAX_ADDRESSES:
                self._seen.popitem(last=False)

    def _forget(self, past: float) -> None:
        """Those not seen in the window: what is kept is what came within a minute, not all that ever came."""
        while self._seen and next(iter(self._seen.values()))[-1] <= past:
            self._seen.popitem(last=False)
