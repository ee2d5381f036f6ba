"""Whom this wallet believes: anchors, signed lists, issuers known by their address."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from wallet_cli.store.database import Store

Use = Literal["issuer", "verifier"]
USES: tuple[Use, ...] = ("issuer", "verifier")


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    url: str
    jws: str
    version: int


def add_anchor(store: Store, der: bytes, uses: tuple[Use, ...], *, now: int) -> None:
    """Adding it again for another use keeps the first."""
    fingerprint = sha256(der).hexdigest()
    found = store.row("SELECT uses FROM anchor WHERE sha256 = ?", fingerprint)
    together = {*uses, *(str(found[0]).split() if found else ())}
    store.change(
        "INSERT INTO anchor VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO UPDATE SET uses = excluded.uses",
        fingerprint,
        der,
        " ".join(sorted(together)),
        now,
    )


def anchors(store: Store, use: Use | None = None) -> list[bytes]:
    """The certificates, DER; with ``use`` only those added for it."""
    rows = store.rows("SELECT der, uses FROM anchor ORDER BY added, sha256")
    return [bytes(der) for der, uses in rows if use is None or use in str(uses).split()]


def keep_only_registry(store: Store, registry: StoredRegistry) -> None:
    """One wallet, one list: two that name the same party differently would leave the choice to chance."""
    store.change("DELETE FROM registry")
    store.change("INSERT INTO registry VALUES (?, ?, ?)", registry.url, registry.jws, registry.version)


def remember_names(store: Store, names: Mapping[str, Mapping[str, str]]) -> None:
    """Party id or issuer's address → its names by language. Forgets nobody: the history speaks of them still."""
    for identifier, called in names.items():
        store.change(
            "INSERT INTO party_name VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET names = excluded.names",
            identifier,
            json.dumps(dict(called), ensure_ascii=False),
        )


def all_names(store: Store) -> dict[str, dict[str, str]]:
    """Party id or issuer's address → its names by language; who was never on the list is not there."""
    return {str(row[0]): dict(json.loads(row[1])) for row in store.rows("SELECT id, names FROM party_name")}


def registries(store: Store) -> list[StoredRegistry]:
    return [StoredRegistry(*row) for row in store.rows("SELECT url, jws, version FROM registry ORDER BY url")]


def add_issuer(store: Store, url: str, *, now: int) -> None:
    store.change("INSERT INTO known_issuer VALUES (?, ?) ON CONFLICT (url) DO NOTHING", url, now)


def issuers(store: Store) -> list[str]:
    return [str(row[0]) for row in store.rows("SELECT url FROM known_issuer ORDER BY url")]
