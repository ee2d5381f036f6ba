"""Where the newest leaves of the log stand, and who waits for them: one place for all threads of a process."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from threading import Condition

KEPT_PLACES = 8_192
"""Places of the newest leaves, for whoever comes to ask just after: more than any batch has."""

Key = tuple[bytes, int]
"""Grant id and counter."""

Listener = Callable[[Mapping[Key, int]], None]
"""Gets the places of a batch once its checkpoint is durable; nothing at all where the log stops."""


class LogNews:
    """The thread of the log tells, the others wait."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._places: OrderedDict[Key, int] = OrderedDict()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """``listener`` is called in the thread of the log, which it must not hold up."""
        self._listeners = (*self._listeners, listener)

    def tell(self, first: int, leaves: Sequence[bytes]) -> None:
        """These leaves, the first at index ``first``, are under a signed checkpoint."""
        placed = {(leaf[4:20], int.from_bytes(leaf[20:24], "big")): first + at for at, leaf in enumerate(leaves)}
        with self._changed:
            self._places.update(placed)
            while len(self._places) > KEPT_PLACES:
                self._places.popitem(last=False)
            self._changed.notify_all()
        for listener in self._listeners:
            listener(placed)

    def end(self) -> None:
        """Nothing more will be told."""
        self.nudge()
        for listener in self._listeners:
            listener({})

    def nudge(self) -> None:
        """Whoever waits looks again."""
        with self._changed:
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Until it holds, looked at whenever there are news, or for so long; whether it does."""
        with self._changed:
            return self._changed.wait_for(condition, seconds)

    def place_of(self, key: Key, *, seconds: float, given_up: Callable[[], bool]) -> int | None:
        """The index of this leaf, where it comes in time or came lately."""
        with self._changed:
            self._changed.wait_for(lambda: key in self._places or given_up(), seconds)
            return self._places.get(key)
