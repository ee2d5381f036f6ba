"""A data holder as a process: the enforcement point before one SQL register.

[holder]
party = "urn:atorga:party:hacienda"    # in the signed list, role holder
key = "hacienda.pem"                   # file: its registry key (PEM)
hpke_key = "hpke.json"                 # file: the declared X25519 key (private JWK)
previous_hpke_key = "hpke-old.json"    # the one declared before it; optional
consent = "urn:atorga:party:consent"   # whom it asks
log_vkey = "consent.example/log/2026+…"  # the pinned log key
issuer_anchors = "issuers.pem"         # roots of credentials and status lists
keyed_hash = "run/hashes.sock"         # a keyed-hash process with scope first-value; optional, else a key file in data

[witnesses]                            # for sensitive purposes, which are refused without; optional
keys = ["witness.example+…"]
threshold = 1

[declaration]                          # what it declares at the consent service (C13)
id = "padron-income"
version = 1                            # must rise when anything below changes
vct = "urn:atorga:person-id:1"
path = ["personal_administrative_number"]
[declaration.attributes."income.band"]
category = "https://w3id.org/dpv/pd#Income"
resolutions = ["raw", "binned:eur-6"]  # finest first
purposes = ["https://w3id.org/dpv#…"]

[register]
url = "sqlite:///register.sqlite"      # any SQLAlchemy address
[register.row]                         # the declared claim → the register's own row key; or table, column, by
query = "SELECT row_id FROM resident WHERE nif = :value"
[register.attributes."income.band"]    # query, or table, column, by; for average:SECONDS a series with :row and :since
type = "integer"                       # integer, number, text, boolean
query = "SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1"

[resolutions."binned:eur-6"]           # binned: edges and labels ("1", "2" … where there are none)
edges = [9000, 15000, 21000, 30000, 45000]
[resolutions."predicate:below-iprem-3"]  # predicate: below or at_least; coarse: step, or map
below = 25200
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from fastapi import FastAPI
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from atorga.serve.holder_tables import (
    DeclaredContent,
    RegisterTables,
    read_declaration,
    read_register,
    read_resolutions,
)
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from consent.caller.client import Client, open_http
from consent.caller.nonces import Nonces
from consent.door.store import DoorStore
from consent.errors import ConsentError, LedgerConflict, LogError
from consent.holder import declaring
from consent.holder.app import Services, holder_app
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.enforcement import Enforcement
from consent.holder.first_value import SCOPE
from consent.holder.journal import Journal
from consent.holder.link_store import LinkStore
from consent.holder.linking import Linking
from consent.holder.register import SqlRegister, open_register
from consent.holder.resolution import Reduction, Resolutions
from consent.holder.schema import open_engine, upgrade
from consent.holder.source import Source, SqlSource
from consent.ledger.proofs import ProofStore
from consent.log import durable
from consent.log.note import NoteKey
from consent.log.quorum import Quorum
from consent.procedure import kept
from consent.procedure.published import listed
from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import IdentityError
from identity.fetch import AllowListFetcher
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.keyed_hash import KEY_BYTES, InProcessKeyedHash, KeyedHash, KeyedHashClient
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random
from identity.status.checker import StatusChecker
from identity.status.schedule import StatusSchedule
from identity.status.signers import status_addresses
from identity.trust.chain import anchors_from_pem
from identity.trust.issuers import IssuerTrust
from identity.trust.reader import REFRESH_SECONDS, RegistryReader
from identity.trust.registry import VerifiedRegistry

SANDBOX_REFRESH_SECONDS = 10.0
"""A town's list changes while somebody watches."""

NONCE_SECRET_BYTES = 32
DATABASE = "holder.db"
KEPT_LIST = "registry.jwt"
VALUE_KEY = "first-value.key"
DECLARATIONS = "declarations"


@dataclass(frozen=True, slots=True)
class HolderSettings:
    head: ServiceHead
    party: str
    key: Path
    hpke_keys: tuple[Path, ...]
    """The declared key, and the previous one where there is one."""
    consent: str
    log_vkey: str
    issuer_anchors: Path
    quorum: Quorum | None
    declaration: DeclaredContent
    register: RegisterTables
    reductions: Mapping[str, Reduction]
    keyed_hash: Path | None


def settings(head: ServiceHead, root: Table) -> HolderSettings:
    """Raises ConfigurationError."""
    table = root.table("holder")
    previous = table.optional_path("previous_hpke_key")
    made = HolderSettings(
        head=head,
        party=table.text("party"),
        key=table.path("key"),
        hpke_keys=(table.path("hpke_key"), *([previous] if previous else [])),
        consent=table.text("consent"),
        log_vkey=table.text("log_vkey"),
        issuer_anchors=table.path("issuer_anchors"),
        quorum=_quorum(root.optional_table("witnesses")),
        declaration=read_declaration(root.table("declaration")),
        register=read_register(root.table("register")),
        reductions=read_resolutions(root.tables("resolutions")),
        keyed_hash=table.optional_path("keyed_hash"),
    )
    table.done()
    if head.registry_url is None or head.registry_anchors is None:
        raise ConfigurationError("[registry]: a data holder needs the signed list")
    try:
        NoteKey.parse(made.log_vkey)
    except LogError as fault:
        raise ConfigurationError(f"[holder] log_vkey: {fault}") from None
    return made


def _quorum(table: Table | None) -> Quorum | None:
    if table is None:
        return None
    try:
        keys = tuple(NoteKey.parse(vkey) for vkey in table.texts("keys"))
        quorum = Quorum(keys, table.integer("threshold", minimum=1))
    except LogError as fault:
        raise ConfigurationError(f"[witnesses]: {fault}") from None
    table.done()
    return quorum


def build(settings: HolderSettings, *, profile: Profile, clock: Clock, random: Random) -> FastAPI:
    """The application; while it runs, threads of its own declare, and fetch status lists. Raises ConfigurationError."""
    try:
        return _build(settings, profile == "sandbox", clock, random)
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (ConsentError, IdentityError) as fault:
        raise ConfigurationError(f"[holder]: {fault}") from None
    except SQLAlchemyError as fault:
        raise ConfigurationError(f"[register] url: {type(fault).__name__}") from None


def _build(settings: HolderSettings, sandbox: bool, clock: Clock, random: Random) -> FastAPI:
    head = settings.head
    head.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    holder = _data_holder(settings)
    registry = _registry(settings, sandbox, clock)
    http = open_http()
    client = Client(http, signer=holder.signer, clock=clock, random=random, allow_loopback_http=sandbox)
    consent = ConsentService(client, listed(registry, settings.consent, clock), clock)
    source = _source(settings)
    engine = open_engine(f"sqlite:///{head.data / DATABASE}")
    upgrade(engine)
    compact = _declaration(head.data / DECLARATIONS, holder)
    links, journal = LinkStore(engine), Journal(engine, clock)
    status_fetcher = AllowListFetcher(status_addresses(registry, clock), allow_loopback_http=sandbox)
    anchors = anchors_from_pem(settings.issuer_anchors.read_bytes())
    checker = StatusChecker(registry, anchors, status_fetcher, clock)
    services = Services(
        url=head.url,
        linking=Linking(
            holder,
            issuer_key=IssuerTrust(registry, anchors, clock).issuer_key,
            check_status=checker.check,
            source=source,
            links=links,
            clock=clock,
            random=random,
        ),
        enforcement=Enforcement(
            holder,
            registry=registry,
            consent=consent,
            links=links,
            journal=journal,
            source=source,
            keyed_hash=_keyed_hash(settings, random),
            log_vkey=settings.log_vkey,
            quorum=settings.quorum,
            clock=clock,
        ),
        links=links,
        journal=journal,
        door=DoorStore(engine),
        proofs=ProofStore(engine),
        nonces=Nonces(random(NONCE_SECRET_BYTES)),
        clock=clock,
    )

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        stop = Event()
        declare = Thread(
            target=declaring.register, args=(consent.published, compact, stop), name="declaration", daemon=True
        )
        declare.start()
        with StatusSchedule(checker):
            yield
        stop.set()
        http.close()
        engine.dispose()

    return holder_app(services, lifespan=running)


def _data_holder(settings: HolderSettings) -> DataHolder:
    keys = tuple(
        AgreementPrivateKey.from_jwk(strict_json.parse_object(path.read_bytes(), what=f"{path.name}"))
        for path in settings.hpke_keys
    )
    return DataHolder(
        party=settings.party,
        signer=SoftwareSigner.from_pem(settings.key.read_bytes()),
        hpke_keys=keys,
        declaration=settings.declaration.of(settings.party, keys[0].public),
    )


def _registry(settings: HolderSettings, sandbox: bool, clock: Clock) -> Callable[[], VerifiedRegistry]:
    url, anchors = settings.head.registry_url, settings.head.registry_anchors
    assert url is not None and anchors is not None
    return RegistryReader(
        url,
        fetcher=AllowListFetcher(lambda asked: asked == url, allow_loopback_http=sandbox),
        anchors=anchors_from_pem(anchors.read_bytes()),
        clock=clock,
        kept=settings.head.data / KEPT_LIST,
        refresh_seconds=SANDBOX_REFRESH_SECONDS if sandbox else REFRESH_SECONDS,
    ).current


def _source(settings: HolderSettings) -> Source:
    """Everything the configuration names is tried once: a wrong name shows here, not at a use."""
    tables = settings.register
    url = make_url(tables.url)
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
        raise ConfigurationError("[register] url: the SQLite file does not exist")
    register = SqlRegister(open_register(tables.url), tables.row, tables.attributes)
    register.check()
    source = SqlSource(register, Resolutions(register, tables.attributes, settings.reductions))
    for name, declared in settings.declaration.attributes.items():
        source.check(name, declared.resolutions)
    return source


def _keyed_hash(settings: HolderSettings, random: Random) -> KeyedHash:
    """A process that keeps the key, or a file of this one: what it hides is whether a value changed."""
    if settings.keyed_hash is not None:
        return KeyedHashClient(settings.keyed_hash)
    path = settings.head.data / VALUE_KEY
    if not path.exists():
        durable.replace(path, random(KEY_BYTES))
        path.chmod(0o600)
    return InProcessKeyedHash({SCOPE: path.read_bytes()})


def _declaration(folder: Path, holder: DataHolder) -> str:
    try:
        return kept.signed(folder, holder.declaration, holder.signer)
    except LedgerConflict:
        raise ConfigurationError("[declaration] version: must rise, since the content or a key has changed") from None
