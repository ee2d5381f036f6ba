"""The consent service as a process, or several on one data folder: one of them writes the log, the others follow.

[service]
workers = 2                           # processes at this port; optional. Another configuration with another
                                      # port and the same url and data makes one more, on its own port

[consent]
party = "urn:atorga:party:consent"    # in the signed list, roles consent, log, verifier
key = "consent.pem"                   # file: its registry key (PEM)
log_seed = "log-seed"                 # file: the log's Ed25519 seed, 64 hexadecimal digits
period = "2026"                       # of the log: its origin is HOST/log/PERIOD
keyed_hash = "run/consent-hashes.sock"  # socket of the process that hashes identifiers, scope "account"
openings = "…/openings"               # folder of sealed opening keys, apart from backups; optional
database = "postgresql://…"           # address without a password; optional, default a file in the data folder
database_password = "db-password"     # file; optional

[client]                              # atorga.serve.access_client: the certificate it asks wallets with
[trust]                               # atorga.serve.credential_trust

[witnesses]                           # who cosigns the log; optional, and then it prints "not witnessed"
keys = ["witness.example+…"]          # cosignature keys, and their addresses in the same order
urls = ["https://witness.example"]
threshold = 1                         # so many make a quorum, which sensitive purposes wait for

State in the service's folder: ``consent.db`` unless ``database`` says elsewhere, ``nonces``, ``log/`` and, unless
``openings`` says elsewhere, ``openings/``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, Engine
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from starlette.applications import Starlette

from atorga.serve import access_client, credential_trust
from atorga.serve.access_client import ClientSettings
from atorga.serve.credential_trust import CredentialTrustSettings, ListedTrust
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from consent.caller.nonce_secret import shared_secret
from consent.errors import ConsentError
from consent.ledger.address import parse_address
from consent.ledger.schema import check_durable, open_engine, upgrade
from consent.log.note import NoteKey
from consent.log.period import is_period
from consent.log.quorum import Quorum
from consent.log.witness_client import HttpPost, WitnessClient
from consent.service.account_presentation import AccountPresentation
from consent.service.app import create_app
from consent.service.office import Office, open_office
from consent.service.operator import Operator
from consent.service.witnessed import Witnessed
from identity.clock import Clock
from identity.errors import FetchError, IdentityError
from identity.fetch import AllowListFetcher, require_permitted
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash import KeyedHashClient
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random

WITNESS_SECONDS = 2.0
"""A witness that is slower is asked again with the next checkpoint; a quorum does without it."""

DATABASE = "consent.db"
LOG = "log"
OPENINGS = "openings"
NONCES = "nonces"


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    keys: tuple[NoteKey, ...]
    urls: tuple[str, ...]
    quorum: Quorum


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    head: ServiceHead
    party: str
    key: Path
    log_seed: Path
    period: str
    keyed_hash: Path
    openings: Path
    database: URL
    database_password: Path | None
    client: ClientSettings
    trust: CredentialTrustSettings
    witnesses: WitnessSettings | None

    @property
    def log_origin(self) -> str:
        """HOST/log/PERIOD (WIRE C6)."""
        address = urlsplit(self.head.url)
        return f"{address.netloc}{address.path}/log/{self.period}"


def settings(head: ServiceHead, root: Table) -> ConsentSettings:
    """Raises ConfigurationError."""
    table = root.table("consent")
    made = ConsentSettings(
        head=head,
        party=table.text("party"),
        key=table.path("key"),
        log_seed=table.path("log_seed"),
        period=table.text("period"),
        keyed_hash=table.path("keyed_hash"),
        openings=table.optional_path("openings") or head.data / OPENINGS,
        database=_database(table.optional_text("database") or f"sqlite:///{head.data / DATABASE}"),
        database_password=table.optional_path("database_password"),
        client=access_client.settings(root),
        trust=credential_trust.settings(head, root),
        witnesses=_witnesses(root.optional_table("witnesses")),
    )
    table.done()
    if not is_period(made.period):
        raise ConfigurationError("[consent] period: 1 to 16 letters, digits and hyphens are expected")
    return made


def _database(address: str) -> URL:
    """Its text may end in messages and process lists: so it has no password."""
    try:
        url = parse_address(address)
    except (ArgumentError, ValueError) as fault:
        raise ConfigurationError(f"[consent] database: {fault}") from None
    if url.password is not None:
        raise ConfigurationError("[consent] database: the password belongs in a file, database_password")
    return url


def _engine(settings: ConsentSettings) -> Engine:
    """Raises OSError, ConfigurationError."""
    url, file = settings.database, settings.database_password
    if file is not None:
        url = url.set(password=file.read_text(encoding="utf-8").strip())
    return open_engine(url.render_as_string(hide_password=False))


def _witnesses(table: Table | None) -> WitnessSettings | None:
    if table is None:
        return None
    urls = table.texts("urls")
    try:
        keys = tuple(NoteKey.parse(vkey) for vkey in table.texts("keys"))
        quorum = Quorum(keys, table.integer("threshold", minimum=1))
    except ConsentError as fault:
        raise ConfigurationError(f"[witnesses]: {fault}") from None
    if len(urls) != len(keys):
        raise ConfigurationError(f"[witnesses]: {len(keys)} keys and {len(urls)} urls; one each is expected")
    table.done()
    return WitnessSettings(keys, urls, quorum)


def build(settings: ConsentSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """The application; it writes the log if no other process does. Raises ConfigurationError."""
    trust = credential_trust.build(settings.trust, data=settings.head.data, profile=profile, clock=clock)
    try:
        engine = _engine(settings)
        upgrade(engine)
        check_durable(engine)
        office = _office(settings, engine, trust, profile, clock, random)
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (UnicodeDecodeError, ConsentError, IdentityError) as fault:
        raise ConfigurationError(f"[consent]: {fault}") from None
    except SQLAlchemyError as fault:
        raise ConfigurationError(f"{settings.database.database}: {type(fault).__name__}") from None
    return create_app(office, beside=(_disposed(engine), trust.schedule))


@contextmanager
def _disposed(engine: Engine) -> Iterator[None]:
    """At a regular end the database is one file again."""
    try:
        yield
    finally:
        engine.dispose()


def _office(
    settings: ConsentSettings, engine: Engine, trust: ListedTrust, profile: Profile, clock: Clock, random: Random
) -> Office:
    head = settings.head
    operator = Operator(settings.party, head.url, SoftwareSigner.from_pem(settings.key.read_bytes()), clock, random)
    client = access_client.build(settings.client, url=head.url)
    presentation = AccountPresentation(
        operator, client.signer, client.x5c, trust.issuers.issuer_key, trust.status.check
    )
    return open_office(
        operator,
        engine=engine,
        registry=trust.registry,
        known_registry=trust.known_registry,
        log_folder=head.data / LOG,
        log_origin=settings.log_origin,
        log_signer=Ed25519Signer.from_hex(settings.log_seed.read_text(encoding="ascii").strip()),
        openings=settings.openings,
        nonce_secret=shared_secret(head.data / NONCES, random),
        claim_hash=KeyedHashClient(settings.keyed_hash),
        make_jar=presentation.make_jar,
        check_presentation=presentation.check,
        witnesses=_clients(settings.witnesses, profile),
        quorum=None if settings.witnesses is None else settings.witnesses.quorum,
        compare=_witnessed(settings.witnesses, profile).compare,
    )


def _witnessed(witnesses: WitnessSettings | None, profile: Profile) -> Witnessed:
    urls = () if witnesses is None else witnesses.urls

    def is_theirs(address: str) -> bool:
        return any(address.startswith(f"{url.rstrip('/')}/") for url in urls)

    fetcher = AllowListFetcher(is_theirs, allow_loopback_http=profile == "sandbox", timeout_seconds=WITNESS_SECONDS)
    return Witnessed(urls, fetcher)


def _clients(witnesses: WitnessSettings | None, profile: Profile) -> list[WitnessClient]:
    if witnesses is None:
        return []
    try:
        for url in witnesses.urls:
            require_permitted(url, allow_loopback_http=profile == "sandbox")
    except FetchError as fault:
        raise ConfigurationError(f"[witnesses] urls: {fault}") from None
    # A connection each: a witness's client is used by one thread.
    return [
        WitnessClient(url, key, HttpPost(timeout_seconds=WITNESS_SECONDS))
        for url, key in zip(witnesses.urls, witnesses.keys, strict=True)
    ]
