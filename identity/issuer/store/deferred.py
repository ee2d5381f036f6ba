"""Requests that wait for the operator's decision (OpenID4VCI 1.0 section 9)."""

from dataclasses import dataclass
from enum import Enum, IntEnum, auto
from typing import Any

from sqlalchemy import Engine, Row, delete, insert, select, update

from identity.issuer.store.spent import Purpose, spend
from identity.issuer.store.tables import deferred


class Decision(IntEnum):
    WAITING = 0
    APPROVED = 1
    REFUSED = 2


@dataclass(frozen=True, slots=True)
class NewWaiting:
    transaction_hash: bytes
    issuance: int
    configuration: str
    dataset: int
    keys: str
    """JWKs, as JSON."""
    person_hash: bytes
    requested: int
    expires: int


@dataclass(frozen=True, slots=True)
class Waiting:
    number: int
    issuance: int
    configuration: str
    dataset: int
    keys: str
    person_hash: bytes
    decision: Decision
    requested: int


class WaitingRefusal(Enum):
    NONCE_SPENT = auto()


class DeferredStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, new: NewWaiting, *, nonce_hashes: tuple[bytes, ...], nonces_expire: int) -> WaitingRefusal | None:
        with self._engine.begin() as connection:
            for nonce_hash in nonce_hashes:
                if not spend(connection, Purpose.C_NONCE, nonce_hash, expires=nonces_expire):
                    connection.rollback()
                    return WaitingRefusal.NONCE_SPENT
            connection.execute(
                insert(deferred).values(
                    transaction_hash=new.transaction_hash,
                    issuance=new.issuance,
                    configuration=new.configuration,
                    dataset=new.dataset,
                    keys=new.keys,
                    person_hash=new.person_hash,
                    state=Decision.WAITING,
                    requested=new.requested,
                    expires=new.expires,
                )
            )
            return None

    def get(self, transaction_hash: bytes, issuance: int, *, now: int) -> Waiting | None:
        """One of this issuance; None where there is none, or no longer."""
        query = select(deferred).where(
            deferred.c.transaction_hash == transaction_hash,
            deferred.c.issuance == issuance,
            deferred.c.expires > now,
        )
        with self._engine.begin() as connection:
            row = connection.execute(query).first()
        return None if row is None else _waiting(row)

    def waiting(self, *, now: int, person_hash: bytes | None = None) -> list[Waiting]:
        query = select(deferred).where(deferred.c.state == Decision.WAITING, deferred.c.expires > now)
        if person_hash is not None:
            query = query.where(deferred.c.person_hash == person_hash)
        with self._engine.begin() as connection:
            return [_waiting(row) for row in connection.execute(query.order_by(deferred.c.number))]

    def decide(self, number: int, decision: Decision, *, now: int) -> bool:
        """The first decision stands; False where there is nothing to decide."""
        decided = (
            update(deferred)
            .where(deferred.c.number == number, deferred.c.state == Decision.WAITING, deferred.c.expires > now)
            .values(state=decision)
        )
        with self._engine.begin() as connection:
            return connection.execute(decided).rowcount == 1

    def purge(self, *, now: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(deferred).where(deferred.c.expires <= now))


def _waiting(row: Row[Any]) -> Waiting:
    found = row._mapping
    return Waiting(
        number=found["number"],
        issuance=found["issuance"],
        configuration=found["configuration"],
        dataset=found["dataset"],
        keys=found["keys"],
        person_hash=bytes(found["person_hash"]),
        decision=Decision(found["state"]),
        requested=found["requested"],
    )
