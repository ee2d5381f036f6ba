"""What a consent service's configuration says about its log.

[consent]
log_seed = "log-seed"                 # file: the log's Ed25519 seed, 64 hexadecimal digits
period = "2026"                       # of the log: its origin is HOST/log/PERIOD; another one closes the log before it

[log]                                 # optional
retention_days = 1095                 # entries of a closed period are deleted so long after its end; absent = kept

[log.groups.1]                        # a group code (WIRE C6): while they are rare, these services and purposes
services = ["urn:atorga:party:…"]     # appear in the log under its number
purposes = ["https://w3id.org/dpv#…"]

[witnesses]                           # who cosigns the log; optional, and then it prints "not witnessed"
policy = "policy"                     # file (C2SP tlog-policy) with the addresses of the witnesses; or:
keys = ["witness.example+…"]          # cosignature keys, and their addresses in the same order
urls = ["https://witness.example"]
threshold = 1                         # so many make a quorum, which sensitive purposes wait for

A quorum counts only where it cannot be met without a witness of another legal body (by the signed list).
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from atorga.serve import witness_quorum
from atorga.serve.settings import ConfigurationError, Profile, ServiceHead, Table
from consent.ledger.groups import Group
from consent.log.note import NoteKey
from consent.log.quorum import Quorum
from consent.log.witness_client import HttpPost, WitnessClient
from consent.service.cosigning import foreign_witnesses
from consent.service.logbook import LogSettings
from consent.service.witnessed import Witnessed
from identity.errors import FetchError
from identity.fetch import AllowListFetcher, require_permitted
from identity.keys.ed25519 import Ed25519Signer
from identity.trust.registry import VerifiedRegistry

WITNESS_SECONDS = 2.0
"""A witness that is slower is asked again with the next checkpoint; a quorum does without it."""

LOG = "log"
DAY_SECONDS = 86_400
MAX_GROUP = 2**31 - 1


@dataclass(frozen=True, slots=True)
class WitnessSettings:
    keys: tuple[NoteKey, ...]
    urls: tuple[str, ...]
    quorum: Quorum


@dataclass(frozen=True, slots=True)
class ConsentLogSettings:
    seed: Path
    retention_days: int | None
    groups: tuple[Group, ...]
    witnesses: WitnessSettings | None


def settings(consent: Table, root: Table) -> ConsentLogSettings:
    """Raises ConfigurationError."""
    table = root.optional_table("log")
    days, groups = None, tuple[Group, ...]()
    if table is not None:
        days = table.integer("retention_days", minimum=1) if "retention_days" in table else None
        groups = tuple(_group(name, one) for name, one in table.tables("groups").items())
        table.done()
    return ConsentLogSettings(consent.path("log_seed"), days, groups, _witnesses(root.optional_table("witnesses")))


def build(
    settings: ConsentLogSettings,
    head: ServiceHead,
    *,
    origin: str,
    profile: Profile,
    party: str,
    registry: Callable[[], VerifiedRegistry],
) -> LogSettings:
    """``party``: whose log it is. Raises ConfigurationError, OSError, IdentityError."""
    witnesses = settings.witnesses
    return LogSettings(
        folder=head.data / LOG,
        origin=origin,
        signer=Ed25519Signer.from_hex(settings.seed.read_text(encoding="ascii").strip()),
        witnesses=_clients(witnesses, profile),
        quorum=None if witnesses is None else witnesses.quorum,
        foreign=lambda: foreign_witnesses(registry(), party),
        compare=_witnessed(witnesses, profile).compare,
        groups=settings.groups,
        retention_seconds=None if settings.retention_days is None else settings.retention_days * DAY_SECONDS,
    )


def _group(name: str, table: Table) -> Group:
    if not name.isascii() or not name.isdecimal() or str(int(name)) != name or not 1 <= int(name) <= MAX_GROUP:
        raise ConfigurationError(f"[log.groups.{name}]: a number from 1 on is expected")
    group = Group(int(name), table.texts("services"), table.texts("purposes"))
    table.done()
    if len(set(group.services)) * len(set(group.purposes)) < 2:
        raise ConfigurationError(f"[log.groups.{name}]: one service with one purpose hides behind nothing")
    return group


def _witnesses(table: Table | None) -> WitnessSettings | None:
    if table is None:
        return None
    quorum, policy = witness_quorum.read(table)
    if quorum is None:
        table.done()
        return None
    urls: tuple[str | None, ...]
    urls = table.texts("urls") if policy is None else tuple(map(policy.url_of, quorum.witnesses))
    table.done()
    count = len(quorum.witnesses)
    if len(urls) != count:
        raise ConfigurationError(f"[witnesses]: {count} keys and {len(urls)} urls; one each is expected")
    asked = {key: url for key, url in zip(quorum.witnesses, urls, strict=True) if url is not None}
    if not quorum.met_by({key.name for key in asked}):
        raise ConfigurationError("[witnesses] policy: its quorum cannot be met by the witnesses that have an address")
    return WitnessSettings(tuple(asked), tuple(asked.values()), quorum)


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
