"""The authorization response: written by a wallet, read by a verifier (OpenID4VP 1.0 sections 8.1 to 8.5).

``direct_post`` sends a form, ``direct_post.jwt`` one field with a JWE of the same parameters. A
response is read only as what the request asked for: no clear text where encryption was asked,
except an error (section 8.3.1).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from identity.codec import strict_json
from identity.envelope import jwe
from identity.errors import EncodingError, EnvelopeError, ProtocolError
from identity.openid4vp import form, spec
from identity.openid4vp.request import VerifiedAuthorizationRequest

WHAT = "authorization response"

MAX_BODY_BYTES = 262_144
"""Several credentials with all their disclosures, encrypted; the largest body that a verifier reads."""

MAX_DESCRIPTION_CHARACTERS = 500
"""Of a wallet's error: it is shown, not executed."""


@dataclass(frozen=True, slots=True)
class UnverifiedResponse:
    """A VP Token as it came; ``check_presentation`` says what it is worth."""

    vp_token: Any
    state: str | None


@dataclass(frozen=True, slots=True)
class ErrorResponse:
    """The wallet refused (section 8.5)."""

    error: str
    description: str
    state: str | None


def format_response(request: VerifiedAuthorizationRequest, vp_token: Mapping[str, Sequence[str]]) -> bytes:
    """The body of the POST to ``response_uri``. ``vp_token``: query id → presentations."""
    parameters: dict[str, Any] = {spec.VP_TOKEN: {name: list(several) for name, several in vp_token.items()}}
    if request.state is not None:
        parameters[spec.STATE] = request.state
    if request.encryption is None:
        parameters[spec.VP_TOKEN] = strict_json.compact(parameters[spec.VP_TOKEN]).decode("utf-8")
        return form.format(parameters)
    key = request.encryption
    # Section 8.3: kid of the key that was chosen; alg and enc are set by what it encrypts to.
    sealed = jwe.encrypt(strict_json.compact(parameters), key.jwk, enc=key.enc, header={"kid": key.kid})
    return form.format({spec.RESPONSE: sealed})


def format_error(code: str, description: str, state: str | None) -> bytes:
    """The body that tells a verifier of a refusal. Never tell it more than the person agreed to (section 15.10)."""
    fields = {spec.ERROR: code, spec.ERROR_DESCRIPTION: description}
    if state is not None:
        fields[spec.STATE] = state
    return form.format(fields)


def parse_response(
    body: bytes, *, response_mode: str, private_jwk: Mapping[str, Any] | None, kid: str | None
) -> UnverifiedResponse | ErrorResponse:
    """Reads the body for a request that had this mode and encryption key.

    Raises ProtocolError ``invalid_request``.
      1. One form in UTF-8 within the size limit, each field once.
      2. An error is an error, in clear or encrypted.
      3. The parameters come as asked: in clear, or in a JWE to this request's key alone.
    Left to the caller: whether ``state`` is the request's (section 14.3.2).
    """
    # 1
    fields: dict[str, Any] = dict(form.parse(body, what=WHAT, max_bytes=MAX_BODY_BYTES))
    # 2, 3
    if spec.ERROR not in fields:
        if response_mode == spec.DIRECT_POST_JWT:
            fields = _decrypted(fields, private_jwk, kid)
        elif spec.RESPONSE in fields:
            raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: is encrypted, {response_mode} was asked")
        elif spec.VP_TOKEN in fields:
            fields[spec.VP_TOKEN] = _json(fields[spec.VP_TOKEN])
    state = fields.get(spec.STATE)
    if state is not None and not isinstance(state, str):
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.STATE} must be a text")
    if spec.ERROR in fields:
        return _error(fields, state)
    if spec.VP_TOKEN not in fields:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: has neither {spec.VP_TOKEN} nor {spec.ERROR}")
    return UnverifiedResponse(fields[spec.VP_TOKEN], state)


def _decrypted(fields: Mapping[str, Any], private_jwk: Mapping[str, Any] | None, kid: str | None) -> dict[str, Any]:
    if spec.VP_TOKEN in fields or spec.RESPONSE not in fields or private_jwk is None:
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: is not encrypted, {spec.DIRECT_POST_JWT} was asked")
    try:
        header, plaintext = jwe.decrypt(fields[spec.RESPONSE], private_jwk, what=WHAT)
        if header.get("kid") != kid:
            raise EnvelopeError(f"{WHAT}: kid is not the one of the request's key")
        return strict_json.parse_object(plaintext, what=WHAT, max_bytes=MAX_BODY_BYTES)
    except (EnvelopeError, EncodingError) as fault:
        raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None


def _json(value: str) -> Any:
    try:
        return strict_json.parse(value, what=spec.VP_TOKEN, max_bytes=MAX_BODY_BYTES)
    except EncodingError as fault:
        raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None


def _error(fields: Mapping[str, Any], state: str | None) -> ErrorResponse:
    error, description = fields[spec.ERROR], fields.get(spec.ERROR_DESCRIPTION, "")
    if not isinstance(error, str) or not error or len(error) > 64 or not isinstance(description, str):
        raise ProtocolError(spec.INVALID_REQUEST, f"{WHAT}: {spec.ERROR} must be a short text")
    return ErrorResponse(error, description[:MAX_DESCRIPTION_CHARACTERS], state)
