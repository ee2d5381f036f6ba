"""Recovery (DESIGN §7, ADR 0009 D18): a new key takes an account over, waits, and can be sent away meanwhile.

Every key waits for itself, 72 h from the recovery that brought it: another recovery sets nobody
back. While the account's present key waits, one that was full before comes back in full; once the
present key is full, every other is a stranger and waits from the beginning.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, text

from consent.errors import LedgerConflict, NotKnown
from consent.ledger.schema import for_reading
from consent.ledger.statements import Statements

RECOVERY_SECONDS = 72 * 3_600
"""DESIGN §7: after a recovery, grant, resume and erase wait so long; who lost the wallet can object."""

MAX_KEYS = 64
"""Of one account that are remembered at a time: more wallets than anybody loses in three days."""

SHOWN = 32

WAITING, CANCELLED = range(2)


@dataclass(frozen=True, slots=True)
class PresentedKey:
    thumbprint: str
    account_jwk: str
    view_jwk: str


@dataclass(frozen=True, slots=True)
class StoredRecovery:
    recovery_id: bytes
    thumbprint: str
    since: int
    full_after: int
    state: int


class RecoveryStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def key(self, thumbprint: str) -> tuple[int, str] | None:
        """Account and JWK of a key that is or was an account's, unless it was sent away."""
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT account, account_jwk FROM account_key WHERE thumbprint = :thumbprint AND NOT refused"),
                {"thumbprint": thumbprint},
            ).first()
        return None if found is None else (int(found[0]), str(found[1]))

    def of_account(self, account: int) -> list[StoredRecovery]:
        """The newest first."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT {_RECOVERY} FROM recovery WHERE account = :account "
                    "ORDER BY since DESC, recovery_id LIMIT :at_most"
                ),
                {"account": account, "at_most": SHOWN},
            ).all()
        return [_read(row) for row in rows]

    def cancel(self, recovery_id: bytes, *, account: int, thumbprint: str, now: int) -> None:
        """Sends the key of a recovery away and gives the account to ``thumbprint``, in full.

        Raises NotKnown, LedgerConflict: ``recovered`` where the key that asks was not full when the
        recovery began, ``done`` where nothing waits any more: once the present key is full, whoever had
        the account before is a stranger, whatever it cancelled in its day.
        """
        with self._engine.begin() as connection:
            _hold(connection, account)
            found = connection.execute(
                text(f"SELECT {_RECOVERY} FROM recovery WHERE recovery_id = :id AND account = :account"),
                {"id": recovery_id, "account": account},
            ).first()
            asking = connection.execute(_KEY, {"thumbprint": thumbprint}).first()
            if found is None or asking is None or asking[0] != account or asking[4]:
                raise NotKnown("unknown_recovery")
            recovery, full_after = _read(found), int(asking[3])
            if recovery.thumbprint == thumbprint or full_after > recovery.since:
                raise LedgerConflict("recovered")
            if recovery.state == WAITING and now >= recovery.full_after:
                raise LedgerConflict("done")
            present = connection.execute(_PRESENT, {"account": account}).one()
            if present[0] != thumbprint and present[1] <= now:
                raise LedgerConflict("done")
            connection.execute(
                text("UPDATE account_key SET refused = true WHERE thumbprint = :thumbprint AND account = :account"),
                {"thumbprint": recovery.thumbprint, "account": account},
            )
            key = PresentedKey(thumbprint, str(asking[1]), str(asking[2]))
            _give(connection, account, key, full_after=full_after, now=now)
            connection.execute(
                text(f"UPDATE recovery SET state = {CANCELLED} WHERE recovery_id = :id"), {"id": recovery_id}
            )


def recover(
    connection: Statements, account: int, key: PresentedKey, *, full_after: int, now: int, recovery_id: bytes
) -> None:
    """Another key than the present one takes the account; ``full_after`` is the present key's.

    Raises LedgerConflict: ``taken``, ``cancelled``, ``too_many``.
    """
    _hold(connection, account)
    known = connection.execute(_KEY, {"thumbprint": key.thumbprint}).first()
    if known is not None and known[0] != account:
        raise LedgerConflict("taken")
    if known is not None and known[4]:
        raise LedgerConflict("cancelled")
    if full_after <= now:
        # The present key is full: whoever had the account before it is a stranger now.
        connection.execute(
            text(
                "DELETE FROM account_key WHERE account = :account AND NOT refused "
                "AND thumbprint <> (SELECT thumbprint FROM account WHERE number = :account)"
            ),
            {"account": account},
        )
        known = None
    if known is not None:
        keep_key(connection, account, key, full_after=int(known[3]))
        _give(connection, account, key, full_after=int(known[3]), now=now)
        return
    count = connection.execute(
        text("SELECT count(*) FROM account_key WHERE account = :account"), {"account": account}
    ).scalar()
    if int(count or 0) >= MAX_KEYS:
        raise LedgerConflict("too_many")
    keep_key(connection, account, key, full_after=now + RECOVERY_SECONDS)
    connection.execute(
        text(
            "INSERT INTO recovery (recovery_id, account, thumbprint, since, full_after, state) "
            f"VALUES (:id, :account, :thumbprint, :since, :full_after, {WAITING})"
        ),
        {
            "id": recovery_id,
            "account": account,
            "thumbprint": key.thumbprint,
            "since": now,
            "full_after": now + RECOVERY_SECONDS,
        },
    )
    _give(connection, account, key, full_after=now + RECOVERY_SECONDS, now=now)


def require_free(connection: Statements, thumbprint: str) -> None:
    """Raises LedgerConflict (``taken``) where the key is or was another account's."""
    if connection.execute(_KEY, {"thumbprint": thumbprint}).first() is not None:
        raise LedgerConflict("taken")


def keep_key(connection: Statements, account: int, key: PresentedKey, *, full_after: int) -> None:
    connection.execute(
        text(
            "INSERT INTO account_key (thumbprint, account, account_jwk, view_jwk, full_after, refused) "
            "VALUES (:thumbprint, :account, :account_jwk, :view_jwk, :full_after, false) "
            "ON CONFLICT (thumbprint) DO UPDATE SET view_jwk = excluded.view_jwk"
        ),
        {
            "thumbprint": key.thumbprint,
            "account": account,
            "account_jwk": key.account_jwk,
            "view_jwk": key.view_jwk,
            "full_after": full_after,
        },
    )


def _give(connection: Statements, account: int, key: PresentedKey, *, full_after: int, now: int) -> None:
    """The account acts by this key from now on. One that is full ends what still waits."""
    connection.execute(
        text(
            "UPDATE account SET thumbprint = :thumbprint, account_jwk = :account_jwk, view_jwk = :view_jwk, "
            "full_after = :full_after WHERE number = :account"
        ),
        {
            "thumbprint": key.thumbprint,
            "account_jwk": key.account_jwk,
            "view_jwk": key.view_jwk,
            "full_after": full_after,
            "account": account,
        },
    )
    if full_after <= now:
        connection.execute(
            text(
                f"UPDATE recovery SET state = {CANCELLED} WHERE account = :account AND full_after > :now "
                "AND thumbprint <> :thumbprint"
            ),
            {"account": account, "now": now, "thumbprint": key.thumbprint},
        )


def _hold(connection: Statements, account: int) -> None:
    connection.execute(text("UPDATE account SET full_after = full_after WHERE number = :account"), {"account": account})


def _read(row: Any) -> StoredRecovery:
    return StoredRecovery(bytes(row[0]), *row[1:])


_PRESENT = text("SELECT thumbprint, full_after FROM account WHERE number = :account")
_RECOVERY = "recovery_id, thumbprint, since, full_after, state"
_KEY = text(
    "SELECT account, account_jwk, view_jwk, full_after, refused FROM account_key WHERE thumbprint = :thumbprint"
)
