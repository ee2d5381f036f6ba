"""One entry of the signed list: who a party is, what it may do, with which keys, at which addresses."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from identity.codec import base64url
from identity.codec.members import exact_members, integer, mapping, text, texts
from identity.errors import EncodingError, FetchError, KeyMaterialError, TrustError
from identity.fetch import require_permitted, split_url
from identity.keys.public_key import PublicKey
from identity.trust import spec

MAX_ID = 128
MAX_NAME = 256
MAX_ADDRESS = 512
"""Characters. Names are shown on a terminal, addresses are asked."""

MAX_LANGUAGES = 24
"""The official languages of the Union."""

MAX_CERTIFICATES = 32
MAX_TYPES = 64
MAX_STATUS_PREFIXES = 32
"""More than a party with yearly renewals, or a town hall with every credential type, can need."""

_ID = re.compile(r"urn:atorga:party:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")
_ADDRESS = re.compile(r"[!-~]+")

_REQUIRED = frozenset(
    {"id", "roles", "name", "legal_entity", "contact", "territory", "from", "to", "jwk", "x5t#S256"}
)  # fmt: skip
_OPTIONAL = frozenset({"issuer", "vcts", "status_prefixes", "log_vkey", "endpoints"})


@dataclass(frozen=True, slots=True)
class Party:
    """A party as one version of the list describes it; it comes from a verified list and nowhere else."""

    id: str
    roles: frozenset[str]
    name: Mapping[str, str]
    """Language → text."""
    legal_entity: str
    contact: str
    territory: str
    valid_from: int
    valid_to: int
    """NumericDate; from ≤ now < to."""
    public_key: PublicKey
    """P-256. Signs its proofs, requests, declarations and answers; its certificates have keys of their own."""
    certificates: tuple[str, ...]
    """``x5t#S256`` of the certificates it signs credentials, lists or authorization requests with."""
    issuer: str | None
    """The ``iss`` of its credentials, tenant path included."""
    vcts: tuple[str, ...]
    """The only credential types that it may issue."""
    status_prefixes: tuple[str, ...]
    """Below these addresses it publishes status lists; the address itself answers with their aggregation."""
    log_vkey: str | None
    endpoints: Mapping[str, str]

    def is_valid(self, now: float) -> bool:
        return self.valid_from <= now < self.valid_to


def parse_party(obj: Mapping[str, Any]) -> Party:
    """Raises TrustError."""
    what = "registry: party"
    try:
        exact_members(obj, what=what, required=_REQUIRED, optional=_OPTIONAL)
        party_id = read_party_id(obj, "id", what=what)
        what = f"registry: {party_id}"
        party = Party(
            id=party_id,
            roles=_roles(obj, what),
            name=_names(obj, what),
            legal_entity=text(obj, "legal_entity", what=what, max_length=MAX_NAME),
            contact=text(obj, "contact", what=what, max_length=MAX_ADDRESS),
            territory=text(obj, "territory", what=what, max_length=MAX_NAME),
            valid_from=integer(obj, "from", what=what),
            valid_to=integer(obj, "to", what=what),
            public_key=_signing_key(obj, what),
            certificates=_hashes(obj, what),
            issuer=_address(text(obj, "issuer", what=what), what) if "issuer" in obj else None,
            vcts=texts(obj, "vcts", what=what, max_count=MAX_TYPES, max_length=MAX_NAME) if "vcts" in obj else (),
            status_prefixes=_prefixes(obj, what),
            log_vkey=text(obj, "log_vkey", what=what, max_length=MAX_ADDRESS) if "log_vkey" in obj else None,
            endpoints=_endpoints(obj, what),
        )
    except (EncodingError, FetchError, KeyMaterialError) as fault:
        raise TrustError(str(fault) if str(fault).startswith(what) else f"{what}: {fault}") from None
    if party.valid_from >= party.valid_to:
        raise TrustError(f"{what}: 'from' is not before 'to'")
    if spec.ISSUER in party.roles and not (party.issuer and party.vcts):
        raise TrustError(f"{what}: an issuer has no 'issuer' or no 'vcts'")
    if spec.STATUS in party.roles and not party.status_prefixes:
        raise TrustError(f"{what}: a status signer has no 'status_prefixes'")
    if spec.LOG in party.roles and party.log_vkey is None:
        raise TrustError(f"{what}: a log has no 'log_vkey'")
    return party


def read_party_id(obj: Mapping[str, Any], name: str, *, what: str) -> str:
    """``urn:atorga:party:NAME`` of at most 128 ASCII characters. Raises EncodingError."""
    value = text(obj, name, what=what, max_length=MAX_ID)
    if not _ID.fullmatch(value):
        raise EncodingError(f"{what}: {name!r} is not of the form urn:atorga:party:NAME")
    return value


def _roles(obj: Mapping[str, Any], what: str) -> frozenset[str]:
    roles = frozenset(texts(obj, "roles", what=what, max_count=len(spec.ROLES)))
    if not roles <= spec.ROLES:
        raise EncodingError(f"{what}: 'roles' are {', '.join(sorted(spec.ROLES))} only")
    return roles


def _names(obj: Mapping[str, Any], what: str) -> Mapping[str, str]:
    names = mapping(obj, "name", what=what)
    if not 1 <= len(names) <= MAX_LANGUAGES:
        raise EncodingError(f"{what}: 'name' must be in 1 to {MAX_LANGUAGES} languages")
    for language in names:
        if not _LANGUAGE.fullmatch(language):
            raise EncodingError(f"{what}: 'name' has a member that is no language (BCP 47)")
        text(names, language, what=f"{what}: name", max_length=MAX_NAME)
    return MappingProxyType(names)


def _signing_key(obj: Mapping[str, Any], what: str) -> PublicKey:
    key = PublicKey.from_jwk(mapping(obj, "jwk", what=what))
    if "ES256" not in key.algorithms:
        raise KeyMaterialError("'jwk' must be a key for ES256")
    return key


def _hashes(obj: Mapping[str, Any], what: str) -> tuple[str, ...]:
    hashes = texts(obj, "x5t#S256", what=what, max_count=MAX_CERTIFICATES, max_length=43, min_count=0)
    for value in hashes:
        if len(base64url.decode(value, what=f"{what}: 'x5t#S256'")) != 32:
            raise EncodingError(f"{what}: 'x5t#S256' must hold values of 32 bytes in base64url")
    return hashes


def _prefixes(obj: Mapping[str, Any], what: str) -> tuple[str, ...]:
    if "status_prefixes" not in obj:
        return ()
    prefixes = texts(obj, "status_prefixes", what=what, max_count=MAX_STATUS_PREFIXES, max_length=MAX_ADDRESS)
    return tuple(_address(prefix, what) for prefix in prefixes)


def _endpoints(obj: Mapping[str, Any], what: str) -> Mapping[str, str]:
    if "endpoints" not in obj:
        return MappingProxyType({})
    endpoints = mapping(obj, "endpoints", what=what)
    if not endpoints.keys() <= spec.ENDPOINTS:
        raise EncodingError(f"{what}: 'endpoints' are {', '.join(sorted(spec.ENDPOINTS))} only")
    return MappingProxyType({name: _address(text(endpoints, name, what=what), what) for name in endpoints})


def _address(url: str, what: str) -> str:
    """https, or http to loopback: whether the sandbox's http is asked is the fetcher's decision."""
    if len(url) > MAX_ADDRESS or not _ADDRESS.fullmatch(url):
        raise EncodingError(f"{what}: an address has more than {MAX_ADDRESS} characters, or not only printable ASCII")
    require_permitted(url, allow_loopback_http=True)
    if "?" in url or "#" in url or ".." in split_url(url).path.split("/"):
        raise EncodingError(f"{what}: an address has a query, a fragment or dot segments")
    return url
