"""The authorization detail (RFC 9396) in which consent is asked for and given (WIRE C2, C3).

The order of ``datatypes`` gives attribute bits 0…63 and never changes; an attribute that is not
granted is absent from ``terms``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.procedure.declaration import require_resolution
from consent.signed_message import exact, reading
from identity.codec import members

READABLE = "readable"
LEVELS = ("hidden", "discoverable", READABLE)
STREAM = "stream"
MODES = ("view", "store", "query", STREAM)
ONETIME = "onetime"
FETCHES = (ONETIME, "periodic")
ON_CHANGE = ("follow", "freeze", "ask")

MAX_VCT = 256

MAX_USES = 65_535
"""What the leaf's two bytes can say."""
MAX_SECONDS = 100 * 366 * 86_400
MAX_FREQUENCY_SECONDS = 2**31 - 1
MAX_TIME = 2**33
"""NumericDate in the year 2242: an end day that fits the leaf's two bytes ends in 2199."""
MIN_NOT_AFTER = 1_577_836_800
"""The leaf's end day counts from 2020."""
MAX_NOT_AFTER = MIN_NOT_AFTER + 65_536 * 86_400 - 1

_MEMBERS = frozenset(
    {"type", "locations", "identifier", "procedure", "purpose", "datatypes", "terms", "level", "mode", "fetch",
     "period", "data_life_seconds", "on_change"}
)  # fmt: skip
_OPTIONAL = frozenset({"frequency", "max_uses", "grantee"})


@dataclass(frozen=True, slots=True)
class Term:
    resolution: str
    optional: bool


@dataclass(frozen=True, slots=True)
class Frequency:
    """At most ``max`` uses in a window of ``seconds``."""

    max: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Grantee:
    """Besides the service that asks: any that presents a credential of this type, by this accreditor, at every use."""

    vct: str
    accreditor: str
    """Registry id of the party whose issuer must have signed the credential."""


@dataclass(frozen=True, slots=True)
class AuthorizationDetail:
    holder: str
    identifier: str
    procedure: str
    purpose: str
    datatypes: tuple[str, ...]
    terms: Mapping[str, Term]
    level: str
    mode: str
    fetch: str
    frequency: Frequency | None
    max_uses: int | None
    not_before: int
    not_after: int
    data_life_seconds: int
    on_change: str
    grantee: Grantee | None = None

    @classmethod
    def parse(cls, value: Any, *, what: str) -> "AuthorizationDetail":
        """Reads one member of ``authorization_details``. Raises MessageError."""
        with reading(what):
            if not isinstance(value, dict):
                raise MessageError(f"{what}: an authorization detail is an object")
            exact(value, what, _MEMBERS, _OPTIONAL)
            datatypes = members.texts(
                value, "datatypes", what=what, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            )
            period = members.mapping(value, "period", what=what)
            exact(period, what, frozenset({"not_before", "not_after"}))
            detail = cls(
                holder=members.texts(value, "locations", what=what, max_count=1, max_length=spec.MAX_PARTY_ID)[0],
                identifier=members.text(value, "identifier", what=what, max_length=128),
                procedure=members.text(value, "procedure", what=what, max_length=64),
                purpose=members.text(value, "purpose", what=what),
                datatypes=datatypes,
                terms=_terms(members.mapping(value, "terms", what=what), datatypes, what),
                level=_one_of(value, "level", LEVELS, what),
                mode=_one_of(value, "mode", MODES, what),
                fetch=_one_of(value, "fetch", FETCHES, what),
                frequency=_frequency(value, what),
                max_uses=members.integer(value, "max_uses", what=what, minimum=1, maximum=MAX_USES)
                if "max_uses" in value
                else None,
                not_before=members.integer(period, "not_before", what=what, maximum=MAX_TIME),
                not_after=members.integer(period, "not_after", what=what, minimum=MIN_NOT_AFTER, maximum=MAX_NOT_AFTER),
                data_life_seconds=members.integer(
                    value, "data_life_seconds", what=what, minimum=1, maximum=MAX_SECONDS
                ),
                on_change=_one_of(value, "on_change", ON_CHANGE, what),
                grantee=_grantee(value, what),
            )
        if value["type"] != spec.DETAIL_TYPE:
            raise MessageError(f"{what}: the type is not {spec.DETAIL_TYPE}")
        if detail.not_before >= detail.not_after:
            raise MessageError(f"{what}: the period ends before it begins")
        return detail

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {
            "type": spec.DETAIL_TYPE,
            "locations": [self.holder],
            "identifier": self.identifier,
            "procedure": self.procedure,
            "purpose": self.purpose,
            "datatypes": list(self.datatypes),
            "terms": {
                name: {"resolution": term.resolution, "optional": term.optional} for name, term in self.terms.items()
            },
            "level": self.level,
            "mode": self.mode,
            "fetch": self.fetch,
        }
        if self.frequency is not None:
            value["frequency"] = {"max": self.frequency.max, "seconds": self.frequency.seconds}
        if self.max_uses is not None:
            value["max_uses"] = self.max_uses
        value["period"] = {"not_before": self.not_before, "not_after": self.not_after}
        value["data_life_seconds"] = self.data_life_seconds
        value["on_change"] = self.on_change
        if self.grantee is not None:
            value["grantee"] = {"vct": self.grantee.vct, "accreditor": self.grantee.accreditor}
        return value

    @property
    def attributes(self) -> tuple[str, ...]:
        """The attributes granted (or asked for), in the order of their bits."""
        return tuple(name for name in self.datatypes if name in self.terms)

    @property
    def use_limit(self) -> int | None:
        """How often it may be used at most: once where it is fetched once, whatever ``max_uses`` says."""
        return 1 if self.fetch == ONETIME else self.max_uses

    @property
    def lets_read(self) -> bool:
        """Whether a service may read values by asking for them: at level readable, and not only as a stream."""
        return self.level == READABLE and self.mode != STREAM

    def without(self, names: frozenset[str]) -> "AuthorizationDetail":
        """The detail after these attributes were dropped or withdrawn."""
        return replace(self, terms={name: term for name, term in self.terms.items() if name not in names})


def parse_details(claims: Mapping[str, Any], *, what: str) -> AuthorizationDetail:
    """The single member of ``authorization_details``. Raises MessageError."""
    value = claims.get("authorization_details")
    if not isinstance(value, list) or len(value) != 1:
        raise MessageError(f"{what}: authorization_details must hold exactly one object")
    return AuthorizationDetail.parse(value[0], what=what)


def _terms(value: Mapping[str, Any], datatypes: tuple[str, ...], what: str) -> dict[str, Term]:
    if not value:
        raise MessageError(f"{what}: terms name no attribute")
    if value.keys() - set(datatypes):
        raise MessageError(f"{what}: terms name an attribute that is not among datatypes")
    # In the order of their bits, whatever the sender's order was.
    return {name: _term(value, name, what) for name in datatypes if name in value}


def _term(terms: Mapping[str, Any], name: str, what: str) -> Term:
    term = members.mapping(terms, name, what=what)
    exact(term, what, frozenset({"resolution", "optional"}))
    resolution = members.text(term, "resolution", what=what, max_length=64)
    require_resolution(resolution, what=what)
    return Term(resolution, members.boolean(term, "optional", what=what))


def _frequency(value: Mapping[str, Any], what: str) -> Frequency | None:
    if "frequency" not in value:
        return None
    frequency = members.mapping(value, "frequency", what=what)
    exact(frequency, what, frozenset({"max", "seconds"}))
    return Frequency(
        members.integer(frequency, "max", what=what, minimum=1, maximum=MAX_USES),
        members.integer(frequency, "seconds", what=what, minimum=1, maximum=MAX_FREQUENCY_SECONDS),
    )


def _grantee(value: Mapping[str, Any], what: str) -> Grantee | None:
    if "grantee" not in value:
        return None
    grantee = members.mapping(value, "grantee", what=what)
    exact(grantee, what, frozenset({"vct", "accreditor"}))
    return Grantee(
        members.text(grantee, "vct", what=what, max_length=MAX_VCT),
        members.text(grantee, "accreditor", what=what, max_length=spec.MAX_PARTY_ID),
    )


def _one_of(value: Mapping[str, Any], name: str, allowed: tuple[str, ...], what: str) -> str:
    word = members.text(value, name, what=what, max_length=32)
    if word not in allowed:
        raise MessageError(f"{what}: {name} must be one of {', '.join(allowed)}")
    return word
