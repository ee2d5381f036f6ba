"""Revoking credentials: the bits of all copies that still live become 1, and no more are given."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select, update
from sqlalchemy.dialects.sqlite import insert as upsert

from identity.issuer.store.credentials import Place
from identity.issuer.store.tables import copy, credential, revoked_place, status_list
from identity.issuer.store.tokens import end_issuance


@dataclass(frozen=True, slots=True)
class Revoked:
    credential_id: bytes
    copies: int
    """Living ones with a status: their bits are 1, or will be at the next tick."""


class RevocationStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def revoke(
        self, numbers: Sequence[int], *, reason: str, at_once: bool, now: int, with_issuances: bool = False
    ) -> list[Revoked]:
        """Marks these credentials; their bits flip now, or at the next tick. A repeat changes nothing.

        ``with_issuances`` also ends what they were issued under: its tokens open nothing any more.
        """
        with self._engine.begin() as connection:
            for number in numbers:
                connection.execute(
                    update(credential)
                    .where(credential.c.number == number, credential.c.revoked_at.is_(None))
                    .values(reason=reason, revoked_at=now)
                )
                if at_once:
                    _flip(connection, number, now=now)
                if with_issuances:
                    under = select(credential.c.issuance).where(credential.c.number == number)
                    end_issuance(connection, connection.execute(under).scalar_one())
            return [_revoked(connection, number, now=now) for number in numbers]

    def flip_waiting(self, *, now: int) -> int:
        """The daily tick: all that waited flip together, so that no two of one day tell themselves apart."""
        waiting = select(credential.c.number).where(
            credential.c.revoked_at.is_not(None), credential.c.flipped.is_(False)
        )
        with self._engine.begin() as connection:
            numbers = [int(number) for number in connection.execute(waiting).scalars()]
            for number in numbers:
                _flip(connection, number, now=now)
            return len(numbers)

    def by_id(self, credential_id: bytes) -> list[int]:
        return self._numbers(select(credential.c.number).where(credential.c.credential_id == credential_id))

    def by_place(self, where: Place) -> list[int]:
        return self._numbers(
            select(copy.c.credential).where(copy.c.list == where.list, copy.c.position == where.position)
        )

    def by_person(self, person_hash: bytes, configuration: str | None = None) -> list[int]:
        """Those revoked before too: what waits for the tick may have to show at once."""
        query = select(credential.c.number).where(credential.c.person_hash == person_hash)
        return self._numbers(
            query if configuration is None else query.where(credential.c.configuration == configuration)
        )

    def _numbers(self, query: Select[Any]) -> list[int]:
        with self._engine.begin() as connection:
            return [int(number) for number in connection.execute(query).scalars()]


def _flip(connection: Connection, number: int, *, now: int) -> None:
    living = select(copy.c.list, copy.c.position).where(copy.c.credential == number, copy.c.expires > now)
    lists = {int(row.list) for row in connection.execute(living)}
    connection.execute(upsert(revoked_place).from_select(["list", "position"], living).on_conflict_do_nothing())
    connection.execute(update(credential).where(credential.c.number == number).values(flipped=True))
    for one in lists:
        connection.execute(
            update(status_list).where(status_list.c.number == one).values(changes=status_list.c.changes + 1)
        )


def _revoked(connection: Connection, number: int, *, now: int) -> Revoked:
    credential_id = connection.execute(
        select(credential.c.credential_id).where(credential.c.number == number)
    ).scalar_one()
    copies = connection.execute(
        select(func.count()).where(copy.c.credential == number, copy.c.expires > now)
    ).scalar_one()
    return Revoked(bytes(credential_id), int(copies))
