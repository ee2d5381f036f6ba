"""The portal's pages.

| address                | method | what                                                     |
|------------------------|--------|----------------------------------------------------------|
| ``/``                  | GET    | start                                                    |
| ``/login``             | GET    | link and QR code for a wallet; the page that waits       |
| ``/login/state``       | GET    | ``{"state","next"?}`` for that page                      |
| ``/login/done``        | GET    | where a wallet on this device sends its person           |
| ``/login/here``        | GET    | where the page with the QR code goes on                  |
| ``/account``           | GET    | what the portal learnt                                   |
| ``/logout``            | POST   |                                                          |
| ``/subsidy``           | GET    | the rent subsidy: permission and datum                   |
| ``/subsidy/state``     | GET    | ``{"state","next"?}``                                    |
| ``/subsidy/requests``  | POST   | asks for the permission                                  |
| ``/subsidy/readings``  | POST   | reads the datum                                          |
"""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity.errors import ProtocolError
from identity.openid4vp import form
from identity.openid4vp.spec import RESPONSE_CODE
from verifier.acceptance import Level
from verifier.errors import DeskClosed, NotAsked, OtherSession, RequestUnknown
from verifier.http import FORM, BodyRefused, json_answer, read_body
from verifier.kit.outcome import Refused, Released
from verifier.portal import qr
from verifier.portal.browser import Browser, Browsers
from verifier.portal.login import DONE_PATH, Login, Standing
from verifier.portal.pages import Pages, see_other, static_routes
from verifier.portal.subsidy import ServiceDesk, value_of
from verifier.portal.texts import Texts, load, negotiate

LANGUAGE_COOKIE = "atorga-portal-language"

MAX_FORM_BYTES = 4_096
"""Our forms have one hidden field."""

MAX_CODE_CHARACTERS = 128

_BEGINNINGS = ("login", "subsidy")

Handler = Callable[[Request], Response]


class Portal:
    """Every handler is plain and runs in a thread: each page is a few statements on a local file."""

    def __init__(self, *, url: str, login: Login, browsers: Browsers, desk: ServiceDesk | None, sandbox: bool) -> None:
        """``sandbox``: every page says that the city is invented."""
        self._url = url
        self._sandbox = sandbox
        self._login = login
        self._browsers = browsers
        self._desk = desk
        self._pages = Pages()

    def routes(self) -> list[Route]:
        routes = [
            Route("/", _in_thread(self.start), methods=["GET"]),
            Route("/login", _in_thread(self.login), methods=["GET"]),
            Route("/login/state", _in_thread(self.login_state), methods=["GET"]),
            Route(DONE_PATH, _once(self.login_done), methods=["GET"]),
            Route("/login/here", _once(self.login_here), methods=["GET"]),
            Route("/account", _in_thread(self.account), methods=["GET"]),
            Route("/logout", self._form(self.logout), methods=["POST"]),
            *static_routes(),
        ]
        if self._desk is not None:
            routes += [
                Route("/subsidy", _in_thread(self.subsidy), methods=["GET"]),
                Route("/subsidy/state", _in_thread(self.subsidy_state), methods=["GET"]),
                Route("/subsidy/requests", self._form(self.subsidy_ask), methods=["POST"]),
                Route("/subsidy/readings", self._form(self.subsidy_read), methods=["POST"]),
            ]
        return routes

    def start(self, request: Request) -> Response:
        browser = self._browsers.of(request)
        values = {"logged_in": browser.knowledge.login is not None, "subsidy": self._desk is not None}
        return self._page(request, "start", values, browser)

    def login(self, request: Request) -> Response:
        browser = self._browsers.of(request)
        if browser.knowledge.login is not None:
            return see_other("/account")
        attempt = browser.knowledge.attempt
        standing, error = (Standing.OVER, None) if attempt is None else self._login.standing(attempt)
        if standing is Standing.READY:
            return see_other("/login/here")
        if standing is Standing.REFUSED:
            # Told once; the next look begins anew.
            return self._page(
                request, "refused", {"error": error or "", "again": "/login"}, browser.knowing(attempt=None), status=403
            )
        if attempt is None or standing is Standing.OVER:
            attempt = self._login.new_attempt()
        links = self._login.links(attempt)
        values = {
            "link": links.same_device,
            "code": qr.encode(links.cross_device),
            "poll": "/login/state",
            "here": "/login",
            "answered": standing is Standing.ANSWERED,
        }
        return self._page(request, "login", values, browser.knowing(attempt=attempt))

    def login_state(self, request: Request) -> Response:
        """No claim, and no response code: whoever waits may not be who answered."""
        browser = self._browsers.of(request)
        if browser.knowledge.login is not None:
            return json_answer({"state": "verified", "next": "/account"})
        attempt = browser.knowledge.attempt
        standing = Standing.OVER if attempt is None else self._login.standing(attempt)[0]
        match standing:
            case Standing.READY:
                return json_answer({"state": "verified", "next": "/login/here"})
            case Standing.ANSWERED:
                return json_answer({"state": "verified"})
            case Standing.WAITING:
                return json_answer({"state": "pending"})
            case _:
                return json_answer({"state": "refused", "next": "/login"})

    def login_done(self, request: Request) -> Response:
        """Only in the browser session that began it (HAIP 1.0 section 5.1)."""
        browser = self._browsers.of(request)
        code = request.query_params.get(RESPONSE_CODE, "")
        if not 0 < len(code) <= MAX_CODE_CHARACTERS:
            return self._refused(request, "no_code", browser, status=400)
        try:
            learnt = self._login.complete_same_device(browser.knowledge.attempt, code)
        except OtherSession:
            return self._refused(request, "other_session", browser, status=403)
        except RequestUnknown:
            if browser.knowledge.login is not None:
                # The same page again, after it has gone on.
                return see_other("/account")
            return self._refused(request, "code_used", browser, status=403)
        return self._logged_in(browser, learnt)

    def login_here(self, request: Request) -> Response:
        browser = self._browsers.of(request)
        if browser.knowledge.attempt is None:
            return see_other("/login")
        try:
            learnt = self._login.complete_cross_device(browser.knowledge.attempt)
        except RequestUnknown:
            return see_other("/login")
        return self._logged_in(browser, learnt)

    def account(self, request: Request) -> Response:
        browser = self._browsers.of(request)
        login = browser.knowledge.login
        if login is None:
            return see_other("/login")
        texts = self._texts(request)
        values = {
            "learnt": [
                {"label": _label(texts, one["path"]), "value": _shown(texts, one["value"]), "issuer": one["issuer"]}
                for one in login["learnt"]
            ],
            "level": login["level"],
            "low": login["level"] == Level.LOW,
            "subsidy": self._desk is not None,
        }
        return self._page(request, "account", values, browser)

    def logout(self, request: Request, browser: Browser) -> Response:
        self._browsers.forget(browser)
        return see_other("/")

    def subsidy(self, request: Request) -> Response:
        desk = self._open_desk()
        browser = self._browsers.of(request)
        texts = self._texts(request)
        consent = browser.knowledge.consent
        try:
            state = "none" if consent is None else desk.standing(consent["id"]).state
            values: dict[str, Any] = {
                "service": texts.pick(desk.name_of(desk.service)),
                "holder": texts.pick(desk.name_of(desk.need.holder)),
                "attributes": [texts.label("attribute", name) for name in desk.need.attributes],
                "days": desk.need.days,
                "state": state,
                "reading": None,
            }
        except DeskClosed:
            return self._refused(request, "desk_closed", browser, status=503, again="/subsidy")
        if consent is not None:
            if state == "withdrawn" and consent.get("reading", {}).get("value") is not None:
                # What was read under a permission is forgotten with it.
                consent = {name: value for name, value in consent.items() if name != "reading"}
                browser = browser.knowing(consent=consent)
            values |= {
                "reading": _shown_reading(texts, consent.get("reading")),
                "link": consent["link"],
                "poll": "/subsidy/state",
                "here": "/subsidy",
                "code": qr.encode(consent["link"]),
            }
        return self._page(request, "subsidy", values, browser)

    def subsidy_state(self, request: Request) -> Response:
        consent = self._browsers.of(request).knowledge.consent
        if consent is None:
            return json_answer({"state": "refused", "next": "/subsidy"})
        try:
            state = self._open_desk().standing(consent["id"]).state
        except DeskClosed:
            # Not known is not decided: the page asks again.
            return json_answer({"state": "pending"})
        return json_answer({"state": state} if state == "pending" else {"state": state, "next": "/subsidy"})

    def subsidy_ask(self, request: Request, browser: Browser) -> Response:
        try:
            asked = self._open_desk().ask()
        except (DeskClosed, NotAsked):
            return self._refused(request, "desk_closed", browser, status=503, again="/subsidy")
        response = see_other("/subsidy")
        self._browsers.keep(browser.knowing(consent={"id": asked.request_id, "link": asked.link}), response)
        return response

    def subsidy_read(self, request: Request, browser: Browser) -> Response:
        desk = self._open_desk()
        consent = browser.knowledge.consent
        response = see_other("/subsidy")
        if consent is None:
            return response
        try:
            grant_id = desk.standing(consent["id"]).grant_id
        except DeskClosed:
            return self._refused(request, "desk_closed", browser, status=503, again="/subsidy")
        if grant_id is not None:
            reading = _reading(desk.read(grant_id))
            self._browsers.keep(browser.knowing(consent=consent | {"reading": reading}), response)
        return response

    def _open_desk(self) -> ServiceDesk:
        assert self._desk is not None  # these routes are there only with one
        return self._desk

    def _logged_in(self, browser: Browser, learnt: dict[str, Any]) -> Response:
        response = see_other("/account")
        self._browsers.keep(self._browsers.renewed(browser.knowing(login=learnt, attempt=None)), response)
        return response

    def _refused(
        self, request: Request, error: str, browser: Browser, *, status: int, again: str = "/login"
    ) -> Response:
        return self._page(request, "refused", {"error": error, "again": again}, browser, status=status)

    def _page(
        self, request: Request, name: str, values: dict[str, Any], browser: Browser, *, status: int = 200
    ) -> Response:
        texts = self._texts(request)
        common = {
            "form_token": self._browsers.form_token(browser),
            "path": request.url.path if request.method == "GET" else "/",
            "sandbox": self._sandbox,
        }
        response = self._pages.page(name, texts, common | values, status=status)
        # Who only looks around gets no cookie; who begins something needs one.
        if name in _BEGINNINGS or not browser.is_new:
            self._browsers.keep(browser, response)
        if request.query_params.get("lang") == texts.language:
            response.set_cookie(LANGUAGE_COOKIE, texts.language, path="/", samesite="lax", httponly=True)
        return response

    def _texts(self, request: Request) -> Texts:
        chosen = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
        return load(negotiate(chosen, request.headers.get("accept-language", "")))

    def _form(self, handler: Callable[[Request, Browser], Response]) -> Callable[[Request], Awaitable[Response]]:
        """A form of ours, sent from a page of ours, in the browser session that got the page."""

        async def endpoint(request: Request) -> Response:
            browser = await run_in_threadpool(self._browsers.of, request)
            try:
                body = await read_body(request, media_type=FORM, max_bytes=MAX_FORM_BYTES)
                fields = form.parse(body, what="form", max_bytes=MAX_FORM_BYTES)
            except (BodyRefused, ProtocolError):
                fields = {}
            origin = request.headers.get("origin", self._url)
            if origin != self._url or browser.is_new or fields.get("token") != self._browsers.form_token(browser):
                return await run_in_threadpool(
                    lambda: self._refused(request, "foreign_form", browser, status=403, again="/")
                )
            return await run_in_threadpool(handler, request, browser)

        return endpoint


def _in_thread(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handler, request)

    return endpoint


def _once(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """For an address that can be used once: who only looks whether it is there must not use it up."""
    endpoint = _in_thread(handler)

    async def guarded(request: Request) -> Response:
        if request.method != "GET":
            return Response(status_code=405, headers={"Allow": "GET"})
        return await endpoint(request)

    return guarded


def _label(texts: Texts, path: list[str]) -> str:
    """The claim's name in words; of a pairwise identifier what it is, not for whom."""
    return texts.label("claim", path[0] if path[0] == "ids" else ".".join(path))


def _shown(texts: Texts, value: Any) -> str:
    if isinstance(value, bool):
        return texts("value.true" if value else "value.false")
    return str(value)


def _reading(read: Released | Refused) -> dict[str, Any]:
    """For the page after this one; kept sealed like all that is known of a browser."""
    if isinstance(read, Released):
        return {"value": value_of(read), "reasons": [], "leaf_index": read.leaf_index}
    return {"value": None, "reasons": list(read.reasons), "leaf_index": None}


def _shown_reading(texts: Texts, reading: dict[str, Any] | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return reading | {"reasons": [texts.label("reason", code) for code in reading["reasons"]]}
