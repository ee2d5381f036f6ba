"""A verifier as a process: it asks for presentations and says how they ended.

[verifier]
profile = "haip"                      # or "base": more client identifiers, and answers in clear
[client]                              # atorga.serve.access_client
[trust]                               # atorga.serve.credential_trust

State: ``verifier.sqlite3`` and, apart from it and from its backups, ``sealing-key``.
"""

from dataclasses import dataclass

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from atorga.serve import access_client, credential_trust
from atorga.serve.access_client import ClientSettings
from atorga.serve.credential_trust import CredentialTrustSettings, ListedTrust
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from identity.clock import Clock
from identity.errors import EnvelopeError
from identity.fetch import AllowListFetcher
from identity.openid4vp import spec
from identity.randomness import Random
from identity.status.checker import StatusChecker
from identity.status.signers import lies_under
from identity.trust.issuers import IssuerTrust
from verifier.acceptance import Procedure, Procedures
from verifier.app import openid4vp_routes
from verifier.asked import CredentialTrust, StandIn
from verifier.client import VerifierClient
from verifier.http import store_down
from verifier.openapi import OPENID4VP_PATHS, openapi_route
from verifier.presentations import Presentations
from verifier.schema import open_database
from verifier.sealing import Sealing, sealing_from
from verifier.sessions import RequestStore

PROFILES = tuple(spec.PREFIXES)


@dataclass(frozen=True, slots=True)
class VerifierSettings:
    head: ServiceHead
    profile: spec.Profile
    client: ClientSettings
    trust: CredentialTrustSettings


def settings(head: ServiceHead, root: Table) -> VerifierSettings:
    """Raises ConfigurationError."""
    table = root.table("verifier")
    profile = table.text("profile", "haip")
    if profile not in PROFILES:
        raise ConfigurationError(f"[verifier] profile: one of {', '.join(PROFILES)} is expected")
    table.done()
    return VerifierSettings(head, profile, access_client.settings(root), credential_trust.settings(head, root))


def build(settings: VerifierSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """Raises ConfigurationError."""
    head = settings.head
    trust = credential_trust.build(settings.trust, data=head.data, profile=profile, clock=clock)
    token = head.town_token_sha256 if profile == "sandbox" else None
    presentations = make_presentations(
        open_state(head, random=random),
        access_client.build(settings.client, url=head.url),
        trust,
        procedures=Procedures(_sandbox_procedures() if token is not None else ()),
        openid4vp_profile=settings.profile,
        profile=profile,
        clock=clock,
        random=random,
    )
    routes: list[BaseRoute] = [openapi_route("Atorga verifier", OPENID4VP_PATHS), *openid4vp_routes(presentations)]
    if token is not None:
        from atorga.town.verifier_admin import verifier_admin_routes

        routes.extend(verifier_admin_routes(presentations, token_sha256=token))

    return Starlette(
        routes=routes,
        lifespan=lambda _: trust.kept_fresh(),
        exception_handlers={SQLAlchemyError: store_down},
    )


@dataclass(frozen=True, slots=True)
class VerifierState:
    """What lies in the service's folder."""

    engine: Engine
    sealing: Sealing


def open_state(head: ServiceHead, *, random: Random) -> VerifierState:
    """Raises ConfigurationError."""
    try:
        sealing = sealing_from(head.data / "sealing-key", random=random)
        return VerifierState(open_database(head.data / "verifier.sqlite3"), sealing)
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (EnvelopeError, SQLAlchemyError) as fault:
        raise ConfigurationError(f"{head.data}: {fault}") from None


def make_presentations(
    state: VerifierState,
    client: VerifierClient,
    trust: ListedTrust,
    *,
    procedures: Procedures,
    openid4vp_profile: spec.Profile,
    profile: Profile,
    clock: Clock,
    random: Random,
) -> Presentations:
    """The requests of one service."""
    listed = CredentialTrust(trust.issuers.issuer_key, trust.status.check)

    def trust_for(stand_in: StandIn | None) -> CredentialTrust:
        if stand_in is None or profile != "sandbox":
            return listed
        return _standing_in(stand_in, trust, clock=clock)

    return Presentations(
        client=client,
        store=RequestStore(state.engine),
        sealing=state.sealing,
        trust_for=trust_for,
        procedures=procedures,
        profile=openid4vp_profile,
        clock=clock,
        random=random,
    )


def _standing_in(stand_in: StandIn, trust: ListedTrust, *, clock: Clock) -> CredentialTrust:
    """The admin request's own anchors, instead of the usual ones and of the list; its own status addresses too."""
    prefixes = stand_in.status_prefixes

    def is_named(url: str) -> bool:
        return any(lies_under(url, prefix) for prefix in prefixes)

    registry = None if stand_in.anchors else trust.registry
    anchors = stand_in.anchors or trust.anchors
    named = StatusChecker(
        registry, anchors, AllowListFetcher(is_named, allow_loopback_http=True), clock, when_needed=prefixes
    )

    def status_check(status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        """A list that the request does not name is one of the city's, or unknown."""
        checker = named if status is not None and is_named(status[0]) else trust.status
        checker.check(status, issuer=issuer, now=now)

    issuers = IssuerTrust(None, anchors, clock, anchors_stand_in=True) if stand_in.anchors else trust.issuers
    return CredentialTrust(issuers.issuer_key, status_check)


def _sandbox_procedures() -> tuple[Procedure, ...]:
    from atorga.town.verifier_admin import SANDBOX_ANY

    return (SANDBOX_ANY,)
