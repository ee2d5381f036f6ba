"""Fetching an authorization request and verifying who asks, before anybody is bothered with it.

1. The link says where the request is. Outside a sandbox it is fetched only for a client that the
   signed list knows: an address in a link is somebody's wish.
2. The request is verified (`identity.openid4vp.request`): signed by its client, whose certificate
   leads to an anchor, for an answer to the client's own address.
3. The certificate is a verifier's of the signed list. In a sandbox store an anchor that was added
   stands in for the list, and the screen says that nobody knows who asks.
"""

from dataclasses import dataclass
from urllib.parse import urlsplit

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import EnvelopeError, ProtocolError, TrustError
from identity.openid4vp import link, spec, wallet_metadata
from identity.openid4vp.link import AuthorizationLink
from identity.openid4vp.request import MAX_BYTES, VerifiedAuthorizationRequest, read_parameters, read_request
from identity.trust.registry import Party
from wallet_cli.errand import Errand
from wallet_cli.errors import RequestRefused
from wallet_cli.network import FORM

WALLET_NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Request:
    """A request that may be shown."""

    verified: VerifiedAuthorizationRequest

    @property
    def party(self) -> Party | None:
        """None: unknown, which only a sandbox store lets pass."""
        return self.verified.party

    @property
    def host(self) -> str:
        """Where the answer goes: all that is known of an unknown party."""
        return urlsplit(self.verified.response_uri).netloc


def fetch(errand: Errand, uri: str) -> Request:
    """Raises RequestRefused, NetworkError."""
    try:
        asked = link.parse(uri)
        _require_known_client(errand, asked.client_id)  # 1
        if asked.request_uri is not None:
            return _fetched(errand, asked, asked.request_uri)
        if asked.request is not None:
            return verify(errand, asked.request, client_id=asked.client_id)
        found = read_parameters(asked, profile=_profile(errand), now=errand.now)
    except ProtocolError as fault:
        raise RequestRefused("request_invalid", str(fault)) from None
    return _known(errand, Request(found))


def verify(
    errand: Errand,
    compact: str,
    *,
    client_id: str | None = None,
    wallet_nonce: str | None = None,
    profile: spec.Profile | None = None,
) -> Request:
    """Steps 2 and 3. ``client_id`` None: there was no link that could name another one."""
    try:
        found = read_request(
            compact,
            client_id=_client_id(compact) if client_id is None else client_id,
            profile=profile or _profile(errand),
            anchors=errand.trust.anchors("verifier"),
            registry=errand.trust.list(),
            now=errand.now,
            wallet_nonce=wallet_nonce,
            dids=errand.sandbox,
        )
    except TrustError as fault:
        raise RequestRefused("unknown_verifier", str(fault)) from None
    except (ProtocolError, EnvelopeError) as fault:
        raise RequestRefused("request_invalid", str(fault)) from None
    return _known(errand, Request(found))


def _fetched(errand: Errand, asked: AuthorizationLink, address: str) -> Request:
    """OpenID4VP 1.0 sections 5.7 and 5.10."""
    headers = {"Accept": spec.REQUEST_OBJECT_MEDIA_TYPE}
    nonce: str | None = None
    content: bytes | None = None
    if asked.request_uri_method == spec.POST:
        nonce = base64url.encode(errand.world.random(WALLET_NONCE_BYTES))
        content = wallet_metadata.format(nonce)
        headers["Content-Type"] = FORM
    method = "GET" if content is None else "POST"
    answer = errand.network.send(method, address, headers=headers, content=content, max_bytes=MAX_BYTES)
    compact = answer.expect(200, what="request").body.decode("ascii", "replace").strip()
    return verify(errand, compact, client_id=asked.client_id, wallet_nonce=nonce)


def _require_known_client(errand: Errand, client_id: str) -> None:
    """Step 1."""
    if errand.sandbox:
        return
    known, prefix = errand.trust.list(), f"{spec.X509_HASH}:"
    try:
        if known is None or not client_id.startswith(prefix):
            raise TrustError("registry: it cannot say who this client is")
        known.by_certificate(client_id.removeprefix(prefix), now=errand.now)
    except TrustError as fault:
        raise RequestRefused("unknown_verifier", str(fault)) from None


def _known(errand: Errand, request: Request) -> Request:
    """Step 3."""
    if request.party is None and not errand.sandbox:
        raise RequestRefused("unknown_verifier", "registry: does not list who asks as a verifier")
    return request


def _profile(errand: Errand) -> spec.Profile:
    return "base" if errand.sandbox else "haip"


def _client_id(compact: str) -> str:
    return str(jws.parse(compact, what="request", max_bytes=MAX_BYTES).claims().get(spec.CLIENT_ID))
