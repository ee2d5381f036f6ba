"""A data holder as a process: the enforcement point before one SQL register, or before code of its own.

``atorga.serve.holder_settings`` says what the configuration holds. State, in the data folder:
``holder.db``, the lists of parties and of approved bases as they were read last, the declarations as
they were signed, and the key of the hashes that show whether a value has changed.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from fastapi import FastAPI
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from atorga.serve.holder_settings import HolderSettings, settings
from atorga.serve.holder_tables import Given
from atorga.serve.settings import ConfigurationError, Profile
from consent.caller.client import Client, open_http
from consent.caller.nonces import Nonces
from consent.door.store import DoorStore
from consent.errors import ConsentError, LedgerConflict
from consent.grant.accreditation import verifier
from consent.holder import declaring
from consent.holder.app import Services, holder_app
from consent.holder.consent_service import ConsentService
from consent.holder.data_holder import DataHolder
from consent.holder.enforcement import Enforcement
from consent.holder.first_value import SCOPE, Changes, forget
from consent.holder.journal import Journal
from consent.holder.law import Law
from consent.holder.law_journal import LawJournal
from consent.holder.link_store import LinkStore
from consent.holder.linking import Linking
from consent.holder.records import RecordStore
from consent.holder.register import SqlRegister, open_register
from consent.holder.resolution import Resolutions
from consent.holder.schema import open_engine, upgrade
from consent.holder.sending import Sending
from consent.holder.source import GivenSource, Read, RowOf, Source, SqlSource
from consent.holder.told_acts import ToldActs
from consent.ledger.proofs import ProofStore
from consent.log import durable
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
from identity.trust import spec as trust_spec
from identity.trust.chain import anchors_from_pem
from identity.trust.issuers import IssuerTrust
from identity.trust.reader import REFRESH_SECONDS, BasesReader, RegistryReader
from identity.trust.registry import VerifiedRegistry

__all__ = ["Assembled", "Own", "assemble", "build", "settings"]

SANDBOX_REFRESH_SECONDS = 10.0
"""A town's list changes while somebody watches."""

NONCE_SECRET_BYTES = 32
DATABASE = "holder.db"
KEPT_LIST = "registry.jwt"
KEPT_BASES = "bases.jwt"
PUBLISHED = "published.json"
VALUE_KEY = "first-value.key"
DECLARATIONS = "declarations"


@dataclass(frozen=True, slots=True)
class Own:
    """Code of the data holder's own that answers in the place of an SQL register."""

    find: RowOf
    values: Read


@dataclass(frozen=True, slots=True)
class Assembled:
    """``running`` starts and ends the threads that declare, fetch status lists and send what is owed."""

    services: Services
    source: Source
    running: Callable[[], AbstractContextManager[None]]


def build(settings: HolderSettings, *, profile: Profile, clock: Clock, random: Random) -> FastAPI:
    """The application. Raises ConfigurationError."""
    made = assemble(settings, profile=profile, clock=clock, random=random, own=None)
    return holder_app(made.services, lifespan=lifespan_of(made))


def lifespan_of(made: "Assembled") -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with made.running():
            yield

    return lifespan


def assemble(settings: HolderSettings, *, profile: Profile, clock: Clock, random: Random, own: Own | None) -> Assembled:
    """Everything of a data holder but its addresses. Raises ConfigurationError.

    ``own`` where the configuration names no register.
    """
    try:
        return _assemble(settings, profile == "sandbox", clock, random, own)
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (ConsentError, IdentityError) as fault:
        raise ConfigurationError(f"[holder]: {fault}") from None
    except SQLAlchemyError as fault:
        raise ConfigurationError(f"[register] url: {type(fault).__name__}") from None


def _assemble(settings: HolderSettings, sandbox: bool, clock: Clock, random: Random, own: Own | None) -> Assembled:
    head = settings.head
    head.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    source = _source(settings, own)
    holder, compact = _declared(settings)
    registry, bases = _lists(settings, sandbox, clock)
    http = open_http()
    client = Client(http, signer=holder.signer, clock=clock, random=random, allow_loopback_http=sandbox)
    consent = ConsentService(client, listed(registry, settings.consent, clock), clock, kept=head.data / PUBLISHED)
    engine = open_engine(f"sqlite:///{head.data / DATABASE}")
    upgrade(engine)
    links, journal, law_journal = LinkStore(engine), Journal(engine, clock), LawJournal(engine, clock)
    status_fetcher = AllowListFetcher(status_addresses(registry, clock), allow_loopback_http=sandbox)
    anchors = anchors_from_pem(settings.issuer_anchors.read_bytes())
    checker = StatusChecker(registry, anchors, status_fetcher, clock)
    issuer_key = IssuerTrust(registry, anchors, clock).issuer_key
    services = Services(
        url=head.url,
        consent=settings.consent,
        linking=Linking(
            holder,
            issuer_key=issuer_key,
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
            verify_accreditation=verifier(
                issuer_key=issuer_key,
                check_status=checker.check,
                registry=registry,
                now=lambda: int(clock()),
            ),
        ),
        law=Law(
            holder,
            registry=registry,
            bases=bases.current,
            consent=consent,
            links=links,
            journal=law_journal,
            source=source,
            log_vkey=settings.log_vkey,
            quorum=settings.quorum,
            clock=clock,
        ),
        links=links,
        journal=journal,
        door=DoorStore(engine, on_end=forget),
        acts=ToldActs(engine),
        changes=Changes(engine),
        proofs=ProofStore(engine),
        nonces=Nonces(random(NONCE_SECRET_BYTES)),
        clock=clock,
    )
    sending = Sending(
        holder,
        registry=registry,
        consent=consent,
        law=law_journal,
        records=RecordStore(engine),
        log_vkey=settings.log_vkey,
        clock=clock,
    )

    @contextmanager
    def running() -> Iterator[None]:
        stop = Event()
        declare = Thread(
            target=declaring.register, args=(consent.published, compact, stop), name="declaration", daemon=True
        )
        declare.start()
        owed = Thread(target=sending.run, args=(stop,), name="sending", daemon=True)
        owed.start()
        with StatusSchedule(checker):
            yield
        stop.set()
        http.close()
        owed.join(timeout=1)
        engine.dispose()

    return Assembled(services, source, running)


def _declared(settings: HolderSettings) -> tuple[DataHolder, str]:
    """The data holder, and its declaration as it was signed first. Raises ConfigurationError."""
    keys = tuple(
        AgreementPrivateKey.from_jwk(strict_json.parse_object(path.read_bytes(), what=f"{path.name}"))
        for path in settings.hpke_keys
    )
    signer = SoftwareSigner.from_pem(settings.key.read_bytes())
    content, folder = settings.holding.declaration, settings.head.data / DECLARATIONS
    version = content.version or _newest(folder, content.id)
    while True:
        declaration = content.of(settings.party, keys[0].public, version=version)
        try:
            compact = kept.signed(folder, declaration, signer)
        except LedgerConflict:
            if content.version is not None:
                text = "[declaration] version: must rise, since the content or a key has changed"
                raise ConfigurationError(text) from None
            version += 1
        else:
            return DataHolder(settings.party, signer, keys, declaration), compact


def _newest(folder: Path, identifier: str) -> int:
    """The newest version that was signed; 1 where none was."""
    return max(kept.versions(folder, kept.DATA, identifier), default=1)


def _lists(settings: HolderSettings, sandbox: bool, clock: Clock) -> tuple[Callable[[], VerifiedRegistry], BasesReader]:
    """The lists of parties and of approved bases, as one registry signs them."""
    url, pem = settings.head.registry_url, settings.head.registry_anchors
    assert url is not None and pem is not None
    anchors, data = anchors_from_pem(pem.read_bytes()), settings.head.data
    bases = url + trust_spec.BASES
    fetcher = AllowListFetcher(lambda asked: asked in (url, bases), allow_loopback_http=sandbox)
    parties = RegistryReader(
        url,
        fetcher=fetcher,
        anchors=anchors,
        clock=clock,
        kept=data / KEPT_LIST,
        refresh_seconds=SANDBOX_REFRESH_SECONDS if sandbox else REFRESH_SECONDS,
    )
    return parties.current, BasesReader(bases, fetcher=fetcher, anchors=anchors, clock=clock, kept=data / KEPT_BASES)


def _source(settings: HolderSettings, own: Own | None) -> Source:
    """Everything the configuration names is tried once: a wrong name shows here, not at a use."""
    holding = settings.holding
    source: Source
    if isinstance(holding.register, Given):
        if own is None:
            raise ConfigurationError("[register] url: is missing, and no code answers in its place")
        source = GivenSource(own.find, own.values, holding.register.types, holding.reductions)
    else:
        if own is not None:
            raise ConfigurationError("[register] url: code answers here, not a database")
        url = make_url(holding.register.url)
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").is_file():
            raise ConfigurationError("[register] url: the SQLite file does not exist")
        engine = open_register(holding.register.url)
        tables = holding.register.tables(engine)
        register = SqlRegister(engine, tables.row, tables.attributes)
        register.check()
        source = SqlSource(register, Resolutions(register, tables.attributes, holding.reductions))
    for name, declared in holding.declaration.attributes.items():
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
