"""Accesses that rest on law, oppositions to them, and what residents read of both (ADR 0009, D1, D4, D5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, bindparam, text

from consent.errors import LedgerConflict
from consent.ledger.events import TimelineItem
from consent.ledger.grant_row import Entry, add_event
from consent.ledger.schema import for_reading

LATE_VISIBLE_SECONDS = 30 * 86_400
"""An item that became visible behind what its reader has seen is shown again so long."""


@dataclass(frozen=True, slots=True)
class UnlinkedEntry:
    """An entry under a fresh id, and the same event sealed for each account that may read it."""

    id: bytes
    entry: Entry
    sealed: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class StoredOpposition:
    opposition_id: bytes
    account: int
    service: str
    purpose: str | None
    holder: str | None
    since: int

    def covers(self, service: str, purpose: str, holder: str) -> bool:
        return self.service == service and self.purpose in (None, purpose) and self.holder in (None, holder)


class NoticeStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def add(
        self,
        made: UnlinkedEntry,
        *,
        service: str,
        holder: str,
        purpose: str,
        jti: bytes,
        at: int,
        late_seconds: int | None,
        visible_from: int | None,
        opposable: bool,
    ) -> None:
        """Raises LedgerConflict (``replayed``, ``opposition``). ``at``: NumericDate."""
        with self._engine.begin() as connection:
            accounts = sorted(made.sealed)
            hold_accounts(connection, accounts)
            if opposable and any(
                one.covers(service, purpose, holder) for account in accounts for one in _of(connection, account)
            ):
                raise LedgerConflict("opposition")
            spent = connection.execute(
                text(
                    "INSERT INTO notice (notice_id, service, holder, jti, at, late_seconds) "
                    "VALUES (:id, :service, :holder, :jti, :at, :late) ON CONFLICT DO NOTHING"
                ),
                {"id": made.id, "service": service, "holder": holder, "jti": jti, "at": at, "late": late_seconds},
            )
            if spent.rowcount != 1:
                raise LedgerConflict("replayed")
            add_unlinked(connection, made, visible_from=visible_from)

    def was_seen(self, service: str, jti: bytes) -> bool:
        with self._reader.begin() as connection:
            found = connection.execute(
                text("SELECT 1 FROM notice WHERE service = :service AND jti = :jti"), {"service": service, "jti": jti}
            )
            return found.first() is not None

    def oppose(self, opposition: StoredOpposition, made: UnlinkedEntry, *, at_most: int) -> None:
        """Raises LedgerConflict (``too_many``)."""
        with self._engine.begin() as connection:
            hold_accounts(connection, [opposition.account])
            if len(_of(connection, opposition.account)) >= at_most:
                raise LedgerConflict("too_many")
            connection.execute(
                text(
                    f"INSERT INTO opposition ({_OPPOSITION}) "
                    "VALUES (:opposition_id, :account, :service, :purpose, :holder, :since)"
                ),
                {name: getattr(opposition, name) for name in StoredOpposition.__slots__},
            )
            add_unlinked(connection, made)

    def oppositions(self, account: int) -> list[StoredOpposition]:
        with self._reader.begin() as connection:
            return _of(connection, account)

    def end_opposition(self, opposition_id: bytes, account: int) -> bool:
        """False where the account has no such opposition."""
        with self._engine.begin() as connection:
            hold_accounts(connection, [account])
            ended = connection.execute(
                text("DELETE FROM opposition WHERE opposition_id = :id AND account = :account"),
                {"id": opposition_id, "account": account},
            )
            return ended.rowcount == 1

    def accounts_of(self, mailboxes: Sequence[bytes]) -> dict[int, str]:
        """Accounts behind these mailboxes and their view keys (JWK); a mailbox nobody has is nobody's."""
        if not mailboxes:
            return {}
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT DISTINCT account.number, account.view_jwk FROM account "
                    "JOIN mailbox ON mailbox.account = account.number WHERE mailbox.mailbox IN :mailboxes"
                ).bindparams(bindparam("mailboxes", expanding=True)),
                {"mailboxes": list(mailboxes)},
            ).all()
        return {int(number): str(view_jwk) for number, view_jwk in rows}

    def timeline(self, account: int, *, after: int, now: int, at_most: int) -> list[TimelineItem]:
        """Items behind leaf ``after`` that are visible now, oldest first, unplaced ones last."""
        return self._items(
            "(event.leaf_index > :after OR event.leaf_index IS NULL)",
            {"account": account, "after": after, "now": now, "at_most": at_most},
        )

    def became_visible(self, account: int, *, upto: int, now: int, at_most: int) -> list[TimelineItem]:
        """Items at or below leaf ``upto`` that were hidden until lately: their reader may have passed them."""
        return self._items(
            "event.leaf_index <= :upto AND notice_item.visible_from > :since",
            {"account": account, "upto": upto, "now": now, "since": now - LATE_VISIBLE_SECONDS, "at_most": at_most},
        )

    def _items(self, condition: str, values: Mapping[str, object]) -> list[TimelineItem]:
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    "SELECT event.grant_id, event.kind, event.counter, event.leaf_index, notice_item.sealed "
                    "FROM notice_item JOIN event ON event.grant_id = notice_item.leaf_id AND event.counter = 0 "
                    "WHERE notice_item.account = :account "
                    "AND (notice_item.visible_from IS NULL OR notice_item.visible_from <= :now) "
                    f"AND {condition} "
                    "ORDER BY event.leaf_index IS NULL, event.leaf_index, event.sequence LIMIT :at_most"
                ),
                values,
            ).all()
        return [TimelineItem(bytes(row[0]), *row[1:]) for row in rows]

    def statistics(self) -> tuple[int, list[tuple[str, int, int]]]:
        """How many notices in all; per data holder how many came late, and the longest delay in seconds."""
        with self._reader.begin() as connection:
            count = connection.execute(text("SELECT count(*) FROM notice")).scalar_one()
            late = connection.execute(
                text(
                    "SELECT holder, count(*), max(late_seconds) FROM notice WHERE late_seconds IS NOT NULL "
                    "GROUP BY holder ORDER BY holder"
                )
            ).all()
        return int(count), [(str(row[0]), int(row[1]), int(row[2])) for row in late]


def hold_accounts(connection: Connection, accounts: Sequence[int]) -> None:
    """Takes these accounts' rows until the transaction ends: who opposes and who is accessed come in one order."""
    for account in accounts:
        connection.execute(
            text("UPDATE account SET full_after = full_after WHERE number = :account"), {"account": account}
        )


def add_unlinked(connection: Connection, made: UnlinkedEntry, *, visible_from: int | None = None) -> None:
    """The event under its own id, and its sealed copies."""
    add_event(connection, made.entry, made.id, 0)
    for account, sealed in made.sealed.items():
        connection.execute(
            text(
                "INSERT INTO notice_item (leaf_id, account, sealed, visible_from) "
                "VALUES (:leaf_id, :account, :sealed, :visible_from)"
            ),
            {"leaf_id": made.id, "account": account, "sealed": sealed, "visible_from": visible_from},
        )


def _of(connection: Connection, account: int) -> list[StoredOpposition]:
    rows = connection.execute(
        text(f"SELECT {_OPPOSITION} FROM opposition WHERE account = :account ORDER BY since, opposition_id"),
        {"account": account},
    ).all()
    return [StoredOpposition(bytes(row[0]), *row[1:]) for row in rows]


_OPPOSITION = "opposition_id, account, service, purpose, holder, since"
