"""The portal in this process: browsers with cookies of their own, a wallet, and a service desk of paper."""

import re
import secrets
from collections.abc import Sequence
from html import unescape
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.testclient import TestClient

from identity.openid4vp.respond import format_error, format_response
from tests.paper_city import ISS, PAIRWISE, PORTAL, RESIDENCY, VERIFIER_URL, Copy, PaperCity
from tests.unit.verifier.desk import FORM, made_presentations
from verifier.app import openid4vp_routes
from verifier.errors import DeskClosed
from verifier.kit.outcome import Asked, Refused, Released
from verifier.portal.app import Portal
from verifier.portal.browser import Browsers
from verifier.portal.login import Login, login_procedure, login_query
from verifier.portal.subsidy import Need, Permission
from verifier.schema import open_database
from verifier.sealing import sealing_from

CONSENT_LINK = "atorga-consent://?request_uri=https%3A%2F%2Fconsent.example%2Frequests%2Fx%2Fjwt"
NAMES = {
    "urn:atorga:party:social-services": {"en": "Social services", "es": "Servicios Sociales"},
    "urn:atorga:party:hacienda": {"en": "Tax office"},
}


class PaperDesk:
    """A service desk that does what a test says."""

    service = "urn:atorga:party:social-services"
    need = Need("urn:atorga:party:hacienda", ("income.band",), "binned:eur-6", 90)

    def __init__(self) -> None:
        self.permission = Permission("pending")
        self.answer: Released | Refused = Released("g", "u", 4, 17, {"income.band": "band-3-value"})
        self.closed = False
        self.asked = 0
        self.read_grants: list[str] = []

    def name_of(self, party: str) -> dict[str, str]:
        return NAMES[party]

    def ask(self) -> Asked:
        self._open()
        self.asked += 1
        return Asked("rid", "https://consent.example/requests/x/jwt", CONSENT_LINK, 1)

    def standing(self, request_id: str) -> Permission:
        self._open()
        assert request_id == "rid"
        return self.permission

    def read(self, grant_id: str) -> Released | Refused:
        self.read_grants.append(grant_id)
        return self.answer

    def _open(self) -> None:
        if self.closed:
            raise DeskClosed("closed")


class PortalDesk:
    def __init__(
        self, city: PaperCity, folder: Path, *, with_desk: bool = True, sandbox: bool = True, issuer: str = ISS
    ) -> None:
        self.city = city
        self.folder = folder
        procedure = login_procedure(issuer=issuer)
        self.presentations = made_presentations(city, folder, procedures=(procedure,))
        sealing = sealing_from(folder / "sealing-key", random=secrets.token_bytes)
        query = login_query(party=PORTAL, pairwise_vct=PAIRWISE, residency_vct=RESIDENCY)
        self.desk = PaperDesk()
        portal = Portal(
            url=VERIFIER_URL,
            login=Login(self.presentations, sealing, url=VERIFIER_URL, query=query, procedure=procedure),
            browsers=Browsers(
                open_database(folder / "verifier.sqlite3"),
                sealing,
                secure=True,
                clock=city.clock,
                random=secrets.token_bytes,
            ),
            desk=cast(Any, self.desk) if with_desk else None,
            sandbox=sandbox,
        )
        self.app = Starlette(routes=[*openid4vp_routes(self.presentations), *portal.routes()])
        self.wallet = TestClient(self.app, base_url=VERIFIER_URL)

    def browser(self, **headers: str) -> TestClient:
        """One with cookies of its own; English unless ``headers`` say otherwise."""
        sent = {"Accept-Language": "en", **headers}
        return TestClient(self.app, base_url=VERIFIER_URL, follow_redirects=False, headers=sent)

    def present(self, wallet_link: str, copies: Sequence[Copy] | None = None) -> Any:
        """What the wallet gets back."""
        request = self.city.read(wallet_link, lambda url: self.wallet.get(urlsplit(url).path).text)
        token = self.city.vp_token(request, copies or [self.city.pairwise(), self.city.residency()])
        return self._send(request.response_uri, format_response(request, token))

    def refuse(self, wallet_link: str) -> Any:
        request = self.city.read(wallet_link, lambda url: self.wallet.get(urlsplit(url).path).text)
        return self._send(request.response_uri, format_error("access_denied", "no", request.state))

    def _send(self, response_uri: str, body: bytes) -> Any:
        return self.wallet.post(urlsplit(response_uri).path, content=body, headers=FORM)


def wallet_link(html: str) -> str:
    found = re.search(r'<a id="wallet-link"[^>]* href="([^"]+)"', html)
    assert found, "no wallet link on the page"
    return unescape(found[1])


def poll_url(html: str) -> str:
    found = re.search(r'<a id="wallet-link"[^>]* data-poll-url="([^"]+)"', html)
    assert found
    return unescape(found[1])


def form_fields(html: str) -> dict[str, str]:
    return {
        name: unescape(value) for name, value in re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html)
    }


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
