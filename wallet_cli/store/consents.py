"""Consent accounts, holder links, grants with their keys, withdrawals, and what the timeline has proved."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class Account:
    consent: str
    """Party id of the consent service."""
    key: dict[str, str]
    view_key: dict[str, str]
    log_vkey: str
    """The log's verifier key, pinned at enrolment."""
    state: str


@dataclass(frozen=True, slots=True)
class HolderLink:
    holder: str
    key: dict[str, str]
    mailbox: str
    handle: str | None
    """None while the data holder has not answered."""
    registered: str | None = None
    """The consent service that knows the mailbox: notices of this data holder reach the resident there."""


@dataclass(frozen=True, slots=True)
class HeldGrant:
    grant_id: str
    consent: str
    service: str
    holder: str
    grant_jws: str
    grant_key: dict[str, str]
    state: str
    given_at: int
    receipt: dict[str, Any] | None
    purpose: str | None = None
    """The purpose declaration that was read when it was given, as its service signed it."""


@dataclass(frozen=True, slots=True)
class Door:
    """One of the three places a withdrawal goes to: ``consent``, ``holder``, ``service``."""

    jti: str
    door: str
    address: str
    answer: str | None
    effective_at: int | None
    """From when on, by the door's own words."""


@dataclass(frozen=True, slots=True)
class SeenEvent:
    grant_id: str
    counter: int
    kind: str
    leaf_index: int | None
    body: dict[str, Any]


_GRANT = (
    "SELECT grant_id, consent, service, holder, grant_jws, grant_key, state, given_at, receipt, purpose FROM consent"
)
_LINK = "SELECT holder, key, mailbox, handle, registered FROM holder_link"


def save_account(store: Store, account: Account) -> None:
    store.change(
        "INSERT INTO account VALUES (?, ?, ?, ?, ?) ON CONFLICT (consent) DO UPDATE SET state = excluded.state",
        account.consent,
        json.dumps(account.key),
        json.dumps(account.view_key),
        account.log_vkey,
        account.state,
    )


def account(store: Store, consent: str) -> Account | None:
    row = store.row("SELECT consent, key, view_key, log_vkey, state FROM account WHERE consent = ?", consent)
    return None if row is None else Account(row[0], json.loads(row[1]), json.loads(row[2]), row[3], row[4])


def accounts(store: Store) -> list[Account]:
    rows = store.rows("SELECT consent, key, view_key, log_vkey, state FROM account ORDER BY consent")
    return [Account(row[0], json.loads(row[1]), json.loads(row[2]), row[3], row[4]) for row in rows]


def save_link(store: Store, link: HolderLink) -> None:
    store.change(
        "INSERT INTO holder_link VALUES (?, ?, ?, ?, ?) ON CONFLICT (holder) DO UPDATE"
        " SET handle = excluded.handle, registered = excluded.registered",
        link.holder,
        json.dumps(link.key),
        link.mailbox,
        link.handle,
        link.registered,
    )


def link(store: Store, holder: str) -> HolderLink | None:
    row = store.row(f"{_LINK} WHERE holder = ?", holder)
    return None if row is None else HolderLink(row[0], json.loads(row[1]), row[2], row[3], row[4])


def links(store: Store) -> list[HolderLink]:
    rows = store.rows(f"{_LINK} ORDER BY holder")
    return [HolderLink(row[0], json.loads(row[1]), row[2], row[3], row[4]) for row in rows]


def save_grant(store: Store, grant: HeldGrant) -> None:
    store.change(
        "INSERT INTO consent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        grant.grant_id,
        grant.consent,
        grant.service,
        grant.holder,
        grant.grant_jws,
        json.dumps(grant.grant_key),
        grant.state,
        grant.given_at,
        None if grant.receipt is None else json.dumps(grant.receipt, ensure_ascii=False),
        grant.purpose,
    )


def set_grant_state(store: Store, grant_id: str, state: str) -> None:
    store.change("UPDATE consent SET state = ? WHERE grant_id = ?", state, grant_id)


def set_receipt(store: Store, grant_id: str, receipt: Mapping[str, Any]) -> None:
    store.change("UPDATE consent SET receipt = ? WHERE grant_id = ?", json.dumps(receipt, ensure_ascii=False), grant_id)


def grants(store: Store) -> list[HeldGrant]:
    return [_grant(row) for row in store.rows(f"{_GRANT} ORDER BY given_at, grant_id")]


def find_grants(store: Store, prefix: str) -> list[HeldGrant]:
    """By identifier or the beginning of one."""
    return [found for found in grants(store) if found.grant_id.startswith(prefix)]


def save_withdrawal(store: Store, jti: str, grant_id: str, jws: str, doors: Mapping[str, str], *, now: int) -> None:
    """``doors``: door → address."""
    store.change("INSERT INTO withdrawal VALUES (?, ?, ?, ?)", jti, grant_id, jws, now)
    for door, address in doors.items():
        store.change("INSERT INTO door (jti, door, address) VALUES (?, ?, ?)", jti, door, address)


def set_door_answer(store: Store, jti: str, door: str, answer: str, effective_at: int | None) -> None:
    store.change(
        "UPDATE door SET answer = ?, effective_at = ? WHERE jti = ? AND door = ?", answer, effective_at, jti, door
    )


def doors(store: Store, jti: str) -> list[Door]:
    rows = store.rows("SELECT jti, door, address, answer, effective_at FROM door WHERE jti = ? ORDER BY door", jti)
    return [Door(*row) for row in rows]


def open_withdrawals(store: Store) -> list[tuple[str, str, str]]:
    """(jti, grant id, jws) of withdrawals that some door has not answered."""
    rows = store.rows(
        "SELECT DISTINCT w.jti, w.grant_id, w.jws, w.made FROM withdrawal w JOIN door d ON d.jti = w.jti"
        " WHERE d.answer IS NULL ORDER BY w.made, w.jti"
    )
    return [(row[0], row[1], row[2]) for row in rows]


def promised_withdrawals(store: Store) -> list[tuple[str, str]]:
    """(address, jws) of withdrawals that the consent service took and whose leaf the log does not have yet."""
    rows = store.rows(
        "SELECT d.address, w.jws FROM withdrawal w JOIN door d ON d.jti = w.jti"
        " JOIN promise p ON p.grant_id = w.grant_id"
        " WHERE d.door = 'consent' AND d.answer IS NOT NULL GROUP BY w.jti ORDER BY min(p.due), w.jti"
    )
    return [(row[0], row[1]) for row in rows]


def withdrawals(store: Store, grant_id: str) -> list[tuple[str, str, int]]:
    """(jti, jws, made) of this grant's withdrawals, oldest first."""
    rows = store.rows("SELECT jti, jws, made FROM withdrawal WHERE grant_id = ? ORDER BY made, jti", grant_id)
    return [(row[0], row[1], row[2]) for row in rows]


def save_event(store: Store, event: SeenEvent) -> None:
    store.change(
        "INSERT INTO event VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (grant_id, counter) DO UPDATE SET leaf_index = excluded.leaf_index",
        event.grant_id,
        event.counter,
        event.kind,
        event.leaf_index,
        json.dumps(event.body, ensure_ascii=False),
    )


def all_events(store: Store) -> dict[str, list[SeenEvent]]:
    """By grant, in the order of their counters."""
    found: dict[str, list[SeenEvent]] = {}
    for row in store.rows("SELECT grant_id, counter, kind, leaf_index, body FROM event ORDER BY grant_id, counter"):
        found.setdefault(row[0], []).append(SeenEvent(row[0], row[1], row[2], row[3], json.loads(row[4])))
    return found


def events(store: Store, grant_id: str) -> list[SeenEvent]:
    rows = store.rows(
        "SELECT grant_id, counter, kind, leaf_index, body FROM event WHERE grant_id = ? ORDER BY counter", grant_id
    )
    return [SeenEvent(row[0], row[1], row[2], row[3], json.loads(row[4])) for row in rows]


def checkpoint(store: Store, origin: str) -> tuple[int, str] | None:
    """(size, signed note) of the newest checkpoint seen of that log."""
    row = store.row("SELECT size, note FROM checkpoint WHERE origin = ?", origin)
    return None if row is None else (row[0], row[1])


def save_checkpoint(store: Store, origin: str, size: int, note: str) -> None:
    store.change(
        "INSERT INTO checkpoint VALUES (?, ?, ?)"
        " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, note = excluded.note",
        origin,
        size,
        note,
    )


def save_promise(store: Store, grant_id: str, counter: int, jws: str, due: int) -> None:
    store.change("INSERT INTO promise VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", grant_id, counter, jws, due)


def drop_account(store: Store, consent: str) -> None:
    """The account was erased: its keys open nothing any more."""
    store.change("DELETE FROM account WHERE consent = ?", consent)


def save_mailbox(store: Store, mailbox: str, consent: str, service: str, *, now: int) -> None:
    store.change("INSERT INTO mailbox VALUES (?, ?, ?, ?)", mailbox, consent, service, now)


def mailboxes(store: Store) -> list[tuple[str, str, str]]:
    """(mailbox, consent service, service) of those that were handed out."""
    return [
        (row[0], row[1], row[2]) for row in store.rows("SELECT mailbox, consent, service FROM mailbox ORDER BY made")
    ]


def drop_mailbox(store: Store, mailbox: str) -> None:
    store.change("DELETE FROM mailbox WHERE mailbox = ?", mailbox)


def promises(store: Store) -> list[tuple[str, int, str, int]]:
    """(grant id, counter, jws, due) of promises that the log has not kept yet."""
    rows = store.rows("SELECT grant_id, counter, jws, due FROM promise ORDER BY due")
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def drop_promise(store: Store, grant_id: str, counter: int) -> None:
    """The log has kept it."""
    store.change("DELETE FROM promise WHERE grant_id = ? AND counter = ?", grant_id, counter)


def seen_journal(store: Store, holder: str) -> tuple[int, str] | None:
    """(releases, root over them) when this data holder's journal was read last."""
    row = store.row("SELECT count, root FROM journal WHERE holder = ?", holder)
    return None if row is None else (row[0], row[1])


def save_journal(store: Store, holder: str, count: int, root: str) -> None:
    store.change(
        "INSERT INTO journal VALUES (?, ?, ?)"
        " ON CONFLICT (holder) DO UPDATE SET count = excluded.count, root = excluded.root",
        holder,
        count,
        root,
    )


def _grant(row: Sequence[Any]) -> HeldGrant:
    receipt = None if row[8] is None else json.loads(row[8])
    return HeldGrant(row[0], row[1], row[2], row[3], row[4], json.loads(row[5]), row[6], row[7], receipt, row[9])
