"""The resident's own acts: when, what, with whom. Names of attributes, never their values."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from wallet_cli.store.database import Store

Act = Literal[
    "created",
    "trusted",
    "received",
    "refilled",
    "presented",
    "declined",
    "enrolled",
    "linked",
    "granted",
    "refused",
    "withdrawn",
    "paused",
    "resumed",
    "narrowed",
    "froze",
    "opposed",
    "opposition_ended",
    "erased",
    "exported",
    "disclosed",
    "followed",
    "mailbox_opened",
    "mailbox_closed",
    "mandated",
    "mandate_ended",
    "acted_for",
    "sent_away",
]


@dataclass(frozen=True, slots=True)
class Entry:
    time: int
    act: str
    party: str
    names: tuple[str, ...]
    """Names of attributes or credential types; of a consent, its id first."""


def record(store: Store, act: Act, party: str, names: Sequence[str] = (), *, now: int) -> None:
    store.change(
        "INSERT INTO history (time, act, party, detail) VALUES (?, ?, ?, ?)",
        now,
        act,
        party,
        json.dumps(list(names), ensure_ascii=False),
    )


def entries(store: Store) -> list[Entry]:
    """Oldest first."""
    rows = store.rows("SELECT time, act, party, detail FROM history ORDER BY id")
    return [Entry(time, act, party, tuple(json.loads(detail))) for time, act, party, detail in rows]
