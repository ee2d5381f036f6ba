"""What may be used once: nonces of key proofs, and the identifiers of DPoP proofs."""

from enum import IntEnum

from sqlalchemy import Connection, Engine
from sqlalchemy.dialects.sqlite import insert as upsert

from identity.issuer.store.tables import spent


class Purpose(IntEnum):
    """Whose nonces and identifiers: one number a purpose, never used for another."""

    C_NONCE = 1
    DPOP = 2


class SpentStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spend(self, purpose: Purpose, value_hash: bytes, *, expires: int) -> bool:
        """False where it was spent before."""
        with self._engine.begin() as connection:
            return spend(connection, purpose, value_hash, expires=expires)


def spend(connection: Connection, purpose: Purpose, value_hash: bytes, *, expires: int) -> bool:
    once = upsert(spent).values(purpose=purpose, value_hash=value_hash, expires=expires).on_conflict_do_nothing()
    return connection.execute(once).rowcount == 1
