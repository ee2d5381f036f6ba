"""The enforcement point before the register (WIRE C4): nothing leaves without a live, proven permission.

It starts at "refused". What a service gets is a released answer, a refusal with reasons, or a fault;
an exception on any path, a consent service that does not answer and an allow that proves nothing
all end without a release.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consent.door.store import KnownGrant
from consent.errors import LogError, MessageError, NothingReleased, PeerUnavailable, RegisterFault, StaleMessage
from consent.grant.grant import VerifiedGrant
from consent.grant.use import (
    Allow,
    DataAnswer,
    Deny,
    Reason,
    UseRequest,
    VerifiedUseRequest,
    open_subject,
    seal_data_answer,
    verify_use_request,
)
from consent.holder import journal
from consent.holder.allow import ProvenAllow, prove_allow
from consent.holder.consent_service import ConsentService
from consent.holder.journal import Journal, Limits, Recorded, Use
from consent.holder.link_store import LinkStore
from consent.holder.purposes import require_declared
from consent.holder.register import SqlRegister
from consent.holder.resolution import Resolutions
from consent.log.quorum import Quorum
from consent.procedure.declaration import DataDeclaration
from identity.clock import Clock
from identity.codec import strict_json
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.trust.registry import VerifiedRegistry

SERVICE_ROLE = "service"

# Codes of NothingReleased.
CONSENT_UNAVAILABLE = "consent_unavailable"
ALLOW_NOT_PROVEN = "allow_not_proven"
REGISTER_UNAVAILABLE = "register_unavailable"
REGISTRY_UNAVAILABLE = "registry_unavailable"


@dataclass(frozen=True, slots=True)
class DataHolder:
    """Who we are: party id, registry key, declared HPKE keys (the present one first), declaration."""

    party: str
    signer: Signer
    hpke_keys: tuple[AgreementPrivateKey, ...]
    declaration: DataDeclaration


@dataclass(frozen=True, slots=True)
class Released:
    """The body of the answer: JSON, what is in it sealed to the service."""

    body: str


@dataclass(frozen=True, slots=True)
class Refused:
    grant_id: str
    reasons: tuple[Reason, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "decision": "deny",
            "grant_id": self.grant_id,
            "reasons": [reason.to_json() for reason in self.reasons],
        }


class Enforcement:
    """Threads may share one."""

    def __init__(
        self,
        holder: DataHolder,
        *,
        registry: Callable[[], VerifiedRegistry],
        consent: ConsentService,
        links: LinkStore,
        journal: Journal,
        register: SqlRegister,
        resolutions: Resolutions,
        log_vkey: str,
        quorum: Quorum | None,
        clock: Clock,
    ) -> None:
        """``quorum``: the witnesses that sensitive purposes wait for; without one they are refused."""
        self._holder = holder
        self._registry = registry
        self._consent = consent
        self._links = links
        self._journal = journal
        self._register = register
        self._resolutions = resolutions
        self._log_vkey = log_vkey
        self._quorum = quorum
        self._clock = clock

    def use(self, compact: str) -> Released | Refused:
        """Answers ``POST /data``. Raises MessageError and StaleMessage on a bad request, NothingReleased on faults.

        1. The use request: form, signature of a listed service, addressee, time.
        2. Was it answered before? Then that answer until its end, afterwards ``replayed``.
        3. Withdrawals known at this door: refused without asking anybody.
        4. The expected subject, if any, opens: a request that cannot be fulfilled counts no use.
        5. The consent service decides; only its proven allow goes on.
        6. The subject is the one expected, else nothing is released.
        7. The register's values, reduced to what was allowed, signed and sealed to the reply key.
        8. The journal's transaction decides once more, and the answer leaves.
        """
        key_of = self._services()
        # 1, 2
        try:
            request = verify_use_request(compact, key_of=key_of, holder=self._holder.party, now=int(self._clock()))
        except StaleMessage:
            # Its signature is right: one that was answered has had its time, any other came too late.
            recorded = self._journal.find(jws.digest(compact))
            if recorded is None:
                raise
            return _answer(recorded)
        if (recorded := self._journal.find(request.digest)) is not None:
            return _answer(recorded)
        # 3
        asked = request.request
        if reasons := self._journal.withdrawn(asked.grant_id, asked.service, asked.attributes):
            return Refused(asked.grant_id, reasons)
        # 4
        subject = self._subject(asked)
        # 5
        decided = self._decide(request, key_of)
        if isinstance(decided, Refused):
            return decided
        # 6, 7, 8
        return self._release(request, decided, subject)

    def _services(self) -> Callable[[str], PublicKey]:
        """The keys of listed services, from one version of the list for the whole request."""
        now = int(self._clock())
        try:
            registry = self._registry()
        except IdentityError as fault:
            raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None
        return lambda party: registry.key_of(party, SERVICE_ROLE, now=now)

    def _subject(self, asked: UseRequest) -> str | None:
        """The value that names the expected row; None where nobody is expected. Raises MessageError."""
        if asked.expected_subject is None:
            return None
        fault = MessageError("expected subject: no key is there to open it")
        for key in self._holder.hpke_keys:
            try:
                subject = open_subject(key, asked)
            except MessageError as caught:
                fault = caught
                continue
            value = subject.get(".".join(self._holder.declaration.row_path))
            if len(subject) != 1 or not isinstance(value, str) or not value:
                raise MessageError("expected subject: exactly the declared claim, a text, is expected")
            return value
        raise fault

    def _decide(self, request: VerifiedUseRequest, key_of: Callable[[str], PublicKey]) -> ProvenAllow | Refused:
        try:
            answer = self._consent.use(request)
            if isinstance(answer, Deny):
                return Refused(answer.grant_id, answer.reasons)
            return self._prove(answer, request, key_of)
        except PeerUnavailable as fault:
            raise NothingReleased(CONSENT_UNAVAILABLE, str(fault)) from None
        except (MessageError, LogError) as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        except IdentityError as fault:
            raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None

    def _prove(self, allow: Allow, request: VerifiedUseRequest, key_of: Callable[[str], PublicKey]) -> ProvenAllow:
        declaration = self._holder.declaration

        def link_key(handle: str) -> PublicKey | None:
            link = self._links.by_handle(handle)
            return None if link is None else link.key

        def quorum(grant: VerifiedGrant) -> Quorum | None:
            detail = grant.request.request.detail
            purpose = self._consent.published.purpose_declaration(grant.service, detail.identifier, key_of)
            require_declared(detail, purpose, declaration)
            if purpose.sensitive and self._quorum is None:
                raise LogError("quorum: a sensitive purpose needs witnesses, and none are configured here")
            return self._quorum if purpose.sensitive else None

        return prove_allow(
            allow,
            request=request,
            hpke_keys=self._holder.hpke_keys,
            link_key=link_key,
            key_of=key_of,
            resolutions=lambda _: declaration.resolutions,
            numbers=self._consent.published.numbers,
            log_vkey=self._log_vkey,
            quorum=quorum,
        )

    def _release(self, request: VerifiedUseRequest, proven: ProvenAllow, subject: str | None) -> Released | Refused:
        link = self._links.by_handle(proven.link)
        if link is None:
            raise NothingReleased(ALLOW_NOT_PROVEN, "link: it is not known here")
        outcome, body = self._read(request, proven, link.row_key, subject)
        try:
            recorded = self._journal.record(
                _use(request, proven, link.row_key), _limits(proven.grant), outcome=outcome, answer=body
            )
        except MessageError as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        return _answer(recorded)

    def _read(
        self, request: VerifiedUseRequest, proven: ProvenAllow, row: str, subject: str | None
    ) -> tuple[str, str | None]:
        """The outcome, and the body of the answer where there is one."""
        now = int(self._clock())
        try:
            if subject is not None and self._register.row_of(subject) != row:
                return journal.SUBJECT_MISMATCH, None
            values = {
                name: self._resolutions.read(row, name, proven.allow.resolutions[name], now=now)
                for name in request.request.attributes
            }
        except RegisterFault:
            return journal.REGISTER_FAULT, None
        answer = DataAnswer(
            holder=self._holder.party,
            service=request.request.service,
            use_id=proven.allow.use_id,
            grant_id=proven.allow.grant_id,
            use_request_hash=request.digest,
            issued=now,
            attributes=values,
        )
        body = {
            "use_id": answer.use_id,
            "grant_id": answer.grant_id,
            "counter": proven.allow.counter,
            "sealed": seal_data_answer(answer, self._holder.signer, request.request.reply_key),
            "proof": proven.allow.proof,
        }
        return journal.RELEASED, strict_json.compact(body).decode()


def _answer(recorded: Recorded) -> Released | Refused:
    if recorded.reasons:
        return Refused(recorded.grant_id, recorded.reasons)
    if recorded.outcome == journal.REGISTER_FAULT:
        raise NothingReleased(REGISTER_UNAVAILABLE, "register: it did not answer this use, which counts all the same")
    if recorded.outcome != journal.RELEASED:
        return Refused(recorded.grant_id, (Reason(recorded.outcome),))
    if recorded.answer is None:
        return Refused(recorded.grant_id, (Reason("replayed"),))
    return Released(recorded.answer)


def _use(request: VerifiedUseRequest, proven: ProvenAllow, row: str) -> Use:
    grant, asked = proven.grant, request.request
    return Use(
        use_id=proven.allow.use_id,
        use_request_hash=request.digest,
        grant=KnownGrant(grant.id, grant.key.thumbprint, grant.digest, grant.service, grant.detail.attributes),
        counter=proven.allow.counter,
        row_key=row,
        asked=asked.attributes,
        at=proven.used_at,
        release_before=proven.allow.release_before,
        expires=asked.expires,
    )


def _limits(grant: VerifiedGrant) -> Limits:
    frequency = grant.detail.frequency
    return Limits(
        grant.detail.use_limit or 0,
        frequency.max if frequency else 0,
        frequency.seconds if frequency else 0,
    )
