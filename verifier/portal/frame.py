"""What all pages have in common: the browser's session, its language, refusals, and forms of ours alone."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from identity.errors import ProtocolError
from identity.openid4vp import form
from verifier.http import FORM, BodyRefused, read_body
from verifier.portal.browser import Browser, Browsers
from verifier.portal.pages import Pages
from verifier.portal.texts import Texts, load, negotiate

LANGUAGE_COOKIE = "atorga-portal-language"

MAX_FORM_BYTES = 4_096
"""Our forms have one hidden field."""

_BEGINNINGS = ("login", "subsidy")

Handler = Callable[[Request], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Frame:
    """Handlers are plain and run in a thread: each page is a few statements on a local file."""

    def __init__(self, *, url: str, browsers: Browsers, sandbox: bool) -> None:
        """``sandbox``: every page says that the city is invented."""
        self.browsers = browsers
        self._url = url
        self._sandbox = sandbox
        self._pages = Pages()

    def page(
        self, request: Request, name: str, values: dict[str, Any], browser: Browser, *, status: int = 200
    ) -> Response:
        texts = self.texts(request)
        common = {
            "form_token": self.browsers.form_token(browser),
            "path": request.url.path if request.method == "GET" else "/",
            "sandbox": self._sandbox,
        }
        response = self._pages.page(name, texts, common | values, status=status)
        # Who only looks around gets no cookie; who begins something needs one.
        if name in _BEGINNINGS or not browser.is_new:
            self.browsers.keep(browser, response)
        if request.query_params.get("lang") == texts.language:
            response.set_cookie(LANGUAGE_COOKIE, texts.language, path="/", samesite="lax", httponly=True)
        return response

    def refused(
        self, request: Request, error: str, browser: Browser, *, status: int, again: str = "/login"
    ) -> Response:
        return self.page(request, "refused", {"error": error, "again": again}, browser, status=status)

    def texts(self, request: Request) -> Texts:
        chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        return load(negotiate(chosen, request.headers.get("accept-language", "")))

    def form(self, handler: Callable[[Request, Browser], Response]) -> Endpoint:
        """A form of ours, sent from a page of ours, in the browser session that got the page."""

        async def endpoint(request: Request) -> Response:
            browser = await run_in_threadpool(self.browsers.of, request)
            try:
                body = await read_body(request, media_type=FORM, max_bytes=MAX_FORM_BYTES)
                fields = form.parse(body, what="form", max_bytes=MAX_FORM_BYTES)
            except (BodyRefused, ProtocolError):
                fields = {}
            origin = request.headers.get("origin", self._url)
            if origin != self._url or browser.is_new or fields.get("token") != self.browsers.form_token(browser):
                return await run_in_threadpool(
                    lambda: self.refused(request, "foreign_form", browser, status=403, again="/")
                )
            return await run_in_threadpool(handler, request, browser)

        return endpoint


def in_thread(handler: Handler) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handler, request)

    return endpoint


def once(handler: Handler) -> Endpoint:
    """For an address that can be used once: who only looks whether it is there must not use it up."""
    endpoint = in_thread(handler)

    async def guarded(request: Request) -> Response:
        if request.method != "GET":
            return Response(status_code=405, headers={"Allow": "GET"})
        return await endpoint(request)

    return guarded
