"""The enforcement point before a data holder's values (WIRE C4): nothing leaves without a live, proven permission.

It starts at "refused". What a service gets is a released answer, a refusal with reasons, or a fault;
an exception on any path, a consent service that does not answer and an allow that proves nothing
all end without a release. Access that rests on law has a room of its own, ``consent.holder.law``:
nothing there helps a request that needs a consent.
"""

from collections.abc import Callable

from consent.door.store import KnownGrant
from consent.errors import LogError, MessageError, NothingReleased, PeerUnavailable, RegisterFault, StaleMessage
from consent.grant.accreditation import VerifiedAccreditation, VerifyAccreditation
from consent.grant.grant import VerifiedGrant
from consent.grant.use import Allow, DataAnswer, Deny, UseRequest, VerifiedUseRequest, verify_use_request
from consent.holder import journal
from consent.holder.allow import ProvenAllow, prove_allow
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.first_value import NOTHING_HELD, HeldValues, held_values
from consent.holder.journal import Journal, Use
from consent.holder.limits import Limits
from consent.holder.link_store import LinkStore
from consent.holder.purposes import require_declared
from consent.holder.records import LeafRecord
from consent.holder.register import Value
from consent.holder.reply import Refused, Released, reply_to, sealed_body
from consent.holder.reply_codes import (
    ALLOW_NOT_PROVEN,
    CONSENT_UNAVAILABLE,
    REGISTRY_UNAVAILABLE,
    STATUS_UNAVAILABLE,
)
from consent.holder.source import Source
from consent.log.quorum import Quorum
from identity.clock import Clock
from identity.envelope import jws
from identity.errors import IdentityError, KeyUnavailable, StatusUnavailable
from identity.keys.keyed_hash import KeyedHash
from identity.keys.public_key import PublicKey
from identity.trust.registry import VerifiedRegistry

SERVICE_ROLE = "service"


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
        source: Source,
        keyed_hash: KeyedHash,
        log_vkey: str,
        quorum: Quorum | None,
        clock: Clock,
        verify_accreditation: VerifyAccreditation | None = None,
    ) -> None:
        """``quorum``: the witnesses that sensitive purposes wait for; without one they are refused.

        ``keyed_hash`` has the scope of ``consent.holder.first_value``. Without ``verify_accreditation``
        a grant is for the service that it names and no other.
        """
        self._holder = holder
        self._registry = registry
        self._consent = consent
        self._links = links
        self._journal = journal
        self._source = source
        self._keyed_hash = keyed_hash
        self._log_vkey = log_vkey
        self._quorum = quorum
        self._clock = clock
        self._verify_accreditation = verify_accreditation

    def use(self, compact: str, *, source: Source | None = None) -> Released | Refused:
        """Answers ``POST /data``. Raises MessageError and StaleMessage on a bad request, NothingReleased on faults.

        ``source`` answers instead of the one it was made with.

        1. The use request: form, signature of a listed service, addressee, time.
        2. Was it answered before? Then that answer until its end, afterwards ``replayed``.
        3. Withdrawals, pauses and amendments known at this door: refused without asking anybody.
        4. The expected subject, if any, opens, and the accreditation, if any, holds now: a request that
           cannot be fulfilled counts no use.
        5. The consent service decides; only its proven allow goes on.
        6. The subject is the one expected, else nothing is released.
        7. The register's values, reduced to what was allowed, signed and sealed to the reply key.
        8. The journal's transaction decides once more, and the answer leaves.
        """
        key_of = services(self._registry, self._clock)
        # 1, 2
        try:
            request = verify_use_request(compact, key_of=key_of, holder=self._holder.party, now=int(self._clock()))
        except StaleMessage:
            # Its signature is right: one that was answered has had its time, any other came too late.
            recorded = self._journal.find(jws.digest(compact))
            if recorded is None:
                raise
            return reply_to(recorded)
        if (recorded := self._journal.find(request.digest)) is not None:
            return reply_to(recorded)
        # 3
        asked = request.request
        if reasons := self._journal.refused(asked.grant_id, asked.service, asked.attributes):
            return Refused(asked.grant_id, reasons)
        # 4
        subject = None
        if asked.expected_subject is not None:
            subject = self._holder.subject(asked.expected_subject, service=asked.service, request_id=asked.id)
        accreditation = self._accredited(asked)
        # 5
        decided = self._decide(request, key_of, accreditation)
        if isinstance(decided, Refused):
            return decided
        # 6, 7, 8
        return self._release(request, decided, subject, source or self._source)

    def _accredited(self, asked: UseRequest) -> VerifiedAccreditation | None:
        """Raises MessageError, and NothingReleased where it cannot be known whether it was revoked."""
        if asked.accreditation is None or self._verify_accreditation is None:
            return None
        try:
            return self._verify_accreditation(asked.accreditation, asked.service, self._holder.party, asked.id)
        except StatusUnavailable as fault:
            raise NothingReleased(STATUS_UNAVAILABLE, str(fault)) from None
        except IdentityError as fault:
            raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None

    def _decide(
        self,
        request: VerifiedUseRequest,
        key_of: Callable[[str], PublicKey],
        accreditation: VerifiedAccreditation | None,
    ) -> ProvenAllow | Refused:
        try:
            answer = self._consent.use(request)
            if isinstance(answer, Deny):
                return Refused(answer.grant_id, answer.reasons)
            return self._prove(answer, request, key_of, accreditation)
        except PeerUnavailable as fault:
            raise NothingReleased(CONSENT_UNAVAILABLE, str(fault)) from None
        except (MessageError, LogError) as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        except IdentityError as fault:
            raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None

    def _prove(
        self,
        allow: Allow,
        request: VerifiedUseRequest,
        key_of: Callable[[str], PublicKey],
        accreditation: VerifiedAccreditation | None,
    ) -> ProvenAllow:
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
            accreditation=accreditation,
        )

    def _release(
        self, request: VerifiedUseRequest, proven: ProvenAllow, subject: str | None, source: Source
    ) -> Released | Refused:
        link = self._links.by_handle(proven.link)
        if link is None:
            raise NothingReleased(ALLOW_NOT_PROVEN, "link: it is not known here")
        outcome, values = self._read(proven, link.row_key, subject, source)
        held, body = NOTHING_HELD, None
        if outcome == journal.RELEASED:
            try:
                held, body = self._held(proven, values), self._body(request, proven, values)
            except KeyUnavailable:
                outcome = journal.KEYED_HASH_FAULT
        try:
            recorded = self._journal.record(
                self._use(request, proven, link.row_key),
                Limits.of(proven.grant.detail),
                outcome=outcome,
                answer=body,
                held=held,
            )
        except MessageError as fault:
            raise NothingReleased(ALLOW_NOT_PROVEN, str(fault)) from None
        return reply_to(recorded)

    def _read(self, proven: ProvenAllow, row: str, subject: str | None, source: Source) -> tuple[str, dict[str, Value]]:
        """The outcome, and the values where there are some."""
        try:
            if subject is not None and source.row_of(subject) != row:
                return journal.SUBJECT_MISMATCH, {}
            return journal.RELEASED, source.read(row, proven.allow.resolutions, now=int(self._clock()))
        except RegisterFault:
            return journal.REGISTER_FAULT, {}

    def _held(self, proven: ProvenAllow, values: dict[str, Value]) -> HeldValues:
        return held_values(
            self._keyed_hash,
            reaction=proven.grant.detail.on_change,
            grant_id=proven.grant.id,
            resolutions=proven.allow.resolutions,
            values=values,
        )

    def _body(self, request: VerifiedUseRequest, proven: ProvenAllow, values: dict[str, Value]) -> str:
        answer = DataAnswer(
            holder=self._holder.party,
            service=request.request.service,
            use_id=proven.allow.use_id,
            grant_id=proven.allow.grant_id,
            use_request_hash=request.digest,
            issued=int(self._clock()),
            attributes=values,
        )
        return sealed_body(
            answer,
            self._holder.signer,
            request.request.reply_key,
            counter=proven.allow.counter,
            rests_on={"proof": proven.allow.proof},
        )

    def _use(self, request: VerifiedUseRequest, proven: ProvenAllow, row: str) -> Use:
        grant, asked = proven.grant, request.request
        return Use(
            use_id=proven.allow.use_id,
            use_request_hash=request.digest,
            grant=KnownGrant(grant.id, grant.key.thumbprint, grant.digest, grant.service, grant.detail.attributes),
            service=asked.service,
            counter=proven.allow.counter,
            row_key=row,
            asked=asked.attributes,
            at=proven.used_at,
            release_before=proven.allow.release_before,
            expires=asked.expires,
            leaf=LeafRecord.of(proven.logged),
            resolutions=proven.allow.resolutions,
            orders=self._holder.declaration.resolutions,
        )


def services(registry: Callable[[], VerifiedRegistry], clock: Clock) -> Callable[[str], PublicKey]:
    """The keys of listed services, from one version of the list for the whole request. Raises NothingReleased."""
    now = int(clock())
    try:
        current = registry()
    except IdentityError as fault:
        raise NothingReleased(REGISTRY_UNAVAILABLE, str(fault)) from None
    return lambda party: current.key_of(party, SERVICE_ROLE, now=now)
