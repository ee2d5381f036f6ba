"""Residents' accounts: a keyed hash of a pairwise identifier beside two public keys (WIRE C10)."""

from dataclasses import dataclass

from sqlalchemy import Engine, text

from consent.errors import LedgerConflict
from consent.ledger.schema import for_reading, lock

RECOVERY_SECONDS = 72 * 3_600
"""DESIGN §7: after a recovery, grant, resume and erase wait so long; who lost the wallet can object."""


@dataclass(frozen=True, slots=True)
class StoredAccount:
    number: int
    thumbprint: str
    account_jwk: str
    view_jwk: str
    full_after: int


class AccountStore:
    """Accounts of one database. Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def offer_nonce(self, nonce: str, thumbprint: str, *, now: int, expires: int) -> None:
        """Remembers an enrolment nonce, the only one of this account key; forgets those past."""
        with self._engine.begin() as connection:
            lock(connection, thumbprint.encode())
            connection.execute(
                text("DELETE FROM enrolment_nonce WHERE expires <= :now OR thumbprint = :thumbprint"),
                {"now": now, "thumbprint": thumbprint},
            )
            connection.execute(
                text("INSERT INTO enrolment_nonce (nonce, thumbprint, expires) VALUES (:nonce, :thumbprint, :expires)"),
                {"nonce": nonce, "thumbprint": thumbprint, "expires": expires},
            )

    def take_nonce(self, thumbprint: str, *, now: int) -> str | None:
        """The nonce offered to this key; nobody gets it a second time."""
        with self._engine.begin() as connection:
            found: str | None = connection.execute(
                text("DELETE FROM enrolment_nonce WHERE thumbprint = :thumbprint AND expires > :now RETURNING nonce"),
                {"thumbprint": thumbprint, "now": now},
            ).scalar()
            return found

    def enrol(
        self, *, claim_hash: bytes, thumbprint: str, account_jwk: str, view_jwk: str, now: int
    ) -> tuple[StoredAccount, bool]:
        """The account of this claim under the new keys, and whether it was there before (recovery).

        The same key again changes nothing. Raises LedgerConflict (``taken``) where the key
        belongs to another claim.
        """
        with self._engine.begin() as connection:
            # Both in one order for everybody: whoever has the claim's lock waits for the key's, never the reverse.
            lock(connection, claim_hash)
            lock(connection, b"account key" + thumbprint.encode())
            other = connection.execute(
                text("SELECT claim_hash FROM account WHERE thumbprint = :thumbprint"), {"thumbprint": thumbprint}
            ).scalar()
            if other is not None and bytes(other) != claim_hash:
                raise LedgerConflict("taken")
            values = {"hash": claim_hash, "thumbprint": thumbprint, "jwk": account_jwk, "view": view_jwk}
            known = connection.execute(text("SELECT 1 FROM account WHERE claim_hash = :hash"), values).first()
            if known is None:
                connection.execute(
                    text(
                        "INSERT INTO account (claim_hash, thumbprint, account_jwk, view_jwk, full_after) "
                        "VALUES (:hash, :thumbprint, :jwk, :view, 0)"
                    ),
                    values,
                )
            elif other is None:
                connection.execute(
                    text(
                        "UPDATE account SET thumbprint = :thumbprint, account_jwk = :jwk, view_jwk = :view, "
                        "full_after = :full_after WHERE claim_hash = :hash"
                    ),
                    values | {"full_after": now + RECOVERY_SECONDS},
                )
            found = connection.execute(text(f"SELECT {_COLUMNS} FROM account WHERE claim_hash = :hash"), values).one()
            return StoredAccount(*found), known is not None

    def by_key(self, thumbprint: str) -> StoredAccount | None:
        with self._reader.begin() as connection:
            found = connection.execute(
                text(f"SELECT {_COLUMNS} FROM account WHERE thumbprint = :thumbprint"), {"thumbprint": thumbprint}
            ).first()
        return StoredAccount(*found) if found else None

    def by_number(self, number: int) -> StoredAccount | None:
        with self._reader.begin() as connection:
            found = connection.execute(
                text(f"SELECT {_COLUMNS} FROM account WHERE number = :number"), {"number": number}
            ).first()
        return StoredAccount(*found) if found else None


_COLUMNS = "number, thumbprint, account_jwk, view_jwk, full_after"
