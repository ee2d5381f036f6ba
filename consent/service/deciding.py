"""The decision on a use (WIRE C4): yes with its proof, or no with reasons for the grant's own service.

Log before release: the use is committed, its leaf is durable under a signed checkpoint, and only
then the answer leaves. It may be acted on for 5 s from the instant of the decision, however long
the log took: so a withdrawal is in force everywhere within those 5 s and 2 s of clock skew.
"""

from dataclasses import dataclass

from consent.errors import LedgerConflict, OutOfService
from consent.grant.decision import GrantState, State, refusals
from consent.grant.detail import READABLE, AuthorizationDetail
from consent.grant.use import (
    ALLOW_SECONDS,
    Allow,
    Deny,
    Reason,
    UseRequest,
    VerifiedUseRequest,
    sign_use_answer,
    verify_use_request,
)
from consent.ledger.grant_row import GIVEN, WINDOW_EPOCH, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, mask_of, names_of
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.entries import EntryMaker, Names, Written
from consent.service.held_answers import HeldAnswer, HeldAnswers
from consent.service.in_force import detail_in_force
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from identity.codec import base64url
from identity.trust import spec as registry_spec
from identity.trust.registry import Party

LOG_SECONDS = 4.0
"""How long a use waits for its proof; what comes later could not be released on any more."""

UNKNOWN = Reason("unknown_grant")
REPLAYED = Reason("replayed")

ATTEMPTS = 3
"""Looks at a row that changes under the decision."""


@dataclass(frozen=True, slots=True)
class Decided:
    """``answer`` is a JWS to the data holder that asked."""

    allowed: bool
    answer: str


@dataclass(frozen=True, slots=True)
class _Case:
    """A use and the grant it is about, known to be this service's and this data holder's."""

    holder: Party
    verified: VerifiedUseRequest
    row: HotRow
    body: GrantBody
    detail: AuthorizationDetail

    @property
    def request(self) -> UseRequest:
        return self.verified.request


class Deciding:
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        catalogue: Catalogue,
        parties: Parties,
        entries: EntryMaker,
        sequencer: Sequencer,
        cosigning: Cosigning,
    ) -> None:
        self._operator = operator
        self._grants = grants
        self._catalogue = catalogue
        self._parties = parties
        self._entries = entries
        self._sequencer = sequencer
        self._cosigning = cosigning
        self._held = HeldAnswers()

    def decide(self, caller: Party, compact: str) -> Decided:
        """Raises MessageError (SenderUnproven, StaleMessage), OutOfService.

        1. The use request: its service's signature, its time. No grant is looked at before.
        2. The caller is the data holder it is made for, and the grant is between that data holder and
           that service: else one uniform answer.
        3. A repeat gets its first answer while that may be acted on; another request under its jti none.
        4. What the procedure needs today, and the row: one conditional statement, which also spends
           (service, jti) and writes the event.
        5. Logged before anything is released.
        """
        self._sequencer.require_running()
        now = self._operator.now
        # 1
        verified = verify_use_request(compact, key_of=self._parties.service_key, holder=None, now=now)
        # 2
        for _ in range(ATTEMPTS):
            case = self._case(caller, verified)
            if case is None:
                return self._deny(caller, verified, (UNKNOWN,))
            # 3
            held = self._held.find(case.row.service, verified.request.id, now=now)
            if held is not None and held.request_hash == verified.digest and _still_stands(held, case.row):
                return Decided(True, held.answer)
            # 4
            reasons = self._reasons(case, now)
            if not reasons:
                try:
                    decided = self._use(case, now)
                except LedgerConflict:
                    return self._refuse(case, (REPLAYED,), now)
                if decided is not None:
                    return decided
            elif self._was_seen(case):
                return self._refuse(case, (REPLAYED,), now)
            else:
                return self._refuse(case, reasons, now)
        raise OutOfService("grant: it changes faster than it can be decided on")

    def _case(self, caller: Party, verified: VerifiedUseRequest) -> _Case | None:
        request = verified.request
        if registry_spec.HOLDER not in caller.roles or caller.id != request.holder:
            return None
        found = self._grants.get(base64url.decode(request.grant_id))
        if found is None:
            return None
        row, body = found
        numbers = self._catalogue.parties()
        if (row.holder, row.service) != (numbers.get(caller.id), numbers.get(request.service)):
            return None
        return _Case(caller, verified, row, body, detail_in_force(row, body))

    def _reasons(self, case: _Case, now: int) -> tuple[Reason, ...]:
        row, detail, request = case.row, case.detail, case.request
        reasons = list(
            refusals(
                GrantState(
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
                ),
                purpose=request.purpose,
                attributes=request.attributes,
                now=now,
            )
        )
        needed = self._catalogue.newest_need(request.service, detail)
        if (
            request.procedure != detail.procedure
            or needed is None
            or ((needed.procedure, needed.purpose) != (detail.procedure, detail.purpose))
        ):
            reasons.append(Reason("other_purpose"))
        elif row.state == GIVEN:
            # The procedure may need less today than when it was asked for; a grant that is not
            # readable lets nothing be read.
            allowed = needed.datatypes if detail.level == READABLE else ()
            reasons.extend(Reason("attribute_not_granted", name) for name in request.attributes if name not in allowed)
        return tuple(dict.fromkeys(reasons))

    def _was_seen(self, case: _Case) -> bool:
        return self._grants.seen_use_request(case.row.service, base64url.decode(case.request.id)) is not None

    def _use(self, case: _Case, now: int) -> Decided | None:
        """None where the row has changed since it was looked at. Raises LedgerConflict (``replayed``)."""
        request, row = case.request, case.row
        at = self._operator.milliseconds
        mask = mask_of(case.detail.datatypes, request.attributes)
        names = Names(request.service, case.detail.purpose, case.body.opening_key)
        written: list[Written] = []

        def make_entry(after: HotRow) -> Entry:
            made = self._entries.of_grant(
                Kind.USE,
                after,
                names,
                at=at,
                mask=mask,
                attributes=list(request.attributes),
                use_request_hash=case.verified.digest,
            )
            written.append(made)
            return made.entry

        used = self._grants.use(
            row.grant_id,
            service=row.service,
            holder=row.holder,
            purpose=row.purpose,
            mask=mask,
            now=now,
            jti=base64url.decode(request.id),
            request_hash=base64url.decode(case.verified.digest),
            expires=request.expires,
            make_entry=make_entry,
        )
        if used is None:
            return None
        # 5
        release_before = at // 1000 + ALLOW_SECONDS
        proof = self._proof(case, used, release_before)
        if self._operator.now >= release_before:
            raise OutOfService("log: the use is logged too late to be released on")
        answer = sign_use_answer(
            Allow(
                use_id=base64url.encode(self._operator.random(16)),
                grant_id=request.grant_id,
                counter=used.counter,
                grant=case.body.grant_jws,
                resolutions={name: case.detail.terms[name].resolution for name in request.attributes},
                locator=case.body.locator,
                salt=base64url.encode(written[-1].salt),
                consent=self._operator.id,
                holder=case.holder.id,
                issued=at // 1000,
                use_request_hash=case.verified.digest,
                event=written[-1].event,
                proof=proof,
                release_before=release_before,
            ),
            self._operator.signer,
        )
        held = HeldAnswer(case.verified.digest, row.grant_id, mask, answer, release_before)
        self._held.hold(row.service, request.id, held, now=now)
        return Decided(True, answer)

    def _proof(self, case: _Case, used: HotRow, release_before: int) -> str:
        logged = self._sequencer.wait(used.grant_id, used.counter, seconds=LOG_SECONDS)
        if logged is None:
            raise OutOfService("log: the use is not in it in time")
        if not self._catalogue.is_sensitive(case.request.service, case.detail):
            return logged.proof
        left = release_before - self._operator.clock()
        cosigned = self._cosigning.wait(logged.index, seconds=max(0.0, min(LOG_SECONDS, left)))
        if cosigned is None:
            raise OutOfService("log: the witnesses that a sensitive purpose needs have not cosigned in time")
        return cosigned

    def _refuse(self, case: _Case, reasons: tuple[Reason, ...], now: int) -> Decided:
        """To the grant's own service, with reasons; a leaf counts such refusals once an hour."""
        at = self._operator.milliseconds
        names = Names(case.request.service, case.detail.purpose, case.body.opening_key)

        def make_entry(row: HotRow, count: int) -> Entry:
            told = [reason.to_json() for reason in reasons]
            return self._entries.of_grant(Kind.DENY, row, names, at=at, reasons=told, count=count).entry

        if self._grants.deny(case.row.grant_id, now=now, make_entry=make_entry):
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


def _still_stands(held: HeldAnswer, row: HotRow) -> bool:
    """Whether what was allowed would be allowed still: a repeat must not outlive a withdrawal."""
    return row.grant_id == held.grant_id and row.state == GIVEN and row.mask & held.mask == held.mask
