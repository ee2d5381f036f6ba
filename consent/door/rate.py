"""A cap per address and minute, in this process's memory: noting costs a row for a year, and anybody may ask for it."""

from threading import Lock

from consent.door.subscriber import subscriber
from identity.clock import Clock

MAX_ADDRESSES = 10_000
"""Addresses counted in one minute; beyond that all further ones share one count, so memory stays bounded."""


class PerMinute:
    def __init__(self, limit: int, clock: Clock) -> None:
        self._limit = limit
        self._clock = clock
        self._lock = Lock()
        self._minute = 0
        self._counts: dict[str, int] = {}

    def take(self, address: str) -> bool:
        """True while the address has not used up its minute."""
        address = subscriber(address)
        with self._lock:
            minute = int(self._clock()) // 60
            if minute != self._minute:
                self._minute, self._counts = minute, {}
            if address not in self._counts and len(self._counts) >= MAX_ADDRESSES:
                address = ""
            count = self._counts.get(address, 0)
            self._counts[address] = count + 1
            return count < self._limit
