"""``POST /acts`` of a data holder (ADR 0009, D17): the same act that the consent service got."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consent import spec
from consent.door.rate import PerMinute
from consent.door.route import NOTED_PER_MINUTE
from consent.grant.act import verify_act
from consent.holder.routes import NO_STORE, Services, error, guarded, text
from consent.holder.told_acts import ActNoted, Taken

MAX_ACT_BYTES = 32_768
"""64 attributes with their terms, in a detail, signed; kept for a year where nobody knows the grant."""

PATH = "/acts"


def acts_route(services: Services) -> Route:
    notes = PerMinute(NOTED_PER_MINUTE, services.clock)

    def tell(body: bytes, request: Request) -> Response:
        act = verify_act(text(body), consent=services.consent)
        address = request.client.host if request.client else ""
        if not services.acts.knows(act) and not notes.take(address):
            return error(429, "too_many_requests", headers={"Retry-After": "60"})
        match services.acts.tell(act, now=int(services.clock())):
            case Taken(paused, number):
                state = "paused" if paused else "given"
                return JSONResponse({"state": state, "act": number}, headers=NO_STORE)
            case ActNoted():
                return JSONResponse({"state": "noted"}, 202, headers=NO_STORE)

    return Route(PATH, guarded(tell, spec.MEDIA_JWT, MAX_ACT_BYTES), methods=["POST"])
