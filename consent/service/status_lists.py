"""Status lists of grants (ADR 0009, D7): two bits each, signed again only when one of them has changed."""

from collections.abc import Iterable

from consent.errors import NotKnown
from consent.grant.lifecycle import State
from consent.ledger.status_places import StatusListStore
from consent.service.operator import Operator
from identity.status import spec
from identity.status.status_list import StatusList
from identity.status.token import sign_status_list

BITS = 2

USABLE, ENDED, PAUSED = spec.VALID, spec.INVALID, spec.SUSPENDED

LIFE_SECONDS = 24 * 3_600
RENEWED_SECONDS = 12 * 3_600
"""A list in which nothing changes is signed again before anybody refuses it for its age."""

TTL_SECONDS = 10
"""How long a copy may be believed: what has to be known sooner is asked."""

MAX_NUMBER = 2_047
"""A place fits 31 bits."""


class StatusLists:
    """Used by one thread of the process that writes the log; ``token`` by everybody."""

    def __init__(self, operator: Operator, store: StatusListStore) -> None:
        self._operator = operator
        self._store = store
        self._lists: dict[int, StatusList] = {}
        self._dirty: set[int] = set()

    def token(self, number: str) -> str:
        """Raises NotKnown."""
        found = None
        if number.isascii() and number.isdecimal() and len(number) <= 4 and 1 <= int(number) <= MAX_NUMBER:
            found = self._store.token(int(number))
        if found is None:
            raise NotKnown("unknown_list")
        return found

    def uri(self, place: int) -> str:
        return f"{self._operator.url}/status/{place // spec.SHARD_ENTRIES}"

    @staticmethod
    def index(place: int) -> int:
        return place % spec.SHARD_ENTRIES

    def begin(self) -> None:
        """This process writes from now on: another may have stopped between an act and its list."""
        self._lists.clear()
        self._dirty.clear()
        for number in self._store.numbers():
            self._load(number)
            self._sign(number)

    def take_in(self, changes: Iterable[tuple[int, int]]) -> None:
        """(place, state) of what has changed; ``sign`` makes it seen."""
        for place, state in changes:
            number, value = place // spec.SHARD_ENTRIES, value_of(state)
            if not number:
                continue
            if number not in self._lists:
                self._load(number)
                self._dirty.add(number)
            statuses, index = self._lists[number], self.index(place)
            if statuses.get(index) != value:
                statuses.set(index, value)
                self._dirty.add(number)

    def sign(self) -> None:
        """The lists in which something has changed."""
        while self._dirty:
            self._sign(min(self._dirty))

    def renew(self) -> None:
        """Lists that nobody changed for long."""
        for number in self._store.signed_before(self._operator.now - RENEWED_SECONDS):
            if number not in self._lists:
                self._load(number)
            self._sign(number)

    def _load(self, number: int) -> None:
        statuses = StatusList(BITS, spec.SHARD_ENTRIES)
        for place, state in self._store.states(number):
            statuses.set(self.index(place), value_of(state))
        self._lists[number] = statuses

    def _sign(self, number: int) -> None:
        now = self._operator.now
        token = sign_status_list(
            self._lists[number],
            uri=f"{self._operator.url}/status/{number}",
            signer=self._operator.signer,
            x5c=(),
            iat=now,
            exp=now + LIFE_SECONDS,
            ttl=TTL_SECONDS,
        )
        self._store.keep(number, token, signed_at=now)
        self._dirty.discard(number)


def value_of(state: int) -> int:
    if state == State.GIVEN:
        return USABLE
    return PAUSED if state == State.PAUSED else ENDED
