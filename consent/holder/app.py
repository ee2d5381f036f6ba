"""The data holder over HTTP (WIRE B): ``/links``, ``/data``, and what residents ask and say here.

Plain routes in a FastAPI app: the use is a hot one.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent import spec
from consent.door.route import withdrawals_route
from consent.holder.acts_route import acts_route
from consent.holder.openapi import openapi
from consent.holder.reply import Refused, Released
from consent.holder.resident_routes import resident_routes
from consent.holder.routes import NO_STORE, Services, error, guarded, text
from consent.holder.source import Source
from identity.codec import strict_json
from identity.envelope import jws
from identity.errors import IdentityError

__all__ = ["Lifespan", "Services", "answer_data", "holder_app", "holder_routes"]

MAX_LINK_BYTES = strict_json.MAX_BYTES
MAX_REQUEST_BYTES = spec.MAX_JWS

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def holder_app(services: Services, *, lifespan: Lifespan | None = None) -> FastAPI:
    app = FastAPI(title="Atorga data holder", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.routes.extend(holder_routes(services))
    app.add_exception_handler(SQLAlchemyError, _store_down)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Exception, _broken)
    return app


def holder_routes(services: Services) -> list[Route]:
    def link(body: bytes, _: Request) -> Response:
        made = services.linking.link(strict_json.parse_object(body, what="holder link", max_bytes=MAX_LINK_BYTES))
        return JSONResponse({"link": made.handle}, 201 if made.is_new else 200, headers=NO_STORE)

    def data(body: bytes, _: Request) -> Response:
        match answer_data(services, text(body)):
            case Released(answer):
                return Response(answer, media_type=spec.MEDIA_JSON, headers=NO_STORE)
            case Refused() as refused:
                return JSONResponse(refused.to_json(), 403, headers=NO_STORE)

    return [
        Route("/links", guarded(link, spec.MEDIA_JSON, MAX_LINK_BYTES), methods=["POST"]),
        Route("/data", guarded(data, spec.MEDIA_JWT, MAX_REQUEST_BYTES), methods=["POST"]),
        *resident_routes(services),
        withdrawals_route(services.door, services.clock),
        acts_route(services),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]


def answer_data(services: Services, compact: str, *, source: Source | None = None) -> Released | Refused:
    """A request says by its type what it rests on; each has its own checks, and neither helps the other."""
    if _type_of(compact) == spec.TYP_BASIS_REQUEST:
        return services.law.access(compact, source=source)
    return services.enforcement.use(compact, source=source)


def _type_of(compact: str) -> str | None:
    """What it claims to be; whoever checks it checks that too."""
    try:
        typ = jws.parse(compact).header.get("typ")
    except IdentityError:
        return None
    return typ if isinstance(typ, str) else None


async def _openapi(_: Request) -> Response:
    return JSONResponse(openapi())


async def _not_here(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return error(status, {404: "not_found", 405: "method_not_allowed"}.get(status, spec.INVALID_REQUEST))


async def _broken(_: Request, fault: Exception) -> Response:
    # The traceback goes to the server's log by itself; it holds no values.
    return error(500, "server_error")


async def _store_down(_: Request, fault: Any) -> Response:
    # Its text holds statements and their parameters: only that it happened is told.
    return error(503, "temporarily_unavailable", "the store does not answer")
