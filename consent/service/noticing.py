"""Access that rests on law (ADR 0009, D1, D3): approved, not opposed, logged and shown before anything is released.

It takes the path of a use, with a third party's approval in the place of the resident's grant. Who
holds what the resident has no mailbox for is logged all the same: then the log alone shows it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import LedgerConflict, MessageError, NotAllowed, OutOfService
from consent.grant.notice import (
    MAX_MAILBOXES,
    BasisRequest,
    NoticeAllow,
    NoticeDeny,
    VerifiedBasisRequest,
    sign_notice_answer,
    verify_basis_request,
)
from consent.grant.spooled_notice import SpooledNotice, verify_spooled
from consent.grant.use import ALLOW_SECONDS, SKEW_SECONDS
from consent.ledger.leaf import Kind
from consent.ledger.notices import NoticeStore
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.deciding import LOG_SECONDS, Decided
from consent.service.held_answers import HeldAnswer, HeldAnswers
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from consent.service.unlinked import MadeUnlinked, make_unlinked
from consent.signed_message import exact, reading
from identity.codec import base64url, members
from identity.errors import FetchError, TrustError
from identity.trust import spec as registry_spec
from identity.trust.bases import Basis, VerifiedBases
from identity.trust.registry import Party

_WHAT = "notice"

REPLAYED = "replayed"
NOT_APPROVED = "not_approved"


@dataclass(frozen=True, slots=True)
class _Case:
    holder: Party
    verified: VerifiedBasisRequest
    mailboxes: tuple[bytes, ...]
    spooled: SpooledNotice | None

    @property
    def request(self) -> BasisRequest:
        return self.verified.request

    @property
    def spends(self) -> bytes:
        """What nobody uses twice: the request's id, which its service draws. Of one that was released already
        its hash: a service that draws an id again would else have an access that is never logged.
        """
        if self.spooled is None:
            return base64url.decode(self.request.id)
        return base64url.decode(self.verified.digest)


class Noticing:
    def __init__(
        self,
        operator: Operator,
        *,
        store: NoticeStore,
        catalogue: Catalogue,
        parties: Parties,
        bases: Callable[[], VerifiedBases],
        sequencer: Sequencer,
        cosigning: Cosigning,
    ) -> None:
        """``bases`` gives the newest list; it raises TrustError where none is known."""
        self._operator = operator
        self._store = store
        self._catalogue = catalogue
        self._parties = parties
        self._bases = bases
        self._sequencer = sequencer
        self._cosigning = cosigning
        self._held = HeldAnswers()

    def notify(self, caller: Party, body: Mapping[str, Any]) -> Decided:
        """Raises MessageError (SenderUnproven, StaleMessage), NotAllowed, OutOfService.

        1. The basis request: its service's signature, its time; of a spooled one, the data holder's
           statement about it, and its time at that instant.
        2. The caller is the data holder it is made for.
        3. A repeat gets its first answer while that may be acted on.
        4. A basis approved today, in a list that is not stale, for this very declaration and data
           holder; nothing beyond what was declared.
        5. Not opposed, not seen before; the event and its copies are stored in the same transaction. What
           was released from a spool is stored whatever the resident opposed: it has happened.
        6. Logged before the answer leaves.
        """
        self._sequencer.require_running()
        now = self._operator.now
        # 1, 2
        case = self._read(caller, body, now)
        # 3
        number = self._catalogue.parties().get(case.request.service, 0)
        held = self._held.find(number, case.request.id, now=now)
        if held is not None and held.request_hash == case.verified.digest:
            return Decided(True, held.answer)
        if self._store.was_seen(case.request.service, case.spends):
            return self._deny(case, REPLAYED)
        # 4
        found = self._basis(case, now)
        if isinstance(found, str):
            return self._deny(case, found)
        # 5
        try:
            made = self._add(case, found)
        except LedgerConflict as fault:
            return self._deny(case, fault.code)
        # 6
        answer = self._allow(case, made, now)
        release_before = now + ALLOW_SECONDS
        held = HeldAnswer(case.verified.digest, made.stored.id, 0, answer, release_before)
        self._held.hold(number, case.request.id, held, now=now)
        return Decided(True, answer)

    def _read(self, caller: Party, body: Mapping[str, Any], now: int) -> _Case:
        exact(body, _WHAT, frozenset({"basis_request", "mailboxes"}), frozenset({"spooled"}))
        with reading(_WHAT):
            compact = members.text(body, "basis_request", what=_WHAT, max_length=spec.MAX_JWS)
            mailboxes = members.texts(
                body, "mailboxes", what=_WHAT, max_count=MAX_MAILBOXES, max_length=22, min_count=0
            )
            raw = tuple(
                base64url.decode(members.identifier({"mailbox": one}, "mailbox", what=_WHAT)) for one in mailboxes
            )
            spooled_jws = (
                members.text(body, "spooled", what=_WHAT, max_length=spec.MAX_JWS) if "spooled" in body else None
            )
        if registry_spec.HOLDER not in caller.roles:
            raise NotAllowed("not_a_holder", f"{_WHAT}: only a data holder gives notice")
        spooled = None
        if spooled_jws is not None:
            spooled = verify_spooled(
                spooled_jws, key_of=self._parties.holder_key, consent=self._operator.id, holder=caller.id
            )
            if spooled.time > now + SKEW_SECONDS:
                raise MessageError(f"{_WHAT}: a release from the future")
        fresh_at = now if spooled is None else spooled.time
        verified = verify_basis_request(compact, key_of=self._parties.service_key, holder=None, now=fresh_at)
        if verified.request.holder != caller.id:
            raise NotAllowed("not_the_holder", f"{_WHAT}: made for another data holder")
        if spooled is not None and spooled.basis_request_hash != verified.digest:
            raise MessageError(f"{_WHAT}: the spooled statement is about another request")
        return _Case(caller, verified, raw, spooled)

    def _basis(self, case: _Case, now: int) -> Basis | str:
        """The approved basis, or the code of what is against it."""
        request = case.request
        at = now if case.spooled is None else case.spooled.time
        try:
            bases = self._bases()
            bases.require_current(now)
            basis = bases.basis(request.declaration, service=request.service, holder=case.holder.id, now=at)
        except (TrustError, FetchError):
            return NOT_APPROVED
        registered = self._catalogue.registered(request.service, request.declaration)
        if registered is None:
            return NOT_APPROVED
        declared, digest = registered
        if digest != basis.declaration_hash or declared.legal_basis == "consent":
            return NOT_APPROVED
        if case.holder.id not in declared.holders:
            return NOT_APPROVED
        if case.spooled is not None and not (basis.urgent and request.urgent):
            return NOT_APPROVED
        if (request.procedure, request.purpose) != (declared.procedure, declared.purpose):
            return "other_purpose"
        if not set(request.attributes) <= set(declared.datatypes):
            return "attribute_not_granted"
        return basis

    def _add(self, case: _Case, basis: Basis) -> MadeUnlinked:
        request = case.request
        made = make_unlinked(
            Kind.NOTICE,
            # When it was released, not when it was told: the log's own minute says that.
            at=self._operator.milliseconds if case.spooled is None else case.spooled.time * 1_000,
            codes=self._catalogue.codes(request.service, request.purpose),
            view_keys=self._store.accounts_of(case.mailboxes),
            random=self._operator.random,
            service=request.service,
            purpose=request.purpose,
            declaration=request.declaration,
            attributes=list(request.attributes),
            hash=case.verified.digest,
        )
        now = self._operator.now
        self._store.add(
            made.stored,
            service=request.service,
            holder=case.holder.id,
            purpose=request.purpose,
            jti=case.spends,
            at=now,
            late_seconds=None if case.spooled is None else max(0, now - case.spooled.time),
            visible_from=request.visible_from,
            opposable=basis.opposable and case.spooled is None,
        )
        return made

    def _allow(self, case: _Case, made: MadeUnlinked, now: int) -> str:
        logged = self._sequencer.wait(made.stored.id, 0, seconds=LOG_SECONDS)
        if logged is None:
            raise OutOfService("log: the notice is not in it in time")
        proof = logged.proof
        if self._is_sensitive(case.request):
            left = now + ALLOW_SECONDS - self._operator.clock()
            cosigned = self._cosigning.wait(logged.index, seconds=max(0.0, min(LOG_SECONDS, left)))
            if cosigned is None:
                raise OutOfService("log: the witnesses that a sensitive purpose needs have not cosigned in time")
            proof = cosigned
        if self._operator.clock() >= now + ALLOW_SECONDS:
            raise OutOfService("log: the notice is logged too late to be released on")
        return sign_notice_answer(
            NoticeAllow(
                notice_id=made.id,
                consent=self._operator.id,
                holder=case.holder.id,
                issued=now,
                basis_request_hash=case.verified.digest,
                event=made.event,
                salt=base64url.encode(made.salt),
                proof=proof,
                release_before=now + ALLOW_SECONDS,
            ),
            self._operator.signer,
        )

    def _is_sensitive(self, request: BasisRequest) -> bool:
        registered = self._catalogue.registered(request.service, request.declaration)
        return registered is None or registered[0].sensitive

    def _deny(self, case: _Case, code: str) -> Decided:
        answer = NoticeDeny((code,), self._operator.id, case.holder.id, self._operator.now, case.verified.digest)
        return Decided(False, sign_notice_answer(answer, self._operator.signer))


def _mailbox(text: str) -> bytes:
    return base64url.decode(members.identifier({"mailbox": text}, "mailbox", what=_WHAT))
