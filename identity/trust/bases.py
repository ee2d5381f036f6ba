"""The signed list of approved bases (ADR 0009, D2): which access may rest on law, and on which.

A document of its own beside the list of parties, signed under the same anchor. What is not in it,
or stands in one that is stale, allows nothing.

Verifying: the steps of ``identity.trust.registry``, with its own ``typ``, members and versions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from identity.codec import strict_json
from identity.codec.members import boolean, digest, exact_members, integer, mapping, text
from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, TrustError
from identity.keys.signer import Signer
from identity.trust import spec
from identity.trust.chain import format_x5c, read_x5c, verify_chain
from identity.trust.party import MAX_LANGUAGES, read_party_id
from identity.trust.registry import MAX_BYTES, MAX_LIFETIME_SECONDS, SKEW_SECONDS

WHAT = "bases"

MAX_HOLDERS = 256
MAX_LAW = 1_024
"""Characters: a citation, shown to the resident."""

"""As for the list of parties: a basis that was taken back is believed a minute longer at most."""

_HEADER = frozenset({"typ", "alg", "x5c"})
_MEMBERS = frozenset({"iss", "version", "iat", "exp", "bases"})
_BASIS = frozenset(
    {"declaration", "declaration_hash", "service", "holders", "law", "approved_by", "urgent", "opposable", "from", "to"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Basis:
    """What a third party approved: this version of this declaration, at these data holders."""

    declaration: str
    """id@version of the service's purpose declaration."""
    declaration_hash: str
    """Of its JWS: another text under the same name is not approved."""
    service: str
    holders: frozenset[str]
    law: Mapping[str, str]
    """Language → the provision, in words for residents."""
    approved_by: str
    urgent: bool
    """Whether it may be relied on while the consent service does not answer."""
    opposable: bool
    """Whether a resident's opposition stops it."""
    valid_from: int
    valid_to: int

    def to_json(self) -> dict[str, Any]:
        return {
            "declaration": self.declaration,
            "declaration_hash": self.declaration_hash,
            "service": self.service,
            "holders": sorted(self.holders),
            "law": dict(self.law),
            "approved_by": self.approved_by,
            "urgent": self.urgent,
            "opposable": self.opposable,
            "from": self.valid_from,
            "to": self.valid_to,
        }


@dataclass(frozen=True, slots=True)
class VerifiedBases:
    issuer: str
    version: int
    issued: int
    expires: int
    compact: str = field(repr=False)
    bases: tuple[Basis, ...] = field(repr=False)

    def basis(self, declaration: str, *, service: str, holder: str, now: float) -> Basis:
        """The one approved today. Raises TrustError where none is, or where the list is stale."""
        self.require_current(now)
        for one in self.bases:
            named = (one.declaration, one.service) == (declaration, service) and holder in one.holders
            if named and one.valid_from <= now < one.valid_to:
                return one
        raise TrustError(f"{WHAT}: no approved basis for this declaration at this data holder today")

    def require_current(self, now: float) -> None:
        if now >= self.expires:
            raise TrustError(f"{WHAT}: the list has expired")


def verify_bases(compact: str, *, anchors: Sequence[bytes], now: int, minimum_version: int = 0) -> VerifiedBases:
    """A list signed under one of ``anchors`` (DER). Raises TrustError."""
    try:
        parsed = jws.parse(compact, what=WHAT, max_bytes=MAX_BYTES)
        chain = verify_chain(read_x5c(parsed.header), anchors, at=now)
        if chain.dns_names or chain.uris:
            raise TrustError(f"{WHAT}: signed with a party's certificate, not with one for lists")
        verified = jws.verify(parsed, chain.key, typ=spec.TYP_BASES, members=_HEADER, what=WHAT)
        claims = strict_json.parse_object(verified.payload, what=WHAT, max_bytes=MAX_BYTES)
    except (EncodingError, EnvelopeError) as fault:
        raise TrustError(str(fault)) from None
    bases = _read(claims, compact)
    if bases.issued > now + SKEW_SECONDS:
        raise TrustError(f"{WHAT}: the list is from the future")
    bases.require_current(now)
    if bases.version < minimum_version:
        raise TrustError(f"{WHAT}: version {bases.version} is older than {minimum_version}, seen before")
    return bases


def sign_bases(claims: Mapping[str, Any], signer: Signer, x5c: Sequence[bytes]) -> str:
    """The list as it is served at ``{registry}/bases``; ``x5c`` as for the list of parties.

    Raises TrustError where a reader would refuse it.
    """
    compact = jws.sign(claims, signer, typ=spec.TYP_BASES, header={"x5c": format_x5c(x5c)})
    if len(compact) > MAX_BYTES:
        raise TrustError(f"{WHAT}: {len(compact)} bytes, at most {MAX_BYTES} are read")
    _read(claims, compact)
    return compact


def _read(claims: Mapping[str, Any], compact: str) -> VerifiedBases:
    try:
        exact_members(claims, what=WHAT, required=_MEMBERS)
        issuer = read_party_id(claims, "iss", what=WHAT)
        version = integer(claims, "version", what=WHAT, minimum=1)
        issued, expires = integer(claims, "iat", what=WHAT), integer(claims, "exp", what=WHAT)
        entries = claims["bases"]
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise TrustError(f"{WHAT}: 'bases' must be a list of objects")
        bases = tuple(map(_basis, entries))
    except EncodingError as fault:
        raise TrustError(str(fault)) from None
    if not 0 < expires - issued <= MAX_LIFETIME_SECONDS:
        raise TrustError(f"{WHAT}: 'exp' must be at most {MAX_LIFETIME_SECONDS} seconds after 'iat'")
    return VerifiedBases(issuer, version, issued, expires, compact, bases)


def _basis(entry: Mapping[str, Any]) -> Basis:
    exact_members(entry, what=WHAT, required=_BASIS)
    holders = entry["holders"]
    if not isinstance(holders, list) or not 1 <= len(holders) <= MAX_HOLDERS:
        raise EncodingError(f"{WHAT}: 'holders' must be a list of 1 to {MAX_HOLDERS} data holders")
    law = mapping(entry, "law", what=WHAT)
    if not 1 <= len(law) <= MAX_LANGUAGES:
        raise EncodingError(f"{WHAT}: 'law' must be in 1 to {MAX_LANGUAGES} languages")
    basis = Basis(
        declaration=text(entry, "declaration", what=WHAT, max_length=128),
        declaration_hash=digest(entry, "declaration_hash", what=WHAT),
        service=read_party_id(entry, "service", what=WHAT),
        holders=frozenset(read_party_id({"holder": one}, "holder", what=WHAT) for one in holders),
        law=MappingProxyType({language: text(law, language, what=WHAT, max_length=MAX_LAW) for language in law}),
        approved_by=text(entry, "approved_by", what=WHAT, max_length=MAX_LAW),
        urgent=boolean(entry, "urgent", what=WHAT),
        opposable=boolean(entry, "opposable", what=WHAT),
        valid_from=integer(entry, "from", what=WHAT),
        valid_to=integer(entry, "to", what=WHAT),
    )
    if basis.valid_from >= basis.valid_to:
        raise EncodingError(f"{WHAT}: 'from' is not before 'to'")
    return basis
