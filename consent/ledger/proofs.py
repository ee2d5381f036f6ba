"""What was seen once and must not be seen again, across workers: caller proofs (C1), noted withdrawals (C5)."""

from sqlalchemy import Engine, text

from consent.errors import CallerUnproven
from consent.ledger.schema import lock
from consent.ledger.statements import Statements
from consent.ledger.uses import SpentProof
from consent.ledger.writer import OneByOne, Writes

PROOF_SECONDS = 120
"""WIRE C1: (key, jti) is kept so long; the proof itself is valid for 60 s either way."""

NOTED_SECONDS = 366 * 86_400
"""WIRE C5: a withdrawal of an unknown grant is kept for a year."""


FORGET_SECONDS = 5
"""How often proofs past their time are deleted; they refuse nothing any more before that."""


class ProofStore:
    """What each method writes is there as a whole, or not at all."""

    def __init__(self, engine: Engine, writer: Writes | None = None) -> None:
        self._writer = OneByOne(engine) if writer is None else writer
        self._forgotten = 0

    def spend(self, thumbprint: str, jti: str, *, now: int) -> bool:
        """True the first time within 120 s; in the 120th second a proof of a clock ahead of ours is still fresh."""
        forget = abs(now - self._forgotten) >= FORGET_SECONDS
        if forget:
            self._forgotten = now

        def work(connection: Statements) -> bool:
            if forget:
                connection.execute(FORGET_PROOFS, {"now": now})
            proof = SpentProof(thumbprint, jti, now + PROOF_SECONDS)
            return connection.execute(SPEND, proof_parameters(proof, now=now)).first() is not None

        return self._writer.run(work, key=f"{thumbprint} {jti}".encode())

    def note_withdrawal(self, grant_id: bytes, thumbprint: str, attributes: str, *, now: int) -> bool:
        """Keeps a withdrawal that came before its grant; the same again changes nothing.

        False where the grant is there by now: then nothing is kept, and the withdrawal is for the
        grant itself. Between this and the giving of a grant, one comes first.
        """

        def work(connection: Statements) -> bool:
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

        return self._writer.run(work, key=grant_id)


def spend_proof(connection: Statements, proof: SpentProof, *, now: int) -> None:
    """In the transaction of what it is for. Raises CallerUnproven where it was spent before."""
    if connection.execute(SPEND, proof_parameters(proof, now=now)).first() is None:
        raise CallerUnproven(SPENT_BEFORE)


def proof_parameters(proof: SpentProof, *, now: int) -> dict[str, object]:
    return {"thumbprint": proof.thumbprint, "jti": proof.jti, "expires": proof.expires, "now": now}


SPENT_BEFORE = "caller proof: jti was used before"
FORGET_PROOFS = text("DELETE FROM spent_proof WHERE expires < :now")
# One statement, so that of two that come at once only one is the first; what is past its time is as if not there.
SPEND = text(
    "INSERT INTO spent_proof (thumbprint, jti, expires) VALUES (:thumbprint, :jti, :expires) "
    "ON CONFLICT (thumbprint, jti) DO UPDATE SET expires = excluded.expires WHERE spent_proof.expires < :now "
    "RETURNING expires"
)
