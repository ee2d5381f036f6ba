"""One town hall at work: its rules, its stores, and the acts that stand on them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from identity.clock import Clock
from identity.issuer.access import ResourceAccess
from identity.issuer.authorization import CODE_SECONDS, Authorization, CheckCard
from identity.issuer.claims import Sources
from identity.issuer.issuing import Issuing
from identity.issuer.offers import Offers
from identity.issuer.proof_of_possession import ProofOfPossession
from identity.issuer.revocation import Revocation
from identity.issuer.status_publishing import StatusPublishing
from identity.issuer.store.credentials import CredentialStore
from identity.issuer.store.deferred import DeferredStore
from identity.issuer.store.offers import OfferStore
from identity.issuer.store.requests import RequestStore
from identity.issuer.store.revocations import RevocationStore
from identity.issuer.store.spent import SpentStore
from identity.issuer.store.status_lists import StatusListStore
from identity.issuer.store.tokens import TokenStore
from identity.issuer.store.upkeep import UpkeepStore
from identity.issuer.tenant import Tenant
from identity.issuer.tokens import Tokens
from identity.openid4vci.nonces import Nonces
from identity.randomness import Random

C_NONCE_SECONDS = 300
DPOP_NONCE_SECONDS = 300
SPENT_CODE_SECONDS = 3_600
"""How long a used authorization code is remembered, to notice its reuse."""

TICK = "tick"
PURGE = "purge"


@dataclass(frozen=True, slots=True)
class TownHall:
    tenant: Tenant
    sources: Sources
    offers: Offers
    authorization: Authorization
    tokens: Tokens
    access: ResourceAccess
    issuing: Issuing
    revocation: Revocation
    publishing: StatusPublishing
    deferred: DeferredStore
    c_nonces: Nonces
    dpop: ProofOfPossession
    upkeep: "Upkeep"


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What must happen though nobody asks: run it every minute, in any number of workers."""

    credentials: CredentialStore
    offers: OfferStore
    requests: RequestStore
    tokens: TokenStore
    deferred: DeferredStore
    tasks: UpkeepStore
    revocation: Revocation
    publishing: StatusPublishing
    clock: Clock

    def run(self) -> None:
        now = int(self.clock())
        today = int(_midnight(now).timestamp())
        if self.tasks.claim(TICK, now=now, since=today):
            self.revocation.tick()
        if self.tasks.claim(PURGE, now=now, since=now - 60):
            self.requests.purge(now=now, kept_seconds=SPENT_CODE_SECONDS - CODE_SECONDS)
            self.offers.purge(now=now)
            self.deferred.purge(now=now)
            self.tokens.purge(now=now)
            self.credentials.purge(now=now)
        self.publishing.publish()


def open_town_hall(
    tenant: Tenant,
    engine: Engine,
    sources: Sources,
    check_card: CheckCard,
    *,
    nonce_secret: bytes,
    clock: Clock,
    random: Random,
) -> TownHall:
    """``engine`` has been brought to the newest schema; ``nonce_secret`` is the same for all workers."""
    credentials = CredentialStore(engine, random, list_size=tenant.status_list_size)
    credentials.prepare()
    offer_store, requests, tokens = OfferStore(engine), RequestStore(engine), TokenStore(engine)
    deferred = DeferredStore(engine)
    c_nonces = Nonces(nonce_secret, "c_nonce", seconds=C_NONCE_SECONDS, clock=clock, random=random)
    dpop_nonces = Nonces(nonce_secret, "dpop", seconds=DPOP_NONCE_SECONDS, clock=clock, random=random)
    proofs = ProofOfPossession(SpentStore(engine), dpop_nonces, clock=clock)
    offers = Offers(tenant, offer_store, clock=clock, random=random)
    publishing = StatusPublishing(tenant, StatusListStore(engine), clock=clock)
    revocation = Revocation(RevocationStore(engine), publishing, sources, clock=clock)
    return TownHall(
        tenant=tenant,
        sources=sources,
        offers=offers,
        authorization=Authorization(tenant, requests, offers, sources, check_card, clock=clock, random=random),
        tokens=Tokens(tenant, tokens, sources, proofs, clock=clock, random=random),
        access=ResourceAccess(tokens, proofs, clock=clock),
        issuing=Issuing(tenant, credentials, deferred, sources, c_nonces, clock=clock, random=random),
        revocation=revocation,
        publishing=publishing,
        deferred=deferred,
        c_nonces=c_nonces,
        dpop=proofs,
        upkeep=Upkeep(
            credentials=credentials,
            offers=offer_store,
            requests=requests,
            tokens=tokens,
            deferred=deferred,
            tasks=UpkeepStore(engine),
            revocation=revocation,
            publishing=publishing,
            clock=clock,
        ),
    )


def _midnight(now: int) -> datetime:
    at = datetime.fromtimestamp(now, UTC)
    return at - timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)
