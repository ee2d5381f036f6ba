"""``POST /withdrawals`` of data holders and services (WIRE C5)."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent import spec
from consent.door.body import TooLarge, media_type, read_body
from consent.door.rate import PerMinute
from consent.door.store import DoorStore, Narrowed, Noted, Withdrawn
from consent.errors import MessageError
from consent.grant.withdrawal import MAX_WITHDRAWAL, VerifiedWithdrawal, verify_withdrawal
from identity.clock import Clock

NOTED_PER_MINUTE = 100
"""C5: notes per address and minute. A withdrawal of a grant known here is never turned away."""

PATH = "/withdrawals"


def withdrawals_route(store: DoorStore, clock: Clock) -> Route:
    notes = PerMinute(NOTED_PER_MINUTE, clock)

    def withdraw(message: VerifiedWithdrawal, address: str) -> Response:
        if not store.knows(message) and not notes.take(address):
            return JSONResponse({"error": "too_many_requests"}, 429, headers={"Retry-After": "60"})
        match store.withdraw(message, now=int(clock())):
            case Withdrawn(effective_at):
                return JSONResponse({"state": "withdrawn", "effective_at": effective_at})
            case Narrowed(attributes, effective_at):
                left = {"state": "given", "attributes": list(attributes), "effective_at": effective_at}
                return JSONResponse(left)
            case Noted():
                return JSONResponse({"state": "noted"}, 202)

    async def endpoint(request: Request) -> Response:
        if media_type(request) != spec.MEDIA_JWT:
            return JSONResponse({"error": spec.INVALID_REQUEST, "error_description": f"not {spec.MEDIA_JWT}"}, 415)
        try:
            body = await read_body(request, max_bytes=MAX_WITHDRAWAL)
            # A JWS is ASCII; what is not becomes a character that no JWS has.
            message = await run_in_threadpool(verify_withdrawal, body.decode("ascii", errors="replace"))
        except TooLarge:
            text = f"withdrawal: more than {MAX_WITHDRAWAL} bytes"
            return JSONResponse({"error": spec.INVALID_REQUEST, "error_description": text}, 413)
        except MessageError as fault:
            return JSONResponse({"error": spec.INVALID_REQUEST, "error_description": str(fault)}, 400)
        return await run_in_threadpool(withdraw, message, request.client.host if request.client else "")

    return Route(PATH, endpoint, methods=["POST"])
