"""The issuer's HTTP application: the town halls it is given, below their paths.

Everything comes in by argument. ``registry_file`` and ``trust_file`` are for the sandbox, where the
issuer's process also serves the signed list and the roots.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from identity.errors import IdentityError
from identity.issuer import messages
from identity.issuer.messages import BodyRefused
from identity.issuer.routes import authorization, cards, credentials, documents, tokens
from identity.issuer.routes.halls import Halls
from identity.issuer.town_hall import TownHall
from identity.openid4vci.spec import INVALID_REQUEST

_log = logging.getLogger(__name__)

UPKEEP_SECONDS = 60.0

HEADERS = {"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}
"""On every answer: an authorization address must not travel on as a referrer."""


def make_app(
    halls: Mapping[str, TownHall], *, registry_file: Path | None = None, trust_file: Path | None = None
) -> FastAPI:
    """``halls`` by the first segment of their path."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        upkeep = asyncio.create_task(_upkeep(halls))
        try:
            yield
        finally:
            upkeep.cancel()
            with suppress(asyncio.CancelledError):
                await upkeep

    # The documentation pages would load scripts from elsewhere.
    app = FastAPI(title="Atorga issuer", docs_url=None, redoc_url=None, lifespan=lifespan)
    found = Halls(halls)
    for router in (
        documents.router(found, registry_file=registry_file, trust_file=trust_file),
        authorization.router(found),
        cards.router(found),
        tokens.router(found),
        credentials.router(found),
    ):
        app.include_router(router)
    app.add_exception_handler(BodyRefused, _body_refused)
    app.add_exception_handler(HTTPException, _http_fault)
    app.add_exception_handler(SQLAlchemyError, _database_fault)
    app.add_middleware(_Headers)
    return app


async def _upkeep(halls: Mapping[str, TownHall]) -> None:
    while True:
        for name, hall in halls.items():
            try:
                # A tick that has begun ends in its thread, also when the service stops.
                await asyncio.shield(run_in_threadpool(hall.upkeep.run))
            except (IdentityError, SQLAlchemyError) as fault:
                # Next minute again; until then what is served is as old as it says it is.
                _log.error("upkeep of %s: %s", name, type(fault).__name__)
        await asyncio.sleep(UPKEEP_SECONDS)


class _Headers:
    """Adds ``HEADERS`` to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)


async def _body_refused(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, BodyRefused)
    return messages.refusal(INVALID_REQUEST, fault.reason, status=fault.status)


async def _database_fault(_: Request, fault: Exception) -> Response:
    _log.error("database: %s", type(fault).__name__)
    return messages.unavailable()


async def _http_fault(_: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(fault.status_code, INVALID_REQUEST)
    return messages.refusal(code, str(fault.detail), status=fault.status_code, headers=fault.headers)
