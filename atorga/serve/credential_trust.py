"""Whom a service believes about credentials: the signed list, issuers' anchors, and status lists kept fresh.

[trust]
issuer_anchors = "issuers-root.pem"   # PEM: above issuers' and status signers' certificates
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from identity.clock import Clock
from identity.errors import IdentityError
from identity.fetch import AllowListFetcher
from identity.status.checker import StatusChecker
from identity.status.schedule import StatusSchedule
from identity.status.signers import status_addresses
from identity.trust import spec
from identity.trust.chain import anchors_from_pem
from identity.trust.issuer_metadata import IssuerMetadata, metadata_url
from identity.trust.issuers import IssuerTrust
from identity.trust.reader import REFRESH_SECONDS, RegistryReader
from identity.trust.registry import VerifiedRegistry

SANDBOX_REFRESH_SECONDS = 10.0
"""A city of a test changes its list while somebody waits."""


FIRST_ROUND_SECONDS = 5.0
"""Longer than an issuer that is up takes; one that is down must not keep a service from starting."""


@dataclass(frozen=True, slots=True)
class CredentialTrustSettings:
    registry_url: str
    registry_anchors: Path
    issuer_anchors: Path


@dataclass(frozen=True, slots=True)
class ListedTrust:
    """By the signed list. ``schedule`` is started and stopped with the service."""

    registry: Callable[[], VerifiedRegistry]
    known_registry: Callable[[], VerifiedRegistry | None]
    """The list in memory; None where ``registry`` has to look for a newer one, which may take its time."""
    anchors: tuple[bytes, ...]
    issuers: IssuerTrust
    status: StatusChecker
    schedule: StatusSchedule

    @asynccontextmanager
    async def kept_fresh(self) -> AsyncIterator[None]:
        """While the service runs. It begins to serve with the lists it can get at once: else the first
        person after a restart would be refused."""
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self.status.refresh_due), FIRST_ROUND_SECONDS)
        with self.schedule:
            yield


def settings(head: ServiceHead, root: Table) -> CredentialTrustSettings:
    """Raises ConfigurationError."""
    if head.registry_url is None or head.registry_anchors is None:
        raise ConfigurationError("[registry]: is missing; without the signed list no issuer is trusted")
    table = root.table("trust")
    made = CredentialTrustSettings(head.registry_url, head.registry_anchors, table.path("issuer_anchors"))
    table.done()
    return made


def build(made: CredentialTrustSettings, *, data: Path, profile: Profile, clock: Clock) -> ListedTrust:
    """Raises ConfigurationError. The newest list is kept in ``data``."""
    loopback = profile == "sandbox"
    anchors = read_anchors(made.issuer_anchors)
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    reader = RegistryReader(
        made.registry_url,
        fetcher=AllowListFetcher(lambda url: url == made.registry_url, allow_loopback_http=loopback),
        anchors=read_anchors(made.registry_anchors),
        clock=clock,
        kept=data / "registry.jwt",
        refresh_seconds=SANDBOX_REFRESH_SECONDS if loopback else REFRESH_SECONDS,
    )

    def publishes_keys(url: str) -> bool:
        listed = reader.current().by_role(spec.ISSUER, now=clock())
        return url in {metadata_url(party.issuer) for party in listed if party.issuer}

    metadata = IssuerMetadata(AllowListFetcher(publishes_keys, allow_loopback_http=loopback), clock)
    lists = AllowListFetcher(status_addresses(reader.current, clock), allow_loopback_http=loopback)
    checker = StatusChecker(reader.current, anchors, lists, clock)
    return ListedTrust(
        registry=reader.current,
        known_registry=reader.known,
        anchors=anchors,
        issuers=IssuerTrust(reader.current, anchors, clock, metadata=metadata),
        status=checker,
        schedule=StatusSchedule(checker),
    )


def read_anchors(path: Path) -> tuple[bytes, ...]:
    """Raises ConfigurationError."""
    try:
        return anchors_from_pem(path.read_bytes())
    except OSError as fault:
        raise ConfigurationError(f"{path}: {fault.strerror}") from None
    except IdentityError as fault:
        raise ConfigurationError(f"{path}: {fault}") from None
