"""Links: which key speaks for which row of the register (WIRE C8)."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from consent.errors import LedgerConflict
from consent.holder.tables import link, link_notice
from identity.codec import strict_json
from identity.keys.public_key import PublicKey

NEW_LINK = "link"

MAX_NOTICES = 1_000
"""Of one link: what a wallet reads at once."""


@dataclass(frozen=True, slots=True)
class LinkNotice:
    """A further link to the row (``link``), or a changed value under a grant (ADR 0009, D16)."""

    kind: str
    time: int
    grant_id: str | None

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "time": self.time} | ({"grant_id": self.grant_id} if self.grant_id else {})


@dataclass(frozen=True, slots=True)
class StoredLink:
    handle: str
    key: PublicKey
    mailbox: str
    row_key: str
    """The register's own key of the row; never the number that named it."""


class LinkStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def add(self, *, handle: str, key: PublicKey, mailbox: str, row_key: str, now: int) -> tuple[str, bool]:
        """The link's handle, and whether it is new; its row's other links get a notice.

        The same key again keeps its handle and takes the newer mailbox. Raises LedgerConflict
        (``taken``) where the key has a link to another row: grants signed by it would move.
        """
        with self._engine.begin() as connection:
            before = _first(connection, link.c.thumbprint == key.thumbprint)
            if before is not None:
                if before.row_key != row_key:
                    raise LedgerConflict("taken")
                connection.execute(update(link).where(link.c.handle == before.handle).values(mailbox=mailbox))
                return before.handle, False
            tell(connection, row_key, NEW_LINK, now=now)
            connection.execute(
                insert(link).values(
                    handle=handle,
                    thumbprint=key.thumbprint,
                    jwk=strict_json.compact(key.jwk()).decode(),
                    mailbox=mailbox,
                    row_key=row_key,
                    made_at=now,
                )
            )
            return handle, True

    def by_handle(self, handle: str) -> StoredLink | None:
        with self._engine.begin() as connection:
            return _first(connection, link.c.handle == handle)

    def by_thumbprint(self, thumbprint: str) -> StoredLink | None:
        with self._engine.begin() as connection:
            return _first(connection, link.c.thumbprint == thumbprint)

    def mailboxes(self, row_key: str) -> list[str]:
        """Of the links to this row, the newest first."""
        with self._engine.begin() as connection:
            found = (
                select(link.c.mailbox).where(link.c.row_key == row_key).order_by(link.c.made_at.desc(), link.c.handle)
            )
            return list(connection.execute(found).scalars())

    def notices(self, handle: str) -> list[LinkNotice]:
        """What the wallet of this link is told, oldest first; of very many the newest."""
        with self._engine.begin() as connection:
            found = (
                select(link_notice)
                .where(link_notice.c.handle == handle)
                .order_by(link_notice.c.number.desc())
                .limit(MAX_NOTICES)
            )
            rows = connection.execute(found).all()
        return [LinkNotice(row.kind, row.at, row.grant_id) for row in reversed(rows)]


def tell(connection: Connection, row_key: str, kind: str, *, now: int, grant_id: str | None = None) -> None:
    """A notice to every link of the row there is; part of the caller's transaction."""
    handles = connection.execute(select(link.c.handle).where(link.c.row_key == row_key)).scalars().all()
    if handles:
        connection.execute(
            insert(link_notice),
            [{"handle": handle, "at": now, "kind": kind, "grant_id": grant_id} for handle in handles],
        )


def _first(connection: Connection, condition: ColumnElement[bool]) -> StoredLink | None:
    found = select(link.c.handle, link.c.jwk, link.c.mailbox, link.c.row_key).where(condition)
    row = connection.execute(found).first()
    if row is None:
        return None
    key = PublicKey.from_jwk(strict_json.parse_object(row.jwk, what="stored link key"))
    return StoredLink(row.handle, key, row.mailbox, row.row_key)
