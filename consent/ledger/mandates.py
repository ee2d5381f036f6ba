"""Mandates that were registered (ADR 0009, D14): a key, whose account it may act for, and within what."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from consent.errors import LedgerConflict
from consent.grant.mandate import Mandate
from consent.ledger.schema import for_reading, lock
from identity.codec import jcs, strict_json

MAX_PER_ACCOUNT = 16
"""More people than act for one."""


@dataclass(frozen=True, slots=True)
class StoredMandate:
    mandate_id: bytes
    account: int
    thumbprint: str
    jwk: str
    mandate: Mandate
    issuer: str
    status: tuple[str, int]

    @property
    def digest(self) -> bytes:
        """Of what its credential says: the same for each copy of it, whichever key shows it."""
        return sha256(jcs.canonicalize({"issuer": self.issuer, **self.mandate.to_json()})).digest()


class MandateStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def account_of(self, claim_hash: bytes) -> int | None:
        """Whose account this identifier is."""
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT number FROM account WHERE claim_hash = :hash"), {"hash": claim_hash}
            ).scalar()
        return None if found is None else int(found)

    def add(self, one: StoredMandate, *, now: int) -> None:
        """Raises LedgerConflict: ``taken`` where the key is an account's or another mandate's, ``too_many``,
        ``ended`` where the represented person ended what its credential says.
        """
        values = {
            "mandate_id": one.mandate_id,
            "account": one.account,
            "thumbprint": one.thumbprint,
            "jwk": one.jwk,
            "role": one.mandate.role,
            "verbs": strict_json.compact(list(one.mandate.verbs)).decode(),
            "purposes": strict_json.compact(list(one.mandate.purposes)).decode(),
            "until": one.mandate.until,
            "issuer": one.issuer,
            "status_uri": one.status[0],
            "status_index": one.status[1],
        }
        try:
            with self._engine.begin() as connection:
                lock(connection, b"mandate/%d" % one.account)
                connection.execute(text("DELETE FROM mandate WHERE until <= :now"), {"now": now})
                connection.execute(text("DELETE FROM ended_mandate WHERE until <= :now"), {"now": now})
                if connection.execute(_ENDED, {"account": one.account, "digest": one.digest}).first() is not None:
                    raise LedgerConflict("ended")
                counted = connection.execute(
                    text("SELECT count(*) FROM mandate WHERE account = :account"), {"account": one.account}
                ).scalar()
                if counted is not None and counted >= MAX_PER_ACCOUNT:
                    raise LedgerConflict("too_many")
                taken = connection.execute(
                    text("SELECT 1 FROM account WHERE thumbprint = :thumbprint"), {"thumbprint": one.thumbprint}
                ).first()
                if taken is not None:
                    raise LedgerConflict("taken")
                connection.execute(
                    text(f"INSERT INTO mandate ({_COLUMNS}) VALUES ({', '.join(':' + name for name in _NAMES)})"),
                    values,
                )
        except IntegrityError:
            raise LedgerConflict("taken") from None

    def by_key(self, thumbprint: str) -> StoredMandate | None:
        found = self._some("thumbprint = :value", thumbprint)
        return found[0] if found else None

    def of_account(self, account: int) -> Sequence[StoredMandate]:
        return self._some("account = :value", account)

    def end(self, mandate_id: bytes, *, account: int, for_good: bool) -> bool:
        """Whether there was one. ``for_good``: nor does its credential give another key until it has ended."""
        with self._engine.begin() as connection:
            lock(connection, b"mandate/%d" % account)
            ended = connection.execute(
                text(f"DELETE FROM mandate WHERE mandate_id = :id AND account = :account RETURNING {_COLUMNS}"),
                {"id": mandate_id, "account": account},
            ).first()
            if ended is not None and for_good:
                one = _stored(ended)
                connection.execute(
                    text(
                        "INSERT INTO ended_mandate (account, digest, until) VALUES (:account, :digest, :until) "
                        "ON CONFLICT DO NOTHING"
                    ),
                    {"account": account, "digest": one.digest, "until": one.mandate.until},
                )
            return ended is not None

    def _some(self, condition: str, value: object) -> Sequence[StoredMandate]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(f"SELECT {_COLUMNS} FROM mandate WHERE {condition} ORDER BY until"), {"value": value}
            ).all()
        return [_stored(row) for row in rows]


def _stored(row: Sequence[Any]) -> StoredMandate:
    mandate = Mandate(
        row[4],
        tuple(strict_json.parse(row[5], what="verbs")),
        tuple(strict_json.parse(row[6], what="purposes")),
        row[7],
    )
    return StoredMandate(bytes(row[0]), row[1], row[2], row[3], mandate, row[8], (row[9], row[10]))


_NAMES = (
    "mandate_id", "account", "thumbprint", "jwk", "role", "verbs", "purposes", "until", "issuer", "status_uri",
    "status_index",
)  # fmt: skip
_COLUMNS = ", ".join(_NAMES)
_ENDED = text("SELECT 1 FROM ended_mandate WHERE account = :account AND digest = :digest")
