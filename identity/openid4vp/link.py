"""The link or QR code that calls a wallet: ``openid4vp://?client_id=…&request_uri=…`` (OpenID4VP 1.0 section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from identity.errors import ProtocolError
from identity.openid4vp import form
from identity.openid4vp.spec import (
    CLIENT_ID,
    GET,
    INVALID_REQUEST,
    INVALID_REQUEST_URI_METHOD,
    POST,
    REQUEST,
    REQUEST_URI,
    REQUEST_URI_METHOD,
    SCHEME,
)

WHAT = "link"

SCHEMES = frozenset({SCHEME, "haip-vp", "eudi-openid4vp", "https"})
"""HAIP 1.0 section 5.1 has its own; wallets bound to a web address get https."""

MAX_CHARACTERS = 16_384
"""A request by value in it is far larger than any QR code holds, and is still read."""

MAX_URI_CHARACTERS = 2_048


@dataclass(frozen=True, slots=True)
class AuthorizationLink:
    """What the link says. Nothing in it is a fact but where to ask."""

    client_id: str
    request_uri: str | None = None
    request_uri_method: str = GET
    request: str | None = None
    """A request object by value."""
    parameters: Mapping[str, str] | None = None
    """All parameters, where the request itself stands in the link (only unsigned ones do)."""


def parse(link: str) -> AuthorizationLink:
    """Raises ProtocolError."""
    if len(link) > MAX_CHARACTERS or not link.isascii():
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: not ASCII, or longer than {MAX_CHARACTERS} characters")
    try:
        parts = urlsplit(link)
    except ValueError:
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: is not a URI") from None
    if parts.scheme not in SCHEMES:
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: its scheme is not {SCHEME}")
    fields = form.parse(parts.query.encode("ascii"), what=WHAT, max_bytes=MAX_CHARACTERS)
    client_id = fields.get(CLIENT_ID, "")
    if not client_id:
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: {CLIENT_ID} is missing")
    method = fields.get(REQUEST_URI_METHOD, GET)
    if method not in (GET, POST):
        raise ProtocolError(INVALID_REQUEST_URI_METHOD, f"{WHAT}: {REQUEST_URI_METHOD} is neither {GET} nor {POST}")
    request_uri, request = fields.get(REQUEST_URI), fields.get(REQUEST)
    if request_uri is not None and request is not None:
        # RFC 9101 section 5: never both
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: has both {REQUEST} and {REQUEST_URI}")
    if request_uri is None and REQUEST_URI_METHOD in fields:
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: {REQUEST_URI_METHOD} without {REQUEST_URI}")
    if request_uri is not None and not 0 < len(request_uri) <= MAX_URI_CHARACTERS:
        raise ProtocolError(INVALID_REQUEST, f"{WHAT}: {REQUEST_URI} is empty or too long")
    by_value = request_uri is None and request is None
    return AuthorizationLink(client_id, request_uri, method, request, fields if by_value else None)


def format(link: AuthorizationLink) -> str:
    fields = dict(link.parameters or {}) | {CLIENT_ID: link.client_id}
    if link.request is not None:
        fields[REQUEST] = link.request
    if link.request_uri is not None:
        fields[REQUEST_URI] = link.request_uri
        if link.request_uri_method != GET:
            fields[REQUEST_URI_METHOD] = link.request_uri_method
    return f"{SCHEME}://?{form.format(fields).decode('ascii')}"
