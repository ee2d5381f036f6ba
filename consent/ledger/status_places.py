"""Places in status lists (ADR 0009, D7): random ones, each given once, by whatever process.

A list's places are counted and the count is shuffled by a permutation of its own, a Feistel network
over 20 bits: every number gives another place, and who sees some of them cannot tell the others. So
no place is ever tried in vain or given twice, and no row per grant remembers which are taken.
"""

from collections.abc import Callable
from hashlib import shake_256
from struct import Struct
from threading import Lock

from sqlalchemy import Engine, text

from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements
from identity.randomness import Random
from identity.status.spec import SHARD_ENTRIES

RESERVED_AT_ONCE = 256
"""By one process; what it does not use before it ends is never used."""

SECRET_BYTES = 32
ROUNDS = 8

_HALF_BITS = 10
_HALF = (1 << _HALF_BITS) - 1
_TABLE = Struct(f"<{1 << _HALF_BITS}H")
assert SHARD_ENTRIES == 1 << 2 * _HALF_BITS


class StatusPlaces:
    """Threads may share it. Numbers of lists begin with 1: a grant with place 0 is in none."""

    def __init__(self, engine: Engine, random: Random) -> None:
        self._engine = engine
        self._random = random
        self._turn = Lock()
        self._left: list[int] = []

    def take(self) -> int:
        """A place that nobody had: number of its list times the entries of a list, and its index in it."""
        with self._turn:
            if not self._left:
                self._left = self._reserve()
            return self._left.pop()

    def _reserve(self) -> list[int]:
        with self._engine.begin() as connection:
            lock(connection, b"status_list")
            found = connection.execute(
                text("SELECT number, next, secret FROM status_list ORDER BY number DESC LIMIT 1")
            ).first()
            if found is None or found[1] + RESERVED_AT_ONCE > SHARD_ENTRIES:
                number, first, secret = 1 if found is None else found[0] + 1, 0, self._random(SECRET_BYTES)
                connection.execute(
                    text(
                        "INSERT INTO status_list (number, next, secret, signed_at) VALUES (:number, :next, :secret, 0)"
                    ),
                    {"number": number, "next": RESERVED_AT_ONCE, "secret": secret},
                )
            else:
                number, first, secret = found[0], found[1], bytes(found[2])
                connection.execute(
                    text("UPDATE status_list SET next = :next WHERE number = :number"),
                    {"number": number, "next": first + RESERVED_AT_ONCE},
                )
        shuffled = permutation(secret)
        return [number * SHARD_ENTRIES + shuffled(first + at) for at in range(RESERVED_AT_ONCE)]


def close_lists(connection: Statements) -> None:
    """The next place is in a fresh list: which places of these were given out is not known any more."""
    connection.execute(text(f"UPDATE status_list SET next = {SHARD_ENTRIES}"), {})


class StatusListStore:
    """The signed lists as they are served, and what they are made from."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def token(self, number: int) -> str | None:
        with self._reader.begin() as connection:
            found: str | None = connection.execute(
                text("SELECT token FROM status_list WHERE number = :number"), {"number": number}
            ).scalar()
            return found

    def keep(self, number: int, token: str, *, signed_at: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                text("UPDATE status_list SET token = :token, signed_at = :signed_at WHERE number = :number"),
                {"token": token, "signed_at": signed_at, "number": number},
            )

    def numbers(self) -> list[int]:
        with self._reader.begin() as connection:
            return [int(row[0]) for row in connection.execute(text("SELECT number FROM status_list ORDER BY number"))]

    def signed_before(self, instant: int) -> list[int]:
        """Lists that are served and were signed before then."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT number FROM status_list WHERE token IS NOT NULL AND signed_at < :instant"),
                {"instant": instant},
            ).all()
        return [int(row[0]) for row in rows]

    def states(self, number: int) -> list[tuple[int, int]]:
        """(place, state) of this list's grants that are not simply given."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT status_index, state FROM grant_row "
                    "WHERE status_index >= :first AND status_index < :beyond AND state <> 1"
                ),
                {"first": number * SHARD_ENTRIES, "beyond": (number + 1) * SHARD_ENTRIES},
            ).all()
        return [(int(row[0]), int(row[1])) for row in rows]


def permutation(secret: bytes) -> Callable[[int], int]:
    """A one-to-one map of 0 … 2**20 - 1, which nobody without the secret can tell from another."""
    tables = [memoryview(shake_256(secret + bytes([turn])).digest(2 << _HALF_BITS)).cast("H") for turn in range(ROUNDS)]

    def permuted(count: int) -> int:
        left, right = count >> _HALF_BITS, count & _HALF
        for table in tables:
            left, right = right, left ^ (table[right] & _HALF)
        return left << _HALF_BITS | right

    return permuted
