"""The authorization request, which comes pushed (section 5.1, RFC 9126 section 2.1, RFC 7636).

1. Not a request by reference inside a pushed one (RFC 9126 section 2.1), nor a signed one, which
   this server does not read.
2. ``response_type`` code, answered in the query.
3. PKCE with S256; without a method it would be ``plain`` (RFC 7636 section 4.3).
4. A redirect address that the policy allows.
5. ``authorization_details`` or ``scope`` say what is wanted; whether we have it, the caller checks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from identity.codec import base64url
from identity.errors import EncodingError, ProtocolError
from identity.openid4vci import authorization_details, redirect
from identity.openid4vci.form import optional, required
from identity.openid4vci.redirect import RedirectPolicy
from identity.openid4vci.spec import INVALID_REQUEST, ISSUER_STATE, S256, UNSUPPORTED_RESPONSE_TYPE

_WHAT = "authorization request"
MAX_CLIENT_ID = 512
MAX_STATE = 1_024

CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
"""RFC 7636 section 4.1."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client wants, and where it wants the answer."""

    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    scopes: tuple[str, ...]
    details: tuple[str, ...] | None
    """Configuration ids of ``authorization_details``; None without it."""
    issuer_state: str | None
    dpop_jkt: str | None
    """RFC 9449 section 10: the key that the code, and then the tokens, are for."""


def parse(form: Mapping[str, str], *, issuer: str, policy: RedirectPolicy) -> AuthorizationRequest:
    """Raises ProtocolError."""
    # 1
    for name in ("request_uri", "request"):
        if name in form:
            raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: '{name}' cannot be used here")
    client_id = required(form, "client_id", what=_WHAT, max_length=MAX_CLIENT_ID)
    # 2
    if required(form, "response_type", what=_WHAT) != "code":
        raise ProtocolError(UNSUPPORTED_RESPONSE_TYPE, f"{_WHAT}: response_type must be code")
    if form.get("response_mode", "query") != "query":
        raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: response_mode must be query")
    # 3
    challenge = required(form, "code_challenge", what=_WHAT)
    if form.get("code_challenge_method") != S256:
        raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: code_challenge_method must be {S256}")
    _require_digest(challenge, "code_challenge")
    # 4
    redirect_uri = required(form, "redirect_uri", what=_WHAT)
    redirect.require(redirect_uri, policy)
    # 5
    details = form.get("authorization_details")
    thumbprint = optional(form, "dpop_jkt", what=_WHAT)
    if thumbprint is not None:
        _require_digest(thumbprint, "dpop_jkt")
    return AuthorizationRequest(
        client_id=client_id,
        redirect_uri=redirect_uri,
        state=optional(form, "state", what=_WHAT, max_length=MAX_STATE),
        code_challenge=challenge,
        scopes=tuple(dict.fromkeys((optional(form, "scope", what=_WHAT) or "").split())),
        details=None if details is None else authorization_details.parse(details, issuer=issuer),
        issuer_state=optional(form, ISSUER_STATE, what=_WHAT),
        dpop_jkt=thumbprint,
    )


def _require_digest(value: str, name: str) -> None:
    try:
        size = len(base64url.decode(value, what=name))
    except EncodingError as fault:
        raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: {fault}") from None
    if size != 32:
        raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: '{name}' must be a SHA-256 value in base64url")
