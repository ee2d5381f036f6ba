"""One use on its way: judged in the lane of uses, written, logged, and then answered by the event loop.

Up to three threads touch it: the event loop makes it and waits; the lane, which may be a thread,
judges and writes it; the log says where its leaf is. It is answered when both have spoken: a leaf of this
grant and counter without our commit would be another process's.
"""

import asyncio
from dataclasses import dataclass
from threading import Lock, get_ident
from typing import Protocol

from consent.errors import OutOfService
from consent.grant.accreditation import VerifiedAccreditation
from consent.grant.detail import AuthorizationDetail
from consent.grant.use import Reason, UseRequest, VerifiedUseRequest
from consent.ledger.grant_row import Entry, GrantBody, HotRow
from consent.ledger.leaf import Kind
from consent.ledger.uses import Outcome, Refused, SpentProof, Wanted
from consent.service.entries import EntryMaker, Names, Written
from consent.service.held_answers import HeldAnswer
from consent.service.leaf_waiters import LeafWaiters
from consent.service.operator import Operator
from identity.codec import base64url
from identity.trust.registry import Party


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rules make of a grant: a use to ask the row for, a first answer to repeat, or reasons."""

    wanted: Wanted | None = None
    names: Names | None = None
    detail: AuthorizationDetail | None = None
    sensitive: bool = False
    held: HeldAnswer | None = None
    reasons: tuple[Reason, ...] = ()


class Rules(Protocol):
    """Whoever knows what a grant allows; see ``Deciding``."""

    def plan(self, case: "UseCase", row: HotRow | None, body: GrantBody | None) -> Plan: ...


class UseCase:
    """An ``Order`` of the lane and a ``LeafWaiter`` of the log."""

    def __init__(
        self,
        holder: Party,
        verified: VerifiedUseRequest,
        proof: SpentProof | None,
        *,
        rules: Rules,
        operator: Operator,
        entries: EntryMaker,
        waiters: LeafWaiters,
        accreditation: VerifiedAccreditation | None = None,
    ) -> None:
        self.holder = holder
        self.verified = verified
        self.accreditation = accreditation
        self.proof = proof
        self.grant_id = base64url.decode(verified.request.grant_id)
        self.jti = base64url.decode(verified.request.id)
        self.request_hash = base64url.decode(verified.digest)
        self.expires = verified.request.expires
        self.row: HotRow | None = None
        self.body: GrantBody | None = None
        self.plan = Plan()
        self.at = operator.milliseconds
        self.written: Written | None = None
        self._rules = rules
        self._operator = operator
        self._entries = entries
        self._waiters = waiters
        self._loop = asyncio.get_running_loop()
        self._thread = get_ident()
        self._settled: asyncio.Future[Refused | int] = self._loop.create_future()
        self._turn = Lock()
        self._used: HotRow | None = None
        self._index: int | None = None
        self._given_up = False

    @property
    def request(self) -> UseRequest:
        return self.verified.request

    @property
    def now(self) -> int:
        """The instant of the judgement: taken inside the transaction."""
        return self.at // 1000

    @property
    def used(self) -> HotRow:
        """The row after the use."""
        assert self._used is not None
        return self._used

    async def settled(self, seconds: float) -> Refused | int:
        """The leaf's index, or why there was no use. Raises what the store raised, and OutOfService where it
        takes longer; then the use may still be written, and nothing is released on it."""
        timer = self._loop.call_later(seconds, self._give_up)
        try:
            return await self._settled
        finally:
            timer.cancel()
            self._given_up = True

    # ── in the lane ──────────────────────────────────────────────────────────────────────────

    def judge(self, row: HotRow | None, body: GrantBody | None) -> Wanted | None:
        self.at = self._operator.milliseconds
        self.row, self.body = row, body
        self.plan = Plan() if self._given_up else self._rules.plan(self, row, body)
        return self.plan.wanted

    def entry(self, row: HotRow) -> Entry:
        self._forget()
        assert self.plan.names is not None
        self.written = self._entries.of_grant(
            Kind.USE,
            row,
            self.plan.names,
            at=self.at,
            mask=0 if self.plan.wanted is None else self.plan.wanted.mask,
            attributes=list(self.request.attributes),
            use_request_hash=self.verified.digest,
        )
        # Before the commit: after it the leaf may be logged before anybody has time to ask.
        with self._turn:
            self._index = None
        self._waiters.expect((row.grant_id, row.counter), self)
        self._key = (row.grant_id, row.counter)
        return self.written.entry

    def done(self, outcome: Outcome) -> None:
        if not isinstance(outcome, HotRow):
            self._forget()
            self._settle(outcome)
            return
        with self._turn:
            self._used = outcome
            index = self._index
        if index is not None:
            self._settle(index)

    # ── in the thread of the log ─────────────────────────────────────────────────────────────

    def logged(self, index: int) -> None:
        with self._turn:
            self._index = index
            committed = self._used is not None
        if committed:
            self._settle(index)

    # ── either ───────────────────────────────────────────────────────────────────────────────

    _key: tuple[bytes, int] | None = None

    def _forget(self) -> None:
        if self._key is not None:
            self._waiters.forget(self._key, self)
            self._key = None

    def _settle(self, how: Refused | int | Exception) -> None:
        if get_ident() == self._thread:
            self._set(how)
            return
        # The loop may have ended meanwhile, and with it whoever asked.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._set, how)

    def _set(self, how: Refused | int | Exception) -> None:
        if self._settled.done():
            return
        if isinstance(how, Exception):
            self._settled.set_exception(how)
        else:
            self._settled.set_result(how)

    def _give_up(self) -> None:
        self._forget()
        self._set(OutOfService("log: the use is not in it in time"))
