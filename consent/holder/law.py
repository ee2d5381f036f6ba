"""Access that rests on law (ADR 0009, D1 and D3): approved by a third party, logged, shown, then released.

It takes the path of a use. In the grant's place stands a basis of the signed list of approved bases;
there is no resolution that a resident chose, so each attribute leaves in the first one that this data
holder declares. The one exception to "refused" stands here and nowhere else: where basis and request
both say *urgent* and the consent service does not answer, a signed statement is made durable first,
and delivered later.
"""

from collections.abc import Callable
from dataclasses import dataclass

from consent.errors import LogError, MessageError, NothingReleased, PeerUnavailable, RegisterFault, StaleMessage
from consent.grant.notice import MAX_MAILBOXES, NoticeDeny, VerifiedBasisRequest, verify_basis_request
from consent.grant.spooled_notice import SpooledNotice, sign_spooled
from consent.grant.use import DataAnswer, Reason
from consent.holder import journal
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.enforcement import services
from consent.holder.law_journal import LawfulAccess, LawJournal
from consent.holder.link_store import LinkStore
from consent.holder.proven_notice import ProvenNotice, prove_notice
from consent.holder.records import LeafRecord
from consent.holder.register import Value
from consent.holder.reply import Refused, Released, reply_to, sealed_body
from consent.holder.reply_codes import ALLOW_NOT_PROVEN, BASES_UNAVAILABLE, CONSENT_UNAVAILABLE, REGISTRY_UNAVAILABLE
from consent.holder.source import Source
from consent.log.quorum import Quorum
from consent.procedure.declaration import PurposeDeclaration
from identity.clock import Clock
from identity.envelope import jws
from identity.errors import IdentityError, TrustError
from identity.keys.public_key import PublicKey
from identity.trust.bases import Basis, VerifiedBases
from identity.trust.registry import VerifiedRegistry

NOT_APPROVED = "not_approved"
OTHER_PURPOSE = "other_purpose"
ATTRIBUTE_NOT_GRANTED = "attribute_not_granted"


@dataclass(frozen=True, slots=True)
class _Approved:
    """A request under a basis that holds today, and the row it is about."""

    request: VerifiedBasisRequest
    basis: Basis
    declared: PurposeDeclaration
    row: str | None
    """None where the subject names nobody here."""


class Law:
    """Threads may share one."""

    def __init__(
        self,
        holder: DataHolder,
        *,
        registry: Callable[[], VerifiedRegistry],
        bases: Callable[[], VerifiedBases],
        consent: ConsentService,
        links: LinkStore,
        journal: LawJournal,
        source: Source,
        log_vkey: str,
        quorum: Quorum | None,
        clock: Clock,
    ) -> None:
        """``bases`` gives the newest list; it raises TrustError where none is known."""
        self._holder = holder
        self._registry = registry
        self._bases = bases
        self._consent = consent
        self._links = links
        self._journal = journal
        self._source = source
        self._log_vkey = log_vkey
        self._quorum = quorum
        self._clock = clock

    def access(self, compact: str, *, source: Source | None = None) -> Released | Refused:
        """Answers ``POST /data``. Raises MessageError and StaleMessage on a bad request, NothingReleased on faults.

        1. The basis request: form, signature of a listed service, addressee, time.
        2. Was it answered before? Then that answer until its end, afterwards ``replayed``.
        3. A basis approved today for this very declaration at this data holder; nothing beyond what
           service and data holder declared.
        4. The subject opens. Whether it names a row here is told only after the notice is logged: else
           one could ask who is in a register, unseen.
        5. The consent service logs a notice; only a proven one goes on, or an urgent one that is spooled.
        6. The values, in the first declared resolution, signed and sealed to the reply key.
        7. The journal's transaction, and the answer leaves.
        """
        key_of = services(self._registry, self._clock)
        # 1, 2
        try:
            request = verify_basis_request(compact, key_of=key_of, holder=self._holder.party, now=int(self._clock()))
        except StaleMessage:
            recorded = self._journal.find(jws.digest(compact))
            if recorded is None:
                raise
            return reply_to(recorded)
        if (recorded := self._journal.find(request.digest)) is not None:
            return reply_to(recorded)
        # 3, 4
        approved = self._approve(request, key_of, source or self._source)
        if isinstance(approved, Refused):
            return approved
        # 5, 6, 7
        try:
            noticed = self._notice(approved)
        except PeerUnavailable as fault:
            if approved.basis.urgent and request.request.urgent:
                return self._spool(approved, source or self._source)
            raise NothingReleased(CONSENT_UNAVAILABLE, str(fault)) from None
        if isinstance(noticed, Refused):
            return noticed
        return self._release(approved, noticed, source or self._source)

    def _approve(
        self, request: VerifiedBasisRequest, key_of: Callable[[str], PublicKey], source: Source
    ) -> _Approved | Refused:
        asked, now = request.request, self._clock()
        try:
            bases = self._bases()
            bases.require_current(now)
        except IdentityError as fault:
            raise NothingReleased(BASES_UNAVAILABLE, str(fault)) from None
        try:
            basis = bases.basis(asked.declaration, service=asked.service, holder=asked.holder, now=now)
        except TrustError:
            return _refused(request, NOT_APPROVED)
        try:
            declared, digest = self._consent.published.signed_purpose(asked.service, asked.declaration, key_of)
        except PeerUnavailable as fault:
            raise NothingReleased(CONSENT_UNAVAILABLE, str(fault)) from None
        except (MessageError, LogError):
            return _refused(request, NOT_APPROVED)
        if (
            digest != basis.declaration_hash
            or declared.legal_basis == "consent"
            or asked.holder not in declared.holders
        ):
            return _refused(request, NOT_APPROVED)
        if (asked.procedure, asked.purpose) != (declared.procedure, declared.purpose):
            return _refused(request, OTHER_PURPOSE)
        mine = self._holder.declaration.attributes
        beyond = [
            name
            for name in asked.attributes
            if name not in declared.datatypes or name not in mine or asked.purpose not in mine[name].purposes
        ]
        if beyond:
            return Refused(asked.id, tuple(Reason(ATTRIBUTE_NOT_GRANTED, name) for name in beyond))
        subject = self._holder.subject(asked.subject, service=asked.service, request_id=asked.id)
        try:
            row = source.row_of(subject)
        except RegisterFault as fault:
            raise NothingReleased(journal.REGISTER_FAULT, str(fault)) from None
        return _Approved(request, basis, declared, row)

    def _notice(self, approved: _Approved) -> ProvenNotice | Refused:
        """Raises PeerUnavailable, and NothingReleased where what it answers proves nothing."""
        try:
            answer = self._consent.notice(approved.request, self._mailboxes(approved))
            if isinstance(answer, NoticeDeny):
                return Refused(approved.request.request.id, tuple(map(Reason, answer.reasons)))
            return prove_notice(
                answer,
                request=approved.request,
                numbers=self._consent.published.numbers,
                log_vkey=self._log_vkey,
                quorum=self._needed(approved),
            )
        except (MessageError, LogError) as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        except IdentityError as fault:
            raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None

    def _needed(self, approved: _Approved) -> Quorum | None:
        if approved.declared.sensitive and self._quorum is None:
            raise LogError("quorum: a sensitive purpose needs witnesses, and none are configured here")
        return self._quorum if approved.declared.sensitive else None

    def _mailboxes(self, approved: _Approved) -> tuple[str, ...]:
        """Of the row's newest links; empty where nobody with a wallet is concerned: the log shows it all the same."""
        return () if approved.row is None else tuple(self._links.mailboxes(approved.row)[:MAX_MAILBOXES])

    def _release(self, approved: _Approved, proven: ProvenNotice, source: Source) -> Released | Refused:
        allow = proven.allow
        outcome, values = self._read(approved, source)
        body = None
        if outcome == journal.RELEASED:
            body = self._body(approved, values, named=allow.notice_id, rests_on={"proof": allow.proof})
        access = self._access(approved, named=allow.notice_id, release_before=allow.release_before)
        try:
            recorded = self._journal.record(access, LeafRecord.of(proven.logged), outcome=outcome, answer=body)
        except MessageError as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        return reply_to(recorded)

    def _spool(self, approved: _Approved, source: Source) -> Released | Refused:
        asked = approved.request.request
        outcome, values = self._read(approved, source)

        def sign(sequence: int, now: int) -> str:
            notice = SpooledNotice(self._holder.party, self._consent.party, approved.request.digest, sequence, now)
            return sign_spooled(notice, self._holder.signer)

        def answer(statement: str) -> str | None:
            if outcome != journal.RELEASED:
                return None
            return self._body(approved, values, named=asked.id, rests_on={"spooled": statement})

        recorded = self._journal.spool(
            self._access(approved, named=asked.id, release_before=asked.expires),
            basis_request=approved.request.compact,
            mailboxes=self._mailboxes(approved),
            sign=sign,
            outcome=outcome,
            answer=answer,
        )
        return reply_to(recorded)

    def _read(self, approved: _Approved, source: Source) -> tuple[str, dict[str, Value]]:
        if approved.row is None:
            return journal.SUBJECT_MISMATCH, {}
        declared = self._holder.declaration.resolutions
        wanted = {name: declared[name][0] for name in approved.request.request.attributes}
        try:
            return journal.RELEASED, source.read(approved.row, wanted, now=int(self._clock()))
        except RegisterFault:
            return journal.REGISTER_FAULT, {}

    def _body(self, approved: _Approved, values: dict[str, Value], *, named: str, rests_on: dict[str, str]) -> str:
        asked = approved.request.request
        answer = DataAnswer(
            holder=self._holder.party,
            service=asked.service,
            use_id=named,
            grant_id=named,
            use_request_hash=approved.request.digest,
            issued=int(self._clock()),
            attributes=values,
        )
        return sealed_body(answer, self._holder.signer, asked.reply_key, counter=0, rests_on=rests_on)

    def _access(self, approved: _Approved, *, named: str, release_before: int) -> LawfulAccess:
        asked = approved.request.request
        return LawfulAccess(
            id=named,
            request_hash=approved.request.digest,
            service=asked.service,
            row_key=approved.row or "",
            asked=asked.attributes,
            release_before=release_before,
            expires=asked.expires,
            visible_from=asked.visible_from,
        )


def _refused(request: VerifiedBasisRequest, code: str) -> Refused:
    return Refused(request.request.id, (Reason(code),))
