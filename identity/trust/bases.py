"""The signed list of approved bases (ADR 0009, D2): which access may rest on law, and on which.

A document of its own beside the list of parties, signed under the same anchor. What is not in it,
or stands in one that is stale, allows nothing.

Verifying: the steps of ``identity.trust.registry``, with its own ``typ``, members and versions.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

from identity.clock import Clock
from identity.codec import strict_json
from identity.codec.members import boolean, digest, exact_members, integer, mapping, text
from identity.envelope import jws
from identity.errors import EncodingError, EnvelopeError, FetchError, IdentityError, TrustError
from identity.fetch import Fetcher
from identity.keys.signer import Signer
from identity.trust import spec
from identity.trust.chain import format_x5c, read_x5c, verify_chain
from identity.trust.party import MAX_LANGUAGES, read_party_id
from identity.trust.registry import MAX_BYTES, MAX_LIFETIME_SECONDS, SKEW_SECONDS

WHAT = "bases"

MAX_HOLDERS = 256
MAX_LAW = 1_024
"""Characters: a citation, shown to the resident."""

REFRESH_SECONDS = 60
RETRY_SECONDS = 2
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


class BasesReader:
    """The newest list, asked for again when it is time; threads may share one.

    ``kept`` is a file for it, so that a restart needs no network and no older version is taken after it.
    """

    def __init__(
        self, url: str, *, fetcher: Fetcher, anchors: Sequence[bytes], clock: Clock, kept: Path | None = None
    ) -> None:
        self._url = url
        self._fetcher = fetcher
        self._anchors = tuple(anchors)
        self._clock = clock
        self._kept = kept
        self._turn = Lock()
        self._known: VerifiedBases | None = None
        self._fault = "not asked yet"
        self._next = 0.0
        self._restored = False

    def current(self) -> VerifiedBases:
        """Raises TrustError where no list is known, or only one that has expired."""
        now = self._clock()
        known = self._known
        usable = known is not None and now < known.expires
        if self._is_due(now) and self._turn.acquire(blocking=not usable):
            try:
                if self._is_due(self._clock()):
                    self._refresh()
            finally:
                self._turn.release()
        known = self._known
        if known is None:
            raise TrustError(f"{WHAT}: no list is known: {self._fault}")
        known.require_current(now)
        return known

    def _is_due(self, now: float) -> bool:
        return not self._next - REFRESH_SECONDS <= now < self._next

    def _refresh(self) -> None:
        now, wait = int(self._clock()), float(RETRY_SECONDS)
        if not self._restored:
            self._restore(now)
            self._restored = True
        try:
            body = self._fetcher.get(self._url, accept=spec.MEDIA_TYPE, max_bytes=MAX_BYTES)
            minimum = 0 if self._known is None else self._known.version
            fresh = verify_bases(body.decode("ascii"), anchors=self._anchors, now=now, minimum_version=minimum)
            changed = self._known is None or fresh.compact != self._known.compact
            self._known, wait = fresh, float(REFRESH_SECONDS)
            if changed:
                self._keep(fresh)
        except UnicodeDecodeError:
            self._fault = f"{WHAT}: not ASCII"
        except (FetchError, TrustError, OSError) as fault:
            self._fault = str(fault)
        self._next = self._clock() + wait

    def _restore(self, now: int) -> None:
        if self._kept is None:
            return
        with suppress(OSError, UnicodeDecodeError, IdentityError):
            compact = self._kept.read_bytes()[: MAX_BYTES + 1].decode("ascii")
            issued = integer(
                strict_json.parse_object(
                    jws.parse(compact, what=WHAT, max_bytes=MAX_BYTES).payload, what=WHAT, max_bytes=MAX_BYTES
                ),
                "iat",
                what=WHAT,
            )
            # One that has expired since is checked as of its own time: it still sets the oldest version.
            self._known = verify_bases(compact, anchors=self._anchors, now=min(now, issued))

    def _keep(self, bases: VerifiedBases) -> None:
        """Whole or not at all. Raises OSError; the list is used all the same."""
        if self._kept is None:
            return
        temporary = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(bases.compact.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._kept)
        folder = os.open(self._kept.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
