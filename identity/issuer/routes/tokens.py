"""Pushed requests, tokens and nonces."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from identity.errors import IdentityError
from identity.issuer import messages
from identity.issuer.routes.halls import Halls
from identity.issuer.town_hall import TownHall
from identity.openid4vci import form
from identity.openid4vci.spec import DPOP_HEADER, DPOP_NONCE_HEADER

_FORM: dict[str, Any] = {"requestBody": {"required": True, "content": {messages.FORM: {"schema": {"type": "object"}}}}}


def router(halls: Halls) -> APIRouter:
    routes = APIRouter()

    @routes.post("/{tenant}/par", status_code=201, openapi_extra=_FORM)
    async def par(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)

        def push(parameters: dict[str, str]) -> dict[str, Any]:
            thumbprint = hall.dpop.thumbprint(request.headers.getlist(DPOP_HEADER), url=hall.tenant.at.par)
            return hall.authorization.push(parameters, proof_thumbprint=thumbprint)

        return await _redeem(request, hall, push, what="authorization request", status=201)

    @routes.post("/{tenant}/token", openapi_extra=_FORM)
    async def token(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)
        fields = request.headers.getlist(DPOP_HEADER)
        return await _redeem(
            request, hall, lambda parameters: hall.tokens.redeem(parameters, fields), what="token request", status=200
        )

    @routes.post("/{tenant}/nonce")
    async def nonce(tenant: str) -> Response:
        """OpenID4VCI 1.0 section 7; needs no token and no body."""
        hall = halls.of(tenant)
        return messages.json_answer({"c_nonce": hall.c_nonces.fresh()}, headers=_fresh_nonce(hall))

    return routes


async def _redeem(
    request: Request, hall: TownHall, act: Callable[[dict[str, str]], dict[str, Any]], *, what: str, status: int
) -> Response:
    data = await messages.read_body(request, media_type=messages.FORM, max_bytes=form.MAX_FORM_BYTES)
    try:
        answer = await run_in_threadpool(lambda: act(form.parse(data, what=what)))
    except IdentityError as fault:
        refused = messages.oauth_fault(fault)
        refused.headers.update(_fresh_nonce(hall))
        return refused
    return messages.json_answer(answer, status=status, headers=_fresh_nonce(hall))


def _fresh_nonce(hall: TownHall) -> dict[str, str]:
    """RFC 9449 section 8.2: in any answer, so that clients seldom need to ask twice."""
    return {DPOP_NONCE_HEADER: hall.dpop.nonces.fresh()}
