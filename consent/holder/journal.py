"""The release journal: one row a use, written in the transaction that decides on the release.

A release happens once per use and once per use request: the row is there before the answer leaves.
A use that was allowed and released nothing has a row without attributes. The journal holds names of
attributes, never their values. The resident reads it over a link; its Merkle root (RFC 6962 over
the JCS form of each entry, oldest first) lets two readings be compared.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, insert, or_, select

from consent.door.effect import withdrawn
from consent.door.store import KnownGrant, find, kept_for, learn
from consent.errors import MessageError, StaleMessage
from consent.grant.use import Reason
from consent.holder import records, told_acts
from consent.holder.first_value import NOTHING_HELD, VALUE_CHANGED, HeldValues, changed
from consent.holder.limits import Limits
from consent.holder.records import LeafRecord
from consent.holder.tables import release, stored_answer
from consent.log import merkle
from identity.clock import Clock
from identity.codec import base64url, jcs

RELEASED = "released"
WITHDRAWN = "withdrawn"
SUBJECT_MISMATCH = "subject_mismatch"
REGISTER_FAULT = "register_unavailable"
KEYED_HASH_FAULT = "keyed_hash_unavailable"


@dataclass(frozen=True, slots=True)
class Use:
    """A proven use that waits for its release."""

    use_id: str
    use_request_hash: str
    grant: KnownGrant
    service: str
    """Who asked: the grant's service, or another one that its accreditation admits."""
    counter: int
    row_key: str
    asked: tuple[str, ...]
    at: int
    """When the consent service counted it (the event's time)."""
    release_before: int
    expires: int
    """Until when the stored answer may be asked for again."""
    leaf: LeafRecord
    resolutions: Mapping[str, str] = field(default_factory=dict)
    """Attribute → the resolution that was allowed."""
    orders: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute → its declared resolutions, finest first."""


@dataclass(frozen=True, slots=True)
class JournalEntry:
    use_id: str
    grant_id: str
    counter: int
    time: int
    service: str
    attributes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "use_id": self.use_id,
            "grant_id": self.grant_id,
            "counter": self.counter,
            "time": self.time,
            "service": self.service,
            "attributes": list(self.attributes),
        }


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the journal says of a use request."""

    grant_id: str
    outcome: str
    answer: str | None
    """The body, sealed to the service, until the use request's end."""
    reasons: tuple[Reason, ...] = ()
    """Why nothing may leave, whatever the consent service said."""


def journal_root(entries: list[JournalEntry]) -> str:
    hashes = [merkle.leaf_hash(jcs.canonicalize(entry.to_json())) for entry in entries]

    def subtree(level: int, index: int) -> bytes:
        return merkle.complete_root(hashes[index << level : (index + 1) << level])

    return base64url.encode(merkle.root(len(hashes), subtree))


class Journal:
    """Each method is one transaction."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def record(
        self, use: Use, limits: Limits, *, outcome: str, answer: str | None, held: HeldValues = NOTHING_HELD
    ) -> Recorded:
        """Records a use once; its answer may leave after this returned it.

        Raises MessageError where another use took its place, StaleMessage where its time is over. Its
        leaf is recorded for the day's root in any case: it is in the log.

        1. The same use request again: what was recorded first.
        2. One grant has one id; one use id and one counter of a grant name one use.
        3. Withdrawals that came to this door refuse, whatever the consent service says.
        4. So do pauses and amendments that came here.
        5. So do the limits that the resident signed, counted here.
        6. A value that must not change has not changed.
        7. There is still time.
        """
        try:
            return self._record(use, limits, outcome, answer, held)
        except (MessageError, StaleMessage):
            with self._engine.begin() as connection:
                records.add(connection, use.leaf)
            raise

    def _record(self, use: Use, limits: Limits, outcome: str, answer: str | None, held: HeldValues) -> Recorded:
        grant_id = use.grant.grant_id
        with self._engine.begin() as connection:
            now = self._clock()
            connection.execute(delete(stored_answer).where(stored_answer.c.expires <= int(now)))
            records.add(connection, use.leaf)
            # 1
            if (before := recorded(connection, use.use_request_hash)) is not None:
                return before
            # 2
            kept = learn(connection, use.grant)
            _require_unused(connection, use)
            told = told_acts.told(connection, grant_id, use.grant.thumbprint)
            # 3
            if names := withdrawn(use.asked, kept):
                reasons = tuple(Reason(WITHDRAWN, name) for name in names)
                return _insert(connection, use, Recorded(grant_id, WITHDRAWN, None, reasons), int(now))
            # 4
            if reasons := told.refusals(use.asked, now=int(now)) or told.too_fine(use.resolutions, use.orders):
                return _insert(connection, use, Recorded(grant_id, reasons[0].code, None, reasons), int(now))
            # 5
            if over := told.limits(limits).over(connection, grant_id, at=use.at):
                return _insert(connection, use, Recorded(grant_id, over, None), int(now))
            # 6
            if outcome == RELEASED and (names := changed(connection, grant_id, use.row_key, held, now=int(now))):
                reasons = tuple(Reason(VALUE_CHANGED, name) for name in names)
                return _insert(connection, use, Recorded(grant_id, VALUE_CHANGED, None, reasons), int(now))
            # 7
            if now >= use.release_before:
                raise StaleMessage("allow: release_before has passed")
            return _insert(connection, use, Recorded(grant_id, outcome, answer), int(now))

    def find(self, use_request_hash: str) -> Recorded | None:
        """What was recorded of this use request; a withdrawal or a pause since then refuses."""
        with self._engine.begin() as connection:
            now = int(self._clock())
            connection.execute(delete(stored_answer).where(stored_answer.c.expires <= now))
            found = recorded(connection, use_request_hash)
            if found is None:
                return None
            asked = select(release.c.attributes).where(release.c.use_request_hash == use_request_hash)
            names = json.loads(connection.execute(asked).scalar_one())
            grant = find(connection, found.grant_id)
            return replace(found, reasons=_reasons(connection, grant, names, now))

    def refused(self, grant_id: str, service: str, asked: Sequence[str]) -> tuple[Reason, ...]:
        """Reasons known here without asking anybody; none where the grant is not known as this service's."""
        with self._engine.begin() as connection:
            grant = find(connection, grant_id)
            if grant is None or grant.service != service:
                return ()
            return _reasons(connection, grant, asked, int(self._clock()))

    def of_row(self, row_key: str) -> list[JournalEntry]:
        """What the resident of this row may see now, in the order in which it came to be seen."""
        shown = (
            select(release)
            .where(release.c.row_key == row_key, release.c.shown_at <= int(self._clock()))
            .order_by(release.c.shown_at, release.c.number)
        )
        with self._engine.begin() as connection:
            return [_entry(row) for row in connection.execute(shown)]


def recorded(connection: Connection, request_hash: str) -> Recorded | None:
    """What stands under this request, as part of the caller's transaction."""
    found = (
        select(release.c.grant_id, release.c.outcome, stored_answer.c.answer)
        .join_from(
            release,
            stored_answer,
            stored_answer.c.use_request_hash == release.c.use_request_hash,
            isouter=True,
        )
        .where(release.c.use_request_hash == request_hash)
    )
    row = connection.execute(found).first()
    return None if row is None else Recorded(row.grant_id, row.outcome, row.answer)


def keep_answer(connection: Connection, request_hash: str, answer: str, *, expires: int) -> None:
    connection.execute(insert(stored_answer).values(use_request_hash=request_hash, answer=answer, expires=expires))


def _reasons(connection: Connection, grant: KnownGrant | None, asked: Sequence[str], now: int) -> tuple[Reason, ...]:
    if grant is None:
        return ()
    kept = kept_for(connection, grant.grant_id, grant.thumbprint)
    if names := withdrawn(asked, kept):
        return tuple(Reason(WITHDRAWN, name) for name in names)
    return told_acts.told(connection, grant.grant_id, grant.thumbprint).refusals(asked, now=now)


def _require_unused(connection: Connection, use: Use) -> None:
    taken = select(release.c.number).where(
        or_(
            release.c.use_id == use.use_id,
            and_(release.c.grant_id == use.grant.grant_id, release.c.counter == use.counter),
        )
    )
    if connection.execute(taken).first() is not None:
        raise MessageError("allow: its use id or counter belongs to another use")


def _insert(connection: Connection, use: Use, said: Recorded, now: int) -> Recorded:
    connection.execute(
        insert(release).values(
            use_id=use.use_id,
            use_request_hash=use.use_request_hash,
            grant_id=use.grant.grant_id,
            counter=use.counter,
            service=use.service,
            row_key=use.row_key,
            at=now,
            attributes=json.dumps(list(use.asked) if said.outcome == RELEASED else []),
            outcome=said.outcome,
            shown_at=now,
        )
    )
    if said.answer is not None:
        keep_answer(connection, use.use_request_hash, said.answer, expires=use.expires)
    return said


def _entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(row.use_id, row.grant_id, row.counter, row.at, row.service, tuple(json.loads(row.attributes)))
