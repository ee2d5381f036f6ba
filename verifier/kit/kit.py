"""The kit for services, in one piece."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from sqlalchemy import Engine
from starlette.routing import Route

from consent.caller.client import Client
from consent.door.route import withdrawals_route
from consent.errors import ConsentError
from consent.grant.detail import AuthorizationDetail, Frequency, Grantee, Term
from consent.grant.request import LIFETIME_SECONDS
from consent.procedure import kept
from consent.procedure.declaration import PurposeDeclaration
from consent.procedure.published import Published, listed
from identity.clock import Clock
from identity.errors import IdentityError, StatusUnavailable
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import VerifiedRegistry
from verifier.kit.asking import Asking
from verifier.kit.deleting import Deleting
from verifier.kit.feed import FeedReceiver, FeedStore, ToldState
from verifier.kit.law import ByLaw
from verifier.kit.outcome import Answer, Asked, HeldGrant, Refused, Released, ReleasedByLaw, Urgent
from verifier.kit.reading import Accreditation, Reading
from verifier.kit.receipts import DecisionReceipt, Duty, ReceiptStore
from verifier.kit.schema import open_database
from verifier.kit.standing import Active, Standing
from verifier.kit.store import KitStore

_LOG = logging.getLogger(__name__)

DECLARATIONS = "declarations"
PUBLISHED = "published.json"
DAY_SECONDS = 86_400

UPKEEP_SECONDS, RETRY_SECONDS = 60.0, 5.0
"""Between two looks at what the feed may have missed; sooner where somebody did not answer."""


class ConsentKit:
    """One service at one consent service. ``folder`` is its own; threads may share one kit.

    Blocking: an async route calls it in a thread. Addresses come from the signed list only. ``client``
    signs with the same registry key as ``signer``; ``log_vkey`` was pinned when the service enrolled.
    """

    def __init__(
        self,
        folder: Path,
        *,
        party: str,
        signer: Signer,
        consent: str,
        log_vkey: str,
        registry: Callable[[], VerifiedRegistry],
        client: Client,
        clock: Clock,
        random: Random,
        accreditation: Accreditation | None = None,
    ) -> None:
        """``accreditation`` presents what the service is accredited by, where a grant is for whoever is."""
        self.party = party
        self._folder = folder
        self._signer = signer
        self._clock = clock
        self._engine: Engine = open_database(folder)
        self._store = KitStore(self._engine, clock)
        self._receipts = ReceiptStore(self._engine)
        self._feed_store = FeedStore(self._engine)

        consent_service = listed(registry, consent, clock)
        self.published = Published(client, consent_service, kept=folder / PUBLISHED)
        self._asking = Asking(
            party,
            signer,
            registry=registry,
            consent=consent_service,
            client=client,
            published=self.published,
            kit_store=self._store,
            clock=clock,
            random=random,
        )
        self._reading = Reading(
            party,
            signer,
            registry=registry,
            client=client,
            published=self.published,
            store=self._store,
            receipts=self._receipts,
            feed=self._feed_store,
            log_vkey=log_vkey,
            clock=clock,
            random=random,
            accreditation=accreditation,
        )
        self._by_law = ByLaw(
            party,
            signer,
            registry=registry,
            consent=consent_service,
            client=client,
            published=self.published,
            store=self._receipts,
            log_vkey=log_vkey,
            clock=clock,
            random=random,
        )
        self._deleting = Deleting(
            party, signer, consent=consent_service, client=client, store=self._receipts, clock=clock, random=random
        )
        self._feed = FeedReceiver(party, consent=consent_service, client=client, store=self._feed_store, clock=clock)
        self._standing = Standing(party, consent=consent_service, client=client, clock=clock)

    def declare(self, declaration: PurposeDeclaration) -> None:
        """Registers a purpose declaration; again at each start changes nothing.

        Raises PeerUnavailable, LedgerConflict (``version``: its content changed and its version did not).
        """
        self.published.declare(kept.signed(self._folder / DECLARATIONS, declaration, self._signer))

    def detail(
        self,
        declaration: PurposeDeclaration,
        *,
        holder: str,
        terms: Mapping[str, Term],
        days: int,
        max_uses: int | None = None,
        frequency: Frequency | None = None,
        mode: str = "view",
        fetch: str = "periodic",
        on_change: str = "follow",
        grantee: Grantee | None = None,
    ) -> AuthorizationDetail:
        """What to ask for, from now on for so many days; ``terms`` in the order of the attributes' bits."""
        now = int(self._clock())
        return AuthorizationDetail(
            holder=holder,
            identifier=declaration.identifier,
            procedure=declaration.procedure,
            purpose=declaration.purpose,
            datatypes=tuple(terms),
            terms=dict(terms),
            level="readable",
            mode=mode,
            fetch=fetch,
            frequency=frequency,
            max_uses=max_uses,
            not_before=now,
            not_after=now + days * DAY_SECONDS,
            data_life_seconds=declaration.retention_seconds,
            on_change=on_change,
            grantee=grantee,
        )

    def ask(
        self, detail: AuthorizationDetail, *, mailbox: str | None = None, lifetime_seconds: int = LIFETIME_SECONDS
    ) -> Asked:
        """Raises PeerUnavailable, MessageError where the consent service refuses the request."""
        return self._asking.ask(detail, mailbox=mailbox, lifetime_seconds=lifetime_seconds)

    def answer(self, request_id: str) -> Answer:
        """Raises PeerUnavailable, MessageError where the consent service passes on a grant that is none."""
        return self._asking.answer(request_id)

    def take_answers(self) -> None:
        """Asks for the answer to every request that has none yet: a resident may have given it unnoticed.

        An answer that is none is passed over. Raises PeerUnavailable.
        """
        self._asking.take_answers()

    def grants(self) -> list[HeldGrant]:
        return self._store.grants()

    def read(
        self,
        grant_id: str,
        attributes: tuple[str, ...] | None = None,
        *,
        expected_subject: Mapping[str, str] | None = None,
    ) -> Released | Refused:
        """Raises nothing of its own: everything that is not a proven answer is a refusal."""
        return self._reading.read(grant_id, attributes, expected_subject)

    def adopt(self, grant: str) -> Answer:
        """Takes a grant that another service asked for, and that is for whoever is accredited.

        Raises PeerUnavailable, MessageError where it is none or not for others.
        """
        return self._asking.adopt(grant)

    def read_by_law(
        self,
        declaration: PurposeDeclaration,
        *,
        holder: str,
        attributes: tuple[str, ...],
        subject: Mapping[str, str],
        urgent: bool = False,
        visible_from: int | None = None,
    ) -> ReleasedByLaw | Urgent | Refused:
        """Under a basis that was approved for this declaration. Raises nothing of its own, as ``read``.

        An answer that no log holds yet is of another type, and comes only where ``urgent`` was said.
        """
        return self._by_law.read(declaration, holder, attributes, subject, urgent=urgent, visible_from=visible_from)

    def receipts(self, grant_id: str | None = None) -> list[DecisionReceipt]:
        """What shows that each answer was allowed, oldest first; no value is in it."""
        return self._receipts.receipts(grant_id)

    def deletions(self) -> list[Duty]:
        """What was read and must be deleted, the most urgent first."""
        return self._deleting.duties()

    def deleted(self, grant_id: str) -> None:
        """Says, signed, that everything read under this grant is deleted as of now.

        Raises NotKnown; PeerUnavailable, after which ``send_receipts`` tries again.
        """
        self._deleting.deleted(grant_id)

    def send_receipts(self) -> int:
        """Sends the deletion receipts that were not taken yet. Raises PeerUnavailable, MessageError."""
        return self._deleting.send()

    def state(self, grant_id: str) -> ToldState | None:
        """What the feed said last of a grant."""
        return self._feed_store.state(grant_id)

    def catch_up(self) -> int:
        """Asks for what the feed has that did not come: at start, and after an outage. Raises PeerUnavailable."""
        return self._feed.catch_up()

    def keep_up(self, stop: Event) -> None:
        """For a thread of the service's process, until ``stop``: asks for what the feed missed, sends receipts."""
        wait = 0.0
        while not stop.wait(wait):
            wait = UPKEEP_SECONDS
            for owed in (self.catch_up, self.send_receipts):
                try:
                    owed()
                except (ConsentError, IdentityError) as fault:
                    _LOG.info("%s: %s", owed.__name__, fault)
                    wait = RETRY_SECONDS
                except Exception as fault:  # noqa: BLE001
                    # A database that is gone for a while must not end the thread. Its words quote a statement's
                    # values: the type alone is told.
                    _LOG.error("%s: nothing was done (%s)", owed.__name__, type(fault).__name__)

    def introspect(self, grant_id: str) -> Active | None:
        """Whether the grant may be used now; None = no, or not ours. Raises PeerUnavailable, MessageError."""
        return self._standing.introspect(grant_id)

    def status(self, grant_id: str) -> str:
        """``usable``, ``ended`` or ``paused``, by the status list. Raises StatusUnavailable where it is not known."""
        told = self._feed_store.state(grant_id)
        if told is None:
            raise StatusUnavailable("status list: the feed has not said where this grant stands")
        return self._standing.status(told)

    def feed_route(self, path: str = "/feed") -> Route:
        """``POST``, at the address that the signed list names as this service's ``feed``."""
        return self._feed.route(path)

    def withdrawals_route(self) -> Route:
        """``POST /withdrawals``, this service's door; its address stands in the signed list."""
        return withdrawals_route(self._store.door, self._clock)

    def close(self) -> None:
        self._engine.dispose()
