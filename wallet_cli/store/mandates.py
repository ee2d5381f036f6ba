"""Mandates by which this wallet acts for somebody else: each with a key of its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class HeldMandate:
    id: str
    consent: str
    key: dict[str, str]
    role: str
    verbs: tuple[str, ...]
    purposes: tuple[str, ...]
    until: int
    ended: int | None = None


_MANDATE = "SELECT mandate_id, consent, key, role, verbs, purposes, until, ended FROM mandate"


def save(store: Store, one: HeldMandate) -> None:
    store.change(
        "INSERT INTO mandate VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        one.id, one.consent, json.dumps(one.key), one.role, json.dumps(one.verbs), json.dumps(one.purposes),
        one.until, one.ended,
    )  # fmt: skip


def end(store: Store, mandate_id: str, *, now: int) -> None:
    store.change("UPDATE mandate SET ended = ? WHERE mandate_id = ?", now, mandate_id)


def find(store: Store, prefix: str) -> list[HeldMandate]:
    """By identifier or the beginning of one; not those that were ended."""
    return [one for one in mandates(store) if one.id.startswith(prefix)]


def mandates(store: Store) -> list[HeldMandate]:
    """Not those that were ended."""
    return [_mandate(row) for row in store.rows(f"{_MANDATE} WHERE ended IS NULL ORDER BY until, mandate_id")]


def _mandate(row: Sequence[Any]) -> HeldMandate:
    key, verbs, purposes = json.loads(row[2]), tuple(json.loads(row[4])), tuple(json.loads(row[5]))
    return HeldMandate(row[0], row[1], key, row[3], verbs, purposes, row[6], row[7])
