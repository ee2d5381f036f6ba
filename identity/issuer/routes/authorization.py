"""The authorization address: for programs a session, for people a page that says what to do with the card."""

from urllib.parse import urlsplit

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from identity.errors import IdentityError, ProtocolError
from identity.issuer import messages, page
from identity.issuer.authorization import REQUEST_SECONDS, Done, View
from identity.issuer.routes.halls import Halls
from identity.issuer.town_hall import TownHall
from identity.openid4vci import form
from identity.openid4vci.spec import INVALID_REQUEST

COOKIE = "atorga_issuer_card"
"""All services of a sandbox are one host to a browser: each has names of its own (WIRE section A)."""


def router(halls: Halls) -> APIRouter:
    routes = APIRouter()

    @routes.get("/{tenant}/authorize")
    async def authorize(request: Request, tenant: str) -> Response:
        hall = halls.of(tenant)
        language = page.language_of(request.headers.get("accept-language", ""))
        for_people = _wants_page(request.headers.get("accept", ""))
        cookie = request.cookies.get(COOKIE)

        def answer() -> Response:
            query = form.parse(request.scope["query_string"], what="authorization request")
            view = hall.authorization.open(query, cookie=cookie)
            return _page(hall, view, language) if for_people else _session(hall, view)

        try:
            return await run_in_threadpool(answer)
        except IdentityError as fault:
            if for_people and isinstance(fault, ProtocolError):
                return _html(page.refused(language, hall.tenant.names), status=400)
            return messages.oauth_fault(fault)

    return routes


def _wants_page(accept: str) -> bool:
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    return "text/html" in kinds or messages.JSON not in kinds


def _session(hall: TownHall, view: View | Done) -> Response:
    if isinstance(view, Done):
        return messages.refusal(INVALID_REQUEST, "authorization request: has been answered already", status=400)
    at = hall.tenant.at
    answer = messages.json_answer({"session": view.session, "challenge": at.card_challenge, "login": at.card_login})
    return _with_cookie(answer, hall, view)


def _page(hall: TownHall, view: View | Done, language: str) -> Response:
    if isinstance(view, Done):
        return _html(page.done(language, hall.tenant.names))
    return _with_cookie(_html(page.waiting(language, hall.tenant.names, view)), hall, view)


def _html(content: str, *, status: int = 200) -> Response:
    return Response(
        content,
        status,
        {**messages.NO_STORE, "Content-Security-Policy": page.CONTENT_SECURITY_POLICY, "X-Frame-Options": "DENY"},
        media_type="text/html",
    )


def _with_cookie(answer: Response, hall: TownHall, view: View) -> Response:
    if view.new_cookie is not None:
        parts = urlsplit(hall.tenant.issuer)
        answer.set_cookie(
            COOKIE,
            view.new_cookie,
            max_age=REQUEST_SECONDS,
            path=parts.path,
            secure=parts.scheme == "https",
            httponly=True,
            samesite="lax",
        )
    return answer
