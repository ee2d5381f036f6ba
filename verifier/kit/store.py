"""What a service keeps: its open requests, the grants it holds, and the uses it has seen proven."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from consent.door.effect import effect, withdrawn
from consent.door.store import DoorStore, KnownGrant, find, kept_for, learn
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import VerifiedGrant
from identity.clock import Clock
from verifier.kit.outcome import HeldGrant
from verifier.kit.receipts import end
from verifier.kit.tables import asked, held_grant, seen_use

KEPT_SECONDS = 86_400
"""How long a request stays after its end, for a resident who answered in its last second."""


# Outcomes of a request.
GIVEN, REFUSED, EXPIRED = "given", "refused", "expired"


@dataclass(frozen=True, slots=True)
class KeptRequest:
    jws: str
    outcome: str | None
    """None while nobody has answered."""
    grant_id: str | None


class KitStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine

        def ended(connection: Connection, grant_id: str) -> None:
            _forget(connection, grant_id)
            end(connection, grant_id, int(clock()))

        self.door = DoorStore(engine, on_end=ended)

    def add_request(self, request_id: str, jws: str, *, expires: int, now: int) -> None:
        with self._engine.begin() as connection:
            connection.execute(delete(asked).where(asked.c.expires <= now - KEPT_SECONDS))
            connection.execute(insert(asked).values(request_id=request_id, jws=jws, expires=expires))

    def request(self, request_id: str) -> KeptRequest | None:
        with self._engine.begin() as connection:
            found = select(asked.c.jws, asked.c.outcome, asked.c.grant_id).where(asked.c.request_id == request_id)
            row = connection.execute(found).first()
        return None if row is None else KeptRequest(row.jws, row.outcome, row.grant_id)

    def unanswered(self) -> list[str]:
        with self._engine.begin() as connection:
            found = select(asked.c.request_id).where(asked.c.outcome.is_(None)).order_by(asked.c.expires)
            return list(connection.execute(found).scalars())

    def close(self, request_id: str, outcome: str) -> None:
        """Nobody needs to be asked about this request again."""
        with self._engine.begin() as connection:
            connection.execute(update(asked).where(asked.c.request_id == request_id).values(outcome=outcome))

    def keep(self, request_id: str | None, grant: VerifiedGrant) -> bool:
        """Keeps a grant, unless a withdrawal of its key came first. Raises MessageError where its id is another's.

        ``request_id`` None: another service asked for it.
        """
        known = KnownGrant(grant.id, grant.key.thumbprint, grant.digest, grant.service, grant.detail.attributes)
        with self._engine.begin() as connection:
            kept = learn(connection, known)
            if request_id is not None:
                answered = update(asked).where(asked.c.request_id == request_id)
                connection.execute(answered.values(outcome=GIVEN, grant_id=grant.id))
            if effect(known.attributes, kept).ended_at is not None:
                return False
            here = select(held_grant.c.grant_id).where(held_grant.c.grant_id == grant.id)
            if connection.execute(here).first() is None:
                detail = json.dumps(grant.detail.to_json())
                connection.execute(insert(held_grant).values(grant_id=grant.id, jws=grant.compact, detail=detail))
            return True

    def grant(self, grant_id: str) -> HeldGrant | None:
        """A grant of which something is left."""
        with self._engine.begin() as connection:
            row = connection.execute(select(held_grant).where(held_grant.c.grant_id == grant_id)).first()
            return None if row is None else _held(connection, row)

    def grants(self) -> list[HeldGrant]:
        with self._engine.begin() as connection:
            rows = connection.execute(select(held_grant).order_by(held_grant.c.grant_id)).all()
            return [_held(connection, row) for row in rows]

    def withdrawn(self, grant_id: str, attributes: tuple[str, ...]) -> tuple[str | None, ...]:
        """What of these attributes was withdrawn at this door; (None,) = the whole grant."""
        with self._engine.begin() as connection:
            grant = find(connection, grant_id)
            if grant is None:
                return ()
            kept = kept_for(connection, grant_id, grant.thumbprint)
            return (None,) if effect(grant.attributes, kept).ended_at else withdrawn(attributes, kept)


def _held(connection: Connection, row: Row[str, str, str]) -> HeldGrant:
    detail = AuthorizationDetail.parse(json.loads(row.detail), what="kept grant")
    grant = find(connection, row.grant_id)
    kept = kept_for(connection, row.grant_id, grant.thumbprint) if grant else []
    service = grant.service if grant else ""
    return HeldGrant(row.grant_id, detail, effect(detail.attributes, kept).left, row.jws, service)


def _forget(connection: Connection, grant_id: str) -> None:
    """A withdrawn grant is not kept; that it was withdrawn is, at the door."""
    connection.execute(delete(held_grant).where(held_grant.c.grant_id == grant_id))
    connection.execute(delete(seen_use).where(seen_use.c.grant_id == grant_id))
