"""Reading a consent request (WIRE C2) before anybody is bothered with it.

1. The link names an address of a listed consent service; the request is fetched from there.
2. Signed by the registry key of the service it names, for this consent service, in its time.
3. The service has declared this procedure, signed: same purpose and procedure, no attribute, data
   holder or keeping time beyond what it declared. Wider is refused, not shown: nobody should have
   to notice it.
4. The data holder has declared the data, signed: it may release these attributes for this purpose
   at these resolutions. Its HPKE key is taken from there and nowhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from consent import spec
from consent.errors import ConsentError
from consent.grant.detail import AuthorizationDetail
from consent.grant.request import VerifiedRequest, verify_request
from consent.procedure.declaration import (
    DataDeclaration,
    PurposeDeclaration,
    verify_data_declaration,
    verify_purpose_declaration,
)
from identity.errors import TrustError
from identity.trust.registry import Party
from wallet_cli.consents.parties import CONSENT, HOLDER, SERVICE, Parties, endpoint
from wallet_cli.errors import ConsentRefused
from wallet_cli.network import JWT, Network

MAX_DECLARATIONS = 1_000
"""A city's procedures; a longer list is not read to its end."""

SignedPurpose = tuple[PurposeDeclaration, str]
"""With the JWS that it was read from."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that may be shown."""

    consent: Party
    service: Party
    holder: Party
    request: VerifiedRequest
    purpose: PurposeDeclaration
    purpose_jws: str
    """The same as its service signed it: what is read today is what a later change is compared with."""
    data: DataDeclaration


def address_of(link: str) -> str:
    """The ``request_uri`` of an ``atorga-consent:`` link. Raises ConsentRefused."""
    try:
        parts = urlsplit(link)
        values = parse_qs(parts.query, strict_parsing=True, max_num_fields=4).get("request_uri", [])
    except ValueError:
        values, parts = [], urlsplit("")
    if parts.scheme != spec.LINK_SCHEME or len(values) != 1:
        raise ConsentRefused("request_invalid", f"link: not of the form {spec.LINK_SCHEME}://?request_uri=…")
    return values[0]


def fetch(network: Network, parties: Parties, link: str) -> Asked:
    """Raises ConsentRefused, MessageError, NetworkError."""
    address = address_of(link)
    consent = parties.consent_at(address)  # 1
    answer = network.get(address, accept=JWT).expect(200, what="consent request")
    compact = answer.body.decode("ascii", "replace").strip()
    request = verify_request(  # 2
        compact, key_of=lambda party: parties.key_of(party, SERVICE), consent=consent.id, now=parties.now
    )
    detail = request.request.detail
    service, holder = parties.named(request.request.service, SERVICE), parties.named(detail.holder, HOLDER)
    purposes, data = fetch_declarations(network, parties, consent)
    purpose, purpose_jws = _declared_purpose(request, purposes)
    return Asked(consent, service, holder, request, purpose, purpose_jws, covering(detail, data))


def fetch_declarations(
    network: Network, parties: Parties, consent: Party
) -> tuple[list[SignedPurpose], list[DataDeclaration]]:
    """What is signed by a party listed today; the rest is as if it were not there."""
    body = network.get(f"{endpoint(consent, CONSENT)}/declarations").expect(200, what="declarations")
    listed = body.object(what="declarations").get("declarations")
    if not isinstance(listed, list) or len(listed) > MAX_DECLARATIONS:
        raise ConsentRefused("declaration_missing", f"declarations: a list of at most {MAX_DECLARATIONS} is expected")
    purposes: list[SignedPurpose] = []
    data: list[DataDeclaration] = []
    for compact in listed:
        if not isinstance(compact, str):
            continue
        try:
            declared, _ = verify_purpose_declaration(compact, lambda party: parties.key_of(party, SERVICE))
            purposes.append((declared, compact))
        except (ConsentError, ConsentRefused, TrustError):
            try:
                data.append(verify_data_declaration(compact, lambda party: parties.key_of(party, HOLDER))[0])
            except (ConsentError, ConsentRefused, TrustError):
                continue
    return purposes, data


def _declared_purpose(request: VerifiedRequest, declarations: Sequence[SignedPurpose]) -> SignedPurpose:
    """Step 3."""
    asked, detail = request.request, request.request.detail
    found = [one for one in declarations if one[0].iss == asked.service and one[0].identifier == detail.identifier]
    if not found:
        raise ConsentRefused(
            "declaration_missing", "request: names a purpose declaration that the service has not signed"
        )
    declared, compact = found[0]
    if (declared.procedure, declared.purpose) != (detail.procedure, detail.purpose):
        raise ConsentRefused("more_than_needed", "request: another procedure or purpose than the service declared")
    if not set(detail.datatypes) <= set(declared.datatypes):
        raise ConsentRefused("more_than_needed", "request: an attribute that the procedure does not need")
    if detail.holder not in declared.holders:
        raise ConsentRefused("more_than_needed", "request: a data holder that the procedure does not name")
    if detail.data_life_seconds > declared.retention_seconds:
        raise ConsentRefused("more_than_needed", "request: would keep the data longer than the service declared")
    return declared, compact


def covering(detail: AuthorizationDetail, declarations: Sequence[DataDeclaration]) -> DataDeclaration:
    """Step 4. The newest declaration of the data holder that has all of this. Raises ConsentRefused."""
    theirs = sorted((one for one in declarations if one.iss == detail.holder), key=lambda one: -one.version)
    for declared in theirs:
        fits = all(
            name in declared.attributes
            and term.resolution in declared.attributes[name].resolutions
            and detail.purpose in declared.attributes[name].purposes
            for name, term in detail.terms.items()
        )
        if fits:
            return declared
    raise ConsentRefused("declaration_missing", "request: the data holder has not declared these data for this purpose")
