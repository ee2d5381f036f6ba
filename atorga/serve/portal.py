"""The municipal portal as a process: it logs residents in, and asks for permissions as a service.

[portal]
profile = "haip"                               # or "base"
party = "urn:atorga:party:portal"              # whose identifier a login asks for
issuer = "https://issuer.example/bcn"          # whose credentials a login takes
pairwise_vct = "urn:atorga:pairwise:1"         # optional
residency_vct = "urn:atorga:residency:1"       # optional
[client]                                       # atorga.serve.access_client
[trust]                                        # atorga.serve.credential_trust

[consents]                                     # optional: without it the portal only logs in
party = "urn:atorga:party:social-services"     # the service that asks
key = "social-services.pem"                    # file: its registry key (PEM)
consent = "urn:atorga:party:consent"           # whom it asks
log_vkey = "consent.example/log/2026+…"        # the log key, pinned when the service enrolled
holder = "urn:atorga:party:hacienda"
resolution = "binned:eur-6"
days = 90
[consents.declaration]                         # its purpose declaration (C13)
id = "rent-subsidy"
version = 1                                    # must rise when anything below changes
procedure = "rent-subsidy"
purpose = "https://w3id.org/dpv#…"
datatypes = ["income.band"]                    # also what the procedure asks for
holders = ["urn:atorga:party:hacienda"]
legal_basis = "consent"
retention_seconds = 7776000
sensitive = false
[consents.declaration.notice]                  # language → text
en = "…"

State: ``verifier.sqlite3``, ``sealing-key``, and the kit's folder ``consents``.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from atorga.serve import access_client, credential_trust
from atorga.serve.access_client import ClientSettings
from atorga.serve.credential_trust import CredentialTrustSettings, ListedTrust
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from atorga.serve.verifier import PROFILES, make_presentations, open_state
from consent.caller.client import Client, open_http
from consent.errors import ConsentError, LogError
from consent.log.note import NoteKey
from consent.procedure.declaration import PurposeDeclaration
from identity.clock import Clock
from identity.errors import IdentityError
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import spec
from identity.randomness import Random
from verifier.acceptance import Procedures
from verifier.app import openid4vp_routes
from verifier.http import store_down
from verifier.kit.kit import ConsentKit
from verifier.openapi import OPENID4VP_PATHS, openapi_route
from verifier.portal.app import Portal
from verifier.portal.browser import Browsers
from verifier.portal.login import Login, login_procedure, login_query
from verifier.portal.subsidy import Need, ServiceDesk


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    key: Path
    consent: str
    log_vkey: str
    need: Need
    declaration: PurposeDeclaration


@dataclass(frozen=True, slots=True)
class PortalSettings:
    head: ServiceHead
    profile: spec.Profile
    party: str
    issuer: str
    pairwise_vct: str
    residency_vct: str
    client: ClientSettings
    trust: CredentialTrustSettings
    consents: ConsentSettings | None


def settings(head: ServiceHead, root: Table) -> PortalSettings:
    """Raises ConfigurationError."""
    table = root.table("portal")
    profile = table.text("profile", "haip")
    if profile not in PROFILES:
        raise ConfigurationError(f"[portal] profile: one of {', '.join(PROFILES)} is expected")
    consents = root.optional_table("consents")
    made = PortalSettings(
        head=head,
        profile=profile,
        party=table.text("party"),
        issuer=table.text("issuer"),
        pairwise_vct=table.text("pairwise_vct", "urn:atorga:pairwise:1"),
        residency_vct=table.text("residency_vct", "urn:atorga:residency:1"),
        client=access_client.settings(root),
        trust=credential_trust.settings(head, root),
        consents=None if consents is None else _consents(consents),
    )
    table.done()
    return made


def _consents(table: Table) -> ConsentSettings:
    declared = table.table("declaration")
    notice = declared.table("notice")
    languages = notice.keys()
    declaration = PurposeDeclaration(
        iss=table.text("party"),
        id=declared.text("id"),
        version=declared.integer("version", minimum=1),
        procedure=declared.text("procedure"),
        purpose=declared.text("purpose"),
        datatypes=declared.texts("datatypes"),
        holders=declared.texts("holders"),
        legal_basis=declared.text("legal_basis"),
        retention_seconds=declared.integer("retention_seconds", minimum=1),
        notice={language: notice.text(language) for language in languages},
        sensitive=declared.boolean("sensitive", default=False),
    )
    declared.done()
    need = Need(
        holder=table.text("holder"),
        attributes=declaration.datatypes,
        resolution=table.text("resolution"),
        days=table.integer("days", minimum=1, maximum=3_660),
    )
    made = ConsentSettings(table.path("key"), table.text("consent"), table.text("log_vkey"), need, declaration)
    table.done()
    try:
        NoteKey.parse(made.log_vkey)
    except LogError as fault:
        raise ConfigurationError(f"[consents] log_vkey: {fault}") from None
    return made


def build(settings: PortalSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """Raises ConfigurationError."""
    head = settings.head
    trust = credential_trust.build(settings.trust, data=head.data, profile=profile, clock=clock)
    procedure = login_procedure(issuer=settings.issuer)
    state = open_state(head, random=random)
    presentations = make_presentations(
        state,
        access_client.build(settings.client, url=head.url),
        trust,
        procedures=Procedures((procedure,)),
        openid4vp_profile=settings.profile,
        profile=profile,
        clock=clock,
        random=random,
    )
    query = login_query(party=settings.party, pairwise_vct=settings.pairwise_vct, residency_vct=settings.residency_vct)
    desk = None
    if settings.consents is not None:
        desk = _desk(settings.consents, trust, head=head, profile=profile, clock=clock, random=random)
    portal = Portal(
        url=head.url,
        login=Login(presentations, state.sealing, url=head.url, query=query, procedure=procedure),
        browsers=Browsers(
            state.engine,
            state.sealing,
            secure=head.url.startswith("https:"),
            clock=clock,
            random=random,
        ),
        desk=desk,
        sandbox=profile == "sandbox",
    )
    routes: list[BaseRoute] = [
        openapi_route("Atorga portal", OPENID4VP_PATHS),
        *openid4vp_routes(presentations),
        *portal.routes(),
    ]
    if desk is not None:
        routes.extend((desk.kit.withdrawals_route(), desk.kit.feed_route()))
        if head.town_token_sha256 is not None and profile == "sandbox":
            from atorga.town.portal_admin import portal_admin_routes

            routes.extend(portal_admin_routes({desk.service: desk}, token_sha256=head.town_token_sha256))
    return Starlette(routes=routes, lifespan=_lifespan(trust, desk), exception_handlers={SQLAlchemyError: store_down})


def _desk(
    made: ConsentSettings, trust: ListedTrust, *, head: ServiceHead, profile: Profile, clock: Clock, random: Random
) -> ServiceDesk:
    try:
        signer = SoftwareSigner.from_pem(made.key.read_bytes())
        kit = ConsentKit(
            head.data / "consents",
            party=made.declaration.iss,
            signer=signer,
            consent=made.consent,
            log_vkey=made.log_vkey,
            registry=trust.registry,
            client=Client(
                open_http(), signer=signer, clock=clock, random=random, allow_loopback_http=profile == "sandbox"
            ),
            clock=clock,
            random=random,
        )
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (IdentityError, ConsentError) as fault:
        raise ConfigurationError(f"[consents]: {fault}") from None
    return ServiceDesk(kit, made.declaration, made.need, registry=trust.registry, now=clock)


def _lifespan(trust: ListedTrust, desk: ServiceDesk | None) -> Lifespan[Starlette]:
    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        stop = Event()
        if desk is not None:
            Thread(target=desk.declare, args=(stop,), name="declaration", daemon=True).start()
            Thread(target=desk.kit.keep_up, args=(stop,), name="feed", daemon=True).start()
        async with trust.kept_fresh():
            yield
        stop.set()

    return lifespan
