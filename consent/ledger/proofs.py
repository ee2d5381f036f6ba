"""What was seen once and must not be seen again, across workers: caller proofs (C1), noted withdrawals (C5)."""

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from consent.ledger.schema import lock

PROOF_SECONDS = 120
"""WIRE C1: (key, jti) is kept so long; the proof itself is valid for 60 s either way."""

NOTED_SECONDS = 366 * 86_400
"""WIRE C5: a withdrawal of an unknown grant is kept for a year."""


class ProofStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def spend(self, thumbprint: str, jti: str, *, now: int) -> bool:
        """True the first time within 120 s; in the 120th second a proof of a clock ahead of ours is still fresh."""
        try:
            with self._engine.begin() as connection:
                connection.execute(text("DELETE FROM spent_proof WHERE expires < :now"), {"now": now})
                connection.execute(
                    text("INSERT INTO spent_proof (thumbprint, jti, expires) VALUES (:thumbprint, :jti, :expires)"),
                    {"thumbprint": thumbprint, "jti": jti, "expires": now + PROOF_SECONDS},
                )
        except IntegrityError:
            return False
        return True

    def note_withdrawal(self, grant_id: bytes, thumbprint: str, attributes: str, *, now: int) -> bool:
        """Keeps a withdrawal that came before its grant; the same again changes nothing.

        False where the grant is there by now: then nothing is kept, and the withdrawal is for the
        grant itself. Between this and the giving of a grant, one comes first.
        """
        with self._engine.begin() as connection:
            lock(connection, grant_id)
            there = connection.execute(
                text("SELECT 1 FROM grant_body WHERE grant_id = :grant_id"), {"grant_id": grant_id}
            )
            if there.first() is not None:
                return False
            connection.execute(text("DELETE FROM noted_withdrawal WHERE expires <= :now"), {"now": now})
            connection.execute(
                text(
                    "INSERT INTO noted_withdrawal (grant_id, thumbprint, attributes, expires) "
                    "VALUES (:grant_id, :thumbprint, :attributes, :expires) ON CONFLICT DO NOTHING"
                ),
                {
                    "grant_id": grant_id,
                    "thumbprint": thumbprint,
                    "attributes": attributes,
                    "expires": now + NOTED_SECONDS,
                },
            )
            return True
