"""The resident's acts on grants: pause, resume, amend, freeze, erase. Kept for good: the timeline compares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class OwnAct:
    jti: str
    grant_id: str
    number: int
    verb: str
    jws: str
    made: int
    door: str | None
    """Where the data holder takes it; None = nowhere."""
    state: str | None = None
    """Of the grant after it; None while the consent service has not answered."""
    told: str | None = None
    """What the data holder answered; None = nothing yet."""


@dataclass(frozen=True, slots=True)
class Freeze:
    consent: str
    until: int | None
    made: int


_ACT = "SELECT jti, grant_id, number, verb, jws, made, door, state, told FROM act"


def save_act(store: Store, act: OwnAct) -> None:
    store.change(
        "INSERT INTO act VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        act.jti, act.grant_id, act.number, act.verb, act.jws, act.made, act.door, act.state, act.told,
    )  # fmt: skip


def set_act_state(store: Store, jti: str, state: str) -> None:
    store.change("UPDATE act SET state = ? WHERE jti = ?", state, jti)


def acts(store: Store, grant_id: str) -> list[OwnAct]:
    """By number; two of one number where the first was not taken."""
    return [_act(row) for row in store.rows(f"{_ACT} WHERE grant_id = ? ORDER BY number, made, jti", grant_id)]


def set_act_told(store: Store, jti: str, answer: str) -> None:
    store.change("UPDATE act SET told = ? WHERE jti = ?", answer, jti)


def untold(store: Store) -> list[OwnAct]:
    """Those that the consent service or the data holder has not answered yet."""
    rows = store.rows(f"{_ACT} WHERE state IS NULL OR (door IS NOT NULL AND told IS NULL) ORDER BY made, jti")
    return [_act(row) for row in rows]


def drop_act(store: Store, jti: str) -> None:
    """The consent service has said that it did not take it."""
    store.change("DELETE FROM act WHERE jti = ?", jti)


def save_freeze(store: Store, freeze: Freeze) -> None:
    store.change(
        "INSERT INTO freeze (consent, until, made) VALUES (?, ?, ?)", freeze.consent, freeze.until, freeze.made
    )


def freezes(store: Store, consent: str) -> list[Freeze]:
    rows = store.rows("SELECT consent, until, made FROM freeze WHERE consent = ? ORDER BY id", consent)
    return [Freeze(*row) for row in rows]


def save_erasure(store: Store, grant_id: str, *, now: int) -> None:
    store.change("INSERT INTO erasure VALUES (?, ?) ON CONFLICT DO NOTHING", grant_id, now)


def erased(store: Store) -> frozenset[str]:
    """Grants that the resident had erased."""
    return frozenset(row[0] for row in store.rows("SELECT grant_id FROM erasure"))


def _act(row: Sequence[Any]) -> OwnAct:
    return OwnAct(*row)
