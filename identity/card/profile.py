"""Card families as data: whose certificates, under which policy, saying what about whom.

A profile is a TOML file. The ones beside this module ship in the wheel (``bundled``); a town hall
writes its own and reads it with ``read_profile``. The certificates of the issuing authorities are
not in a profile: they are configuration, since a town hall must know where it got them.

The sandbox marks its certificates by ``SANDBOX_POLICY``. A profile either is the sandbox's and asks
for that policy, or it is not and can never be met by it.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal, cast
from urllib.parse import urlsplit

from identity.codec.members import boolean, exact_members, mapping, text, texts
from identity.errors import CardError, EncodingError

SANDBOX_POLICY = "2.25.56556372187788986243474498359307543333"
"""Certificate policy of every sandbox card PKI (an OID made from a UUID, ITU-T X.667)."""

AssuranceLevel = Literal["low", "substantial", "high"]
ASSURANCE_LEVELS = ("low", "substantial", "high")

NUMBER_RULES = ("es-nif",)
"""How a person's number is proven to be one; each is a function in ``holder.py``."""

KEY_USAGES = (
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement",
)  # fmt: skip
"""RFC 5280 section 4.2.1.3, those a person's certificate may have."""

NAME_TYPES = {"CN": "2.5.4.3", "C": "2.5.4.6", "O": "2.5.4.10", "OU": "2.5.4.11", "L": "2.5.4.7", "ST": "2.5.4.8"}
"""How a profile spells the attributes of an issuer's name."""

MAX_PROFILE_BYTES = 16_384
"""The longest of ours has 2 KiB."""

MAX_ITEMS = 32
"""Issuers, policies, hosts: the DNIe has six, one and two."""

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]{0,38}))+", re.ASCII)
_HOST = re.compile(r"[a-z0-9.-]+(:([1-9][0-9]{0,4}|\*))?", re.ASCII)

IssuerName = frozenset[tuple[str, str]]
"""(attribute OID, value) of a name that has each attribute once; the order on the wire is not ours to say."""


@dataclass(frozen=True, slots=True)
class CardProfile:
    id: str
    sandbox: bool
    assurance_level: AssuranceLevel
    country: str
    """C of the holder's name."""
    issuers: frozenset[IssuerName]
    policies: frozenset[str]
    """One of them stands in the certificate."""
    key_usage: frozenset[str]
    """Exactly these, in a critical extension."""
    extended_key_usage: frozenset[str]
    """Where the extension stands, one of these is in it."""
    number_rule: str
    number_prefixes: frozenset[str]
    """What may stand before the number; "" is the bare number."""
    common_name_endings: tuple[str, ...]
    """What follows ``SURNAMES, GIVEN NAMES`` in the common name."""
    birth_date: bool
    """The date of birth is read from the subjectDirectoryAttributes, where it stands there."""
    ocsp_hosts: frozenset[str]
    """``host`` (its scheme's own port), ``host:port``, and in a sandbox ``host:*``."""
    ocsp_nonce: bool
    """The responder repeats the nonce. Without it an answer up to MAX_AGE_SECONDS old can be replayed."""

    def permits_ocsp(self, url: str) -> bool:
        """Whether a certificate of this family may send us to this address to ask about it."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            return False
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.fragment:
            return False
        own_port = {"http": 80, "https": 443}[parts.scheme]
        spellings = {f"{parts.hostname}:{port or own_port}", f"{parts.hostname}:*"}
        if (port or own_port) == own_port:
            spellings.add(parts.hostname)
        return bool(spellings & self.ocsp_hosts)


def bundled(name: str) -> CardProfile:
    """A profile that ships with the package, by its file name. Raises CardError."""
    if not re.fullmatch(r"[a-z0-9-]{1,32}", name):
        raise CardError("card profile: a name has 1 to 32 of a-z, 0-9 and -")
    try:
        content = (files("identity.card") / "profiles" / f"{name}.toml").read_text("utf-8")
    except FileNotFoundError:
        raise CardError(f"card profile: there is none named {name!r}") from None
    return read_profile(content)


def read_profile(content: str) -> CardProfile:
    """Raises CardError with the sentence that a town hall needs to mend its file."""
    if len(content) > MAX_PROFILE_BYTES:
        raise CardError(f"card profile: more than {MAX_PROFILE_BYTES} characters")
    try:
        table = tomllib.loads(content)
    except tomllib.TOMLDecodeError as fault:
        raise CardError(f"card profile: {fault}") from None
    try:
        return _profile(table)
    except EncodingError as fault:
        raise CardError(str(fault)) from None


def _profile(table: Mapping[str, Any]) -> CardProfile:
    what = "card profile"
    exact_members(
        table,
        what=what,
        required={"id", "sandbox", "assurance_level", "country", "issuers", "certificate", "holder", "status"},
    )
    name = text(table, "id", what=what, max_length=32)
    what = f"card profile {name!r}"
    certificate = mapping(table, "certificate", what=what)
    exact_members(certificate, what=what, required={"policies", "key_usage", "extended_key_usage"})
    holder = mapping(table, "holder", what=what)
    exact_members(holder, what=what, required={"number_rule", "number_prefixes", "common_name_endings", "birth_date"})
    status = mapping(table, "status", what=what)
    exact_members(status, what=what, required={"ocsp_hosts", "ocsp_nonce"})
    profile = CardProfile(
        id=name,
        sandbox=boolean(table, "sandbox", what=what),
        assurance_level=cast("AssuranceLevel", _one_of(table, "assurance_level", ASSURANCE_LEVELS, what=what)),
        country=text(table, "country", what=what, max_length=2),
        issuers=_issuers(table, what=what),
        policies=_oids(certificate, "policies", what=what),
        key_usage=_all_of(certificate, "key_usage", KEY_USAGES, what=what),
        extended_key_usage=_oids(certificate, "extended_key_usage", what=what),
        number_rule=_one_of(holder, "number_rule", NUMBER_RULES, what=what),
        number_prefixes=_prefixes(holder, what=what),
        common_name_endings=texts(holder, "common_name_endings", what=what, max_count=MAX_ITEMS, max_length=64),
        birth_date=boolean(holder, "birth_date", what=what),
        ocsp_hosts=_hosts(status, what=what),
        ocsp_nonce=boolean(status, "ocsp_nonce", what=what),
    )
    _require_consistent(profile, what=what)
    return profile


def _require_consistent(profile: CardProfile, *, what: str) -> None:
    if profile.sandbox != (SANDBOX_POLICY in profile.policies) or (profile.sandbox and len(profile.policies) != 1):
        raise CardError(f"{what}: the sandbox policy belongs to sandbox profiles, which have no other")
    if not profile.sandbox and any(host.endswith(":*") for host in profile.ocsp_hosts):
        raise CardError(f"{what}: a host with any port is for sandbox profiles only")
    if "digitalSignature" not in profile.key_usage:
        raise CardError(f"{what}: a key that logs in has digitalSignature")


def _issuers(table: Mapping[str, Any], *, what: str) -> frozenset[IssuerName]:
    found = table["issuers"]
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ITEMS:
        raise CardError(f"{what}: 'issuers' must be a list of 1 to {MAX_ITEMS} names")
    names = set()
    for item in found:
        if not isinstance(item, dict) or "CN" not in item:
            raise CardError(f"{what}: an issuer is a table with CN and other attributes of its name")
        exact_members(item, what=f"{what}: issuer", required={"CN"}, optional=NAME_TYPES.keys())
        names.add(frozenset((NAME_TYPES[name], text(item, name, what=what, max_length=200)) for name in item))
    return frozenset(names)


def _oids(table: Mapping[str, Any], name: str, *, what: str) -> frozenset[str]:
    found = texts(table, name, what=what, max_count=MAX_ITEMS, max_length=128)
    if not all(_OID.fullmatch(item) for item in found):
        raise CardError(f"{what}: {name!r} must hold object identifiers in figures and dots")
    return frozenset(found)


def _hosts(table: Mapping[str, Any], *, what: str) -> frozenset[str]:
    found = texts(table, "ocsp_hosts", what=what, max_count=MAX_ITEMS, max_length=260)
    if not all(_HOST.fullmatch(item) for item in found):
        raise CardError(f"{what}: 'ocsp_hosts' must hold host or host:port in lower case")
    return frozenset(found)


def _prefixes(table: Mapping[str, Any], *, what: str) -> frozenset[str]:
    found = table["number_prefixes"]
    # Not ``texts``: the empty one is the bare number.
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_ITEMS:
        raise CardError(f"{what}: 'number_prefixes' must be a list of 1 to {MAX_ITEMS} texts")
    if not all(isinstance(item, str) and re.fullmatch(r"([A-Z]{5}-)?", item) for item in found):
        raise CardError(f"{what}: a prefix of a number is empty or five letters and '-' (ETSI EN 319 412-1 §5.1.3)")
    return frozenset(found)


def _one_of(table: Mapping[str, Any], name: str, allowed: tuple[str, ...], *, what: str) -> str:
    value = text(table, name, what=what)
    if value not in allowed:
        raise CardError(f"{what}: {name!r} must be one of {', '.join(allowed)}")
    return value


def _all_of(table: Mapping[str, Any], name: str, allowed: tuple[str, ...], *, what: str) -> frozenset[str]:
    found = texts(table, name, what=what, max_count=len(allowed))
    if not set(found) <= set(allowed):
        raise CardError(f"{what}: {name!r} may hold {', '.join(allowed)}")
    return frozenset(found)
