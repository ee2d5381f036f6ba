"""The rent subsidy's pages: asking for a permission, reading under it, and what is left after its end.

| address                | method | what                              |
|------------------------|--------|-----------------------------------|
| ``/subsidy``           | GET    | permission and datum              |
| ``/subsidy/state``     | GET    | ``{"state","next"?}``             |
| ``/subsidy/requests``  | POST   | asks for the permission           |
| ``/subsidy/readings``  | POST   | reads the datum                   |
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from verifier.errors import DeskClosed, NotAsked
from verifier.http import json_answer
from verifier.kit.outcome import Refused, Released
from verifier.portal import qr
from verifier.portal.browser import Browser
from verifier.portal.frame import Frame, in_thread
from verifier.portal.pages import see_other
from verifier.portal.subsidy import ServiceDesk, value_of
from verifier.portal.texts import Texts


class SubsidyPages:
    def __init__(self, frame: Frame, desk: ServiceDesk) -> None:
        self._frame = frame
        self._desk = desk

    def routes(self) -> list[Route]:
        return [
            Route("/subsidy", in_thread(self.show), methods=["GET"]),
            Route("/subsidy/state", in_thread(self.state), methods=["GET"]),
            Route("/subsidy/requests", self._frame.form(self.ask), methods=["POST"]),
            Route("/subsidy/readings", self._frame.form(self.read), methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        browser = self._frame.browsers.of(request)
        texts = self._frame.texts(request)
        consent = browser.knowledge.consent
        try:
            state = "none" if consent is None else self._desk.standing(consent["id"]).state
            values: dict[str, Any] = {
                "service": texts.pick(self._desk.name_of(self._desk.service)),
                "holder": texts.pick(self._desk.name_of(self._desk.need.holder)),
                "attributes": [texts.label("attribute", name) for name in self._desk.need.attributes],
                "days": self._desk.need.days,
                "state": state,
                "reading": None,
            }
        except DeskClosed:
            return self._frame.refused(request, "desk_closed", browser, status=503, again="/subsidy")
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
        return self._frame.page(request, "subsidy", values, browser)

    def state(self, request: Request) -> Response:
        consent = self._frame.browsers.of(request).knowledge.consent
        if consent is None:
            return json_answer({"state": "refused", "next": "/subsidy"})
        try:
            state = self._desk.standing(consent["id"]).state
        except DeskClosed:
            # Not known is not decided: the page asks again.
            return json_answer({"state": "pending"})
        return json_answer({"state": state} if state == "pending" else {"state": state, "next": "/subsidy"})

    def ask(self, request: Request, browser: Browser) -> Response:
        try:
            asked = self._desk.ask()
        except (DeskClosed, NotAsked):
            return self._frame.refused(request, "desk_closed", browser, status=503, again="/subsidy")
        response = see_other("/subsidy")
        self._frame.browsers.keep(browser.knowing(consent={"id": asked.request_id, "link": asked.link}), response)
        return response

    def read(self, request: Request, browser: Browser) -> Response:
        consent = browser.knowledge.consent
        response = see_other("/subsidy")
        if consent is None:
            return response
        try:
            grant_id = self._desk.standing(consent["id"]).grant_id
        except DeskClosed:
            return self._frame.refused(request, "desk_closed", browser, status=503, again="/subsidy")
        if grant_id is not None:
            reading = _reading(self._desk.read(grant_id))
            self._frame.browsers.keep(browser.knowing(consent=consent | {"reading": reading}), response)
        return response


def _reading(read: Released | Refused) -> dict[str, Any]:
    """For the page after this one; kept sealed like all that is known of a browser."""
    if isinstance(read, Released):
        return {"value": value_of(read), "reasons": [], "leaf_index": read.leaf_index}
    return {"value": None, "reasons": list(read.reasons), "leaf_index": None}


def _shown_reading(texts: Texts, reading: dict[str, Any] | None) -> dict[str, Any] | None:
    if reading is None:
        return None
    return reading | {"reasons": [texts.label("reason", code) for code in reading["reasons"]]}
