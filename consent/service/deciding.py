"""The decision on a use (WIRE C4): yes with its proof, or no with reasons for the grant's own service.

Log before release: the use is committed, its leaf is durable under a signed checkpoint, and only
then the answer leaves. It may be acted on for 5 s from the instant of the decision, however long
the log took: so a withdrawal is in force everywhere within those 5 s and 2 s of clock skew.

A use takes no thread of its own: signatures are checked in the event loop, the row is asked in the
lane of uses (``use_case``), and the loop is told when the leaf is logged. Refusals are rarer and
cost a look or two at the database: they run in threads.
"""

import asyncio
from base64 import b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from consent.errors import CallerUnproven, MessageError, OutOfService
from consent.grant.accreditation import VerifiedAccreditation, VerifyAccreditation, may_use
from consent.grant.decision import GrantState, State, refusals
from consent.grant.detail import AuthorizationDetail
from consent.grant.use import (
    ALLOW_SECONDS,
    Allow,
    Deny,
    Reason,
    VerifiedUseRequest,
    sign_use_answer,
    verify_use_request,
)
from consent.ledger.grant_row import GIVEN, WINDOW_EPOCH, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, mask_of, names_of
from consent.ledger.uses import LaneFull, Refused, SpentProof, UseLane, Wanted
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.entries import EntryMaker, Names
from consent.service.held_answers import HeldAnswer, HeldAnswers
from consent.service.in_force import detail_in_force
from consent.service.leaf_waiters import LeafWaiters
from consent.service.operator import Operator
from consent.service.parties import Listed, Parties
from consent.service.sequencer import Sequencer
from consent.service.use_case import Plan, Rules, UseCase
from identity.codec import base64url
from identity.errors import IdentityError
from identity.trust import spec as registry_spec
from identity.trust.registry import Party

LOG_SECONDS = 4.0
"""How long a use waits for its proof; what comes later could not be released on any more."""

UNKNOWN = Reason("unknown_grant")
REPLAYED = Reason("replayed")

ATTEMPTS = 3
"""Looks at a row that changes under the decision."""

T = TypeVar("T")

THREADS = 32
"""For refusals, which look at the database, and for answers that wait for witnesses."""


@dataclass(frozen=True, slots=True)
class Decided:
    """``answer`` is a JWS to the data holder that asked."""

    allowed: bool
    answer: str


class Deciding(Rules):
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        lane: UseLane,
        catalogue: Catalogue,
        parties: Parties,
        entries: EntryMaker,
        sequencer: Sequencer,
        cosigning: Cosigning,
        spend: Callable[[SpentProof], None],
        verify_accreditation: VerifyAccreditation | None = None,
    ) -> None:
        """``spend`` raises CallerUnproven where a proof was used before. Without ``verify_accreditation`` a grant is
        for the service it names and no other.
        """
        self._operator = operator
        self._grants = grants
        self._lane = lane
        self._catalogue = catalogue
        self._parties = parties
        self._entries = entries
        self._sequencer = sequencer
        self._waiters = LeafWaiters(sequencer)
        self._cosigning = cosigning
        self._spend = spend
        self._verify_accreditation = verify_accreditation
        self._held = HeldAnswers()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="refusing")

    def start(self) -> None:
        self._lane.start()

    def stop(self) -> None:
        """Ends after the uses in hand. Call before the log stops."""
        self._lane.stop()

    async def listed(self) -> Listed:
        """The signed list, from memory where it is fresh. Raises OutOfService."""
        at_hand = self._parties.at_hand()
        return await self._in_thread(self._parties.listed) if at_hand is None else at_hand

    async def decide(self, caller: Party, compact: str, *, listed: Listed, proof: SpentProof | None = None) -> Decided:
        """Raises MessageError (SenderUnproven, StaleMessage, CallerUnproven), OutOfService.

        1. The use request: its service's signature, its time. No grant is looked at before.
        2. ``proof`` is spent, whatever comes of it, in the transaction of the use or alone.
        3. The caller is the data holder it is made for, and the grant is between that data holder and
           that service, or one that shows the accreditation which the grant asks for: else one uniform answer.
        4. A repeat gets its first answer while that may be acted on; another request under its jti none.
        5. What the procedure needs today, and the row: one conditional statement, which also spends
           (service, jti) and writes the event.
        6. Logged before anything is released.
        """
        self._sequencer.require_running()
        # 1
        verified = verify_use_request(compact, key_of=listed.service_key, holder=None, now=self._operator.now)
        if registry_spec.HOLDER not in caller.roles or caller.id != verified.request.holder:
            # 2, 3
            await self._in_thread(self._spend_if, proof)
            return self._deny(caller, verified, (UNKNOWN,))
        accreditation = await self._accredited(verified)
        if self._catalogue.is_due():
            await self._in_thread(self._catalogue.parties)
        for _ in range(ATTEMPTS):
            case = UseCase(
                caller, verified, proof,
                rules=self, operator=self._operator, entries=self._entries, waiters=self._waiters,
                accreditation=accreditation,
            )  # fmt: skip
            # 2 to 5
            outcome = await self._submit(case)
            proof = None
            match outcome:
                case int():
                    # 6
                    return await self._allow(case, outcome)
                case Refused.PROOF_SPENT:
                    raise CallerUnproven("caller proof: jti was used before")
                case Refused.REPLAYED:
                    return await self._in_thread(self._refuse, case, (REPLAYED,))
                case Refused.NOT_ASKED:
                    return await self._not_asked(case)
                case Refused.NOT_NOW:
                    # The row has changed since it was read: once more, from what it says now.
                    continue
        raise OutOfService("grant: it changes faster than it can be decided on")

    async def _accredited(self, verified: VerifiedUseRequest) -> VerifiedAccreditation | None:
        """What the request shows of its service. One that does not hold shows nothing. Raises OutOfService."""
        request, verify = verified.request, self._verify_accreditation
        if request.accreditation is None or verify is None:
            return None
        try:
            return await self._in_thread(verify, request.accreditation, request.service, request.holder, request.id)
        except MessageError:
            return None
        except IdentityError as fault:
            raise OutOfService(f"accreditation: {fault}") from None

    async def _submit(self, case: UseCase) -> Refused | int:
        try:
            self._lane.submit(case)
        except LaneFull:
            raise OutOfService("uses: more are waiting than can be answered in time") from None
        return await case.settled(LOG_SECONDS)

    # ── what a grant allows; called in the lane ──────────────────────────────────────────────

    def plan(self, case: UseCase, row: HotRow | None, body: GrantBody | None) -> Plan:
        request, numbers = case.request, self._catalogue.parties()
        # 3
        if row is None or body is None or row.holder != numbers.get(case.holder.id):
            return Plan(reasons=(UNKNOWN,))
        detail, service = detail_in_force(row, body), self._catalogue.party_id(row.service)
        if not may_use(detail, granted_to=service, request=request, shown=case.accreditation):
            return Plan(reasons=(UNKNOWN,))
        # 4
        held = self._held.find(row.service, request.id, now=case.now)
        if held is not None and held.request_hash == case.verified.digest and _still_stands(held, row, case.now):
            return Plan(held=held)
        # 5
        names = Names(request.service, detail.purpose, body.opening_key, body.leaf_codes)
        reasons = self._reasons(case, row, detail, service)
        if reasons:
            return Plan(reasons=reasons, names=names, detail=detail)
        mask = mask_of(detail.datatypes, request.attributes)
        return Plan(
            wanted=Wanted(row.service, row.holder, row.purpose, mask, row.act),
            names=names,
            detail=detail,
            sensitive=self._catalogue.is_sensitive(service, detail),
        )

    def _reasons(self, case: UseCase, row: HotRow, detail: AuthorizationDetail, service: str) -> tuple[Reason, ...]:
        """``service``: whose declaration the grant rests on, whoever asks."""
        request = case.request
        reasons = list(
            refusals(
                grant_state(row, detail),
                purpose=request.purpose,
                attributes=request.attributes,
                now=case.now,
            )
        )
        needed = self._catalogue.newest_need(service, detail)
        if (
            request.procedure != detail.procedure
            or needed is None
            or ((needed.procedure, needed.purpose) != (detail.procedure, detail.purpose))
        ):
            reasons.append(Reason("other_purpose"))
        elif row.state == GIVEN:
            # The procedure may need less today than when it was asked for; a grant that is not
            # readable, or a stream only, lets nothing be read.
            allowed = needed.datatypes if detail.lets_read else ()
            reasons.extend(Reason("attribute_not_granted", name) for name in request.attributes if name not in allowed)
        return tuple(dict.fromkeys(reasons))

    # ── answers ──────────────────────────────────────────────────────────────────────────────

    async def _allow(self, case: UseCase, index: int) -> Decided:
        request, used, written, body, detail = case.request, case.used, case.written, case.body, case.plan.detail
        assert written is not None and body is not None and detail is not None
        release_before = case.now + ALLOW_SECONDS
        proof = await self._proof(case, index, release_before)
        if self._operator.now >= release_before:
            raise OutOfService("log: the use is logged too late to be released on")
        answer = sign_use_answer(
            Allow(
                use_id=base64url.encode(self._operator.random(16)),
                grant_id=request.grant_id,
                counter=used.counter,
                grant=body.grant_jws,
                resolutions={name: detail.terms[name].resolution for name in request.attributes},
                locator=body.locator,
                salt=base64url.encode(written.salt),
                consent=self._operator.id,
                holder=case.holder.id,
                issued=case.now,
                use_request_hash=case.verified.digest,
                event=written.event,
                proof=proof,
                release_before=release_before,
            ),
            self._operator.signer,
        )
        mask = 0 if case.plan.wanted is None else case.plan.wanted.mask
        held = HeldAnswer(case.verified.digest, used.grant_id, mask, answer, release_before, used.act)
        self._held.hold(used.service, request.id, held, now=case.now)
        return Decided(True, answer)

    async def _proof(self, case: UseCase, index: int, release_before: int) -> str:
        if not case.plan.sensitive:
            proof = self._sequencer.writer.prove(index)
        else:
            left = max(0.0, min(LOG_SECONDS, release_before - self._operator.clock()))
            cosigned = await self._in_thread(partial(self._cosigning.wait, index, seconds=left))
            if cosigned is None:
                raise OutOfService("log: the witnesses that a sensitive purpose needs have not cosigned in time")
            proof = cosigned
        # INVARIANT: what is proven is this use, and not whatever has its place.
        if case.written is None or _proven(proof)[_COMMITMENT] != case.written.entry.leaf[_COMMITMENT]:
            raise OutOfService("log: another leaf stands at the place of this use")
        return proof

    async def _not_asked(self, case: UseCase) -> Decided:
        if case.plan.held is not None:
            return Decided(True, case.plan.held.answer)
        if case.row is None or case.plan.detail is None:
            return self._deny(case.holder, case.verified, case.plan.reasons or (UNKNOWN,))
        return await self._in_thread(self._explain, case)

    def _explain(self, case: UseCase) -> Decided:
        assert case.row is not None
        seen = self._grants.seen_use_request(case.row.service, case.jti) is not None
        return self._refuse(case, (REPLAYED,) if seen else case.plan.reasons)

    def _refuse(self, case: UseCase, reasons: tuple[Reason, ...]) -> Decided:
        """To the grant's own service, with reasons; a leaf counts such refusals once an hour."""
        names = case.plan.names
        assert names is not None

        def make_entry(row: HotRow, count: int) -> Entry:
            told = [reason.to_json() for reason in reasons]
            return self._entries.of_grant(Kind.DENY, row, names, at=case.at, reasons=told, count=count).entry

        if self._grants.deny(case.grant_id, now=case.now, make_entry=make_entry):
            self._sequencer.wake()
        return self._deny(case.holder, case.verified, reasons)

    def _deny(self, caller: Party, verified: VerifiedUseRequest, reasons: tuple[Reason, ...]) -> Decided:
        answer = Deny(
            grant_id=verified.request.grant_id,
            reasons=reasons,
            consent=self._operator.id,
            holder=caller.id,
            issued=self._operator.now,
            use_request_hash=verified.digest,
        )
        return Decided(False, sign_use_answer(answer, self._operator.signer))

    def _spend_if(self, proof: SpentProof | None) -> None:
        if proof is not None:
            self._spend(proof)

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(work, *arguments))


def grant_state(row: HotRow, detail: AuthorizationDetail) -> GrantState:
    """What a decision depends on, from the row and what is in force of the grant."""
    return GrantState(
        state=State(row.state),
        purpose=detail.purpose,
        active=frozenset(names_of(detail.datatypes, row.mask)),
        not_before=row.not_before,
        not_after=row.not_after,
        uses=row.uses,
        max_uses=row.max_uses,
        window_start=row.window_start + WINDOW_EPOCH,
        window_uses=row.window_uses,
        window_max=row.window_max,
        window_seconds=row.window_seconds,
    )


_COMMITMENT = slice(48, 80)
"""Of a leaf (C6)."""


def _proven(proof: str) -> bytes:
    """The leaf in a proof of our own log: its extra line."""
    return b64decode(proof.split("\n", 2)[1].removeprefix("extra "))


def _still_stands(held: HeldAnswer, row: HotRow, now: int) -> bool:
    """Whether what was allowed would be allowed still: a repeat outlives no withdrawal, no narrowing and no end."""
    if (row.grant_id, row.act) != (held.grant_id, held.act):
        return False
    return row.state == GIVEN and now < row.not_after and row.mask & held.mask == held.mask
