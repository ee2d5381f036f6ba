"""The issuer as a process: town halls on one installation, each with a database of its own.

[issuer]
profile = "haip"                      # or "base", the default in the sandbox

[keyed_hash]
socket = "run/issuer-hashes.sock"     # of `identity.keys.keyed_hash_process`; scopes NAME/pairwise, NAME/subject

[cards.NAME]                          # one a family of cards
profile = "dnie"                      # bundled; or profile_file = PATH
roots = "dnie-roots.pem"
issuing = "dnie-issuing.pem"

[tenants.NAME]                        # the credential_issuer is [service] url / NAME
names = { es = "…", ca = "…", en = "…" }
types = ["person-id", "residency", "pairwise"]
credential_key, credential_chain      # PEM; the chain is the signer first, without the root
status_key, status_chain
deferred = []                         # configurations that wait for the operator
status_list_size = 1048576
status_ttl_seconds = 3600
refresh_days = 90                     # how long one login gives fresh copies
row_register = "padron"               # whose rows are the subjects of offers
demo_subject = "1"                    # sandbox: of an admin offer that names none

[tenants.NAME.registers.NAME]
url = "sqlite:////srv/padron.sqlite"
person_query = "… WHERE row_id = :subject"
claims_query = "… WHERE nif = :id_number"
assurance = "substantial"

[publish]                             # sandbox: what else this process serves
registry = "registry/list.jwt"
trust = "pki/trust.pem"

State: ``NAME.sqlite``, ``registry.jwt`` (the newest list seen), ``nonce-secret``.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from atorga.serve.credential_trust import SANDBOX_REFRESH_SECONDS, read_anchors
from atorga.serve.issuer_settings import CardSettings, IssuerSettings, RegisterSettings, TenantSettings

# A service's module has `settings` and `build`.
from atorga.serve.issuer_settings import settings as settings
from atorga.serve.settings import ConfigurationError, Profile
from identity.card.ocsp_client import OcspClient
from identity.card.path import CardFamily
from identity.card.profile import bundled as bundled_card
from identity.card.profile import read_profile
from identity.card.verify import CardVerifier, VerifiedCard
from identity.clock import Clock
from identity.errors import IdentityError
from identity.fetch import AllowListFetcher
from identity.issuer import credential_type
from identity.issuer.app import make_app
from identity.issuer.authorization import CheckCard
from identity.issuer.claims import Organisations, Sources
from identity.issuer.register import Register, open_register
from identity.issuer.store.schema import open_engine, upgrade
from identity.issuer.tenant import SigningKey, Tenant
from identity.issuer.town_hall import TownHall, open_town_hall
from identity.keys.keyed_hash import KeyedHash, KeyedHashClient
from identity.keys.signer import SoftwareSigner
from identity.openid4vci.nonces import SECRET_BYTES
from identity.openid4vci.redirect import RedirectPolicy
from identity.randomness import Random
from identity.trust import spec as trust
from identity.trust.reader import REFRESH_SECONDS, RegistryReader

ORGANISATION_ROLES = (trust.CONSENT, trust.SERVICE, trust.VERIFIER, trust.HOLDER)
"""Who has an identifier for each resident: who meets them (DESIGN section 5)."""

HAIP_REFUSAL = (
    "[issuer] profile: haip demands wallet attestation (HAIP 1.0 section 4.4.1), which this version does not check; "
    "it starts with profile base only"
)

MAX_CHAIN_BYTES = 65_536


def build(made: IssuerSettings, *, profile: Profile, clock: Clock, random: Random) -> FastAPI:
    """Raises ConfigurationError."""
    head = made.head
    if profile != "sandbox" and (made.registry_file is not None or made.trust_file is not None):
        raise ConfigurationError("[publish]: the list and the roots are served from elsewhere in profile production")
    halls = open_halls(made, profile=profile, clock=clock, random=random)
    app = make_app(halls, registry_file=made.registry_file, trust_file=made.trust_file)
    if profile == "sandbox" and head.town_token_sha256 is not None:
        from atorga.town.issuer_admin import issuer_admin_routes

        for name, hall in halls.items():
            subject = made.tenants[name].demo_subject
            app.router.routes.extend(
                issuer_admin_routes(hall, token_sha256=head.town_token_sha256, default_subject=subject)
            )
    return app


def open_halls(made: IssuerSettings, *, profile: Profile, clock: Clock, random: Random) -> dict[str, TownHall]:
    """The town halls, as the service and the operator's commands use them. Raises ConfigurationError."""
    openid_profile = made.openid_profile or ("base" if profile == "sandbox" else "haip")
    if openid_profile == "haip":
        raise ConfigurationError(HAIP_REFUSAL)
    data = made.head.data
    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        secret = _nonce_secret(data / "nonce-secret", random)
    except OSError as fault:
        raise ConfigurationError(f"{data}: {fault.strerror}") from None
    check_card = _card_check(made.cards, profile=profile, clock=clock, random=random)
    organisations = _organisations(made, profile=profile, clock=clock)
    keyed_hash = KeyedHashClient(made.keyed_hash_socket)
    return {
        name: _hall(
            one,
            made,
            check_card,
            organisations,
            keyed_hash,
            policy=RedirectPolicy.HTTPS_OR_LOOPBACK if profile == "sandbox" else RedirectPolicy.NATIVE_ONLY,
            nonce_secret=secret,
            clock=clock,
            random=random,
        )
        for name, one in made.tenants.items()
    }


def _hall(
    one: TenantSettings,
    made: IssuerSettings,
    check_card: CheckCard,
    organisations: Organisations,
    keyed_hash: KeyedHash,
    *,
    policy: RedirectPolicy,
    nonce_secret: bytes,
    clock: Clock,
    random: Random,
) -> TownHall:
    what = f"[tenants.{one.name}]"
    try:
        types = {kind.configuration: kind for kind in credential_type.bundled(one.types).values()}
        tenant = Tenant(
            name=one.name,
            issuer=f"{made.head.url}/{one.name}",
            names=one.names,
            types=types,
            credential_key=_signing_key(one.credential_key, one.credential_chain),
            status_key=_signing_key(one.status_key, one.status_chain),
            redirect_policy=policy,
            deferred=frozenset(one.deferred),
            status_list_size=one.status_list_size,
            status_ttl_seconds=one.status_ttl_seconds,
            refresh_seconds=one.refresh_days * 86_400,
        )
        if unknown := tenant.deferred - types.keys():
            raise ConfigurationError(f"{what} deferred: {min(unknown)} is no configuration of its types")
        registers = {name: _open_register(register) for name, register in one.registers.items()}
        for kind in types.values():
            if kind.register is not None and kind.register not in registers:
                raise ConfigurationError(f"{what} registers: {kind.name} needs one named {kind.register}")
        sources = Sources(
            registers=registers,
            row_register=one.row_register,
            keyed_hash=keyed_hash,
            scope=one.name,
            organisations=organisations,
            clock=clock,
        )
        engine = open_engine(f"sqlite:///{made.head.data / f'{one.name}.sqlite'}")
        upgrade(engine)
        return open_town_hall(
            tenant, engine, sources, check_card, nonce_secret=nonce_secret, clock=clock, random=random
        )
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (IdentityError, ValueError, SQLAlchemyError) as fault:
        raise ConfigurationError(f"{what}: {fault}") from None


def _open_register(one: RegisterSettings) -> Register:
    try:
        engine = open_register(one.url)
    except ArgumentError:
        raise ConfigurationError("registers: a url cannot be read") from None
    return Register(engine, person_query=one.person_query, claims_query=one.claims_query, assurance=one.assurance)


def _signing_key(key: Path, chain: Path) -> SigningKey:
    """Raises IdentityError, OSError, ValueError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    signer = SoftwareSigner.from_pem(key.read_bytes())
    certificates = x509.load_pem_x509_certificates(chain.read_bytes()[:MAX_CHAIN_BYTES])
    if certificates[0].public_key() != signer.public_key.cryptography_key:
        raise ValueError(f"{chain}: the first certificate is not that of {key.name}")
    if any(one.subject == one.issuer for one in certificates):
        raise ValueError(f"{chain}: x5c goes without the root (HAIP 1.0 section 6.1.1)")
    return SigningKey(signer, tuple(one.public_bytes(Encoding.DER) for one in certificates))


def _card_check(cards: Mapping[str, CardSettings], *, profile: Profile, clock: Clock, random: Random) -> CheckCard:
    if not cards:
        raise ConfigurationError(
            "[cards]: at least one family of cards is needed; the authorization step is a card login"
        )
    try:
        families = [_family(one) for one in cards.values()]
        verifier = CardVerifier(
            families, transport=OcspClient(), clock=clock, random=random, sandbox=profile == "sandbox"
        )
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except IdentityError as fault:
        raise ConfigurationError(f"[cards]: {fault}") from None

    def check(token: Mapping[str, Any], origin: str, nonce: str) -> VerifiedCard:
        return verifier.verify(token, origin=origin, nonce=nonce)

    return check


def _family(one: CardSettings) -> CardFamily:
    if one.profile_file is not None:
        profile = read_profile(one.profile_file.read_text("utf-8"))
    else:
        profile = bundled_card(one.profile or "")
    return CardFamily.from_pem(profile, roots=one.roots.read_bytes(), issuing=one.issuing.read_bytes())


def _organisations(made: IssuerSettings, *, profile: Profile, clock: Clock) -> Callable[[], Sequence[str]]:
    head = made.head
    if head.registry_url is None or head.registry_anchors is None:
        raise ConfigurationError("[registry]: is missing; pairwise identifiers are for the organisations it lists")
    url = head.registry_url
    reader = RegistryReader(
        url,
        fetcher=AllowListFetcher(lambda asked: asked == url, allow_loopback_http=profile == "sandbox"),
        anchors=read_anchors(head.registry_anchors),
        clock=clock,
        kept=head.data / "registry.jwt",
        refresh_seconds=SANDBOX_REFRESH_SECONDS if profile == "sandbox" else REFRESH_SECONDS,
    )

    def organisations() -> list[str]:
        """Those who came first stay where they are: a new one moves nobody to another shard."""
        now, registry = clock(), reader.current()
        found = {party.id: party for role in ORGANISATION_ROLES for party in registry.by_role(role, now=now)}
        return [party.id for party in sorted(found.values(), key=lambda party: (party.valid_from, party.id))]

    return organisations


def _nonce_secret(path: Path, random: Random) -> bytes:
    """One for all workers of this service; made at the first start. Raises OSError, ConfigurationError."""
    if not path.exists():
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(random(SECRET_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
        # Whole or not at all; of two workers that start together one is first.
        with suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise ConfigurationError(f"{path}: {len(secret)} bytes, expected {SECRET_BYTES}")
    return secret
