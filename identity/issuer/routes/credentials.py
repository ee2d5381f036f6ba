"""The credential endpoint, the deferred one and notifications: whatever needs an access token."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from identity.errors import IdentityError
from identity.issuer import messages
from identity.issuer.access import Granted
from identity.issuer.issuing import Deferred, Issued
from identity.issuer.routes.halls import Halls
from identity.issuer.town_hall import TownHall
from identity.openid4vci.credential_request import MAX_CREDENTIAL_REQUEST_BYTES, MAX_NOTIFICATION_BYTES
from identity.openid4vci.spec import DPOP_HEADER, DPOP_NONCE_HEADER

_JSON: dict[str, Any] = {"requestBody": {"required": True, "content": {messages.JSON: {"schema": {"type": "object"}}}}}

Act = Callable[[Granted, bytes], Issued | Deferred | None]


def router(halls: Halls) -> APIRouter:
    routes = APIRouter()

    @routes.post("/{tenant}/credential", openapi_extra=_JSON)
    async def credential(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)
        return await _act(
            request, hall, hall.tenant.at.credential, hall.issuing.credential, MAX_CREDENTIAL_REQUEST_BYTES
        )

    @routes.post("/{tenant}/deferred", openapi_extra=_JSON)
    async def deferred(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)
        return await _act(request, hall, hall.tenant.at.deferred, hall.issuing.deferred, MAX_NOTIFICATION_BYTES)

    @routes.post("/{tenant}/notification", status_code=204, openapi_extra=_JSON)
    async def notification(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)
        return await _act(request, hall, hall.tenant.at.notification, hall.issuing.notification, MAX_NOTIFICATION_BYTES)

    return routes


async def _act(request: Request, hall: TownHall, url: str, act: Act, max_bytes: int) -> Response:
    """The token first, then the body: who may not ask is not read."""
    nonce = {DPOP_NONCE_HEADER: hall.dpop.nonces.fresh()}
    authorization = request.headers.getlist("authorization")
    fields = request.headers.getlist(DPOP_HEADER)
    try:
        granted = await run_in_threadpool(lambda: hall.access.require(authorization, fields, url=url))
        data = await messages.read_body(request, media_type=messages.JSON, max_bytes=max_bytes)
        done = await run_in_threadpool(act, granted, data)
    except IdentityError as fault:
        refused = messages.resource_fault(fault)
        refused.headers.update(nonce)
        return refused
    if done is None:
        return Response(status_code=204, headers={**messages.NO_STORE, **nonce})
    return messages.json_answer(done.body(), status=202 if isinstance(done, Deferred) else 200, headers=nonce)
