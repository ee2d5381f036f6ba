"""A data holder's signed word about one day, as an auditor reads it (ADR 0009, D9).

    leaf index u64 ‖ kind u8 ‖ leaf id 16 ‖ counter u32        one record, big-endian

``root`` is RFC 6962 over a day's records in the order of their leaves. The auditor computes it with
its own few lines, not with the data holder's.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.ledger.leaf import Kind
from consent.log import merkle
from consent.signed_message import exact, reading, verify_by_kid
from identity.codec import base64url, members, strict_json
from identity.keys.public_key import PublicKey

MAX_ROOTS_BYTES = 16_777_216
"""Statements of about 600 bytes: a dozen data holders for five years."""

MAX_RECORDS_BYTES = 268_435_456
"""One day of one data holder: more than two million releases."""

COUNTED_KINDS = frozenset({Kind.USE, Kind.NOTICE})
"""Kinds of leaf behind which data may have left a register."""

_LAYOUT = struct.Struct(">QB16sI")
_ROOT = "journal root"
_RECORDS = "records of a day"


@dataclass(frozen=True, slots=True)
class JournalRoot:
    """A statement whose signature is the data holder's."""

    holder: str
    issued: int
    day: int
    count: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """One proven allow, by the leaf that proves it."""

    log: str
    """Origin of its log: each period counts its leaves anew."""
    leaf_index: int
    kind: int
    id: bytes
    counter: int

    def to_bytes(self) -> bytes:
        return _LAYOUT.pack(self.leaf_index, self.kind, self.id, self.counter)


@dataclass(frozen=True, slots=True)
class DayRecords:
    """What a data holder's operator hands out about one day; nothing in it is proven."""

    holder: str
    day: int
    records: tuple[Record, ...]

    @property
    def root(self) -> bytes:
        return root_of(self.records)


def root_of(records: Sequence[Record]) -> bytes:
    hashes = [merkle.leaf_hash(record.to_bytes()) for record in records]
    return merkle.root(
        len(hashes), lambda level, index: merkle.complete_root(hashes[index << level : (index + 1) << level])
    )


def verify_journal_root(compact: str, *, key_of: Callable[[str], PublicKey], consent: str | None = None) -> JournalRoot:
    """``key_of`` gives a data holder's registry key, or raises. Raises MessageError, SenderUnproven."""

    def key_for(claims: Mapping[str, Any]) -> PublicKey:
        return key_of(members.text(claims, "iss", what=_ROOT, max_length=spec.MAX_PARTY_ID))

    message = verify_by_kid(compact, key_for, typ=spec.TYP_JOURNAL_ROOT, what=_ROOT)
    claims = message.claims
    exact(claims, _ROOT, frozenset({"iss", "aud", "iat", "day", "count", "root"}))
    with reading(_ROOT):
        audience = members.text(claims, "aud", what=_ROOT, max_length=spec.MAX_PARTY_ID)
        stated = JournalRoot(
            holder=str(claims["iss"]),
            issued=members.integer(claims, "iat", what=_ROOT),
            day=members.integer(claims, "day", what=_ROOT),
            count=members.integer(claims, "count", what=_ROOT),
            root=base64url.decode(members.digest(claims, "root", what=_ROOT)),
        )
    if consent is not None and audience != consent:
        raise MessageError(f"{_ROOT}: for another consent service")
    return stated


def parse_roots(content: bytes) -> list[str]:
    """The answer of ``GET /journal-roots``: statements, unverified. Raises MessageError."""
    with reading(_ROOT):
        value = strict_json.parse_object(content, what=_ROOT, max_bytes=MAX_ROOTS_BYTES)
    exact(value, _ROOT, frozenset({"roots"}))
    roots = value["roots"]
    if not isinstance(roots, list) or not all(isinstance(one, str) for one in roots):
        raise MessageError(f"{_ROOT}: 'roots' must be a list of signed statements")
    return roots


def parse_records(content: bytes) -> DayRecords:
    """What ``atorga holder records DAY`` prints. Count and root in it are not read: they are computed here.

    Raises MessageError.
    """
    with reading(_RECORDS):
        value = strict_json.parse_object(content, what=_RECORDS, max_bytes=MAX_RECORDS_BYTES)
        exact(value, _RECORDS, frozenset({"holder", "day", "records"}), frozenset({"count", "root"}))
        rows = value["records"]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise MessageError(f"{_RECORDS}: 'records' must be a list of objects")
        return DayRecords(
            holder=members.text(value, "holder", what=_RECORDS, max_length=spec.MAX_PARTY_ID),
            day=members.integer(value, "day", what=_RECORDS),
            records=tuple(map(_record, rows)),
        )


def _record(row: dict[str, Any]) -> Record:
    exact(row, _RECORDS, frozenset({"log", "leaf_index", "kind", "id", "counter"}))
    return Record(
        log=members.text(row, "log", what=_RECORDS),
        leaf_index=members.integer(row, "leaf_index", what=_RECORDS),
        kind=members.integer(row, "kind", what=_RECORDS, minimum=1, maximum=len(Kind)),
        id=base64url.decode(members.identifier(row, "id", what=_RECORDS)),
        counter=members.integer(row, "counter", what=_RECORDS, maximum=0xFFFF_FFFF),
    )
