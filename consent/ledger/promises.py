"""Whether log promises were kept: whoever holds one looks for its leaf (WIRE C5)."""

from collections import Counter
from collections.abc import Sequence

from consent.errors import LogError, MessageError
from consent.ledger.findings import Invariant, Tally
from consent.ledger.leaf import Leaf
from consent.ledger.promise import Promise, verify_promise
from consent.log import period
from consent.log.note import NoteKey
from consent.signed_message import reading
from identity.codec import members
from identity.envelope import jws

MAX_PROMISES = 100_000
"""More than anybody holds; a file of them is read into memory."""

_WHAT = "log promise"


class PromiseWatch:
    """Looks for the leaves of promises while a log is read."""

    def __init__(self, promises: Sequence[Promise]) -> None:
        self._promises = promises
        self._found: dict[int, Leaf] = {}
        self._by_id: dict[bytes, list[int]] = {}
        for number, promise in enumerate(promises):
            self._by_id.setdefault(promise.leaf.id, []).append(number)
        self.counts: Counter[str] = Counter()
        self.spare: Counter[int] = Counter()
        """Minutes between a leaf and the time by which it was due; below zero where it came late."""

    @property
    def ids(self) -> "frozenset[bytes]":
        return frozenset(self._by_id)

    def see(self, entry: bytes) -> None:
        """A leaf of an id that some promise names."""
        try:
            leaf = Leaf.from_bytes(entry)
        except LogError:
            # What is no leaf is a finding of its own.
            return
        for number in self._by_id[leaf.id]:
            if number not in self._found and self._promises[number].is_kept_by(leaf):
                self._found[number] = leaf

    def settle(self, tally: Tally, *, now: int) -> None:
        """After the last leaf. A promise that is not due yet is no finding, and is counted apart."""
        for number, promise in enumerate(self._promises):
            leaf = self._found.get(number)
            # The due time is in seconds, a leaf's minute has begun by then.
            if leaf is not None and leaf.minute * 60 <= promise.due:
                state = "kept"
            elif leaf is not None:
                state = "late"
            else:
                state = "broken" if now > promise.due else "pending"
            self.counts[state] += 1
            if leaf is not None:
                self.spare[promise.due // 60 - leaf.minute] += 1
            if state == "pending":
                continue
            found = leaf.minute if leaf is not None else promise.leaf.id.hex()
            held = state == "kept"
            tally.check(Invariant.PROMISES, held, f"promise-{state}", None, found, promise.due // 60)


def read_promises(text: str, key: NoteKey) -> list[Promise]:
    """Promises, one a line, of the log of this key in whichever period. Raises LogError, MessageError."""
    lines = text.split()
    if len(lines) > MAX_PROMISES:
        raise LogError(f"{_WHAT}: more than {MAX_PROMISES}")
    return [_read(line, key) for line in lines]


def _read(compact: str, key: NoteKey) -> Promise:
    with reading(_WHAT):
        claims = jws.parse(compact, what=_WHAT, max_bytes=1_024).claims(what=_WHAT)
        origin = members.text(claims, "log", what=_WHAT)
    if not period.same_log(origin, key.name):
        raise MessageError(f"{_WHAT}: of another log")
    return verify_promise(compact, key.renamed(origin).format())
