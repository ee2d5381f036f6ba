"""Credentials and their copies.

A copy is shown once, then it is spent: the signature and the key in it are the same each time, so
two places that saw one copy could put their notes together. `take` spends a copy before it is
sent, in a transaction of its own: a wallet that dies while sending has lost a copy, not its
owner's privacy.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wallet_cli.store.database import Store


@dataclass(frozen=True, slots=True)
class Issuance:
    """One authorization at an issuer; holds what fetches further copies."""

    id: str
    credential_issuer: str
    client_id: str | None
    """None after anonymous pre-authorized access."""
    refresh_token: str | None
    dpop_key: dict[str, str] | None
    """Private JWK; None where the issuer gives bearer tokens."""


@dataclass(frozen=True, slots=True)
class Credential:
    id: str
    issuance: str
    configuration: str
    identifier: str | None
    """The ``credential_identifier`` of the token response (OpenID4VCI 1.0 section 6.2)."""
    type: str
    issuer: str
    names: dict[str, str]
    """Display names by language tag."""
    added: int


@dataclass(frozen=True, slots=True)
class Copy:
    id: int
    credential: str
    body: str
    key: dict[str, str]
    valid_until: int
    uses: int


@dataclass(frozen=True, slots=True)
class NewCopy:
    body: str
    key: dict[str, str]
    valid_until: int


_CREDENTIAL = "SELECT id, issuance, configuration, identifier, type, issuer, names, added FROM credential"
_COPY = "SELECT id, credential, body, key, valid_until, uses FROM copy"


def save_issuance(store: Store, issuance: Issuance) -> None:
    store.change(
        "INSERT INTO issuance VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET refresh_token = excluded.refresh_token",
        issuance.id,
        issuance.credential_issuer,
        issuance.client_id,
        issuance.refresh_token,
        None if issuance.dpop_key is None else json.dumps(issuance.dpop_key),
    )


def issuance(store: Store, identifier: str) -> Issuance:
    row = store.row(
        "SELECT id, credential_issuer, client_id, refresh_token, dpop_key FROM issuance WHERE id = ?", identifier
    )
    assert row is not None  # a foreign key of `credential`
    return Issuance(row[0], row[1], row[2], row[3], None if row[4] is None else json.loads(row[4]))


def save_credential(store: Store, credential: Credential) -> None:
    store.change(
        "INSERT INTO credential VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        credential.id,
        credential.issuance,
        credential.configuration,
        credential.identifier,
        credential.type,
        credential.issuer,
        json.dumps(credential.names, ensure_ascii=False),
        credential.added,
    )


def add_copies(store: Store, credential: str, copies: Sequence[NewCopy]) -> None:
    for new in copies:
        store.change(
            "INSERT INTO copy (credential, body, key, valid_until) VALUES (?, ?, ?, ?)",
            credential,
            new.body,
            json.dumps(new.key),
            new.valid_until,
        )


def credentials(store: Store) -> list[Credential]:
    return [_credential(row) for row in store.rows(f"{_CREDENTIAL} ORDER BY added, id")]


def find(store: Store, prefix: str) -> list[Credential]:
    """By identifier or the beginning of one."""
    return [found for found in credentials(store) if found.id.startswith(prefix)]


def copies(store: Store, credential: str) -> list[Copy]:
    """Unused first, then the least used; the oldest first among equals."""
    rows = store.rows(f"{_COPY} WHERE credential = ? ORDER BY uses, valid_until, id", credential)
    return [_copy(row) for row in rows]


def unused(store: Store, credential: str, *, now: int) -> list[Copy]:
    return [copy for copy in copies(store, credential) if copy.uses == 0 and copy.valid_until > now]


def take(store: Store, copy: Copy) -> None:
    """Counts one showing of a copy; call it before the copy leaves."""
    with store.transaction():
        store.change("UPDATE copy SET uses = uses + 1 WHERE id = ?", copy.id)


def replace_copies(store: Store, credential: str, copies: Sequence[NewCopy]) -> None:
    """A fresh batch in place of what is left: all copies of a credential say the same, and say it as of today."""
    store.change("DELETE FROM copy WHERE credential = ?", credential)
    add_copies(store, credential, copies)


def remove(store: Store, credential: str) -> None:
    store.change("DELETE FROM credential WHERE id = ?", credential)


def _credential(row: Sequence[Any]) -> Credential:
    names: Mapping[str, str] = json.loads(row[6])
    return Credential(row[0], row[1], row[2], row[3], row[4], row[5], dict(names), row[7])


def _copy(row: Sequence[Any]) -> Copy:
    return Copy(row[0], row[1], row[2], json.loads(row[3]), row[4], row[5])
