"""The portal's pages, but for those of the subsidy (``subsidy_pages``).

| address                | method | what                                                     |
|------------------------|--------|----------------------------------------------------------|
| ``/``                  | GET    | start                                                    |
| ``/login``             | GET    | link and QR code for a wallet; the page that waits       |
| ``/login/state``       | GET    | ``{"state","next"?}`` for that page                      |
| ``/login/done``        | GET    | where a wallet on this device sends its person           |
| ``/login/here``        | GET    | where the page with the QR code goes on                  |
| ``/account``           | GET    | what the portal learnt                                   |
| ``/logout``            | POST   |                                                          |
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from identity.openid4vp.spec import RESPONSE_CODE
from verifier.acceptance import Level
from verifier.errors import OtherSession, RequestUnknown
from verifier.http import json_answer
from verifier.portal import qr
from verifier.portal.browser import Browser, Browsers
from verifier.portal.frame import Frame, in_thread, once
from verifier.portal.login import DONE_PATH, Login, Standing
from verifier.portal.pages import see_other, static_routes
from verifier.portal.subsidy import ServiceDesk
from verifier.portal.subsidy_pages import SubsidyPages
from verifier.portal.texts import Texts

MAX_CODE_CHARACTERS = 128


class Portal:
    def __init__(self, *, url: str, login: Login, browsers: Browsers, desk: ServiceDesk | None, sandbox: bool) -> None:
        """``desk`` None: the portal only logs in. ``sandbox``: every page says that the city is invented."""
        self._frame = Frame(url=url, browsers=browsers, sandbox=sandbox)
        self._login = login
        self._subsidy = None if desk is None else SubsidyPages(self._frame, desk)

    def routes(self) -> list[Route]:
        return [
            Route("/", in_thread(self.start), methods=["GET"]),
            Route("/login", in_thread(self.login), methods=["GET"]),
            Route("/login/state", in_thread(self.login_state), methods=["GET"]),
            Route(DONE_PATH, once(self.login_done), methods=["GET"]),
            Route("/login/here", once(self.login_here), methods=["GET"]),
            Route("/account", in_thread(self.account), methods=["GET"]),
            Route("/logout", self._frame.form(self.logout), methods=["POST"]),
            *static_routes(),
            *([] if self._subsidy is None else self._subsidy.routes()),
        ]

    def start(self, request: Request) -> Response:
        browser = self._frame.browsers.of(request)
        values = {"logged_in": browser.knowledge.login is not None, "subsidy": self._subsidy is not None}
        return self._frame.page(request, "start", values, browser)

    def login(self, request: Request) -> Response:
        browser = self._frame.browsers.of(request)
        if browser.knowledge.login is not None:
            return see_other("/account")
        attempt = browser.knowledge.attempt
        standing, error = (Standing.OVER, None) if attempt is None else self._login.standing(attempt)
        if standing is Standing.READY:
            return see_other("/login/here")
        if standing is Standing.REFUSED:
            # Told once; the next look begins anew.
            return self._frame.page(
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
        return self._frame.page(request, "login", values, browser.knowing(attempt=attempt))

    def login_state(self, request: Request) -> Response:
        """No claim, and no response code: whoever waits may not be who answered."""
        browser = self._frame.browsers.of(request)
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
        browser = self._frame.browsers.of(request)
        code = request.query_params.get(RESPONSE_CODE, "")
        if not 0 < len(code) <= MAX_CODE_CHARACTERS:
            return self._frame.refused(request, "no_code", browser, status=400)
        try:
            learnt = self._login.complete_same_device(browser.knowledge.attempt, code)
        except OtherSession:
            return self._frame.refused(request, "other_session", browser, status=403)
        except RequestUnknown:
            if browser.knowledge.login is not None:
                # The same page again, after it has gone on.
                return see_other("/account")
            return self._frame.refused(request, "code_used", browser, status=403)
        return self._logged_in(browser, learnt)

    def login_here(self, request: Request) -> Response:
        browser = self._frame.browsers.of(request)
        if browser.knowledge.attempt is None:
            return see_other("/login")
        try:
            learnt = self._login.complete_cross_device(browser.knowledge.attempt)
        except RequestUnknown:
            return see_other("/login")
        return self._logged_in(browser, learnt)

    def account(self, request: Request) -> Response:
        browser = self._frame.browsers.of(request)
        login = browser.knowledge.login
        if login is None:
            return see_other("/login")
        texts = self._frame.texts(request)
        values = {
            "learnt": [
                {"label": _label(texts, one["path"]), "value": one["value"], "issuer": one["issuer"]}
                for one in login["learnt"]
            ],
            "level": login["level"],
            "low": login["level"] == Level.LOW,
            "subsidy": self._subsidy is not None,
        }
        return self._frame.page(request, "account", values, browser)

    def logout(self, request: Request, browser: Browser) -> Response:
        self._frame.browsers.forget(browser)
        return see_other("/")

    def _logged_in(self, browser: Browser, learnt: dict[str, Any]) -> Response:
        response = see_other("/account")
        self._frame.browsers.keep(self._frame.browsers.renewed(browser.knowing(login=learnt, attempt=None)), response)
        return response


def _label(texts: Texts, path: list[str]) -> str:
    """The claim's name in words; of a pairwise identifier what it is, not for whom."""
    return texts.label("claim", path[0] if path[0] == "ids" else ".".join(path))
