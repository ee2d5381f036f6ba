"""The consent service as a process, or several on one data folder: one of them writes the log, the others follow.

[service]
workers = 2                           # processes at this port; optional. Another configuration with another
                                      # port and the same url and data makes one more, on its own port

[consent]
party = "urn:atorga:party:consent"    # in the signed list, roles consent, log, verifier
key = "consent.pem"                   # file: its registry key (PEM)
log_seed = "log-seed"                 # file: the log's Ed25519 seed, 64 hexadecimal digits
period = "2026"                       # of the log: its origin is HOST/log/PERIOD; another one closes the log before it
keyed_hash = "run/consent-hashes.sock"  # socket of the process that hashes identifiers, scope "account"
openings = "…/openings"               # folder of sealed opening keys, apart from backups; optional
database = "postgresql://…"           # address without a password; optional, default a file in the data folder
database_password = "db-password"     # file; optional
procedures = "…/procedures"           # folder of the city's own entries of the catalogue of procedures; optional

[client]                              # atorga.serve.access_client: the certificate it asks wallets with
[trust]                               # atorga.serve.credential_trust

[officers]                            # optional: any two of them open one grant
file = "officers.json"                # file: written by `atorga officers init`

[log]                                 # atorga.serve.consent_log: retention, group codes
[witnesses]                           # atorga.serve.consent_log: who cosigns the log

State in the service's folder: ``consent.db`` unless ``database`` says elsewhere, ``nonces``, ``log/`` and, unless
``openings`` says elsewhere, ``openings/``.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import URL, Engine
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from starlette.applications import Starlette

from atorga.serve import access_client, consent_log, credential_trust
from atorga.serve.access_client import ClientSettings
from atorga.serve.consent_log import ConsentLogSettings
from atorga.serve.credential_trust import CredentialTrustSettings, ListedTrust
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from consent.caller.nonce_secret import shared_secret
from consent.errors import ConsentError
from consent.grant import accreditation
from consent.grant.officers import parse_officers
from consent.ledger.address import POSTGRESQL, parse_address, socket_folder
from consent.ledger.schema import check_durable, open_engine, upgrade
from consent.log import note
from consent.log.note import NoteKey
from consent.log.period import is_period
from consent.procedure.procedures import Procedures
from consent.service.account_presentation import AccountPresentation
from consent.service.app import create_app
from consent.service.credentials import Credentials
from consent.service.mandate_presentation import MandatePresentation
from consent.service.office import Office, open_office
from consent.service.operator import Operator
from identity.clock import Clock
from identity.errors import IdentityError
from identity.fetch import AllowListFetcher
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash import KeyedHashClient
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random
from identity.trust import spec as trust_spec
from identity.trust.reader import BasesReader
from verifier.client import VerifierClient

DATABASE = "consent.db"
OPENINGS = "openings"
NONCES = "nonces"
KEPT_BASES = "bases.jwt"


@dataclass(frozen=True, slots=True)
class ConsentSettings:
    head: ServiceHead
    party: str
    key: Path
    log: ConsentLogSettings
    period: str
    keyed_hash: Path
    openings: Path
    database: URL
    database_password: Path | None
    procedures: Path | None
    officers: Path | None
    client: ClientSettings
    trust: CredentialTrustSettings

    @property
    def shown(self) -> str:
        """What ``--check`` tells besides: the key that auditors, data holders, services and witnesses pin."""
        signer = Ed25519Signer.from_hex(self.log.seed.read_text(encoding="ascii").strip())
        return f"its log's key: {NoteKey(self.log_origin, note.ED25519, signer.public).format()}"

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
        log=consent_log.settings(table, root),
        period=table.text("period"),
        keyed_hash=table.path("keyed_hash"),
        openings=table.optional_path("openings") or head.data / OPENINGS,
        database=_database(table.optional_text("database") or f"sqlite:///{head.data / DATABASE}"),
        database_password=table.optional_path("database_password"),
        procedures=table.optional_path("procedures"),
        officers=_officers_file(root.optional_table("officers")),
        client=access_client.settings(root),
        trust=credential_trust.settings(head, root),
    )
    table.done()
    if not is_period(made.period):
        raise ConfigurationError("[consent] period: 1 to 16 letters, digits and hyphens are expected")
    return made


def _officers_file(table: Table | None) -> Path | None:
    if table is None:
        return None
    file = table.path("file")
    table.done()
    return file


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


def checked(settings: ConsentSettings, folder: Path) -> ConsentSettings:
    """For ``--check``: the database is opened and read, the rest is built on an empty one in ``folder``.

    A newer release would else migrate the database of a service that runs, and another period close its log.
    Raises ConfigurationError.
    """
    if settings.database.get_backend_name() == POSTGRESQL:
        with _database_faults(settings):
            engine = _engine(settings)
            try:
                check_durable(engine)
            finally:
                engine.dispose()
    empty = _database(f"sqlite:///{folder / DATABASE}")
    return replace(settings, database=empty, database_password=None, openings=folder / OPENINGS)


@contextmanager
def _database_faults(settings: ConsentSettings) -> Iterator[None]:
    """As sentences that a configuration's author understands; none quotes what a statement was about."""
    try:
        yield
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (UnicodeDecodeError, ConsentError) as fault:
        raise ConfigurationError(f"[consent]: {fault}") from None
    except SQLAlchemyError as fault:
        url = settings.database
        if isinstance(fault, DBAPIError) and url.get_backend_name() == POSTGRESQL:
            where = socket_folder(url) or url.host or "localhost"
            raise ConfigurationError(
                f"[consent] database: {where} does not answer, or does not open {url.database!r} to "
                f"{url.username or 'this account'} ({type(fault).__name__})"
            ) from None
        raise ConfigurationError(f"[consent] database: {url.database}: {type(fault).__name__}") from None


def build(settings: ConsentSettings, *, profile: Profile, clock: Clock, random: Random) -> Starlette:
    """The application; it writes the log if no other process does. Raises ConfigurationError."""
    trust = credential_trust.build(settings.trust, data=settings.head.data, profile=profile, clock=clock)
    with _database_faults(settings):
        engine = _engine(settings)
        upgrade(engine)
        check_durable(engine)
    try:
        office = _office(settings, engine, trust, profile, clock, random)
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (UnicodeDecodeError, ConsentError, IdentityError) as fault:
        raise ConfigurationError(f"[consent]: {fault}") from None
    except SQLAlchemyError as fault:
        raise ConfigurationError(f"[consent] database: {type(fault).__name__}") from None
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
        log=consent_log.build(
            settings.log,
            head,
            origin=settings.log_origin,
            profile=profile,
            party=settings.party,
            registry=trust.registry,
        ),
        openings=settings.openings,
        nonce_secret=shared_secret(head.data / NONCES, random),
        claim_hash=KeyedHashClient(settings.keyed_hash),
        make_jar=presentation.make_jar,
        check_presentation=presentation.check,
        credentials=_credentials(operator, trust, client),
        check_procedure=Procedures.shipped(settings.procedures).check,
        bases=_bases(settings, profile, clock).current,
        officers=None if settings.officers is None else parse_officers(settings.officers.read_bytes()),
        allow_loopback_http=profile == "sandbox",
    )


def _bases(settings: ConsentSettings, profile: Profile, clock: Clock) -> BasesReader:
    """What the same registry approved beside its list of parties."""
    url = settings.trust.registry_url + trust_spec.BASES
    fetcher = AllowListFetcher(lambda asked: asked == url, allow_loopback_http=profile == "sandbox")
    anchors = credential_trust.read_anchors(settings.trust.registry_anchors)
    return BasesReader(url, fetcher=fetcher, anchors=anchors, clock=clock, kept=settings.head.data / KEPT_BASES)


def _credentials(operator: Operator, trust: ListedTrust, client: VerifierClient) -> Credentials:
    """By the same trust as a resident's own presentation."""
    issuer_key, check_status = trust.issuers.issuer_key, trust.status.check
    mandates = MandatePresentation(operator, client.signer, client.x5c, issuer_key, check_status)
    return Credentials(
        verify_accreditation=accreditation.verifier(
            issuer_key=issuer_key, check_status=check_status, registry=trust.registry, now=lambda: operator.now
        ),
        make_mandate_jar=mandates.make_jar,
        check_mandate=mandates.check,
        check_status=check_status,
    )
