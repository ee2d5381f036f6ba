"""Which credential satisfies which part of a query, and by which claims (OpenID4VP 1.0 sections 6.4, 7).

The same rules serve both sides: a wallet asks what of its copies would do and what to disclose, a
verifier whether what came does. Claims are chosen by their path, never by a position in a list of
disclosures. An index in a path counts the elements that are there, so a query should reach hidden
elements of an array by null.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from identity.codec import base64url
from identity.errors import SdJwtError
from identity.formats.sd_jwt import claim_path
from identity.formats.sd_jwt.claim_path import Location
from identity.formats.sd_jwt_vc.spec import FORMAT as SD_JWT_VC
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery, TrustedAuthorities, Value
from identity.openid4vp.spec import AKI


class Credential(Protocol):
    """What matching reads of a credential: ``UnverifiedSdJwtVc`` and ``VerifiedSdJwtVc`` have it."""

    @property
    def vct(self) -> str: ...
    @property
    def aka_vcts(self) -> tuple[str, ...]: ...
    @property
    def claims(self) -> dict[str, Any]: ...
    @property
    def header(self) -> Mapping[str, Any]: ...


C = TypeVar("C", bound=Credential)


@dataclass(frozen=True, slots=True)
class Match:
    """One credential satisfies one credential query."""

    vct: str
    """The type by which it does: its own, or one of its ``aka_vcts``."""
    claims: tuple[Location, ...]
    """The claims asked for; what a wallet discloses, and no more."""


@dataclass(frozen=True, slots=True)
class Candidate(Generic[C]):
    credential: C
    match: Match


@dataclass(frozen=True, slots=True)
class Evaluation(Generic[C]):
    """What a wallet could answer to a query."""

    candidates: Mapping[str, tuple[Candidate[C], ...]]
    """Query id → the credentials that would do; empty where there is none."""
    needed: tuple[str, ...]
    """The ids to answer: for every required set its first option that can be satisfied."""
    optional: tuple[str, ...]
    """Ids that may be answered in addition: the first such option of each set that is not required."""
    missing: tuple[str, ...]
    """The ids for want of which nothing can be answered; empty means that the query can be."""


def evaluate(query: DcqlQuery, held: Sequence[C]) -> Evaluation[C]:
    """For a wallet; ``held`` in the order of preference."""
    candidates = {
        asked.id: tuple(
            Candidate(credential, found) for credential in held if (found := match(asked, credential)) is not None
        )
        for asked in query.credentials
    }
    available = {query_id for query_id, found in candidates.items() if found}
    needed: list[str] = []
    optional: list[str] = []
    missing: list[str] = []
    if not query.credential_sets:
        needed = [asked.id for asked in query.credentials]
        missing = [query_id for query_id in needed if query_id not in available]
    for one in query.credential_sets:
        option = next((option for option in one.options if available.issuperset(option)), None)
        if option is not None:
            (needed if one.required else optional).extend(option)
        elif one.required:
            missing.extend(query_id for query_id in one.options[0] if query_id not in available)
    wanted = tuple(dict.fromkeys(needed))
    return Evaluation(
        candidates, wanted, tuple(x for x in dict.fromkeys(optional) if x not in wanted), tuple(dict.fromkeys(missing))
    )


def match(query: CredentialQuery, credential: Credential) -> Match | None:
    """The first alternative of claims that the credential satisfies; None where it satisfies none."""
    vct = next((name for name in (credential.vct, *credential.aka_vcts) if name in query.vct_values), None)
    if query.format != SD_JWT_VC or vct is None or not _is_certified(query.trusted_authorities, credential.header):
        return None
    for claims in query.alternatives():
        locations: list[Location] = []
        for claim in claims:
            found = _satisfying(claim, credential.claims)
            if not found:
                break
            locations.extend(found)
        else:
            return Match(vct, tuple(dict.fromkeys(locations)))
    return None


def unsatisfied(query: DcqlQuery, answered: Collection[str]) -> str | None:
    """Why these ids do not satisfy the query's sets, or are more than they ask; None if they do (section 6.4.2)."""
    if not query.credential_sets:
        left_out = [asked.id for asked in query.credentials if asked.id not in answered]
        return f"no presentation for {left_out[0]!r}" if left_out else None
    used: set[str] = set()
    for number, one in enumerate(query.credential_sets, 1):
        satisfied = [option for option in one.options if set(option) <= set(answered)]
        if one.required and not satisfied:
            return f"no option of credential set {number} is satisfied"
        used.update(*satisfied)
    beyond = sorted(set(answered) - used)
    return f"a presentation for {beyond[0]!r}, which no option needs" if beyond else None


def pick(claims: Any, locations: Collection[Location]) -> dict[str, Any]:
    """Of ``claims`` only what stands at ``locations``, whole; elements of an array move up."""
    found = _picked(claims, locations)
    assert isinstance(found, dict)
    return found


def _picked(node: Any, locations: Collection[Location]) -> Any:
    if any(not location for location in locations):
        return node
    below: dict[str | int, list[Location]] = {}
    for location in locations:
        below.setdefault(location[0], []).append(location[1:])
    if isinstance(node, list):
        return [_picked(node[int(index)], below[index]) for index in sorted(below, key=int)]
    return {name: _picked(node[name], rest) for name, rest in below.items()}


def _satisfying(claim: ClaimsQuery, claims: dict[str, Any]) -> list[Location]:
    """Where the claim stands, with a value asked for; a claim of another value counts as not there (6.4.1)."""
    try:
        found = claim_path.select(claims, claim.path)
    except SdJwtError:
        return []  # section 7.1: the path does not fit this credential
    if claim.values is None:
        return found
    return [location for location in found if _is_one_of(_at(claims, location), claim.values)]


def _is_one_of(found: Any, values: tuple[Value, ...]) -> bool:
    """Type and value match exactly: true is not 1 (section 6.3)."""
    return any(type(found) is type(value) and found == value for value in values)


def _at(claims: Any, location: Location) -> Any:
    for component in location:
        claims = claims[component]
    return claims


def _is_certified(authorities: tuple[TrustedAuthorities, ...], header: Mapping[str, Any]) -> bool:
    """One of the authorities stands behind the credential (section 6.1.1); types that we do not know match none."""
    if not authorities:
        return True
    wanted = {value for one in authorities if one.type == AKI for value in one.values}
    return bool(wanted) and not wanted.isdisjoint(authority_key_identifiers(header))


def authority_key_identifiers(header: Mapping[str, Any]) -> set[str]:
    """The AuthorityKeyIdentifiers of the certificates in ``x5c``, as b64 (section 6.1.1.1)."""
    # Imported here: few queries name authorities, and a wallet command should stay quick.
    from base64 import b64decode

    from cryptography import x509

    found: set[str] = set()
    for entry in header.get("x5c", ()):
        try:
            certificate = x509.load_der_x509_certificate(b64decode(entry, validate=True))
            extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension):
            continue
        if extension.value.key_identifier is not None:
            found.add(base64url.encode(extension.value.key_identifier))
    return found
