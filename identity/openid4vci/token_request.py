"""The token request (section 6.1, RFC 6749 sections 4.1.3 and 6): one of three, each its own type."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from identity.errors import ProtocolError
from identity.openid4vci import authorization_details
from identity.openid4vci.authorization_request import CODE_VERIFIER, MAX_CLIENT_ID
from identity.openid4vci.form import optional, required
from identity.openid4vci.spec import (
    AUTHORIZATION_CODE,
    GRANT_TYPES,
    INVALID_REQUEST,
    PRE_AUTHORIZED,
    PRE_AUTHORIZED_CODE,
    REFRESH_TOKEN,
    TX_CODE,
    UNSUPPORTED_GRANT_TYPE,
)

_WHAT = "token request"
MAX_SECRET = 256
"""Codes and tokens of ours have 43 characters."""

MAX_TX_CODE = 64


@dataclass(frozen=True, slots=True)
class CodeRequest:
    client_id: str
    code: str = field(repr=False)
    code_verifier: str = field(repr=False)
    redirect_uri: str | None
    details: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class PreAuthorizedRequest:
    client_id: str | None
    """None = anonymous (section 12.3)."""
    code: str = field(repr=False)
    tx_code: str | None = field(repr=False)
    details: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    client_id: str | None
    refresh_token: str = field(repr=False)
    details: tuple[str, ...] | None
    scopes: tuple[str, ...] | None
    """A part of what was granted (RFC 6749 section 6); None = all of it."""


TokenRequest = CodeRequest | PreAuthorizedRequest | RefreshRequest


def parse(form: Mapping[str, str], *, issuer: str) -> TokenRequest:
    """Raises ProtocolError."""
    grant_type = required(form, "grant_type", what=_WHAT)
    if grant_type not in GRANT_TYPES:
        raise ProtocolError(UNSUPPORTED_GRANT_TYPE, f"{_WHAT}: grant_type is not one of those in our metadata")
    if TX_CODE in form and grant_type != PRE_AUTHORIZED:
        raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: tx_code belongs to a pre-authorized code (section 6.1)")
    found = form.get("authorization_details")
    details = None if found is None else authorization_details.parse(found, issuer=issuer)
    if grant_type == AUTHORIZATION_CODE:
        verifier = required(form, "code_verifier", what=_WHAT)
        if not CODE_VERIFIER.fullmatch(verifier):
            raise ProtocolError(INVALID_REQUEST, f"{_WHAT}: code_verifier has 43 to 128 unreserved characters")
        return CodeRequest(
            client_id=required(form, "client_id", what=_WHAT, max_length=MAX_CLIENT_ID),
            code=required(form, "code", what=_WHAT, max_length=MAX_SECRET),
            code_verifier=verifier,
            redirect_uri=optional(form, "redirect_uri", what=_WHAT),
            details=details,
        )
    client_id = optional(form, "client_id", what=_WHAT, max_length=MAX_CLIENT_ID)
    if grant_type == PRE_AUTHORIZED:
        return PreAuthorizedRequest(
            client_id=client_id,
            code=required(form, PRE_AUTHORIZED_CODE, what=_WHAT, max_length=MAX_SECRET),
            tx_code=optional(form, TX_CODE, what=_WHAT, max_length=MAX_TX_CODE),
            details=details,
        )
    scope = optional(form, "scope", what=_WHAT)
    return RefreshRequest(
        client_id=client_id,
        refresh_token=required(form, REFRESH_TOKEN, what=_WHAT, max_length=MAX_SECRET),
        details=details,
        scopes=None if scope is None else tuple(dict.fromkeys(scope.split())),
    )
