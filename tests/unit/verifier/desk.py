"""A verifier in this process, and a wallet that speaks HTTP to it."""

import secrets
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.testclient import TestClient

from atorga.town.verifier_admin import SANDBOX_ANY, verifier_admin_routes
from identity.openid4vp import wallet_metadata
from identity.openid4vp.request import VerifiedAuthorizationRequest
from identity.openid4vp.respond import format_response
from tests.paper_city import DISTRICT_QUERY, VERIFIER_URL, Copy, PaperCity
from verifier.acceptance import Procedures
from verifier.app import openid4vp_routes
from verifier.asked import CredentialTrust
from verifier.client import VerifierClient
from verifier.presentations import Presentations
from verifier.schema import open_database
from verifier.sealing import sealing_from
from verifier.sessions import RequestStore

TOKEN = "the town's token"

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def made_presentations(city: PaperCity, folder: Path, *, procedures: Sequence[Any] = (SANDBOX_ANY,)) -> Presentations:
    access = city.certificates.access
    return Presentations(
        client=VerifierClient(VERIFIER_URL, access.signer(), access.chain()),
        store=RequestStore(open_database(folder / "verifier.sqlite3")),
        sealing=sealing_from(folder / "sealing-key", random=secrets.token_bytes),
        trust_for=lambda _: CredentialTrust(city.issuers.issuer_key, city.revocations),
        procedures=Procedures(procedures),
        profile="base",
        clock=city.clock,
        random=secrets.token_bytes,
    )


class Desk:
    """The verifier with its admin helpers."""

    def __init__(self, city: PaperCity, folder: Path) -> None:
        self.city = city
        self.folder = folder
        self.presentations = made_presentations(city, folder)
        token_sha256 = sha256(TOKEN.encode()).hexdigest()
        routes = [
            *openid4vp_routes(self.presentations),
            *verifier_admin_routes(self.presentations, token_sha256=token_sha256),
        ]
        self.http = TestClient(Starlette(routes=routes), base_url=VERIFIER_URL)
        self.admin = {"Authorization": f"Bearer {TOKEN}"}

    def ask(self, **more: Any) -> tuple[str, str]:
        """Link and id."""
        answer = self.http.post("/admin/requests", json={"dcql": DISTRICT_QUERY, **more}, headers=self.admin)
        assert answer.status_code == 200, answer.text
        return answer.json()["request"], answer.json()["id"]

    def state(self, request_id: str) -> Any:
        answer = self.http.get(f"/admin/requests/{request_id}", headers=self.admin)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def read(self, wallet_link: str, **more: Any) -> VerifiedAuthorizationRequest:
        return self.city.read(wallet_link, self.get, **more)

    def read_by_post(self, wallet_link: str, **more: Any) -> VerifiedAuthorizationRequest:
        def post(url: str) -> tuple[str, str]:
            nonce = secrets.token_urlsafe(24)
            answer = self.http.post(urlsplit(url).path, content=wallet_metadata.format(nonce), headers=FORM)
            assert answer.status_code == 200, answer.text
            return answer.text, nonce

        return self.city.read(wallet_link, self.get, post=post, **more)

    def get(self, url: str) -> str:
        answer = self.http.get(urlsplit(url).path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/oauth-authz-req+jwt"
        return str(answer.text)

    def send(self, request: VerifiedAuthorizationRequest, body: bytes, headers: dict[str, str] | None = None) -> Any:
        return self.http.post(urlsplit(request.response_uri).path, content=body, headers=headers or FORM)

    def present(self, request: VerifiedAuthorizationRequest, copies: Sequence[Copy], **change: Any) -> Any:
        return self.send(request, format_response(request, self.city.vp_token(request, copies, **change)))
