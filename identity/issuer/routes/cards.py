"""The card's two posts (WIRE C7); both need the cookie that opening the authorization address set."""

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from identity.errors import IdentityError
from identity.issuer import messages
from identity.issuer.authorization import MAX_LOGIN_BYTES
from identity.issuer.routes.authorization import COOKIE
from identity.issuer.routes.halls import Halls

MAX_CHALLENGE_BYTES = 1_024

_JSON: dict[str, Any] = {"requestBody": {"required": True, "content": {messages.JSON: {"schema": {"type": "object"}}}}}


def router(halls: Halls) -> APIRouter:
    routes = APIRouter()

    @routes.post("/{tenant}/card/challenge", openapi_extra=_JSON)
    async def challenge(request: Request, tenant: str) -> Response:
        hall, cookie = halls.of(tenant), request.cookies.get(COOKIE)
        try:
            body = await messages.read_object(request, what="card session", max_bytes=MAX_CHALLENGE_BYTES)
            made = await run_in_threadpool(lambda: hall.authorization.challenge(body, cookie=cookie))
        except IdentityError as fault:
            return messages.oauth_fault(fault)
        return messages.json_answer(made)

    @routes.post("/{tenant}/card/login", openapi_extra=_JSON)
    async def login(request: Request, tenant: str) -> Response:
        hall, cookie = halls.of(tenant), request.cookies.get(COOKIE)
        try:
            body = await messages.read_object(request, what="card login", max_bytes=MAX_LOGIN_BYTES)
            where = await run_in_threadpool(lambda: hall.authorization.login(body, cookie=cookie))
        except IdentityError as fault:
            return messages.oauth_fault(fault)
        return messages.json_answer({"redirect_to": where})

    return routes
