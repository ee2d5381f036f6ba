"""What a data holder owes the consent service later: spooled notices, in order, and each day's root.

One thread of the process. What cannot be sent now stays, and is tried again; nothing waits for it.
"""

import logging
from collections.abc import Callable
from threading import Event

from consent.errors import ConsentError, LogError, MessageError, PeerUnavailable, StaleMessage
from consent.grant.notice import NoticeAllow, NoticeDeny, VerifiedBasisRequest, verify_basis_request
from consent.grant.spooled_notice import verify_spooled
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.enforcement import services
from consent.holder.law_journal import REPLAYED, LawJournal, Waiting
from consent.holder.proven_notice import prove_notice
from consent.holder.records import DAY_SECONDS, LeafRecord, RecordStore, sign_root
from identity.clock import Clock
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.public_key import PublicKey
from identity.trust.registry import VerifiedRegistry

_LOG = logging.getLogger(__name__)

WAIT_SECONDS = 5.0
"""Between two rounds: an urgent access is to be logged soon after the consent service is back."""

ROOTS_EVERY = 12
"""Rounds: once a minute."""

SETTLING_SECONDS = 600
"""After midnight: an allow of the day's last second is proven well before that."""


class Sending:
    """``run`` belongs to one thread; the two rounds may be called by tests."""

    def __init__(
        self,
        holder: DataHolder,
        *,
        registry: Callable[[], VerifiedRegistry],
        consent: ConsentService,
        law: LawJournal,
        records: RecordStore,
        log_vkey: str,
        clock: Clock,
    ) -> None:
        self._holder = holder
        self._registry = registry
        self._consent = consent
        self._law = law
        self._records = records
        self._log_vkey = log_vkey
        self._clock = clock

    def run(self, stop: Event) -> None:
        rounds = 0
        while not stop.wait(WAIT_SECONDS):
            rounds += 1
            for send in (self.notices, self.roots) if rounds % ROOTS_EVERY == 0 else (self.notices,):
                try:
                    send()
                except (ConsentError, IdentityError) as fault:
                    _LOG.info("%s: %s", send.__name__, fault)
                except Exception as fault:  # noqa: BLE001
                    # A database that is gone for a while must not end the thread that owes something. Its words
                    # quote a statement's values: the type alone is told.
                    _LOG.error("%s: nothing was sent (%s)", send.__name__, type(fault).__name__)

    def notices(self) -> int:
        """Delivers spooled notices in their order, until one cannot be; how many ended. Raises PeerUnavailable."""
        ended = 0
        while (waiting := self._law.waiting()) is not None:
            self._deliver(waiting)
            ended += 1
        return ended

    def _deliver(self, waiting: Waiting) -> None:
        key_of = services(self._registry, self._clock)
        try:
            released_at, request = self._request(waiting, key_of)
            answer = self._ask(request, waiting)
            if isinstance(answer, NoticeDeny):
                if answer.reasons == (REPLAYED,):
                    # An earlier delivery was taken and its answer lost: it is logged, under an id that we never learnt.
                    _LOG.warning("spooled notice %s: logged, and its leaf is not known here", waiting.sequence)
                    self._law.delivered_unseen(waiting.sequence)
                    return
                raise MessageError(f"notice answer: {', '.join(answer.reasons)}")
            proven = prove_notice(
                answer,
                request=request,
                numbers=self._consent.published.numbers,
                log_vkey=self._log_vkey,
                quorum=None,
                released_at=released_at,
            )
        except StaleMessage as fault:
            # Clocks differ, or the answer was slow: it is asked for again.
            raise PeerUnavailable(str(fault)) from None
        except (MessageError, LogError) as fault:
            # It was released and no log will show it: an operator must look, and the journal shows it to the resident.
            _LOG.error("spooled notice %s: the consent service does not log it: %s", waiting.sequence, fault)
            self._law.refused(waiting.sequence, visible_from=_visible_from(waiting))
            return
        self._law.delivered(
            waiting.sequence, answer.notice_id, LeafRecord.of(proven.logged), visible_from=_visible_from(waiting)
        )

    def _ask(self, request: VerifiedBasisRequest, waiting: Waiting) -> NoticeAllow | NoticeDeny:
        """Twice where no answer comes: the first one is held there for some seconds."""
        try:
            return self._consent.notice(request, waiting.mailboxes, spooled=waiting.spooled)
        except PeerUnavailable:
            return self._consent.notice(request, waiting.mailboxes, spooled=waiting.spooled)

    def _request(self, waiting: Waiting, key_of: Callable[[str], PublicKey]) -> tuple[int, VerifiedBasisRequest]:
        """When it was released, and the request as it was then."""
        own = self._holder.signer.public_key
        spooled = verify_spooled(
            waiting.spooled, key_of=lambda _: own, consent=self._consent.party, holder=self._holder.party
        )
        request = verify_basis_request(
            waiting.basis_request, key_of=key_of, holder=self._holder.party, now=spooled.time
        )
        return spooled.time, request

    def roots(self) -> int:
        """States the days that are over; how many were taken. Raises PeerUnavailable."""
        now = int(self._clock())
        unstated = self._records.unstated((now - SETTLING_SECONDS) // DAY_SECONDS)
        for day in unstated:
            statement = sign_root(
                day,
                holder=self._holder.party,
                consent=self._consent.party,
                now=now,
                signer=self._holder.signer,
            )
            self._consent.state_root(statement)
            self._records.state(day, now=now)
        return len(unstated)


def _visible_from(waiting: Waiting) -> int | None:
    """As the request says, whose signature was checked before it was spooled."""
    found = jws.parse(waiting.basis_request).claims().get("visible_from")
    return found if isinstance(found, int) else None
