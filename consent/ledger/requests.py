"""Consent requests until their end or their first decision (WIRE C2), and the mailboxes they lie in."""

from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from consent.errors import LedgerConflict
from consent.ledger.direct_reader import DirectReader
from consent.ledger.grant_row import REQUEST_OPEN, Entry, add_event, close_request
from consent.ledger.proofs import spend_proof
from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements
from consent.ledger.uses import SpentProof
from consent.ledger.writer import OneByOne, Writes


@dataclass(frozen=True, slots=True)
class StoredRequest:
    request_id: bytes
    service: int
    jws: str
    expires: int
    state: int
    grant_id: bytes | None
    mailbox: bytes | None

    def open_at(self, now: int) -> bool:
        return self.state == REQUEST_OPEN and now < self.expires


class RequestStore:
    """Requests of one database. What each method writes is there as a whole, or not at all."""

    def __init__(self, engine: Engine, writer: Writes | None = None) -> None:
        self._engine = engine
        self._writer = OneByOne(engine) if writer is None else writer
        self._reader = for_reading(engine)
        self._direct = DirectReader(engine)

    def add(
        self, request_id: bytes, *, service: int, jws: str, expires: int, mailbox: bytes | None, entry: Entry
    ) -> None:
        """Raises LedgerConflict (``taken``)."""

        def work(connection: Statements) -> None:
            connection.execute(
                _INSERT,
                {"request_id": request_id, "service": service, "jws": jws, "expires": expires, "mailbox": mailbox},
            )
            add_event(connection, entry, None, 0)

        try:
            self._writer.run(work, key=request_id)
        except IntegrityError:
            raise LedgerConflict("taken") from None

    def get(self, request_id: bytes) -> StoredRequest | None:
        found = self._direct.first(_BY_ID, {"request_id": request_id})
        return StoredRequest(*found) if found else None

    def refuse(self, request_id: bytes, *, now: int, entry: Entry, proof: SpentProof | None = None) -> None:
        """Closes a request by the resident's refusal, and spends the caller's proof (None = it is spent already).

        Raises CallerUnproven, LedgerConflict (``request_closed``).
        """

        def work(connection: Statements) -> None:
            if proof is not None:
                spend_proof(connection, proof, now=now)
            close_request(connection, request_id, grant_id=None, given=False, now=now)
            add_event(connection, entry, None, 0)

        self._writer.run(work, key=request_id)

    def waiting(self, account: int, *, now: int) -> list[StoredRequest]:
        """What lies undecided in the account's mailboxes."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT {_COLUMNS} FROM request WHERE state = 0 AND expires > :now AND mailbox IN "
                    "(SELECT mailbox FROM mailbox WHERE account = :account) ORDER BY expires"
                ),
                {"now": now, "account": account},
            ).all()
        return [StoredRequest(*row) for row in rows]

    def add_mailbox(self, mailbox: bytes, account: int, *, at_most: int) -> None:
        """Raises LedgerConflict (``taken``, ``too_many``)."""
        try:
            with self._engine.begin() as connection:
                lock(connection, b"mailboxes of %d" % account)
                count = connection.execute(
                    text("SELECT count(*) FROM mailbox WHERE account = :account"), {"account": account}
                ).scalar()
                if count is not None and count >= at_most:
                    raise LedgerConflict("too_many")
                connection.execute(
                    text("INSERT INTO mailbox (mailbox, account) VALUES (:mailbox, :account)"),
                    {"mailbox": mailbox, "account": account},
                )
        except IntegrityError:
            raise LedgerConflict("taken") from None

    def mailboxes_of(self, account: int) -> list[bytes]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT mailbox FROM mailbox WHERE account = :account ORDER BY mailbox"), {"account": account}
            ).all()
        return [bytes(row[0]) for row in rows]

    def owner_of(self, mailbox: bytes) -> int | None:
        """The account in whose mailbox it is; None where nobody registered it."""
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT account FROM mailbox WHERE mailbox = :mailbox"), {"mailbox": mailbox}
            ).scalar()
        return None if found is None else int(found)

    def remove_mailbox(self, mailbox: bytes, account: int) -> bool:
        with self._engine.begin() as connection:
            removed = connection.execute(
                text("DELETE FROM mailbox WHERE mailbox = :mailbox AND account = :account"),
                {"mailbox": mailbox, "account": account},
            )
            return removed.rowcount == 1


_COLUMNS = "request_id, service, jws, expires, state, grant_id, mailbox"
_INSERT = text(
    "INSERT INTO request (request_id, service, jws, expires, mailbox, state) "
    "VALUES (:request_id, :service, :jws, :expires, :mailbox, 0)"
)
_BY_ID = text(f"SELECT {_COLUMNS} FROM request WHERE request_id = :request_id")
