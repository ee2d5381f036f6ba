"""Grants known at a door, and the withdrawals that came to it.

A door believes the grant key alone: a withdrawal of a grant not known here, or by another key, is
kept beside that key, and counts the day a grant with that id *and* key turns up.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, and_, delete, insert, select, update

from consent.door.effect import Effect, Kept, effect
from consent.door.tables import known_grant, withdrawal
from consent.errors import MessageError
from consent.grant.withdrawal import NOTED_SECONDS, VerifiedWithdrawal


@dataclass(frozen=True, slots=True)
class KnownGrant:
    """What a door must know of a grant: its key, and what it gave to whom."""

    grant_id: str
    thumbprint: str
    digest: str
    service: str
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """Nothing of the grant is left."""

    effective_at: int


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Some attributes are left."""

    attributes: tuple[str, ...]
    effective_at: int


@dataclass(frozen=True, slots=True)
class Noted:
    """The grant is not known here, or its key is another: the same answer for both (C5)."""


class DoorStore:
    """The door's side of one database; what takes a connection is part of the caller's transaction."""

    def __init__(self, engine: Engine, *, on_end: Callable[[Connection, str], None] | None = None) -> None:
        """``on_end`` runs in the transaction that ends a known grant, with its id."""
        self._engine = engine
        self._on_end = on_end

    def withdraw(self, message: VerifiedWithdrawal, *, now: int) -> Withdrawn | Narrowed | Noted:
        """Idempotent: the same again gets the first ``effective_at``.

        Of a known grant only what takes something away is kept: however often and in whatever words
        its key withdraws, there are no more rows than it has attributes.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(withdrawal).where(withdrawal.c.expires <= now))
            grant = find(connection, message.grant_id)
            if grant is None or grant.thumbprint != message.key.thumbprint:
                _keep(connection, message, message.attributes, at=now, expires=now + NOTED_SECONDS)
                return Noted()
            named = _named(grant, message)
            kept = kept_for(connection, grant.grant_id, grant.thumbprint)
            left = effect(grant.attributes, kept).left
            if set(left) & set(grant.attributes if named is None else named):
                _keep(connection, message, named, at=now, expires=None)
                kept = kept_for(connection, grant.grant_id, grant.thumbprint)
            state = effect(grant.attributes, kept)
            if state.ended_at is not None:
                if self._on_end is not None:
                    self._on_end(connection, grant.grant_id)
                return Withdrawn(state.ended_at)
            return Narrowed(state.left, _withdrawn_at(kept, named or (), now))

    def knows(self, message: VerifiedWithdrawal) -> bool:
        """Whether its key is the key of a grant known here."""
        with self._engine.begin() as connection:
            grant = find(connection, message.grant_id)
        return grant is not None and grant.thumbprint == message.key.thumbprint

    def state(self, grant_id: str) -> tuple[KnownGrant, Effect] | None:
        """A known grant and what is left of it."""
        with self._engine.begin() as connection:
            grant = find(connection, grant_id)
            if grant is None:
                return None
            return grant, effect(grant.attributes, kept_for(connection, grant_id, grant.thumbprint))


def learn(connection: Connection, grant: KnownGrant) -> list[Kept]:
    """Makes a proven grant known; returns the withdrawals of its key, which are kept from now on.

    Raises MessageError where another grant has its id.
    """
    before = find(connection, grant.grant_id)
    if before is None:
        connection.execute(
            insert(known_grant).values(
                grant_id=grant.grant_id,
                thumbprint=grant.thumbprint,
                grant_hash=grant.digest,
                service=grant.service,
                attributes=_write(grant.attributes),
            )
        )
        connection.execute(
            update(withdrawal)
            .where(withdrawal.c.grant_id == grant.grant_id, withdrawal.c.thumbprint == grant.thumbprint)
            .values(expires=None)
        )
    elif before != grant:
        raise MessageError("grant: another grant is known here under its id")
    return kept_for(connection, grant.grant_id, grant.thumbprint)


def find(connection: Connection, grant_id: str) -> KnownGrant | None:
    row = connection.execute(select(known_grant).where(known_grant.c.grant_id == grant_id)).first()
    if row is None:
        return None
    return KnownGrant(row.grant_id, row.thumbprint, row.grant_hash, row.service, _read(row.attributes) or ())


def kept_for(connection: Connection, grant_id: str, thumbprint: str) -> list[Kept]:
    rows = connection.execute(
        select(withdrawal.c.attributes, withdrawal.c.at).where(
            withdrawal.c.grant_id == grant_id, withdrawal.c.thumbprint == thumbprint
        )
    )
    return [Kept(_read(row.attributes), row.at) for row in rows]


def _named(grant: KnownGrant, message: VerifiedWithdrawal) -> tuple[str, ...] | None:
    """What of the grant a withdrawal names; None = all. A name that was never given takes nothing away."""
    if message.attributes is None:
        return None
    return tuple(name for name in grant.attributes if name in message.attributes)


def _keep(
    connection: Connection,
    message: VerifiedWithdrawal,
    names: tuple[str, ...] | None,
    *,
    at: int,
    expires: int | None,
) -> None:
    # The order of the names says nothing: the same set again is the same withdrawal.
    attributes = _write(None if names is None else tuple(sorted(names)))
    named = and_(
        withdrawal.c.grant_id == message.grant_id,
        withdrawal.c.thumbprint == message.key.thumbprint,
        withdrawal.c.attributes == attributes,
    )
    if connection.execute(select(withdrawal.c.number).where(named)).first() is None:
        connection.execute(
            insert(withdrawal).values(
                grant_id=message.grant_id,
                thumbprint=message.key.thumbprint,
                attributes=attributes,
                at=at,
                expires=expires,
            )
        )


def _withdrawn_at(kept: list[Kept], names: tuple[str, ...], now: int) -> int:
    """When the last of these attributes was withdrawn; now, where none of them was ever given."""
    first = (min(one.at for one in kept if one.attributes and name in one.attributes) for name in names)
    return max(first, default=now)


def _write(attributes: tuple[str, ...] | None) -> str:
    return json.dumps(None if attributes is None else list(attributes))


def _read(text: str) -> tuple[str, ...] | None:
    value = json.loads(text)
    return None if value is None else tuple(value)
