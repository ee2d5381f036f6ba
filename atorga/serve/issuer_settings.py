"""What an issuer's configuration file says (the keys are explained in ``atorga.serve.issuer``)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from atorga.serve.settings import ConfigurationError, ServiceHead, Table
from identity.issuer.person import ASSURANCE
from identity.issuer.tenant import OpenIdProfile
from identity.status.spec import SHARD_ENTRIES

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CardSettings:
    profile: str | None
    profile_file: Path | None
    roots: Path
    issuing: Path


@dataclass(frozen=True, slots=True)
class RegisterSettings:
    url: str
    person_query: str | None
    claims_query: str | None
    assurance: str


@dataclass(frozen=True, slots=True)
class TenantSettings:
    name: str
    names: Mapping[str, str]
    types: tuple[str, ...]
    credential_key: Path
    credential_chain: Path
    status_key: Path
    status_chain: Path
    deferred: tuple[str, ...]
    status_list_size: int
    status_ttl_seconds: int
    refresh_days: int
    row_register: str | None
    demo_subject: str | None
    registers: Mapping[str, RegisterSettings]


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    head: ServiceHead
    openid_profile: OpenIdProfile | None
    """None = the default of the process's profile."""
    keyed_hash_socket: Path
    cards: Mapping[str, CardSettings]
    tenants: Mapping[str, TenantSettings]
    registry_file: Path | None
    trust_file: Path | None


def settings(head: ServiceHead, root: Table) -> IssuerSettings:
    """Raises ConfigurationError."""
    issuer = root.optional_table("issuer")
    profile = None if issuer is None else issuer.optional_text("profile")
    if profile not in (None, "base", "haip"):
        raise ConfigurationError("[issuer] profile: base or haip is expected")
    keyed_hash = root.table("keyed_hash")
    publish = root.optional_table("publish")
    made = IssuerSettings(
        head=head,
        openid_profile=cast("OpenIdProfile | None", profile),
        keyed_hash_socket=keyed_hash.path("socket"),
        cards={name: _card(table) for name, table in root.tables("cards").items()},
        tenants={name: _tenant(name, table) for name, table in root.tables("tenants").items()},
        registry_file=None if publish is None else publish.optional_path("registry"),
        trust_file=None if publish is None else publish.optional_path("trust"),
    )
    if not made.tenants:
        raise ConfigurationError("[tenants]: at least one town hall is needed")
    for table in (issuer, keyed_hash, publish):
        if table is not None:
            table.done()
    return made


def _card(table: Table) -> CardSettings:
    made = CardSettings(
        profile=table.optional_text("profile"),
        profile_file=table.optional_path("profile_file"),
        roots=table.path("roots"),
        issuing=table.path("issuing"),
    )
    if (made.profile is None) == (made.profile_file is None):
        raise ConfigurationError(f"[{table.name}]: either profile or profile_file is expected")
    table.done()
    return made


def _tenant(name: str, table: Table) -> TenantSettings:
    if not _NAME.fullmatch(name):
        raise ConfigurationError(f"[{table.name}]: a town hall's name is a part of addresses: a-z, 0-9 and -")
    names = table.table("names")
    made = TenantSettings(
        name=name,
        names={language: names.text(language) for language in tuple(names.keys())},  # not a dict
        types=table.texts("types"),
        credential_key=table.path("credential_key"),
        credential_chain=table.path("credential_chain"),
        status_key=table.path("status_key"),
        status_chain=table.path("status_chain"),
        deferred=table.texts("deferred", ()),
        status_list_size=table.integer("status_list_size", SHARD_ENTRIES, minimum=64, maximum=SHARD_ENTRIES),
        status_ttl_seconds=table.integer("status_ttl_seconds", 3_600, minimum=2, maximum=43_200),
        refresh_days=table.integer("refresh_days", 90, minimum=1, maximum=730),
        row_register=table.optional_text("row_register"),
        demo_subject=table.optional_text("demo_subject"),
        registers={register: _register(below) for register, below in table.tables("registers").items()},
    )
    if not made.names:
        raise ConfigurationError(f"[{table.name}] names: a name in at least one language is expected")
    if made.row_register is not None and made.row_register not in made.registers:
        raise ConfigurationError(f"[{table.name}] row_register: names no register")
    if made.status_list_size % 8:
        raise ConfigurationError(f"[{table.name}] status_list_size: a multiple of 8 is expected")
    names.done()
    table.done()
    return made


def _register(table: Table) -> RegisterSettings:
    made = RegisterSettings(
        url=table.text("url"),
        person_query=table.optional_text("person_query"),
        claims_query=table.optional_text("claims_query"),
        assurance=table.text("assurance", "substantial"),
    )
    if made.assurance not in ASSURANCE:
        raise ConfigurationError(f"[{table.name}] assurance: one of {', '.join(ASSURANCE)} is expected")
    table.done()
    return made
