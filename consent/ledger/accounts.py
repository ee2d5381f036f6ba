"""Residents' accounts: a keyed hash of a pairwise identifier beside two public keys (WIRE C10)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from consent.ledger.direct_reader import DirectReader
from consent.ledger.recoveries import RECOVERY_SECONDS as RECOVERY_SECONDS
from consent.ledger.recoveries import PresentedKey, keep_key, recover, require_free
from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements


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
        self._direct = DirectReader(engine)

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
        self, *, claim_hash: bytes, thumbprint: str, account_jwk: str, view_jwk: str, now: int, recovery_id: bytes
    ) -> tuple[StoredAccount, bool]:
        """The account of this claim under the new keys, and whether it was there before (recovery).

        The same key again changes nothing. Raises LedgerConflict: ``taken`` where the key belongs to
        another claim, ``cancelled`` where its recovery was (``consent.ledger.recoveries``).
        """
        key = PresentedKey(thumbprint, account_jwk, view_jwk)
        with self._engine.begin() as connection:
            # Two claims that come with one key at the same time have one order, too.
            for name in sorted((claim_hash, thumbprint.encode())):
                lock(connection, name)
            known = connection.execute(_BY_CLAIM, {"hash": claim_hash}).first()
            if known is None:
                return StoredAccount(*_insert(connection, claim_hash, key)), False
            account = StoredAccount(*known)
            if account.thumbprint != thumbprint:
                recover(
                    connection, account.number, key, full_after=account.full_after, now=now, recovery_id=recovery_id
                )
            return StoredAccount(*connection.execute(_BY_CLAIM, {"hash": claim_hash}).one()), True

    def by_key(self, thumbprint: str) -> StoredAccount | None:
        found = self._direct.first(_BY_KEY, {"thumbprint": thumbprint})
        return StoredAccount(*found) if found else None

    def by_number(self, number: int) -> StoredAccount | None:
        with self._reader.begin() as connection:
            found = connection.execute(
                text(f"SELECT {_COLUMNS} FROM account WHERE number = :number"), {"number": number}
            ).first()
        return StoredAccount(*found) if found else None


def _insert(connection: Statements, claim_hash: bytes, key: PresentedKey) -> Any:
    values = {"hash": claim_hash, "thumbprint": key.thumbprint, "jwk": key.account_jwk, "view": key.view_jwk}
    require_free(connection, key.thumbprint)
    made = connection.execute(
        text(
            "INSERT INTO account (claim_hash, thumbprint, account_jwk, view_jwk, full_after) "
            f"VALUES (:hash, :thumbprint, :jwk, :view, 0) RETURNING {_COLUMNS}"
        ),
        values,
    ).one()
    keep_key(connection, made[0], key, full_after=0)
    return made


_COLUMNS = "number, thumbprint, account_jwk, view_jwk, full_after"
_BY_KEY = text(f"SELECT {_COLUMNS} FROM account WHERE thumbprint = :thumbprint")
_BY_CLAIM = text(f"SELECT {_COLUMNS} FROM account WHERE claim_hash = :hash")
