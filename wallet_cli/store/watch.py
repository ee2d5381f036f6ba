"""What the timeline has shown of events that belong to no grant, and the evidence against those who cheat."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """An access that rests on law, or an opposition: seen once, it may not be gone later."""

    leaf_id: str
    consent: str
    kind: str
    leaf_index: int | None
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    code: str
    about: str
    """A grant's id, or a leaf's."""
    detail: str
    found: int
    body: dict[str, Any]


_OWN_EVENT = "SELECT leaf_id, consent, kind, leaf_index, body FROM own_event"


def save_own_event(store: Store, event: OwnEvent) -> None:
    store.change(
        "INSERT INTO own_event (leaf_id, consent, kind, leaf_index, body) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (leaf_id) DO UPDATE SET leaf_index = excluded.leaf_index",
        event.leaf_id,
        event.consent,
        event.kind,
        event.leaf_index,
        json.dumps(event.body, ensure_ascii=False),
    )


def own_events(store: Store, consent: str) -> dict[str, OwnEvent]:
    """By the id of their leaf; of the account that is there now."""
    rows = store.rows(f"{_OWN_EVENT} WHERE consent = ? AND closed IS NULL", consent)
    return {row[0]: _own_event(row) for row in rows}


def close_own_events(store: Store, consent: str, *, now: int) -> None:
    """The account was erased: nobody has to show them any more."""
    store.change("UPDATE own_event SET closed = ? WHERE consent = ? AND closed IS NULL", now, consent)


def closed_events(store: Store) -> list[OwnEvent]:
    return [_own_event(row) for row in store.rows(f"{_OWN_EVENT} WHERE closed IS NOT NULL ORDER BY leaf_id")]


def keep_evidence(store: Store, evidence: Evidence) -> None:
    """The first finding stays as it was: what was found again says nothing new."""
    store.change(
        "INSERT INTO evidence (code, about, detail, found, body) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        evidence.code,
        evidence.about,
        evidence.detail,
        evidence.found,
        json.dumps(evidence.body, ensure_ascii=False),
    )


def evidence(store: Store) -> list[Evidence]:
    """Oldest first."""
    rows = store.rows("SELECT code, about, detail, found, body FROM evidence ORDER BY id")
    return [Evidence(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]


def _own_event(row: Sequence[Any]) -> OwnEvent:
    return OwnEvent(row[0], row[1], row[2], row[3], json.loads(row[4]))


def evidence_json(store: Store) -> Mapping[str, Any]:
    return {
        "type": "AtorgaEvidence",
        "schema_version": "atorga-evidence/1",
        "findings": [
            {"code": one.code, "about": one.about, "detail": one.detail, "found": one.found, **one.body}
            for one in evidence(store)
        ],
    }
