"""The data holder over HTTP (WIRE B): ``/links``, ``/data``, ``/journal``, ``/withdrawals``.

Status codes are chosen here. Plain routes in a FastAPI app: the use is a hot one.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent import spec
from consent.caller.nonces import Nonces
from consent.caller.proof import verify_proof
from consent.door.body import TooLarge, media_type, read_body
from consent.door.route import withdrawals_route
from consent.door.store import DoorStore
from consent.errors import (
    LedgerConflict,
    MessageError,
    NothingReleased,
    ProofNonceNeeded,
    RegisterFault,
    SenderUnproven,
    StaleMessage,
)
from consent.holder.enforcement import Enforcement
from consent.holder.journal import Journal, journal_root
from consent.holder.link_store import LinkStore
from consent.holder.linking import Linking
from consent.holder.reply import REGISTER_UNAVAILABLE, Refused, Released
from consent.ledger.proofs import ProofStore
from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import EncodingError
from identity.keys.public_key import PublicKey

_LOG = logging.getLogger(__name__)

MAX_LINK_BYTES = strict_json.MAX_BYTES
MAX_USE_REQUEST_BYTES = spec.MAX_JWS
NO_STORE = {"Cache-Control": "no-store"}

Endpoint = Callable[[Request], Awaitable[Response]]
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes stand on. ``url`` is the address of the list, without a slash at its end."""

    url: str
    linking: Linking
    enforcement: Enforcement
    links: LinkStore
    journal: Journal
    door: DoorStore
    proofs: ProofStore
    nonces: Nonces
    clock: Clock


def holder_app(services: Services, *, lifespan: Lifespan | None = None) -> FastAPI:
    app = FastAPI(title="Atorga data holder", docs_url=None, redoc_url=None, lifespan=lifespan)
    app.router.routes.extend(
        [
            Route("/links", _links(services), methods=["POST"]),
            Route("/data", _data(services), methods=["POST"]),
            Route("/journal", _journal(services), methods=["GET"]),
            withdrawals_route(services.door, services.clock),
        ]
    )
    app.add_exception_handler(SQLAlchemyError, _store_down)
    app.add_exception_handler(HTTPException, _not_here)
    app.add_exception_handler(Exception, _broken)
    return app


def _links(services: Services) -> Endpoint:
    def link(body: bytes) -> Response:
        made = services.linking.link(strict_json.parse_object(body, what="holder link", max_bytes=MAX_LINK_BYTES))
        return JSONResponse({"link": made.handle}, 201 if made.is_new else 200, headers=NO_STORE)

    return _guarded(link, spec.MEDIA_JSON, MAX_LINK_BYTES)


def _data(services: Services) -> Endpoint:
    def use(body: bytes) -> Response:
        # A JWS is ASCII; what is not becomes a character that no JWS has.
        match services.enforcement.use(body.decode("ascii", errors="replace")):
            case Released(answer):
                return Response(answer, media_type=spec.MEDIA_JSON, headers=NO_STORE)
            case Refused() as refused:
                return JSONResponse(refused.to_json(), 403, headers=NO_STORE)

    return _guarded(use, spec.MEDIA_JWT, MAX_USE_REQUEST_BYTES)


def _guarded(answer: Callable[[bytes], Response], expected_type: str, max_bytes: int) -> Endpoint:
    """Reads the body within its limit, answers in a thread, and turns our errors into the wire's."""

    async def endpoint(request: Request) -> Response:
        if media_type(request) != expected_type:
            return _error(415, spec.INVALID_REQUEST, f"a body of type {expected_type} is expected")
        try:
            body = await read_body(request, max_bytes=max_bytes)
        except TooLarge:
            return _error(413, spec.INVALID_REQUEST, f"at most {max_bytes} bytes are read")
        try:
            return await run_in_threadpool(answer, body)
        except StaleMessage as fault:
            return _error(400, spec.STALE_REQUEST, str(fault))
        except SenderUnproven as fault:
            return _error(400, spec.BAD_SIGNATURE, str(fault))
        except (MessageError, EncodingError) as fault:
            return _error(400, spec.INVALID_REQUEST, str(fault))
        except LedgerConflict as fault:
            return _error(409, fault.code)
        except RegisterFault as fault:
            return _error(503, REGISTER_UNAVAILABLE, str(fault))
        except NothingReleased as fault:
            # An allow that proves nothing is a fault of the consent service that somebody must look at.
            _LOG.warning("%s: %s", fault.code, fault)
            return _error(503, fault.code, str(fault))

    return endpoint


def _journal(services: Services) -> Endpoint:
    url = f"{services.url}/journal"

    def key_for(thumbprint: str) -> PublicKey | None:
        link = services.links.by_thumbprint(thumbprint)
        return None if link is None else link.key

    def read(proof: str | None) -> Response:
        now = int(services.clock())
        headers = {spec.PROOF_NONCE_HEADER: services.nonces.fresh(now), **NO_STORE}
        try:
            caller = verify_proof(
                proof,
                method="GET",
                url=url,
                body=b"",
                now=now,
                accepts_nonce=lambda nonce: services.nonces.accepts(nonce, now),
                spend=lambda thumbprint, jti: services.proofs.spend(thumbprint, jti, now=now),
                key_for=key_for,
            )
        except ProofNonceNeeded:
            return _error(401, spec.USE_PROOF_NONCE, headers=headers)
        except MessageError as fault:
            return _error(401, spec.INVALID_PROOF, str(fault), headers=headers)
        link = services.links.by_thumbprint(caller.thumbprint)
        entries = services.journal.of_row(link.row_key) if link else []
        releases = [entry.to_json() for entry in entries]
        return JSONResponse({"releases": releases, "root": journal_root(entries)}, headers=headers)

    async def endpoint(request: Request) -> Response:
        proofs = request.headers.getlist(spec.REQUEST_PROOF_HEADER)
        return await run_in_threadpool(read, proofs[0] if len(proofs) == 1 else None)

    return endpoint


def _error(status: int, code: str, description: str = "", *, headers: dict[str, str] | None = None) -> Response:
    body = {"error": code} | ({"error_description": description} if description else {})
    return JSONResponse(body, status, headers={**NO_STORE, **(headers or {})})


async def _not_here(_: Request, fault: Exception) -> Response:
    status = fault.status_code if isinstance(fault, HTTPException) else 500
    return _error(status, {404: "not_found", 405: "method_not_allowed"}.get(status, spec.INVALID_REQUEST))


async def _broken(_: Request, fault: Exception) -> Response:
    # The traceback goes to the server's log by itself; it holds no values.
    return _error(500, "server_error")


async def _store_down(_: Request, fault: Any) -> Response:
    # Its text holds statements and their parameters: only that it happened is told.
    return _error(503, "temporarily_unavailable", "the store does not answer")
