"""The token endpoint (OpenID4VCI 1.0 section 6): a code, a pre-authorized code or a refresh token in, tokens out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from identity.codec.members import text
from identity.errors import EncodingError
from wallet_cli.errors import OfferError
from wallet_cli.receive.exchange import Exchange
from wallet_cli.receive.issuer import AuthorizationServer
from wallet_cli.receive.offer import AUTHORIZATION_CODE, PRE_AUTHORIZED

OPENID_CREDENTIAL = "openid_credential"


@dataclass(frozen=True, slots=True)
class Tokens:
    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    identifiers: dict[str, str]
    """Configuration → ``credential_identifier``, where the server gave some (section 6.2)."""


def redeem_pre_authorized(
    exchange: Exchange, server: AuthorizationServer, client_id: str | None, *, code: str, tx_code: str | None
) -> Tokens:
    fields = {"grant_type": PRE_AUTHORIZED, "pre-authorized_code": code}
    if tx_code is not None:
        fields["tx_code"] = tx_code
    return _redeem(exchange, server, client_id, fields)


def redeem_code(
    exchange: Exchange, server: AuthorizationServer, client_id: str, *, code: str, verifier: str, redirect_uri: str
) -> Tokens:
    fields = {"grant_type": AUTHORIZATION_CODE, "code": code, "code_verifier": verifier, "redirect_uri": redirect_uri}
    return _redeem(exchange, server, client_id, fields)


def refresh(exchange: Exchange, server: AuthorizationServer, client_id: str | None, *, refresh_token: str) -> Tokens:
    return _redeem(exchange, server, client_id, {"grant_type": "refresh_token", "refresh_token": refresh_token})


def _redeem(
    exchange: Exchange, server: AuthorizationServer, client_id: str | None, fields: Mapping[str, str]
) -> Tokens:
    named = {**fields, **({} if client_id is None else {"client_id": client_id})}
    answer = exchange.post_form(server.token_endpoint, named).expect(200, what="token")
    return _parse(answer.object(what="token answer"), bound=exchange.key is not None)


def _parse(body: Mapping[str, Any], *, bound: bool) -> Tokens:
    """Raises OfferError. A bearer token where a bound one was due is refused: it would work for whoever sees it."""
    what = "token answer"
    try:
        kind = text(body, "token_type", what=what)
        if kind.lower() != ("dpop" if bound else "bearer"):
            raise EncodingError(f"{what}: token_type {kind!r}, expected {'DPoP' if bound else 'Bearer'}")
        return Tokens(
            access_token=text(body, "access_token", what=what, max_length=16_384),
            refresh_token=(
                text(body, "refresh_token", what=what, max_length=16_384) if "refresh_token" in body else None
            ),
            identifiers=_identifiers(body),
        )
    except EncodingError as fault:
        raise OfferError("issuer_answer_refused", str(fault)) from None


def _identifiers(body: Mapping[str, Any]) -> dict[str, str]:
    """The first identifier of each configuration: one dataset a credential."""
    found: dict[str, str] = {}
    details = body.get("authorization_details", [])
    for detail in details if isinstance(details, list) else []:
        if isinstance(detail, dict) and detail.get("type") == OPENID_CREDENTIAL:
            configuration, identifiers = detail.get("credential_configuration_id"), detail.get("credential_identifiers")
            if isinstance(configuration, str) and isinstance(identifiers, list) and identifiers:
                first = identifiers[0]
                if isinstance(first, str):
                    found.setdefault(configuration, first)
    return found
