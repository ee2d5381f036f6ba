"""The release journal: one row a use, written in the transaction that decides on the release.

A release happens once per use and once per use request: the row is there before the answer leaves.
A use that was allowed and released nothing has a row without attributes. The journal holds names of
attributes, never their values. The resident reads it over a link; its Merkle root (RFC 6962 over
the JCS form of each entry, oldest first) lets two readings be compared.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Engine, Row, and_, delete, insert, or_, select, update

from consent.door.effect import withdrawn
from consent.door.store import KnownGrant, find, kept_for, learn
from consent.errors import MessageError, StaleMessage
from consent.grant.use import Reason
from consent.holder.tables import grant_use, release, stored_answer
from consent.log import merkle
from identity.clock import Clock
from identity.codec import base64url, jcs

RELEASED = "released"
WITHDRAWN = "withdrawn"
MAX_USES = "max_uses"
FREQUENCY = "frequency"
SUBJECT_MISMATCH = "subject_mismatch"
REGISTER_FAULT = "register_unavailable"


@dataclass(frozen=True, slots=True)
class Use:
    """A proven use that waits for its release."""

    use_id: str
    use_request_hash: str
    grant: KnownGrant
    counter: int
    row_key: str
    asked: tuple[str, ...]
    at: int
    """When the consent service counted it (the event's time)."""
    release_before: int
    expires: int
    """Until when the stored answer may be asked for again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the resident signed; 0 = no limit."""

    max_uses: int
    window_max: int
    window_seconds: int


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

    def record(self, use: Use, limits: Limits, *, outcome: str, answer: str | None) -> Recorded:
        """Records a use once; its answer may leave after this returned it.

        Raises MessageError where another use took its place, StaleMessage where its time is over.

        1. The same use request again: what was recorded first.
        2. One grant has one id; one use id and one counter of a grant name one use.
        3. Withdrawals that came to this door refuse, whatever the consent service says.
        4. So do the limits that the resident signed, counted here.
        5. There is still time.
        """
        with self._engine.begin() as connection:
            now = self._clock()
            connection.execute(delete(stored_answer).where(stored_answer.c.expires <= int(now)))
            # 1
            if (before := _recorded(connection, use.use_request_hash)) is not None:
                return before
            # 2
            kept = learn(connection, use.grant)
            _require_unused(connection, use)
            # 3
            if names := withdrawn(use.asked, kept):
                reasons = tuple(Reason(WITHDRAWN, name) for name in names)
                return _insert(connection, use, Recorded(use.grant.grant_id, WITHDRAWN, None, reasons), int(now))
            # 4
            if over := _count(connection, use, limits):
                return _insert(connection, use, Recorded(use.grant.grant_id, over, None), int(now))
            # 5
            if now >= use.release_before:
                raise StaleMessage("allow: release_before has passed")
            return _insert(connection, use, Recorded(use.grant.grant_id, outcome, answer), int(now))

    def find(self, use_request_hash: str) -> Recorded | None:
        """What was recorded of this use request; a withdrawal since then refuses."""
        with self._engine.begin() as connection:
            connection.execute(delete(stored_answer).where(stored_answer.c.expires <= int(self._clock())))
            recorded = _recorded(connection, use_request_hash)
            if recorded is None:
                return None
            asked = select(release.c.attributes).where(release.c.use_request_hash == use_request_hash)
            names = json.loads(connection.execute(asked).scalar_one())
            grant = find(connection, recorded.grant_id)
            return replace(recorded, reasons=_reasons(connection, grant, names))

    def withdrawn(self, grant_id: str, service: str, asked: Sequence[str]) -> tuple[Reason, ...]:
        """Reasons known here without asking anybody; none where the grant is not known as this service's."""
        with self._engine.begin() as connection:
            grant = find(connection, grant_id)
            return () if grant is None or grant.service != service else _reasons(connection, grant, asked)

    def of_row(self, row_key: str) -> list[JournalEntry]:
        with self._engine.begin() as connection:
            rows = connection.execute(select(release).where(release.c.row_key == row_key).order_by(release.c.number))
            return [_entry(row) for row in rows]


def _reasons(connection: Connection, grant: KnownGrant | None, asked: Sequence[str]) -> tuple[Reason, ...]:
    if grant is None:
        return ()
    kept = kept_for(connection, grant.grant_id, grant.thumbprint)
    return tuple(Reason(WITHDRAWN, name) for name in withdrawn(asked, kept))


def _recorded(connection: Connection, use_request_hash: str) -> Recorded | None:
    found = (
        select(release.c.grant_id, release.c.outcome, stored_answer.c.answer)
        .join_from(
            release,
            stored_answer,
            stored_answer.c.use_request_hash == release.c.use_request_hash,
            isouter=True,
        )
        .where(release.c.use_request_hash == use_request_hash)
    )
    row = connection.execute(found).first()
    return None if row is None else Recorded(row.grant_id, row.outcome, row.answer)


def _count(connection: Connection, use: Use, limits: Limits) -> str | None:
    """Counts the use as the ledger's statement does, or says which limit it would break."""
    row = connection.execute(select(grant_use).where(grant_use.c.grant_id == use.grant.grant_id)).first()
    uses, start, window_uses = (0, 0, 0) if row is None else (row.uses, row.window_start, row.window_uses)
    if limits.max_uses and uses >= limits.max_uses:
        return MAX_USES
    in_window = window_uses > 0 and use.at < start + limits.window_seconds
    if limits.window_max and in_window and window_uses >= limits.window_max:
        return FREQUENCY
    counted = {
        "uses": uses + 1,
        "window_start": start if in_window else use.at,
        "window_uses": window_uses + 1 if in_window else 1,
    }
    if row is None:
        connection.execute(insert(grant_use).values(grant_id=use.grant.grant_id, **counted))
    else:
        connection.execute(update(grant_use).where(grant_use.c.grant_id == use.grant.grant_id).values(**counted))
    return None


def _require_unused(connection: Connection, use: Use) -> None:
    taken = select(release.c.number).where(
        or_(
            release.c.use_id == use.use_id,
            and_(release.c.grant_id == use.grant.grant_id, release.c.counter == use.counter),
        )
    )
    if connection.execute(taken).first() is not None:
        raise MessageError("allow: its use id or counter belongs to another use")


def _insert(connection: Connection, use: Use, recorded: Recorded, now: int) -> Recorded:
    connection.execute(
        insert(release).values(
            use_id=use.use_id,
            use_request_hash=use.use_request_hash,
            grant_id=use.grant.grant_id,
            counter=use.counter,
            service=use.grant.service,
            row_key=use.row_key,
            at=now,
            attributes=json.dumps(list(use.asked) if recorded.outcome == RELEASED else []),
            outcome=recorded.outcome,
        )
    )
    if recorded.answer is not None:
        connection.execute(
            insert(stored_answer).values(
                use_request_hash=use.use_request_hash, answer=recorded.answer, expires=use.expires
            )
        )
    return recorded


def _entry(row: Row[Any]) -> JournalEntry:
    return JournalEntry(row.use_id, row.grant_id, row.counter, row.at, row.service, tuple(json.loads(row.attributes)))
