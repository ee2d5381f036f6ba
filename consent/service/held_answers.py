"""First answers to uses, in memory only (WIRE C4, C15): a data holder whose connection broke asks again.

They hold event and salt in clear, so they never reach a disk; after a restart a repeat is refused.
"""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

MAX_HELD = 16_384
"""A few seconds of uses; the oldest is forgotten, and its repeat refused."""


@dataclass(frozen=True, slots=True)
class HeldAnswer:
    request_hash: str
    grant_id: bytes
    mask: int
    answer: str
    release_before: int
    act: int = 0
    """The grant's act number then: what was narrowed since is not given out as it was."""


class HeldAnswers:
    """By (number of the service, jti). Threads may share it."""

    def __init__(self) -> None:
        self._turn = Lock()
        self._held: OrderedDict[tuple[int, str], HeldAnswer] = OrderedDict()

    def hold(self, service: int, jti: str, held: HeldAnswer, *, now: int) -> None:
        with self._turn:
            while self._held and (len(self._held) >= MAX_HELD or self._first().release_before <= now):
                self._held.popitem(last=False)
            self._held[service, jti] = held

    def find(self, service: int, jti: str, *, now: int) -> HeldAnswer | None:
        """While it may still be released on."""
        with self._turn:
            held = self._held.get((service, jti))
            return held if held is not None and now < held.release_before else None

    def _first(self) -> HeldAnswer:
        return next(iter(self._held.values()))
