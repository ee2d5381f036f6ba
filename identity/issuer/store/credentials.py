"""Credentials, and their copies' places in status lists.

A *credential* is what the resident sees as one: every copy of one dataset under one issuance,
refills included.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, func, insert, select, update

from identity.issuer.status_places import KEY_BYTES, place
from identity.issuer.store.spent import Purpose, spend
from identity.issuer.store.tables import (
    copy,
    credential,
    deferred,
    issuance,
    notification,
    spent,
    status_list,
)
from identity.randomness import Random

CREDENTIAL_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Batch:
    """Copies of one dataset that are about to be signed."""

    issuance: int
    configuration: str
    dataset: int
    person_hash: bytes
    count: int
    has_status: bool
    expires: int
    nonce_hashes: tuple[bytes, ...]
    nonces_expire: int
    notification_hash: bytes
    notification_expires: int
    deferred: int | None = None
    """The waiting request that this batch answers and ends."""


@dataclass(frozen=True, slots=True)
class Place:
    list: int
    position: int


@dataclass(frozen=True, slots=True)
class Recorded:
    credential_id: bytes
    places: tuple[Place, ...]
    """One a copy; none for a type without status."""


class BatchRefusal(Enum):
    NONCE_SPENT = auto()
    REVOKED = auto()
    GONE = auto()
    """The waiting request was answered before."""


class CredentialStore:
    def __init__(self, engine: Engine, random: Random, *, list_size: int) -> None:
        self._engine = engine
        self._random = random
        self._list_size = list_size

    def prepare(self) -> None:
        """The first list, so that verifiers find one before anybody has a credential."""
        with self._engine.begin() as connection:
            if connection.execute(select(func.count()).select_from(status_list)).scalar_one() == 0:
                _add_list(connection, self._list_size, self._random)

    def record(self, batch: Batch) -> Recorded | BatchRefusal:
        """Everything about a batch, or nothing: nonces spent, places taken, the credential known."""
        with self._engine.begin() as connection:
            refusal = self._refusal(connection, batch)
            if refusal is not None:
                connection.rollback()
                return refusal
            number, credential_id = self._credential(connection, batch)
            places = self._take_places(connection, batch.count) if batch.has_status else ()
            if places:
                connection.execute(
                    insert(copy),
                    [
                        {"list": one.list, "position": one.position, "credential": number, "expires": batch.expires}
                        for one in places
                    ],
                )
            connection.execute(
                insert(notification).values(
                    notification_hash=batch.notification_hash,
                    issuance=batch.issuance,
                    credential=number,
                    expires=batch.notification_expires,
                )
            )
            return Recorded(credential_id, places)

    def known(self, issuance: int, configuration: str, dataset: int) -> bool:
        """Whether this credential has been issued before: a refill needs no decision again."""
        with self._engine.begin() as connection:
            return _find(connection, issuance, configuration, dataset) is not None

    def notified(self, notification_hash: bytes, issuance: int, event: str, *, now: int) -> bool:
        """False where this issuance was given no such id. The newest event counts; a repeat is the same."""
        noted = (
            update(notification)
            .where(
                notification.c.notification_hash == notification_hash,
                notification.c.issuance == issuance,
                notification.c.expires > now,
            )
            .values(event=event)
        )
        with self._engine.begin() as connection:
            return connection.execute(noted).rowcount == 1

    def purge(self, *, now: int) -> None:
        """Copies that have expired are forgotten, then credentials of which nothing is left; bits that are 1 stay 1."""
        with self._engine.begin() as connection:
            for table in (spent, notification, copy):
                connection.execute(delete(table).where(table.c.expires <= now))
            connection.execute(
                delete(credential).where(
                    credential.c.issuance.not_in(select(issuance.c.number)),
                    credential.c.number.not_in(select(copy.c.credential)),
                )
            )

    def _refusal(self, connection: Connection, batch: Batch) -> BatchRefusal | None:
        for nonce_hash in batch.nonce_hashes:
            if not spend(connection, Purpose.C_NONCE, nonce_hash, expires=batch.nonces_expire):
                return BatchRefusal.NONCE_SPENT
        if batch.deferred is not None:
            gone = connection.execute(delete(deferred).where(deferred.c.number == batch.deferred)).rowcount != 1
            if gone:
                return BatchRefusal.GONE
        found = _find(connection, batch.issuance, batch.configuration, batch.dataset)
        if found is not None and found[2]:
            return BatchRefusal.REVOKED
        return None

    def _credential(self, connection: Connection, batch: Batch) -> tuple[int, bytes]:
        found = _find(connection, batch.issuance, batch.configuration, batch.dataset)
        if found is not None:
            return found[0], found[1]
        credential_id = self._random(CREDENTIAL_ID_BYTES)
        number = connection.execute(
            insert(credential)
            .values(
                credential_id=credential_id,
                issuance=batch.issuance,
                configuration=batch.configuration,
                dataset=batch.dataset,
                person_hash=batch.person_hash,
                flipped=False,
            )
            .returning(credential.c.number)
        ).scalar_one()
        return int(number), credential_id

    def _take_places(self, connection: Connection, count: int) -> tuple[Place, ...]:
        row = connection.execute(
            select(status_list)
            .where(status_list.c.given_out + count <= status_list.c.size)
            .order_by(status_list.c.number)
            .limit(1)
        ).first()
        if row is None:
            row = _add_list(connection, self._list_size, self._random)
        connection.execute(
            update(status_list)
            .where(status_list.c.number == row.number)
            .values(given_out=status_list.c.given_out + count)
        )
        last = connection.execute(select(func.max(status_list.c.number))).scalar_one()
        if row.number == last and (row.given_out + count) * 2 > row.size:
            # The next list is served long before its first place is given out: verifiers fetch all
            # lists on a schedule, and refuse a credential whose list they do not have.
            _add_list(connection, self._list_size, self._random)
        key, size, first = bytes(row.order_key), row.size, row.given_out
        return tuple(Place(row.number, place(key, size, first + step)) for step in range(count))


def _add_list(connection: Connection, size: int, random: Random) -> Row[Any]:
    last = connection.execute(select(func.max(status_list.c.number))).scalar()
    return connection.execute(
        insert(status_list)
        .values(
            number=(last or 0) + 1,
            size=size,
            order_key=random(KEY_BYTES),
            given_out=0,
            changes=0,
            signed_changes=-1,
            signed_expires=0,
        )
        .returning(status_list)
    ).one()


def _find(connection: Connection, issuance: int, configuration: str, dataset: int) -> tuple[int, bytes, bool] | None:
    row = connection.execute(
        select(credential.c.number, credential.c.credential_id, credential.c.revoked_at).where(
            credential.c.issuance == issuance,
            credential.c.configuration == configuration,
            credential.c.dataset == dataset,
        )
    ).first()
    return None if row is None else (row.number, bytes(row.credential_id), row.revoked_at is not None)
