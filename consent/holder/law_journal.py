"""Accesses that rest on law in the release journal, and the urgent spool (ADR 0009, D1 and D3).

The spool is a table of the same database, which syncs before a commit returns: the signed statement
and the journal's row are durable together, before an urgent answer leaves. Its sequence has no gap;
deliveries go in its order.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, insert, select, update

from consent.errors import MessageError, NothingReleased, StaleMessage
from consent.holder import records
from consent.holder.journal import RELEASED, Recorded, keep_answer, recorded
from consent.holder.records import LeafRecord
from consent.holder.reply_codes import SPOOL_FULL
from consent.holder.tables import release, spooled_notice, stored_answer
from identity.clock import Clock

MAX_WAITING = 1_000
"""Urgent accesses of one outage; beyond it nothing is released, since nobody could follow."""

REPLAYED = "replayed"
WAITING, DELIVERED, REFUSED = "waiting", "delivered", "refused"


@dataclass(frozen=True, slots=True)
class LawfulAccess:
    """An access that waits for its release."""

    id: str
    """The notice's; of an urgent one that is spooled its basis request's, until its notice is known."""
    request_hash: str
    service: str
    row_key: str
    """Empty where the subject names no row here."""
    asked: tuple[str, ...]
    release_before: int
    expires: int
    visible_from: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A spooled notice that the consent service has not had."""

    sequence: int
    basis_request: str
    mailboxes: tuple[str, ...]
    spooled: str


class LawJournal:
    """Each method is one transaction."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock

    def find(self, request_hash: str) -> Recorded | None:
        with self._engine.begin() as connection:
            connection.execute(delete(stored_answer).where(stored_answer.c.expires <= int(self._clock())))
            return recorded(connection, request_hash)

    def record(self, access: LawfulAccess, leaf: LeafRecord, *, outcome: str, answer: str | None) -> Recorded:
        """Records a logged access once; its answer may leave after this returned it.

        Raises MessageError where its notice belongs to another access, StaleMessage where its time is
        over. Its leaf is recorded for the day's root in any case.
        """
        try:
            return self._record(access, leaf, outcome, answer)
        except (MessageError, StaleMessage):
            with self._engine.begin() as connection:
                records.add(connection, leaf)
            raise

    def _record(self, access: LawfulAccess, leaf: LeafRecord, outcome: str, answer: str | None) -> Recorded:
        with self._engine.begin() as connection:
            now = self._clock()
            records.add(connection, leaf)
            if (before := recorded(connection, access.request_hash)) is not None:
                return before
            if connection.execute(select(release.c.number).where(release.c.use_id == access.id)).first() is not None:
                raise MessageError("notice answer: its id belongs to another access")
            if now >= access.release_before:
                raise StaleMessage("notice answer: release_before has passed")
            return _insert(connection, access, outcome, answer, now=int(now), shown=_shown(access, int(now)))

    def spool(
        self,
        access: LawfulAccess,
        *,
        basis_request: str,
        mailboxes: tuple[str, ...],
        sign: Callable[[int, int], str],
        outcome: str,
        answer: Callable[[str], str | None],
    ) -> Recorded:
        """Makes a signed statement durable, and with it an urgent release; in that order for whoever asks again.

        ``sign`` gets sequence and time, ``answer`` the statement. Raises NothingReleased (``spool_full``).
        """
        with self._engine.begin() as connection:
            now = int(self._clock())
            if (before := recorded(connection, access.request_hash)) is not None:
                return before
            if connection.execute(select(release.c.number).where(release.c.use_id == access.id)).first() is not None:
                return Recorded(access.id, REPLAYED, None)
            waiting = select(func.count()).select_from(spooled_notice).where(spooled_notice.c.state == WAITING)
            if connection.execute(waiting).scalar_one() >= MAX_WAITING:
                raise NothingReleased(SPOOL_FULL, "spool: the consent service must first take what waits for it")
            last = connection.execute(select(func.max(spooled_notice.c.sequence))).scalar_one()
            sequence = (last or 0) + 1
            statement = sign(sequence, now)
            connection.execute(
                insert(spooled_notice).values(
                    sequence=sequence,
                    basis_request_hash=access.request_hash,
                    basis_request=basis_request,
                    mailboxes=json.dumps(list(mailboxes)),
                    spooled=statement,
                    at=now,
                    state=WAITING,
                )
            )
            return _insert(connection, access, outcome, answer(statement), now=now, shown=None)

    def waiting(self) -> Waiting | None:
        """The next one to deliver."""
        found = (
            select(spooled_notice).where(spooled_notice.c.state == WAITING).order_by(spooled_notice.c.sequence).limit(1)
        )
        with self._engine.begin() as connection:
            row = connection.execute(found).first()
        if row is None:
            return None
        return Waiting(row.sequence, row.basis_request, tuple(json.loads(row.mailboxes)), row.spooled)

    def overview(self) -> list[dict[str, object]]:
        """What waits, and what was never logged: for the operator."""
        found = (
            select(spooled_notice.c.sequence, spooled_notice.c.at, spooled_notice.c.state)
            .where(spooled_notice.c.state != DELIVERED)
            .order_by(spooled_notice.c.sequence)
        )
        with self._engine.begin() as connection:
            return [{"sequence": row.sequence, "time": row.at, "state": row.state} for row in connection.execute(found)]

    def delivered(self, sequence: int, notice_id: str, leaf: LeafRecord, *, visible_from: int | None) -> None:
        """It is logged: the journal shows it under its notice from now on."""
        with self._engine.begin() as connection:
            records.add(connection, leaf)
            # From the next second on: an entry never appears before one that was read already.
            shown = max(int(self._clock()) + 1, visible_from or 0)
            self._end(connection, sequence, DELIVERED, {"use_id": notice_id, "grant_id": notice_id, "shown_at": shown})

    def delivered_unseen(self, sequence: int) -> None:
        """It is logged, and the answer that said under which id was lost: the resident's timeline shows it."""
        with self._engine.begin() as connection:
            connection.execute(
                update(spooled_notice)
                .where(spooled_notice.c.sequence == sequence, spooled_notice.c.state == WAITING)
                .values(state=DELIVERED)
            )

    def refused(self, sequence: int, *, visible_from: int | None) -> None:
        """The consent service logs no notice of it: the journal shows what no log shows."""
        with self._engine.begin() as connection:
            shown = max(int(self._clock()) + 1, visible_from or 0)
            self._end(connection, sequence, REFUSED, {"shown_at": shown})

    def _end(self, connection: Connection, sequence: int, state: str, changes: dict[str, object]) -> None:
        here = spooled_notice.c.sequence == sequence
        digest = connection.execute(
            update(spooled_notice)
            .where(here, spooled_notice.c.state == WAITING)
            .values(state=state)
            .returning(spooled_notice.c.basis_request_hash)
        ).scalar_one_or_none()
        if digest is not None:
            connection.execute(update(release).where(release.c.use_request_hash == digest).values(**changes))


def _shown(access: LawfulAccess, now: int) -> int:
    return max(now, access.visible_from or 0)


def _insert(
    connection: Connection, access: LawfulAccess, outcome: str, answer: str | None, *, now: int, shown: int | None
) -> Recorded:
    connection.execute(
        insert(release).values(
            use_id=access.id,
            use_request_hash=access.request_hash,
            grant_id=access.id,
            counter=0,
            service=access.service,
            row_key=access.row_key,
            at=now,
            attributes=json.dumps(list(access.asked) if outcome == RELEASED else []),
            outcome=outcome,
            shown_at=shown,
        )
    )
    if answer is not None:
        keep_answer(connection, access.request_hash, answer, expires=access.expires)
    return Recorded(access.id, outcome, answer)
