"""Daily roots of a data holder (ADR 0009, D9): one record for the leaf of every proven allow, whatever was released.

A day is ⌊leaf minute / 1440⌋. Its root is RFC 6962 over its records, in the order of leaf indexes:

    leaf index u64 ‖ kind u8 ‖ leaf id 16 ‖ counter u32        (big-endian)

The sum of all data holders' counts of a day is the number of its leaves of kinds 7 and 12: a use
that the log shows and no data holder counts, or the other way round, is somebody's lie.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, select, text

from consent import spec
from consent.holder.tables import leaf_record, stated_day
from consent.ledger.leaf import Kind
from consent.ledger.proof import VerifiedLeaf
from consent.log import merkle
from consent.signed_message import sign_by_kid
from identity.codec import base64url
from identity.keys.signer import Signer

MINUTES_A_DAY = 1_440
RECHECKED_DAYS = 8
"""Days whose count is compared again: a leaf is proven within minutes, and has the minute in which it was placed."""

DAY_SECONDS = 86_400

_LAYOUT = struct.Struct(">QB16sI")


@dataclass(frozen=True, slots=True)
class LeafRecord:
    """One proven allow. ``log`` is the origin of its log: each period counts its indexes anew."""

    log: str
    leaf_index: int
    day: int
    kind: Kind
    leaf_id: str
    counter: int

    @classmethod
    def of(cls, proven: VerifiedLeaf) -> "LeafRecord":
        leaf = proven.leaf
        return cls(
            proven.checkpoint.checkpoint.origin,
            proven.index,
            leaf.minute // MINUTES_A_DAY,
            leaf.kind,
            base64url.encode(leaf.id),
            leaf.counter,
        )

    def to_bytes(self) -> bytes:
        return _LAYOUT.pack(self.leaf_index, self.kind, base64url.decode(self.leaf_id), self.counter)

    def to_json(self) -> dict[str, Any]:
        return {
            "log": self.log,
            "leaf_index": self.leaf_index,
            "kind": int(self.kind),
            "id": self.leaf_id,
            "counter": self.counter,
        }


@dataclass(frozen=True, slots=True)
class DayRoot:
    """What a data holder states about one day."""

    day: int
    count: int
    root: str


def records_root(records: Sequence[LeafRecord]) -> str:
    """In the order given."""
    hashes = [merkle.leaf_hash(record.to_bytes()) for record in records]

    def subtree(level: int, index: int) -> bytes:
        return merkle.complete_root(hashes[index << level : (index + 1) << level])

    return base64url.encode(merkle.root(len(hashes), subtree))


def sign_root(stated: DayRoot, *, holder: str, consent: str, now: int, signer: Signer) -> str:
    """The body of ``POST /journal-roots``."""
    claims = {
        "iss": holder,
        "aud": consent,
        "iat": now,
        "day": stated.day,
        "count": stated.count,
        "root": stated.root,
    }
    return sign_by_kid(claims, signer, typ=spec.TYP_JOURNAL_ROOT)


def add(connection: Connection, record: LeafRecord) -> None:
    """As part of the caller's transaction; the same leaf again changes nothing."""
    connection.execute(
        _ADD,
        {
            "log": record.log,
            "leaf_index": record.leaf_index,
            "day": record.day,
            "kind": int(record.kind),
            "leaf_id": record.leaf_id,
            "counter": record.counter,
        },
    )


_ADD = text(
    "INSERT INTO leaf_record (log, leaf_index, day, kind, leaf_id, counter) "
    "VALUES (:log, :leaf_index, :day, :kind, :leaf_id, :counter) ON CONFLICT DO NOTHING"
)


class RecordStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of_day(self, day: int) -> list[LeafRecord]:
        """In the order in which they are hashed: a day with the change of a log's period has the older log first."""
        found = (
            select(leaf_record).where(leaf_record.c.day == day).order_by(leaf_record.c.log, leaf_record.c.leaf_index)
        )
        with self._engine.begin() as connection:
            rows = connection.execute(found).all()
        return [LeafRecord(row.log, row.leaf_index, row.day, Kind(row.kind), row.leaf_id, row.counter) for row in rows]

    def root_of(self, day: int) -> DayRoot:
        records = self.of_day(day)
        return DayRoot(day, len(records), records_root(records))

    def unstated(self, today: int) -> list[DayRoot]:
        """The days that are over and of which the consent service took no statement, or another one than now holds."""
        recent = today - RECHECKED_DAYS
        counted = (
            select(leaf_record.c.day, func.count())
            .where(leaf_record.c.day >= recent, leaf_record.c.day < today)
            .group_by(leaf_record.c.day)
        )
        with self._engine.begin() as connection:
            first = connection.execute(select(func.min(leaf_record.c.day))).scalar_one()
            counts: dict[int, int] = dict(connection.execute(counted).tuples().all())
            stated = dict(connection.execute(select(stated_day.c.day, stated_day.c.count)).tuples().all())
        if first is None:
            return []
        # Records are only ever added: a day whose count is what was stated has the root that was stated.
        return [
            self.root_of(day)
            for day in range(first, today)
            if day not in stated or (day >= recent and stated[day] != counts.get(day, 0))
        ]

    def state(self, taken: DayRoot, *, now: int) -> None:
        """The consent service took this statement."""
        with self._engine.begin() as connection:
            connection.execute(delete(stated_day).where(stated_day.c.day == taken.day))
            connection.execute(insert(stated_day).values(day=taken.day, count=taken.count, root=taken.root, at=now))
