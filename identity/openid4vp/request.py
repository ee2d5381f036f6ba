"""The authorization request: made and signed by a verifier, read by a wallet (OpenID4VP 1.0 section 5).

``read_request``, in this order, since nothing of an unsigned text is worth reading further:
  1. Form and size; ``typ`` is oauth-authz-req+jwt (section 5).
  2. ``client_id`` of the object is the one of the link, prefix included (section 5.10.1).
  3. The prefix is one of the profile; the chain leads to an anchor; the certificate belongs to the
     ``client_id`` (section 5.9.3). ``iss`` is ignored (section 5).
  4. The signature.
  5. ``response_uri`` belongs to the client (section 8.2). From here on the client may be told what
     is wrong: a refusal says where.
  6. Dates; ``aud`` is the symbolic one of static discovery (section 5.8).
  7. ``wallet_nonce`` comes back as sent (section 5.10.1).
  8. ``response_type`` and ``response_mode`` are of the profile; no ``redirect_uri`` beside
     ``response_uri`` (section 8.2); a query and no ``scope`` (section 5.1).
  9. ``nonce`` is there; it and ``state`` are of URL-safe characters (section 5.2).
 10. The query, and the metadata: formats, and a key where the answer is to be encrypted.
 11. Transaction data only of types that the wallet knows (section 8.4).
 12. What the client says it asks for, where it is known who the client is (section 5.1).

Left to the caller: whether a client without ``party`` may be shown at all, and asking the person.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from identity.codec import strict_json
from identity.codec.members import integer, mapping, text
from identity.envelope import jws
from identity.errors import AuthorizationRequestRefused, EncodingError, EnvelopeError, ProtocolError
from identity.keys.signer import Signer
from identity.openid4vp import client_metadata, dcql, spec, stated_purpose
from identity.openid4vp.client import Client, authenticate, require_own_address, unsigned
from identity.openid4vp.client_metadata import EncryptionKey
from identity.openid4vp.dcql import DcqlQuery
from identity.openid4vp.link import MAX_URI_CHARACTERS, AuthorizationLink
from identity.openid4vp.spec import Profile
from identity.openid4vp.stated_purpose import StatedPurpose
from identity.openid4vp.transaction_data import TransactionData
from identity.openid4vp.transaction_data import parse as parse_transaction_data
from identity.trust.chain import format_x5c

if TYPE_CHECKING:
    from identity.trust.registry import Party, VerifiedRegistry

WHAT = "authorization request"

MAX_BYTES = 65_536
SKEW_SECONDS = 60
"""How far two honest clocks may be apart."""

NONCE_BYTES = 24
"""Section 5.2 wants 128 bits or more."""

ALGORITHMS = frozenset({"ES256", "ES384", "ES512", "EdDSA"})
"""ES256 is HAIP's least; the others cost nothing to check."""

_URL_SAFE = re.compile(r"[A-Za-z0-9._~-]{1,512}\Z")


@dataclass(frozen=True, slots=True)
class ReplyTo:
    """Where an answer or an error goes."""

    response_uri: str
    state: str | None


@dataclass(frozen=True, slots=True)
class VerifiedAuthorizationRequest:
    """A request that its client signed (except of ``redirect_uri`` clients) and that can be answered."""

    client_id: str
    client: Client
    response_mode: str
    response_uri: str
    nonce: str
    state: str | None
    query: DcqlQuery
    encryption: EncryptionKey | None
    """Where to encrypt to; None for ``direct_post``."""
    transaction_data: tuple[TransactionData, ...]
    stated: StatedPurpose | None
    """The client's own words; None where it says nothing, or where nobody signed them."""

    @property
    def party(self) -> "Party | None":
        return self.client.party

    @property
    def reply_to(self) -> ReplyTo:
        return ReplyTo(self.response_uri, self.state)


def make_claims(
    *,
    client_id: str,
    response_uri: str,
    response_mode: str,
    nonce: str,
    state: str | None,
    query: DcqlQuery,
    metadata: Mapping[str, Any],
    iat: int,
    exp: int,
    wallet_nonce: str | None = None,
    transaction_data: Sequence[str] = (),
    stated: StatedPurpose | None = None,
) -> dict[str, Any]:
    """The claims of a request object, for ``sign_request``. ``metadata`` = ``client_metadata.make(…)``."""
    claims: dict[str, Any] = {
        "aud": spec.AUDIENCE,
        "iat": iat,
        "exp": exp,
        spec.CLIENT_ID: client_id,
        spec.RESPONSE_TYPE: spec.VP_TOKEN,
        spec.RESPONSE_MODE: response_mode,
        spec.RESPONSE_URI: response_uri,
        spec.NONCE: nonce,
        spec.DCQL_QUERY: dcql.format(query),
        spec.CLIENT_METADATA: dict(metadata),
    }
    if state is not None:
        claims[spec.STATE] = state
    if wallet_nonce is not None:
        claims[spec.WALLET_NONCE] = wallet_nonce
    if transaction_data:
        claims[spec.TRANSACTION_DATA] = list(transaction_data)
    if stated is not None:
        claims[spec.VERIFIER_INFO] = stated_purpose.format(stated)
    return claims


def sign_request(
    claims: Mapping[str, Any], signer: Signer, *, x5c: Sequence[bytes] = (), kid: str | None = None
) -> str:
    """The request object. ``x5c`` in DER, signer first, without the root; ``kid`` for a client named by a DID."""
    header: dict[str, Any] = {} if kid is None else {"kid": kid}
    if x5c:
        header["x5c"] = format_x5c(x5c)
    return jws.sign(claims, signer, typ=spec.REQUEST_OBJECT_TYP, header=header)


def link_by_value(claims: Mapping[str, Any]) -> AuthorizationLink:
    """The unsigned request of a ``redirect_uri`` client, as the link itself (section 5.1: objects as JSON)."""
    fields = {
        name: value if isinstance(value, str) else strict_json.compact(value).decode("utf-8")
        for name, value in claims.items()
        if name not in ("aud", "iat", "exp")
    }
    return AuthorizationLink(claims[spec.CLIENT_ID], parameters=fields)


def read_request(
    compact: str,
    *,
    client_id: str,
    profile: Profile,
    anchors: Sequence[bytes],
    registry: "VerifiedRegistry | None",
    now: int,
    wallet_nonce: str | None = None,
    dids: bool = False,
    transaction_types: Collection[str] = (),
) -> VerifiedAuthorizationRequest:
    """``client_id`` and ``wallet_nonce`` as in the link and as sent; ``anchors`` in DER.

    Raises ProtocolError (AuthorizationRequestRefused once the sender may be told) and TrustError.
    """
    # 1
    try:
        parsed = jws.parse(compact, what=WHAT, max_bytes=MAX_BYTES)
        claims = parsed.claims(what=WHAT)
    except EnvelopeError as fault:
        raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None
    if parsed.header.get("typ") != spec.REQUEST_OBJECT_TYP:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: typ is not {spec.REQUEST_OBJECT_TYP}")
    # 2
    if claims.get(spec.CLIENT_ID) != client_id:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.CLIENT_ID} differs from the link's")
    if parsed.header.get("alg") == "none" and not parsed.signature:
        client = unsigned(client_id, profile=profile)  # 3
    else:
        # 3
        client, key = authenticate(
            parsed, client_id, profile=profile, anchors=anchors, registry=registry, now=now, dids=dids
        )
        # 4
        try:
            jws.verify(parsed, key, typ=spec.REQUEST_OBJECT_TYP, algorithms=ALGORITHMS, what=WHAT)
        except EnvelopeError as fault:
            raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None
    # 5 to 11
    return _read(claims, client, profile, now, wallet_nonce, transaction_types)


def read_parameters(
    link: AuthorizationLink, *, profile: Profile, now: int, transaction_types: Collection[str] = ()
) -> VerifiedAuthorizationRequest:
    """A request that stands unsigned in the link itself. Raises as ``read_request``."""
    claims: dict[str, Any] = dict(link.parameters or {})
    client = unsigned(link.client_id, profile=profile)
    try:
        for name in (spec.DCQL_QUERY, spec.CLIENT_METADATA, spec.TRANSACTION_DATA):
            if name in claims:
                claims[name] = strict_json.parse(claims[name], what=name)
    except EncodingError as fault:
        raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None
    return _read(claims, client, profile, now, None, transaction_types)


def _read(
    claims: dict[str, Any],
    client: Client,
    profile: Profile,
    now: int,
    wallet_nonce: str | None,
    transaction_types: Collection[str],
) -> VerifiedAuthorizationRequest:
    # 5
    response_uri = _response_uri(claims, client)
    require_own_address(client, response_uri)
    state = claims.get(spec.STATE)
    reply_to = ReplyTo(response_uri, state if isinstance(state, str) and _URL_SAFE.match(state) else None)
    try:
        _check_dates(claims, now)  # 6
        if claims.get("aud", spec.AUDIENCE) != spec.AUDIENCE:
            raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: aud is not {spec.AUDIENCE}")
        # 7
        if wallet_nonce is not None and claims.get(spec.WALLET_NONCE) != wallet_nonce:
            raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.WALLET_NONCE} is not the one that was sent")
        _check_mode(claims, profile)  # 8
        nonce = _url_safe(claims, spec.NONCE)  # 9
        if spec.STATE in claims:
            _url_safe(claims, spec.STATE)
        # 10
        query = dcql.parse(claims[spec.DCQL_QUERY])
        metadata = mapping({spec.CLIENT_METADATA: {}, **claims}, spec.CLIENT_METADATA, what=WHAT)
        client_metadata.require_our_formats(metadata)
        encrypted = claims[spec.RESPONSE_MODE] == spec.DIRECT_POST_JWT
        return VerifiedAuthorizationRequest(
            client_id=client.client_id,
            client=client,
            response_mode=claims[spec.RESPONSE_MODE],
            response_uri=response_uri,
            nonce=nonce,
            state=reply_to.state,
            query=query,
            encryption=client_metadata.encryption_key(metadata) if encrypted else None,
            transaction_data=parse_transaction_data(claims, query, transaction_types),  # 11
            stated=stated_purpose.parse(claims) if client.is_authenticated else None,  # 12
        )
    except EncodingError as fault:
        raise AuthorizationRequestRefused(
            spec.INVALID_REQUEST, str(fault), reply_to.response_uri, reply_to.state
        ) from None
    except ProtocolError as fault:
        raise AuthorizationRequestRefused(
            fault.code, fault.description, reply_to.response_uri, reply_to.state
        ) from None


def _response_uri(claims: dict[str, Any], client: Client) -> str:
    if spec.RESPONSE_URI not in claims and not client.is_authenticated:
        return client.value  # section 5.9.3: MAY be omitted
    try:
        return text(claims, spec.RESPONSE_URI, what=WHAT, max_length=MAX_URI_CHARACTERS)
    except EncodingError as fault:
        raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None


def _check_dates(claims: dict[str, Any], now: int) -> None:
    if "exp" in claims and integer(claims, "exp", what=WHAT) <= now - SKEW_SECONDS:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: has expired")
    for name in ("iat", "nbf"):
        if name in claims and integer(claims, name, what=WHAT) > now + SKEW_SECONDS:
            raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {name} is in the future")


def _check_mode(claims: dict[str, Any], profile: Profile) -> None:
    if claims.get(spec.RESPONSE_TYPE) != spec.VP_TOKEN:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.RESPONSE_TYPE} is not {spec.VP_TOKEN}")
    modes = spec.RESPONSE_MODES[profile]
    if claims.get(spec.RESPONSE_MODE) not in modes:
        raise ProtocolError(
            spec.INVALID_REQUEST, f"{WHAT}: {spec.RESPONSE_MODE} must be one of {', '.join(sorted(modes))}"
        )
    if spec.REDIRECT_URI in claims:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.REDIRECT_URI} beside {spec.RESPONSE_URI}")
    if spec.SCOPE in claims or spec.DCQL_QUERY not in claims:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: must have {spec.DCQL_QUERY} and no {spec.SCOPE}")


def _url_safe(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not _URL_SAFE.match(value):
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {name} must be 1 to 512 URL-safe ASCII characters")
    return value
