"""Entries for the log (WIRE C6, C15): a leaf that commits to an event, and the event sealed.

An entry of a grant is made inside the transaction of its act, from the row after it: only then is
the counter known. Event and salt leave this file sealed; ``Written`` holds them in clear for the
answer to a use, which is kept in memory only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.grant.opening import seal_event
from consent.ledger.codes import Codes
from consent.ledger.event import SALT_BYTES, Event, commitment, make_event
from consent.ledger.grant_row import Entry, HotRow
from consent.ledger.leaf import COUNTED, Kind, Leaf, end_day
from identity.codec import base64url, strict_json
from identity.keys.agreement import AgreementPublicKey
from identity.randomness import Random

ID_BYTES = 16

WITH_RECEIPT = COUNTED - {Kind.USE, Kind.ERASE}
"""What a resident gets a receipt of: acts on a grant. Uses stand on the timeline, each with its leaf."""

NOBODY = Codes(0, 0)
"""A leaf that names neither service nor purpose."""

_STATE = frozenset({Kind.GRANT, Kind.AMEND})
"""Their leaves tell the state after them: mask, end day, maximum."""


@dataclass(frozen=True, slots=True)
class Written:
    entry: Entry
    event: Event
    salt: bytes


@dataclass(frozen=True, slots=True)
class Names:
    """What events of a grant say in words and its leaves in numbers, and to whom they are sealed."""

    service: str
    purpose: str
    opening_key: bytes
    leaf_codes: bytes | None
    """Of its kind-3 leaf, as stored with the grant; None = the row's own numbers."""

    def codes(self, row: HotRow) -> Codes:
        return Codes(row.service, row.purpose) if self.leaf_codes is None else Codes.from_bytes(self.leaf_codes)


class EntryMaker:
    def __init__(self, random: Random) -> None:
        self._random = random

    def of_grant(
        self, kind: Kind, row: HotRow, names: Names, *, at: int, mask: int | None = None, **more: Any
    ) -> Written:
        """An entry about the grant in ``row``; ``at`` in milliseconds; ``more`` are the event's own members.

        ``mask`` is what a use used; in kinds that tell the state it is the row's.
        """
        counter = row.counter if kind in COUNTED else None
        grant_id = base64url.encode(row.grant_id)
        event = make_event(
            kind,
            at_milliseconds=at,
            grant_id=grant_id,
            counter=counter,
            service=names.service,
            purpose=names.purpose,
            **more,
        )
        salt = self._random(SALT_BYTES)
        codes = names.codes(row)
        leaf = Leaf(
            kind=kind,
            flags=codes.flags,
            id=row.grant_id,
            counter=counter or 0,
            service=codes.service,
            purpose=codes.purpose,
            minute=0,
            mask=row.mask if kind in _STATE else mask or 0,
            end_day=end_day(row.not_after) if kind in _STATE else 0,
            max_uses=row.max_uses if kind in _STATE else 0,
            commitment=commitment(event, salt),
        )
        sealed = seal_event(
            AgreementPublicKey(names.opening_key), leaf_id=grant_id, counter=counter or 0, event=event, salt=salt
        )
        receipt_id = self._random(ID_BYTES) if kind in WITH_RECEIPT else None
        return Written(Entry(kind, leaf.to_bytes(), sealed, receipt_id=receipt_id, at=at), event, salt)

    def unlinked(self, kind: Kind, *, at: int, service: str, purpose: str, codes: Codes, **more: Any) -> Entry:
        """A request or refusal: under a fresh id, to the day, and under its group's code (DESIGN §8).

        Nobody holds its salt: there is no key yet to which it could be sealed.
        """
        event = make_event(kind, at_milliseconds=at, service=service, purpose=purpose, **more)
        return Entry(kind, self._leaf(kind, event, self._random(SALT_BYTES), codes), None)

    def public(self, kind: Kind, *, at: int, **more: Any) -> Entry:
        """A declaration: event and salt are kept open, since everybody may read it anyway."""
        event = make_event(kind, at_milliseconds=at, **more)
        salt = self._random(SALT_BYTES)
        opened: Mapping[str, Any] = {"event": event, "salt": base64url.encode(salt)}
        leaf = self._leaf(kind, event, salt, NOBODY)
        return Entry(kind, leaf, None, opened=strict_json.compact(opened).decode())

    def _leaf(self, kind: Kind, event: Event, salt: bytes, codes: Codes) -> bytes:
        leaf = Leaf(
            kind=kind,
            flags=codes.flags,
            id=self._random(ID_BYTES),
            counter=0,
            service=codes.service,
            purpose=codes.purpose,
            minute=0,
            mask=0,
            end_day=0,
            max_uses=0,
            commitment=commitment(event, salt),
        )
        return leaf.to_bytes()
