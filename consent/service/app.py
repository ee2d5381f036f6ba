"""The consent service over HTTP: every refusal gets its status here, nowhere deeper."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from inspect import iscoroutinefunction
from typing import Any, cast

from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from consent import spec
from consent.errors import (
    CallerUnproven,
    ConsentError,
    LedgerConflict,
    LogError,
    MessageError,
    NotAllowed,
    NotKnown,
    OutOfService,
    ProofNonceNeeded,
    TooMany,
)
from consent.service.address import Address, Handle, HandleInLoop
from consent.service.exchange import (
    BodyTooLarge,
    Exchange,
    MediaTypeRefused,
    Reply,
    fault_reply,
    json_reply,
    read_exchange,
)
from consent.service.log_files import log_routes
from consent.service.office import Office
from consent.service.openapi import openapi
from consent.service.routes import addresses
from identity.errors import IdentityError

QUICK_THREADS = 40
SLOW_THREADS = 64
"""Each waits most of its time for the log; more would only wait longer."""

TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"

_log = logging.getLogger("atorga.consent")


def create_app(office: Office, *, beside: Sequence[AbstractContextManager[Any]] = ()) -> Starlette:
    """Starts the office's threads with the server and stops them with it; what is ``beside`` it likewise."""
    served = addresses(office)
    quick = ThreadPoolExecutor(QUICK_THREADS, thread_name_prefix="quick")
    slow = ThreadPoolExecutor(SLOW_THREADS, thread_name_prefix="slow")

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        with ExitStack() as stack:
            for other in beside:
                stack.enter_context(other)
            await run_in_threadpool(office.start)
            try:
                yield
            finally:
                await run_in_threadpool(office.stop)
                quick.shutdown(wait=False)
                slow.shutdown(wait=False)

    async def document(request: Request) -> Response:
        return _response(json_reply(200, openapi(served)), office)

    async def not_here(request: Request, fault: Exception) -> Response:
        status = fault.status_code if isinstance(fault, HTTPException) else 500
        code = {404: "not_found", 405: "method_not_allowed"}.get(status, spec.INVALID_REQUEST)
        return _response(fault_reply(status, code), office)

    async def broken(request: Request, fault: Exception) -> Response:
        # The traceback goes to the server's log by itself; it holds no values.
        return _response(fault_reply(500, "server_error"), office)

    # Routes are tried in their order: what is asked most comes first.
    in_order = sorted(served, key=lambda address: not iscoroutinefunction(address.handle))
    return Starlette(
        routes=[
            *(_route(address, office, slow if address.slow else quick) for address in in_order),
            *log_routes(office.logbook.periods),
            Route("/openapi.json", document, methods=["GET"]),
        ],
        lifespan=running,
        exception_handlers={HTTPException: not_here, Exception: broken},
    )


def _route(address: Address, office: Office, threads: Executor) -> Route:
    return Route(address.path, _Endpoint(address, office, threads), methods=[address.method])


class _Endpoint:
    """One address as an ASGI application: a function's request and response objects cost as much as a signature."""

    def __init__(self, address: Address, office: Office, threads: Executor) -> None:
        self._address = address
        self._office = office
        self._threads = threads
        self._in_loop = iscoroutinefunction(address.handle)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._reply(Request(scope, receive))
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [
                    (b"content-length", b"%d" % len(reply.body)),
                    (b"content-type", reply.media_type.encode("latin-1")),
                    *(
                        (name.lower().encode("latin-1"), value.encode("latin-1"))
                        for name, value in _headers(reply, self._office).items()
                    ),
                ],
            }
        )
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, request: Request) -> Reply:
        address = self._address
        try:
            asked = await read_exchange(request, media_type=address.takes, body_optional=address.body_optional)
        except BodyTooLarge:
            return fault_reply(413, spec.INVALID_REQUEST, "body: too large")
        except MediaTypeRefused as fault:
            return fault_reply(415, spec.INVALID_REQUEST, f"body: expected {fault}")
        except MessageError as fault:
            return fault_reply(400, spec.INVALID_REQUEST, str(fault))
        if self._in_loop:
            return await _answer_in_loop(address, asked)
        return await asyncio.get_running_loop().run_in_executor(self._threads, _answer, address, asked)


def _answer(address: Address, asked: Exchange) -> Reply:
    """The verb's reply, or the refusal in HTTP's terms."""
    try:
        return cast(Handle, address.handle)(asked)
    except _REFUSALS as fault:
        return _refusal(address, fault)


async def _answer_in_loop(address: Address, asked: Exchange) -> Reply:
    try:
        return await cast(HandleInLoop, address.handle)(asked)
    except _REFUSALS as fault:
        return _refusal(address, fault)


_REFUSALS = (ConsentError, IdentityError, SQLAlchemyError, OSError)


def _refusal(address: Address, fault: Exception) -> Reply:
    match fault:
        case ProofNonceNeeded():
            return fault_reply(401, spec.USE_PROOF_NONCE, str(fault))
        case CallerUnproven():
            return fault_reply(401, spec.INVALID_PROOF, str(fault))
        case MessageError():
            return fault_reply(400, spec.INVALID_REQUEST, str(fault))
        case NotKnown():
            return fault_reply(404, fault.code)
        case NotAllowed():
            return fault_reply(403, fault.code, str(fault))
        case LedgerConflict():
            return fault_reply(409, fault.code) if fault.act is None else fault_reply(409, fault.code, act=fault.act)
        case TooMany():
            return fault_reply(429, "too_many_requests", str(fault))
        case OutOfService():
            return fault_reply(503, TEMPORARILY_UNAVAILABLE, str(fault))
        case SQLAlchemyError() | LogError() | OSError():
            # The text of such a fault may quote a statement's values.
            _log.error("%s %s: %s", address.method, address.path, type(fault).__name__)
            return fault_reply(503, TEMPORARILY_UNAVAILABLE)
        case IdentityError():
            return fault_reply(400, spec.INVALID_REQUEST, str(fault))
    raise fault


def _response(reply: Reply, office: Office) -> Response:
    return Response(reply.body, reply.status, headers=_headers(reply, office), media_type=reply.media_type)


def _headers(reply: Reply, office: Office) -> dict[str, str]:
    return {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        spec.PROOF_NONCE_HEADER: office.callers.fresh_nonce(),
        **reply.headers,
    }
