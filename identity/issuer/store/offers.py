"""Offers: pre-authorized codes with their attempts, states of offers that need a login, offers by reference."""

import hmac
from dataclasses import dataclass
from enum import Enum, auto

from sqlalchemy import Connection, Engine, delete, insert, select, update

from identity.issuer.store.configurations import dump, load
from identity.issuer.store.tables import issuer_state, offer_document, pre_authorized

MAX_ATTEMPTS = 5
"""Wrong transaction codes; of a million codes that leaves a guesser 1 in 200,000."""


@dataclass(frozen=True, slots=True)
class NewCode:
    code_hash: bytes
    tx_code_hash: bytes | None
    configurations: tuple[str, ...]
    sealed: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class OfferedCode:
    configurations: tuple[str, ...]
    sealed: bytes


class CodeRefusal(Enum):
    UNKNOWN = auto()
    """Never given out, too old, or dead after too many attempts."""
    WRONG_TX_CODE = auto()
    TX_CODE_MISSING = auto()
    TX_CODE_UNEXPECTED = auto()
    REUSED = auto()


class OfferStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add_code(self, code: NewCode) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                insert(pre_authorized).values(
                    code_hash=code.code_hash,
                    tx_code_hash=code.tx_code_hash,
                    attempts=0,
                    configurations=dump(code.configurations),
                    sealed=code.sealed,
                    expires=code.expires,
                )
            )

    def add_state(self, state_hash: bytes, configurations: tuple[str, ...], *, expires: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                insert(issuer_state).values(state_hash=state_hash, configurations=dump(configurations), expires=expires)
            )

    def add_document(self, reference_hash: bytes, sealed: bytes, *, expires: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(
                insert(offer_document).values(reference_hash=reference_hash, sealed=sealed, expires=expires)
            )

    def state(self, state_hash: bytes, *, now: int) -> tuple[str, ...] | None:
        """What was offered; None where nothing was, or too long ago."""
        query = select(issuer_state.c.configurations).where(
            issuer_state.c.state_hash == state_hash, issuer_state.c.expires > now
        )
        with self._engine.begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else load(found)

    def document(self, reference_hash: bytes, *, now: int) -> bytes | None:
        query = select(offer_document.c.sealed).where(
            offer_document.c.reference_hash == reference_hash, offer_document.c.expires > now
        )
        with self._engine.begin() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else bytes(found)

    def purge(self, *, now: int) -> None:
        with self._engine.begin() as connection:
            for table in (pre_authorized, issuer_state, offer_document):
                connection.execute(delete(table).where(table.c.expires <= now))


def spend_code(
    connection: Connection, code_hash: bytes, tx_code_hash: bytes | None, *, now: int
) -> OfferedCode | tuple[CodeRefusal, int | None]:
    """Within the transaction that makes the issuance: the code's content, or why not and what it gave before.

    The caller then calls ``mark_code``. A wrong transaction code counts in the same transaction as
    the look at the counter; the caller commits it.
    """
    row = connection.execute(
        select(pre_authorized).where(pre_authorized.c.code_hash == code_hash, pre_authorized.c.expires > now)
    ).first()
    if row is None or row.attempts >= MAX_ATTEMPTS:
        return CodeRefusal.UNKNOWN, None
    if row.tx_code_hash is None and tx_code_hash is not None:
        return CodeRefusal.TX_CODE_UNEXPECTED, None
    if row.tx_code_hash is not None:
        if tx_code_hash is None:
            return CodeRefusal.TX_CODE_MISSING, None
        if not hmac.compare_digest(bytes(row.tx_code_hash), tx_code_hash):
            connection.execute(
                update(pre_authorized)
                .where(pre_authorized.c.code_hash == code_hash)
                .values(attempts=pre_authorized.c.attempts + 1)
            )
            return CodeRefusal.WRONG_TX_CODE, None
    if row.issuance is not None:
        return CodeRefusal.REUSED, row.issuance
    return OfferedCode(load(row.configurations), bytes(row.sealed))


def mark_code(connection: Connection, code_hash: bytes, issuance: int) -> None:
    """Its one redemption; what was sealed under it is not needed again."""
    connection.execute(
        update(pre_authorized).where(pre_authorized.c.code_hash == code_hash).values(issuance=issuance, sealed=b"")
    )
