"""Issuances and their tokens.

Each redemption is one transaction; what the service checks inside it, it checks in a function of
its own that answers what to write, or a fault. A fault is raised after the commit: an authorization
code that was tried wrongly stays spent, an attempt at a transaction code stays counted.

A refresh token goes ACTIVE → REPLACED → RETIRED. It is replaced by its first use and retired once
its successor, or an access token given with the successor, is seen: then the answer has arrived.
Until then the replaced one works again and the unseen successor is retired: a wallet that lost an
answer loses nothing. A retired token that comes back was copied by somebody: the issuance ends.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from identity.issuer.store.configurations import dump, load
from identity.issuer.store.offers import CodeRefusal, OfferedCode, mark_code, spend_code
from identity.issuer.store.requests import SpentCode, mark_authorization_code, spend_authorization_code
from identity.issuer.store.tables import access_token, issuance, refresh_token


class RefreshState(IntEnum):
    ACTIVE = 0
    REPLACED = 1
    RETIRED = 2


@dataclass(frozen=True, slots=True)
class NewTokens:
    access_hash: bytes
    access_sealed: bytes
    access_expires: int
    access_configurations: tuple[str, ...]
    refresh_hash: bytes
    refresh_sealed: bytes


@dataclass(frozen=True, slots=True)
class NewIssuance:
    client_id: str | None
    jkt: str | None
    configurations: tuple[str, ...]
    by_details: bool
    expires: int
    tokens: NewTokens


@dataclass(frozen=True, slots=True)
class IssuanceRow:
    number: int
    client_id: str | None
    jkt: str | None
    configurations: tuple[str, ...]
    by_details: bool
    expires: int


@dataclass(frozen=True, slots=True)
class Access:
    """What an access token opens now."""

    issuance: IssuanceRow
    configurations: tuple[str, ...]
    sealed: bytes
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class Refreshable:
    issuance: IssuanceRow
    sealed: bytes


class TokenStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def redeem_pre_authorized(
        self,
        code_hash: bytes,
        tx_code_hash: bytes | None,
        *,
        now: int,
        make: Callable[[OfferedCode], NewIssuance],
    ) -> CodeRefusal | None:
        """None = done. What ``make`` raises leaves the code as it was."""
        with self._engine.begin() as connection:
            found = spend_code(connection, code_hash, tx_code_hash, now=now)
            if isinstance(found, OfferedCode):
                mark_code(connection, code_hash, _add(connection, make(found)))
                return None
            refusal, earlier = found
            if earlier is not None:
                end_issuance(connection, earlier)
            return refusal

    def redeem_authorization_code(
        self, code_hash: bytes, *, now: int, make: Callable[[SpentCode], NewIssuance | Exception]
    ) -> bool:
        """False = unknown, too old, or spent before; in the last case what it gave is revoked."""
        with self._engine.begin() as connection:
            found = spend_authorization_code(connection, code_hash, now=now)
            if found is None:
                return False
            if found.repeated:
                # RFC 6749 section 4.1.2
                if found.issuance is not None:
                    end_issuance(connection, found.issuance)
                return False
            made = make(found)
            if isinstance(made, NewIssuance):
                mark_authorization_code(connection, code_hash, _add(connection, made))
        if isinstance(made, Exception):
            raise made
        return True

    def refresh(self, token_hash: bytes, *, now: int, make: Callable[[Refreshable], NewTokens]) -> bool:
        """False = unknown, ended, or retired; in the last case the issuance is revoked.

        ``make`` is asked first in every state: who does not hold the token's key, and so cannot be
        the wallet, revokes nothing by trying.
        """
        with self._engine.begin() as connection:
            row = connection.execute(
                select(refresh_token, issuance)
                .join(issuance, issuance.c.number == refresh_token.c.issuance)
                .where(
                    refresh_token.c.token_hash == token_hash, issuance.c.revoked.is_(False), issuance.c.expires > now
                )
            ).first()
            if row is None:
                return False
            number = int(row.number)
            made = make(Refreshable(_issuance(row), bytes(row.sealed)))
            if row.state == RefreshState.RETIRED:
                end_issuance(connection, number)
                return False
            if row.state == RefreshState.REPLACED:
                # Its successor was never seen: it is as lost as the answer it was in.
                connection.execute(delete(access_token).where(access_token.c.issuance == number))
                _retire(connection, number, RefreshState.ACTIVE)
            else:
                _retire(connection, number, RefreshState.REPLACED)
                connection.execute(
                    update(refresh_token)
                    .where(refresh_token.c.token_hash == token_hash)
                    .values(state=RefreshState.REPLACED)
                )
            _add_tokens(connection, number, made)
            return True

    def access(self, token_hash: bytes, *, now: int) -> Access | None:
        """What the token opens; None where it is unknown, too old, or its issuance has ended."""
        with self._engine.begin() as connection:
            row = connection.execute(
                select(
                    issuance,
                    access_token.c.configurations.label("part"),
                    access_token.c.sealed,
                    access_token.c.refresh_hash,
                )
                .join(issuance, issuance.c.number == access_token.c.issuance)
                .where(
                    access_token.c.token_hash == token_hash,
                    access_token.c.expires > now,
                    issuance.c.revoked.is_(False),
                )
            ).first()
            if row is None:
                return None
            _confirm(connection, int(row.number), bytes(row.refresh_hash))
            return Access(_issuance(row), load(row.part), bytes(row.sealed), token_hash)

    def purge(self, *, now: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(access_token).where(access_token.c.expires <= now))
            connection.execute(delete(issuance).where(issuance.c.expires <= now))


def _add(connection: Connection, new: NewIssuance) -> int:
    number = connection.execute(
        insert(issuance)
        .values(
            client_id=new.client_id,
            jkt=new.jkt,
            configurations=dump(new.configurations),
            by_details=new.by_details,
            expires=new.expires,
            revoked=False,
        )
        .returning(issuance.c.number)
    ).scalar_one()
    _add_tokens(connection, int(number), new.tokens)
    return int(number)


def _add_tokens(connection: Connection, number: int, new: NewTokens) -> None:
    connection.execute(
        insert(access_token).values(
            token_hash=new.access_hash,
            issuance=number,
            configurations=dump(new.access_configurations),
            sealed=new.access_sealed,
            refresh_hash=new.refresh_hash,
            expires=new.access_expires,
        )
    )
    connection.execute(
        insert(refresh_token).values(
            token_hash=new.refresh_hash, issuance=number, state=RefreshState.ACTIVE, sealed=new.refresh_sealed
        )
    )


def end_issuance(connection: Connection, number: int) -> None:
    """The row stays, so that what comes later is refused; what was sealed does not."""
    connection.execute(update(issuance).where(issuance.c.number == number).values(revoked=True))
    connection.execute(delete(access_token).where(access_token.c.issuance == number))
    connection.execute(update(refresh_token).where(refresh_token.c.issuance == number).values(sealed=b""))


def _retire(connection: Connection, number: int, state: RefreshState) -> None:
    connection.execute(
        update(refresh_token)
        .where(refresh_token.c.issuance == number, refresh_token.c.state == state)
        .values(state=RefreshState.RETIRED, sealed=b"")
    )


def _confirm(connection: Connection, number: int, refresh_hash: bytes) -> None:
    """An access token was seen, so the refresh token beside it has arrived."""
    active = select(refresh_token.c.state).where(refresh_token.c.token_hash == refresh_hash)
    if connection.execute(active).scalar() == RefreshState.ACTIVE:
        _retire(connection, number, RefreshState.REPLACED)


def _issuance(row: Row[Any]) -> IssuanceRow:
    found = row._mapping
    return IssuanceRow(
        number=found[issuance.c.number],
        client_id=found[issuance.c.client_id],
        jkt=found[issuance.c.jkt],
        configurations=load(found[issuance.c.configurations]),
        by_details=found[issuance.c.by_details],
        expires=found[issuance.c.expires],
    )
