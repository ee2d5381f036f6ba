"""Decision receipts: what a service can show for each answer it got, and what it must delete by when.

A receipt names the request, the leaf and the attributes, never a value; it stays when the grant is
gone, since each access is to be defended later. What was read is due for deletion at its last use
and the life that was agreed, and never later than 30 days after the grant's end (ADR 0009, D8).
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, insert, select, update

from verifier.kit.tables import decision_receipt, held_data, seen_use

AFTER_END_SECONDS = 30 * 86_400

DUE, OVERDUE, DELETED, RECEIVED = "due", "overdue", "deleted", "received"


@dataclass(frozen=True, slots=True)
class DecisionReceipt:
    grant_id: str
    """Of an access by law: the notice's id."""
    counter: int
    use_id: str
    leaf_index: int | None
    """None where an urgent answer came before its notice was logged."""
    at: int
    holder: str
    purpose: str
    attributes: tuple[str, ...]
    request: str
    """The signed request that was answered."""
    proof: str
    """The log's proof; of an urgent answer the data holder's signed statement."""


@dataclass(frozen=True, slots=True)
class Life:
    """How long what is read under a grant may be kept."""

    seconds: int
    not_after: int


@dataclass(frozen=True, slots=True)
class Duty:
    """What of one grant must be deleted by when. ``deleted``: the consent service has not taken the receipt yet."""

    grant_id: str
    attributes: tuple[str, ...]
    due: int
    state: str


class ReceiptStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def record(self, receipt: DecisionReceipt, life: Life | None) -> bool:
        """True the first time: one leaf proves one answer. ``life`` None: an access by law, kept as the law says."""
        with self._engine.begin() as connection:
            if _was_seen(connection, receipt.grant_id, receipt.counter):
                return False
            connection.execute(
                insert(decision_receipt).values(
                    grant_id=receipt.grant_id,
                    counter=receipt.counter,
                    use_id=receipt.use_id,
                    leaf_index=receipt.leaf_index,
                    at=receipt.at,
                    holder=receipt.holder,
                    purpose=receipt.purpose,
                    attributes=json.dumps(list(receipt.attributes)),
                    request=receipt.request,
                    proof=receipt.proof,
                )
            )
            if life is not None:
                _hold(connection, receipt, life)
            return True

    def receipts(self, grant_id: str | None = None) -> list[DecisionReceipt]:
        """Oldest first; of one grant, or all."""
        found = select(decision_receipt).order_by(decision_receipt.c.number)
        if grant_id is not None:
            found = found.where(decision_receipt.c.grant_id == grant_id)
        with self._engine.begin() as connection:
            return [_receipt(row) for row in connection.execute(found)]

    def duties(self, *, now: int) -> list[Duty]:
        """What is still held, or not yet acknowledged as deleted, the most urgent first."""
        with self._engine.begin() as connection:
            rows = connection.execute(select(held_data).where(held_data.c.received.is_(False))).all()
        return sorted((_duty(row, now) for row in rows), key=lambda duty: (duty.due, duty.grant_id))

    def duty(self, grant_id: str, *, now: int) -> Duty | None:
        with self._engine.begin() as connection:
            row = connection.execute(select(held_data).where(held_data.c.grant_id == grant_id)).first()
        return None if row is None else _duty(row, now)

    def delete(self, grant_id: str, receipt: str) -> None:
        """The service deleted what it had read; its signed word waits to be sent."""
        with self._engine.begin() as connection:
            here = update(held_data).where(held_data.c.grant_id == grant_id)
            connection.execute(here.values(receipt=receipt, received=False))

    def unsent(self) -> list[tuple[str, str]]:
        """(grant id, receipt) that the consent service has not taken."""
        found = select(held_data.c.grant_id, held_data.c.receipt).where(
            held_data.c.receipt.is_not(None), held_data.c.received.is_(False)
        )
        with self._engine.begin() as connection:
            return [(row.grant_id, row.receipt) for row in connection.execute(found.order_by(held_data.c.grant_id))]

    def taken(self, grant_id: str, receipt: str) -> None:
        with self._engine.begin() as connection:
            here = update(held_data).where(held_data.c.grant_id == grant_id, held_data.c.receipt == receipt)
            connection.execute(here.values(received=True))


def end(connection: Connection, grant_id: str, at: int) -> None:
    """The grant ended: what is held of it has 30 days at most. Part of the caller's transaction."""
    here = held_data.c.grant_id == grant_id, held_data.c.ended_at.is_(None)
    connection.execute(update(held_data).where(*here).values(ended_at=at))


def _was_seen(connection: Connection, grant_id: str, counter: int) -> bool:
    for table in (decision_receipt, seen_use):
        here = table.c.grant_id == grant_id, table.c.counter == counter
        if connection.execute(select(table.c.counter).where(*here)).first() is not None:
            return True
    return False


def _hold(connection: Connection, receipt: DecisionReceipt, life: Life) -> None:
    row = connection.execute(select(held_data).where(held_data.c.grant_id == receipt.grant_id)).first()
    if row is None:
        connection.execute(
            insert(held_data).values(
                grant_id=receipt.grant_id,
                attributes=json.dumps(list(receipt.attributes)),
                last_use=receipt.at,
                life_seconds=life.seconds,
                not_after=life.not_after,
                received=False,
            )
        )
        return
    # What was deleted before is held no more; a further read begins anew.
    before = [] if row.receipt is not None else json.loads(row.attributes)
    names = [*before, *(name for name in receipt.attributes if name not in before)]
    connection.execute(
        update(held_data)
        .where(held_data.c.grant_id == receipt.grant_id)
        .values(
            attributes=json.dumps(names),
            last_use=max(row.last_use, receipt.at),
            life_seconds=min(row.life_seconds, life.seconds),
            not_after=min(row.not_after, life.not_after),
            receipt=None,
            received=False,
        )
    )


def _duty(row: Row[tuple[object, ...]], now: int) -> Duty:
    ended = row.not_after if row.ended_at is None else row.ended_at
    due = min(row.last_use + row.life_seconds, ended + AFTER_END_SECONDS)
    state = OVERDUE if now >= due else DUE
    if row.receipt is not None:
        state = RECEIVED if row.received else DELETED
    return Duty(row.grant_id, tuple(json.loads(row.attributes)), due, state)


def _receipt(row: Row[tuple[object, ...]]) -> DecisionReceipt:
    return DecisionReceipt(
        row.grant_id,
        row.counter,
        row.use_id,
        row.leaf_index,
        row.at,
        row.holder,
        row.purpose,
        tuple(json.loads(row.attributes)),
        row.request,
        row.proof,
    )
