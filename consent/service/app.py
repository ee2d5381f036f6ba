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
    async def endpoint(request: Request) -> Response:
        try:
            asked = await read_exchange(request, media_type=address.takes, body_optional=address.body_optional)
        except BodyTooLarge:
            return _response(fault_reply(413, spec.INVALID_REQUEST, "body: too large"), office)
        except MediaTypeRefused as fault:
            return _response(fault_reply(415, spec.INVALID_REQUEST, f"body: expected {fault}"), office)
        except MessageError as fault:
            return _response(fault_reply(400, spec.INVALID_REQUEST, str(fault)), office)
        if iscoroutinefunction(address.handle):
            return _response(await _answer_in_loop(address, asked), office)
        reply = await asyncio.get_running_loop().run_in_executor(threads, _answer, address, asked)
        return _response(reply, office)

    return Route(address.path, endpoint, methods=[address.method])


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
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        spec.PROOF_NONCE_HEADER: office.callers.fresh_nonce(),
        **reply.headers,
    }
    return Response(reply.body, reply.status, headers=headers, media_type=reply.media_type)
