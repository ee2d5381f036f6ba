"""HTTP of the issuer: bodies in, within their limits; answers out, with the status of each fault.

Status codes are chosen here and in ``routes``, nowhere deeper. What is refused:

    not found, gone                             404
    body over its limit                         413
    another media type                          415
    a fault of OAuth or OpenID4VCI              400; 401 for tokens and clients, 403 for sessions and cards
    a register, a key or a card's status silent 503: nothing was decided, the wallet may try again
"""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from identity.codec import strict_json
from identity.errors import (
    CardError,
    CardStatusUnavailable,
    EncodingError,
    IdentityError,
    KeyUnavailable,
    ProtocolError,
    SourceUnavailable,
    TrustError,
)
from identity.issuer.access import AccessMissing
from identity.issuer.authorization import INVALID_SESSION
from identity.openid4vci.spec import (
    ACCESS_DENIED,
    BEARER,
    DPOP,
    INVALID_CLIENT,
    INVALID_DPOP_PROOF,
    INVALID_REQUEST,
    INVALID_TOKEN,
    TEMPORARILY_UNAVAILABLE,
    USE_DPOP_NONCE,
    description,
)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}

_TOKEN_FAULTS = frozenset({INVALID_TOKEN, INVALID_DPOP_PROOF, USE_DPOP_NONCE})


class BodyRefused(Exception):
    """A body that is not even read; ``status`` is the answer's."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


async def read_body(request: Request, *, media_type: str, max_bytes: int) -> bytes:
    """Raises BodyRefused as soon as it is known that the body is too long."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != media_type:
        raise BodyRefused(415, f"body: the media type must be {media_type}")
    length = request.headers.get("content-length", "0")
    if not length.isascii() or not length.isdigit() or int(length[:12]) > max_bytes:
        raise BodyRefused(413, f"body: at most {max_bytes} bytes are read")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise BodyRefused(413, f"body: at most {max_bytes} bytes are read")
    return bytes(body)


async def read_object(request: Request, *, what: str, max_bytes: int) -> dict[str, Any]:
    """A JSON object of ours (not of OpenID4VCI). Raises BodyRefused, ProtocolError."""
    data = await read_body(request, media_type=JSON, max_bytes=max_bytes)
    try:
        return strict_json.parse_object(data, what=what, max_bytes=max_bytes)
    except EncodingError as fault:
        raise ProtocolError(INVALID_REQUEST, str(fault)) from None


def json_answer(
    value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None, cacheable: bool = False
) -> Response:
    return Response(
        strict_json.compact(value),
        status,
        {**({} if cacheable else NO_STORE), **(headers or {})},
        media_type=JSON,
    )


def refusal(code: str, reason: str, *, status: int, headers: Mapping[str, str] | None = None) -> Response:
    return json_answer({"error": code, "error_description": description(reason)}, status=status, headers=headers)


def oauth_fault(fault: IdentityError) -> Response:
    """At PAR, token, authorization and card endpoints (RFC 6749 section 5.2)."""
    if isinstance(fault, ProtocolError):
        status = {INVALID_CLIENT: 401, INVALID_SESSION: 403}.get(fault.code, 400)
        return refusal(fault.code, fault.description, status=status)
    if isinstance(fault, CardError) and not isinstance(fault, CardStatusUnavailable):
        return refusal(ACCESS_DENIED, str(fault), status=403)
    return _unavailable(fault)


def resource_fault(fault: IdentityError) -> Response:
    """At endpoints that need a token: faults of the token as RFC 6750 section 3 and RFC 9449 section 7.1 have them,
    faults of the request as OpenID4VCI 1.0 section 8.3.1.2 has them."""
    if not isinstance(fault, ProtocolError):
        return _unavailable(fault)
    if isinstance(fault, AccessMissing):
        challenge = f'{BEARER}, {DPOP} algs="ES256"'
        return refusal(fault.code, fault.description, status=401, headers={"WWW-Authenticate": challenge})
    if fault.code in _TOKEN_FAULTS:
        scheme = BEARER if fault.code == INVALID_TOKEN else DPOP
        parameters = f'error="{fault.code}", error_description="{description(fault.description)}"'
        challenge = f"{scheme} {parameters}" + (', algs="ES256"' if scheme == DPOP else f', {DPOP} algs="ES256"')
        return refusal(fault.code, fault.description, status=401, headers={"WWW-Authenticate": challenge})
    return refusal(fault.code, fault.description, status=400)


def _unavailable(fault: IdentityError) -> Response:
    """Something of ours, or a card's issuer, is silent. Anything else is a mistake of this program and is raised."""
    if isinstance(fault, KeyUnavailable | SourceUnavailable | TrustError | CardStatusUnavailable):
        return unavailable()
    raise fault


def unavailable() -> Response:
    reason = "try again later; nothing was decided"
    return refusal(TEMPORARILY_UNAVAILABLE, reason, status=503, headers={"Retry-After": "5"})
