"""Acts of a grant key at the data holder's own door (ADR 0009, D17): a pause or an amendment, told by the wallet.

The consent service decides on acts. But who alone is told of a pause can release while it lasts, and
nobody sees it before the audit. So the wallet sends the same JWS here as well, and what the resident
took away holds whatever an allow says. Nothing that comes here widens anything: an allow is needed
as ever, and must lie within the grant and within the newest amendment known here.

As with withdrawals, a door believes the grant key alone: acts of a grant not known here are kept
beside their key, and count the day a grant with that id and key turns up.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, delete, insert, select, update

from consent.door.store import find
from consent.errors import LedgerConflict
from consent.grant.act import Amend, Pause, VerifiedAct
from consent.grant.detail import AuthorizationDetail
from consent.grant.use import Reason
from consent.grant.withdrawal import NOTED_SECONDS
from consent.holder.limits import Limits
from consent.holder.tables import told_act
from identity.codec import strict_json

PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Told:
    """What the resident's own acts leave of a grant, as far as they came here."""

    paused: bool
    detail: AuthorizationDetail | None
    """Of the newest amendment; None = none came."""

    def refusals(self, attributes: Iterable[str], *, now: int) -> tuple[Reason, ...]:
        """Why these attributes may not be asked for now."""
        if self.paused:
            return (Reason(PAUSED),)
        if self.detail is None:
            return ()
        if now < self.detail.not_before:
            return (Reason("not_yet_valid"),)
        if now >= self.detail.not_after:
            return (Reason("expired"),)
        return tuple(Reason("attribute_not_granted", name) for name in attributes if name not in self.detail.terms)

    def too_fine(self, allowed: Mapping[str, str], orders: Mapping[str, tuple[str, ...]]) -> tuple[Reason, ...]:
        """Attributes that an allow gives in a finer resolution than the amendment; one out of order counts as finer."""
        if self.detail is None:
            return ()

        def finer(name: str, resolution: str) -> bool:
            order, term = orders.get(name, ()), self.detail.terms.get(name) if self.detail else None
            if term is None or term.resolution not in order or resolution not in order:
                return True
            return order.index(resolution) < order.index(term.resolution)

        return tuple(Reason("attribute_not_granted", name) for name, found in allowed.items() if finer(name, found))

    def limits(self, signed: Limits) -> Limits:
        """The tighter of what was signed first and what the amendment says."""
        if self.detail is None:
            return signed
        amended = Limits.of(self.detail)
        maxima = [value for value in (signed.max_uses, amended.max_uses) if value]
        window = signed
        if amended.window_max and (
            not signed.window_max
            or (amended.window_max <= signed.window_max and amended.window_seconds >= signed.window_seconds)
        ):
            window = amended
        return Limits(min(maxima, default=0), window.window_max, window.window_seconds)


NOTHING_TOLD = Told(False, None)


@dataclass(frozen=True, slots=True)
class Taken:
    """A known grant, and the highest act number of it that came here."""

    paused: bool
    act: int


@dataclass(frozen=True, slots=True)
class ActNoted:
    """The grant is not known here, or its key is another: the same answer for both, as in C5."""


class ToldActs:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def tell(self, act: VerifiedAct, *, now: int) -> Taken | ActNoted:
        """Idempotent, in any order: of pauses and resumes the highest number holds, of amendments too.

        Raises LedgerConflict (``act_number``) for a second, different amendment under one number. Of
        a pause and a resume under one number the pause holds.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(told_act).where(told_act.c.expires <= now))
            grant = find(connection, act.grant_id)
            known = grant is not None and grant.thumbprint == act.key.thumbprint
            row = _row(connection, act.grant_id, act.key.thumbprint)
            changed = _changed(row, act)
            values = {**changed, "expires": None if known else now + NOTED_SECONDS}
            if row is None:
                connection.execute(
                    insert(told_act).values(grant_id=act.grant_id, thumbprint=act.key.thumbprint, **values)
                )
            else:
                connection.execute(update(told_act).where(_named(act.grant_id, act.key.thumbprint)).values(**values))
            if not known:
                return ActNoted()
            row = _row(connection, act.grant_id, act.key.thumbprint)
            assert row is not None
            return Taken(row.paused, max(row.pausing_act, row.amend_act))

    def knows(self, act: VerifiedAct) -> bool:
        """Whether its key is the key of a grant known here."""
        with self._engine.begin() as connection:
            grant = find(connection, act.grant_id)
        return grant is not None and grant.thumbprint == act.key.thumbprint


def told(connection: Connection, grant_id: str, thumbprint: str) -> Told:
    """Of a grant that is known here: what was noted lasts from now on as it does. Part of the caller's transaction."""
    row = _row(connection, grant_id, thumbprint)
    if row is None:
        return NOTHING_TOLD
    if row.expires is not None:
        connection.execute(update(told_act).where(_named(grant_id, thumbprint)).values(expires=None))
    detail = None
    if row.detail is not None:
        detail = AuthorizationDetail.parse(json.loads(row.detail), what="kept amendment")
    return Told(bool(row.paused), detail)


def _changed(row: "Row[object] | None", act: VerifiedAct) -> dict[str, object]:
    pausing, paused, amending, detail = (0, False, 0, None)
    if row is not None:
        pausing, paused, amending, detail = row.pausing_act, bool(row.paused), row.amend_act, row.detail
    if isinstance(act.deed, Amend):
        fresh = strict_json.compact(act.deed.detail.to_json()).decode()
        if act.number == amending and fresh != detail:
            raise LedgerConflict("act_number", act=amending)
        if act.number > amending:
            amending, detail = act.number, fresh
    elif act.number > pausing or (act.number == pausing and isinstance(act.deed, Pause)):
        pausing, paused = act.number, isinstance(act.deed, Pause)
    return {"pausing_act": pausing, "paused": paused, "amend_act": amending, "detail": detail}


def _named(grant_id: str, thumbprint: str) -> ColumnElement[bool]:
    return and_(told_act.c.grant_id == grant_id, told_act.c.thumbprint == thumbprint)


def _row(connection: Connection, grant_id: str, thumbprint: str) -> "Row[object] | None":
    return connection.execute(select(told_act).where(_named(grant_id, thumbprint))).first()
