"""Oppositions: what the resident objected to, among the accesses that rest on law."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class Opposition:
    id: str
    consent: str
    service: str
    purpose: str | None
    """IRI; None = every purpose."""
    holder: str | None
    """None = at every data holder."""
    since: int
    ended: int | None = None

    def body(self) -> dict[str, Any]:
        """As it was sent."""
        return {"service": self.service, "purpose": self.purpose, "holder": self.holder}


_OPPOSITION = "SELECT opposition_id, consent, service, purpose, holder, since, ended FROM opposition"


def save(store: Store, one: Opposition) -> None:
    store.change(
        "INSERT INTO opposition VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (opposition_id) DO UPDATE SET ended = excluded.ended",
        one.id, one.consent, one.service, one.purpose, one.holder, one.since, one.ended,
    )  # fmt: skip


def end(store: Store, opposition_id: str, *, now: int) -> None:
    store.change("UPDATE opposition SET ended = ? WHERE opposition_id = ?", now, opposition_id)


def drop_all(store: Store, consent: str) -> None:
    """The account was erased, and they with it: the history says that they were made."""
    store.change("DELETE FROM opposition WHERE consent = ?", consent)


def all_of(store: Store, consent: str) -> list[Opposition]:
    """Ended ones too, oldest first."""
    rows = store.rows(f"{_OPPOSITION} WHERE consent = ? ORDER BY since, opposition_id", consent)
    return [_opposition(row) for row in rows]


def find(store: Store, prefix: str) -> list[Opposition]:
    """By identifier or the beginning of one."""
    rows = store.rows(f"{_OPPOSITION} ORDER BY since, opposition_id")
    return [found for found in map(_opposition, rows) if found.id.startswith(prefix)]


def _opposition(row: Sequence[Any]) -> Opposition:
    return Opposition(*row)
