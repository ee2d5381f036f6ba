"""The kit for services, in one piece."""

from collections.abc import Callable, Mapping
from pathlib import Path

from sqlalchemy import Engine
from starlette.routing import Route

from consent.caller.client import Client
from consent.door.route import withdrawals_route
from consent.grant.detail import AuthorizationDetail, Frequency, Term
from consent.grant.request import LIFETIME_SECONDS
from consent.procedure import kept
from consent.procedure.declaration import PurposeDeclaration
from consent.procedure.published import Published, listed
from identity.clock import Clock
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import VerifiedRegistry
from verifier.kit.asking import Asking
from verifier.kit.outcome import Answer, Asked, HeldGrant, Refused, Released
from verifier.kit.reading import Reading
from verifier.kit.schema import open_database
from verifier.kit.store import KitStore

DECLARATIONS = "declarations"
DAY_SECONDS = 86_400


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
    ) -> None:
        self.party = party
        self._folder = folder
        self._signer = signer
        self._clock = clock
        self._engine: Engine = open_database(folder)
        self._store = KitStore(self._engine)

        consent_service = listed(registry, consent, clock)
        self.published = Published(client, consent_service)
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
            log_vkey=log_vkey,
            clock=clock,
            random=random,
        )

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

    def withdrawals_route(self) -> Route:
        """``POST /withdrawals``, this service's door; its address stands in the signed list."""
        return withdrawals_route(self._store.door, self._clock)

    def close(self) -> None:
        self._engine.dispose()
