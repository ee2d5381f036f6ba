"""The giving of a grant: one transaction, in as few statements as each database takes it.

To PostgreSQL every statement is a journey, so it gets two: the first waits for whoever decides on the
same things, the second sees what came of that. SQLite is in the process and gets one for each table.
"""

from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import text

from consent.errors import CallerUnproven, LedgerConflict
from consent.ledger.address import POSTGRESQL
from consent.ledger.grant_row import (
    INSERT_BODY,
    INSERT_EVENT,
    INSERT_ROW,
    Entry,
    GrantBody,
    HotRow,
    body_parameters,
    close_request,
    event_parameters,
    noted,
    row_parameters,
)
from consent.ledger.proofs import SPEND, SPENT_BEFORE, proof_parameters, spend_proof
from consent.ledger.statements import Statements
from consent.ledger.uses import SpentProof


@dataclass(frozen=True, slots=True)
class Giving:
    """All that is written of it. Made before the transaction, which then waits for nothing but the database."""

    grant_id: bytes
    thumbprint: str
    request_id: bytes
    now: int
    proof: SpentProof | None
    """The caller's, where it is still to be spent."""
    values: dict[str, object]

    @classmethod
    def of(
        cls, row: HotRow, body: GrantBody, entry: Entry, *, request_id: bytes, now: int, proof: SpentProof | None
    ) -> "Giving":
        values = {
            **body_parameters(row.grant_id, body),
            **event_parameters(entry, row.grant_id, row.counter),
            **row_parameters(row),
            "at": entry.at,
        }
        return cls(row.grant_id, body.thumbprint, request_id, now, proof, values)


def give(connection: Statements, giving: Giving) -> None:
    """Raises CallerUnproven, LedgerConflict (``request_closed``, ``withdrawn``), IntegrityError.

    1. Between a withdrawal of what is not here yet and the giving of it, one comes first.
    2. The caller's proof is spent by this, or was spent before.
    3. The request is open, and closed by this.
    4. The grant was not withdrawn before it came.
    5. Row, body, event, and what its service is told.
    """
    if connection.dialect.name == POSTGRESQL:
        _give_postgresql(connection, giving)
        return
    # 1: SQLite's writer is alone
    # 2
    if giving.proof is not None:
        spend_proof(connection, giving.proof, now=giving.now)
    # 3
    close_request(connection, giving.request_id, grant_id=giving.grant_id, given=True, now=giving.now)
    # 4
    if noted(connection, giving.grant_id, giving.thumbprint):
        raise LedgerConflict("withdrawn")
    # 5
    for statement in (INSERT_ROW, INSERT_BODY, INSERT_EVENT, _FEED):
        connection.execute(statement, giving.values)


def _give_postgresql(connection: Statements, giving: Giving) -> None:
    """The second statement is one of its own: it has to see what the one before waited for."""
    proof = giving.proof
    values = {
        "key": int.from_bytes(sha256(giving.grant_id).digest()[:8], "big", signed=True),
        "grant_id": giving.grant_id,
        "request_id": giving.request_id,
        "now": giving.now,
    }
    if proof is not None:
        values |= proof_parameters(proof, now=giving.now)
    # 1 to 3
    found = connection.execute(_BEGIN if proof is None else _BEGIN_SPENDING, values).one()
    if not found[1]:
        raise CallerUnproven(SPENT_BEFORE)
    if not found[2]:
        raise LedgerConflict("request_closed")
    # 4, 5
    if connection.execute(_WRITE, giving.values).first() is not None:
        raise LedgerConflict("withdrawn")


_FEED = text(
    "INSERT INTO feed_item (service, grant_id, state, counter, status_index, at) "
    "VALUES (:service, :grant_id, :state, :counter, :status_index, :at)"
)
_CLOSED = (
    "closed AS (UPDATE request SET state = 1, grant_id = :grant_id "
    "WHERE request_id = :request_id AND state = 0 AND expires > :now RETURNING 1)"
)
_BEGIN = text(f"WITH {_CLOSED} SELECT pg_advisory_xact_lock(:key), 1, (SELECT count(*) FROM closed)")
_BEGIN_SPENDING = text(
    f"WITH spent AS ({SPEND.text}), {_CLOSED} "
    "SELECT pg_advisory_xact_lock(:key), (SELECT count(*) FROM spent), (SELECT count(*) FROM closed)"
)
_WRITE = text(
    f"WITH the_row AS ({INSERT_ROW.text}), the_body AS ({INSERT_BODY.text}), the_event AS ({INSERT_EVENT.text}), "
    f"told AS ({_FEED.text}) "
    "SELECT 1 FROM noted_withdrawal WHERE grant_id = :grant_id AND thumbprint = :thumbprint"
)
