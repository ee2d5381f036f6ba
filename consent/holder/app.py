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
from consent.holder.routes import NO_STORE, Services, answered, error, guarded, text
from consent.holder.source import Source
from identity.codec import strict_json
from identity.envelope import jws
from identity.errors import IdentityError

__all__ = ["Lifespan", "Services", "answer_to_data", "holder_app", "holder_routes"]

MAX_LINK_BYTES = strict_json.MAX_BYTES
MAX_REQUEST_BYTES = spec.MAX_JWS

DATA_PATH = "/data"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def holder_app(services: Services, *, lifespan: Lifespan | None = None, data: bool = True) -> FastAPI:
    """``data`` False: requests for data reach this data holder by another way (``consent.holder.gate``)."""
    app = FastAPI(title="Atorga data holder", docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan)
    app.router.routes.extend(route for route in holder_routes(services) if data or route.path != DATA_PATH)
    app.add_exception_handler(SQLAlchemyError, _store_down)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Exception, _broken)
    return app


def holder_routes(services: Services) -> list[Route]:
    def link(body: bytes, _: Request) -> Response:
        made = services.linking.link(strict_json.parse_object(body, what="holder link", max_bytes=MAX_LINK_BYTES))
        return JSONResponse({"link": made.handle}, 201 if made.is_new else 200, headers=NO_STORE)

    def data(body: bytes, _: Request) -> Response:
        return _data(services, text(body), None)

    return [
        Route("/links", guarded(link, spec.MEDIA_JSON, MAX_LINK_BYTES), methods=["POST"]),
        Route(DATA_PATH, guarded(data, spec.MEDIA_JWT, MAX_REQUEST_BYTES), methods=["POST"]),
        *resident_routes(services),
        withdrawals_route(services.door, services.clock),
        acts_route(services),
        Route("/openapi.json", _openapi, methods=["GET"]),
    ]


def answer_to_data(services: Services, compact: str, *, source: Source) -> Response:
    """The same, where something else than this application carries request and answer."""
    if len(compact) > MAX_REQUEST_BYTES:
        return error(413, spec.INVALID_REQUEST, f"at most {MAX_REQUEST_BYTES} bytes are read")
    try:
        return answered(lambda: _data(services, compact, source))
    except SQLAlchemyError as fault:
        return _no_store(fault)


def _data(services: Services, compact: str, source: Source | None) -> Response:
    """A request says by its type what it rests on; each has its own checks, and neither helps the other."""
    decide = services.law.access if _type_of(compact) == spec.TYP_BASIS_REQUEST else services.enforcement.use
    match decide(compact, source=source):
        case Released(answer):
            return Response(answer, media_type=spec.MEDIA_JSON, headers=NO_STORE)
        case Refused() as refused:
            return JSONResponse(refused.to_json(), 403, headers=NO_STORE)


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
    return _no_store(fault)


def _no_store(_: Any) -> Response:
    # Its text holds statements and their parameters: only that it happened is told.
    return error(503, "temporarily_unavailable", "the store does not answer")
