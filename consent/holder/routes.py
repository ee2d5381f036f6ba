"""What the data holder's routes have in common: bodies within a limit, errors in the wire's form.

Status codes are chosen here and in the files beside it that make routes.
"""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from consent import spec
from consent.caller.nonces import Nonces
from consent.door.body import TooLarge, media_type, read_body
from consent.door.store import DoorStore
from consent.errors import (
    LedgerConflict,
    MessageError,
    NothingReleased,
    NotKnown,
    PeerUnavailable,
    RegisterFault,
    SenderUnproven,
    StaleMessage,
)
from consent.holder.enforcement import Enforcement
from consent.holder.first_value import Changes
from consent.holder.journal import Journal
from consent.holder.law import Law
from consent.holder.link_store import LinkStore
from consent.holder.linking import Linking
from consent.holder.reply_codes import CONSENT_UNAVAILABLE, REGISTER_UNAVAILABLE
from consent.holder.told_acts import ToldActs
from consent.ledger.proofs import ProofStore
from identity.clock import Clock
from identity.errors import EncodingError

_LOG = logging.getLogger(__name__)

NO_STORE = {"Cache-Control": "no-store"}

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Services:
    """What the routes stand on. ``url`` is the address of the list, without a slash at its end."""

    url: str
    consent: str
    """The consent service's id, for which acts are made."""
    linking: Linking
    enforcement: Enforcement
    law: Law
    links: LinkStore
    journal: Journal
    door: DoorStore
    acts: ToldActs
    changes: Changes
    proofs: ProofStore
    nonces: Nonces
    clock: Clock


def guarded(answer: Callable[[bytes, Request], Response], expected_type: str, max_bytes: int) -> Endpoint:
    """Reads the body within its limit, answers in a thread, and turns our errors into the wire's."""

    async def endpoint(request: Request) -> Response:
        if media_type(request) != expected_type:
            return error(415, spec.INVALID_REQUEST, f"a body of type {expected_type} is expected")
        try:
            body = await read_body(request, max_bytes=max_bytes)
        except TooLarge:
            return error(413, spec.INVALID_REQUEST, f"at most {max_bytes} bytes are read")
        return await run_in_threadpool(answered, lambda: answer(body, request))

    return endpoint


def answered(answer: Callable[[], Response]) -> Response:
    """The answer, or what our errors mean on the wire."""
    try:
        return answer()
    except StaleMessage as fault:
        return error(400, spec.STALE_REQUEST, str(fault))
    except SenderUnproven as fault:
        return error(400, spec.BAD_SIGNATURE, str(fault))
    except (MessageError, EncodingError) as fault:
        return error(400, spec.INVALID_REQUEST, str(fault))
    except NotKnown as fault:
        return error(404, fault.code)
    except LedgerConflict as fault:
        return conflict(fault)
    except RegisterFault as fault:
        return error(503, REGISTER_UNAVAILABLE, str(fault))
    except PeerUnavailable as fault:
        return error(503, CONSENT_UNAVAILABLE, str(fault))
    except NothingReleased as fault:
        # An allow that proves nothing is a fault of the consent service that somebody must look at.
        _LOG.warning("%s: %s", fault.code, fault)
        return error(503, fault.code, str(fault))


def text(body: bytes) -> str:
    """A JWS is ASCII; what is not becomes a character that no JWS has."""
    return body.decode("ascii", errors="replace")


def error(status: int, code: str, description: str = "", *, headers: dict[str, str] | None = None) -> Response:
    body = {"error": code} | ({"error_description": description} if description else {})
    return JSONResponse(body, status, headers={**NO_STORE, **(headers or {})})


def conflict(fault: LedgerConflict) -> Response:
    body = {"error": fault.code} | ({} if fault.act is None else {"act": fault.act})
    return JSONResponse(body, 409, headers=NO_STORE)
