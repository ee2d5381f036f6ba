"""Links: which key speaks for which row of the register (WIRE C8)."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, insert, select, update

from consent.errors import LedgerConflict
from consent.holder.tables import link, link_notice
from identity.codec import strict_json
from identity.keys.public_key import PublicKey


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
            others = connection.execute(select(link.c.handle).where(link.c.row_key == row_key)).scalars().all()
            if others:
                connection.execute(insert(link_notice), [{"handle": other, "at": now} for other in others])
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

    def notices(self, handle: str) -> list[int]:
        """When further links to this link's row were made."""
        with self._engine.begin() as connection:
            found = select(link_notice.c.at).where(link_notice.c.handle == handle).order_by(link_notice.c.number)
            return list(connection.execute(found).scalars())


def _first(connection: Connection, condition: ColumnElement[bool]) -> StoredLink | None:
    found = select(link.c.handle, link.c.jwk, link.c.mailbox, link.c.row_key).where(condition)
    row = connection.execute(found).first()
    if row is None:
        return None
    key = PublicKey.from_jwk(strict_json.parse_object(row.jwk, what="stored link key"))
    return StoredLink(row.handle, key, row.mailbox, row.row_key)
