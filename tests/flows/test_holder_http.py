"""The data holder as its own process, over HTTP: link, use with proof, withdrawal, kill -9.

The consent service is scripted and serves the signed list as well; the service reads through the kit.
"""

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from atorga.town.pki import ISSUERS, REGISTRY, TownPki
from consent.caller.client import Client, open_http
from consent.caller.proof import sign_proof
from consent.grant.detail import Term
from consent.grant.grant import GIVEN, sign_grant
from consent.grant.locator import seal_locator
from consent.grant.withdrawal import sign_withdrawal
from consent.holder.link import link_nonce, seal_link
from identity.codec import base64url
from identity.formats.sd_jwt_vc import issue, present
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry
from tests.holder_city import (
    ANNA,
    ATTRIBUTES,
    CLAIM,
    CONSENT,
    HOLDER,
    PURPOSE,
    SERVICE,
    VCT,
    make_register,
    purpose_declaration,
)
from tests.scripted_consent import ScriptedConsent
from verifier.kit.kit import ConsentKit
from verifier.kit.outcome import Given, Refused, Released

READY_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """The consent service and the list, in a thread of the test."""

    def __init__(self, app: Starlette, port: int) -> None:
        self.server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", access_log=False))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


class Town:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.consent_url, self.holder_url, self.kit_url = (f"http://localhost:{free_port()}" for _ in range(3))
        self.keys = {name: SoftwareSigner.generate() for name in (CONSENT, HOLDER, SERVICE)}
        self.hpke = AgreementPrivateKey.generate()
        pki = TownPki(folder / "pki", clock=time.time)
        self.issuer_url = f"{self.consent_url}/bcn"
        self.issuer = pki.issuer_signer("bcn", issuer=self.issuer_url)
        lister = pki.registry_signer()
        self.anchors = pki.root(REGISTRY).chain()
        now = int(time.time())
        self.list = sign_registry(self._claims(now), lister.signer(), lister.chain())
        self.consent = ScriptedConsent(
            CONSENT, self.consent_url, self.keys[CONSENT], folder / "log", time.time, secrets.token_bytes, self.key_of
        )
        self.consent.services, self.consent.purposes = {SERVICE: 1}, {PURPOSE: 2}
        self.served = Served(self._app(), int(self.consent_url.rsplit(":", 1)[1]))
        self._configure(pki)
        self.process: subprocess.Popen[bytes] | None = None

    def _claims(self, now: int) -> dict[str, Any]:
        def entry(name: str, roles: list[str], endpoints: dict[str, str], **more: Any) -> dict[str, Any]:
            key = self.keys[name] if name in self.keys else SoftwareSigner.generate()
            return {
                "id": name, "roles": roles, "name": {"en": name}, "legal_entity": "Test town",
                "contact": "mailto:nobody@localhost.invalid", "territory": "ES-CT", "from": now - 60, "to": now + 3_600,
                "jwk": key.public_key.jwk(), "x5t#S256": [], "endpoints": endpoints, **more,
            }  # fmt: skip

        doors = {name: f"{self.holder_url}/{name}" for name in ("links", "journal", "data", "withdrawals")}
        issuer = {"issuer": self.issuer_url, "vcts": [VCT], "x5t#S256": [self.issuer.x5t]}
        parties = [
            entry(CONSENT, ["consent"], {"consent": self.consent_url}),
            entry(HOLDER, ["holder"], doors),
            entry(SERVICE, ["service"], {"withdrawals": f"{self.kit_url}/withdrawals"}),
            entry("urn:atorga:party:bcn", ["issuer"], {}, **issuer),
        ]
        return {
            "iss": "urn:atorga:party:registry", "version": 1, "iat": now, "exp": now + 3_600, "parties": parties,
        }  # fmt: skip

    def _app(self) -> Starlette:
        async def registry(_: Request) -> Response:
            return Response(self.list, media_type="application/jwt")

        return Starlette(routes=[Route("/registry", registry), Mount("/", self.consent.app())])

    def _configure(self, pki: TownPki) -> None:
        folder = self.folder
        make_register(folder / "register.sqlite")
        (folder / "key.pem").write_bytes(self.keys[HOLDER].to_pem())
        (folder / "hpke.json").write_text(json.dumps(self.hpke.private_jwk()))
        attributes = "\n".join(
            f'[declaration.attributes."{name}"]\ncategory = "{one.category}"\n'
            f"resolutions = {json.dumps(one.resolutions)}\npurposes = {json.dumps(one.purposes)}"
            for name, one in ATTRIBUTES.items()
        )
        (folder / "holder.toml").write_text(
            f"""
[service]
url = "{self.holder_url}"
port = {self.holder_url.rsplit(":", 1)[1]}
data = "state"
[registry]
url = "{self.consent_url}/registry"
anchors = "{pki.root(REGISTRY).certificates}"
[holder]
party = "{HOLDER}"
key = "key.pem"
hpke_key = "hpke.json"
consent = "{CONSENT}"
log_vkey = "{self.consent.vkey}"
issuer_anchors = "{pki.root(ISSUERS).certificates}"
[declaration]
id = "padron"
version = 1
vct = "{VCT}"
path = ["{CLAIM}"]
{attributes}
[register]
url = "sqlite:///{folder / "register.sqlite"}"
[register.row]
query = "SELECT row_id FROM resident WHERE nif = :value"
[register.attributes."income.band"]
type = "integer"
query = "SELECT amount_eur FROM income WHERE row_id = :row ORDER BY year DESC LIMIT 1"
[register.attributes."household.size"]
type = "integer"
table = "household"
column = "size"
by = "row_id"
[resolutions."binned:eur-6"]
edges = [9000, 15000, 21000, 30000, 45000]
[resolutions."predicate:below-iprem-3"]
below = 25200
[resolutions."predicate:over-4"]
at_least = 5
"""
        )

    def start(self) -> None:
        command = [sys.executable, "-m", "atorga", "serve", "holder", "--profile", "sandbox"]
        with (self.folder / "holder.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--config", str(self.folder / "holder.toml")], stdout=log, stderr=log, env=os.environ
            )
        wait(lambda: self._listens(), self.folder / "holder.log")

    def _listens(self) -> bool:
        try:
            return httpx.get(f"{self.holder_url}/journal", trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            assert self.process.wait(30) in (0, -signal.SIGTERM)
        self.served.stop()

    def registry(self) -> VerifiedRegistry:
        return verify_registry(self.list, anchors=self.anchors, now=int(time.time()))

    def key_of(self, name: str) -> Any:
        return self.keys[name].public_key

    def kit(self) -> ConsentKit:
        client = Client(
            open_http(),
            signer=self.keys[SERVICE],
            clock=time.time,
            random=secrets.token_bytes,
            allow_loopback_http=True,
        )
        return ConsentKit(
            self.folder / "kit",
            party=SERVICE,
            signer=self.keys[SERVICE],
            consent=CONSENT,
            log_vkey=self.consent.vkey,
            registry=self.registry,
            client=client,
            clock=time.time,
            random=secrets.token_bytes,
        )


def wait(done: Callable[[], bool], log: Path) -> None:
    until = time.monotonic() + READY_SECONDS
    while not done():
        assert time.monotonic() < until, log.read_text()
        time.sleep(0.05)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path)
    try:
        town.start()
        yield town
    finally:
        town.stop()


class Resident:
    def __init__(self, town: Town) -> None:
        self.town = town
        self.link_key, self.holder_key, self.grant_key = (SoftwareSigner.generate() for _ in range(3))
        self.link = ""

    def make_link(self) -> httpx.Response:
        town, now, mailbox = self.town, int(time.time()), base64url.encode(bytes(16))
        credential = issue.issue(
            claims={CLAIM: ANNA},
            disclosable=[(CLAIM,)],
            vct=VCT,
            issuer=town.issuer_url,
            signer=town.issuer.signer(),
            x5c=town.issuer.chain(),
            holder_key=self.holder_key.public_key,
            iat=now - 60,
            exp=now + 3_600,
            random=secrets.token_bytes,
        )
        presentation = present.present(
            credential,
            disclose=[(CLAIM,)],
            audience=HOLDER,
            nonce=link_nonce(HOLDER, self.link_key.public_key.thumbprint, mailbox),
            now=now,
            holder=self.holder_key,
        )
        sealed = seal_link(
            town.hpke.public,
            holder=HOLDER,
            link_key=self.link_key.public_key,
            mailbox=mailbox,
            vp_token=presentation,
        )
        answer = httpx.post(f"{town.holder_url}/links", json={"sealed": sealed}, trust_env=False)
        assert answer.status_code in (200, 201), answer.text
        self.link = answer.json()["link"]
        return answer

    def give(self, request_id: str) -> None:
        town, request = self.town, self.town.consent.requests[request_id]
        signed = sign_grant(
            grant_id=base64url.encode(secrets.token_bytes(16)),
            request=request,
            detail=request.request.detail,
            decision=GIVEN,
            now=int(time.time()),
            signer=self.grant_key,
        )
        locator = seal_locator(town.hpke.public, holder=HOLDER, grant=signed, link=self.link, link_signer=self.link_key)
        town.consent.give(signed, locator, {name: one.resolutions for name, one in ATTRIBUTES.items()})

    def withdraw(self, grant_id: str) -> httpx.Response:
        signed = sign_withdrawal(
            grant_id, None, signer=self.grant_key, now=int(time.time()), random=secrets.token_bytes
        )
        headers = {"Content-Type": "application/jwt"}
        return httpx.post(f"{self.town.holder_url}/withdrawals", content=signed, headers=headers, trust_env=False)

    def journal(self) -> list[dict[str, Any]]:
        url, nonce = f"{self.town.holder_url}/journal", ""
        for _ in range(2):
            proof = sign_proof(
                self.link_key, method="GET", url=url, nonce=nonce, now=int(time.time()), random=secrets.token_bytes
            )
            answer = httpx.get(url, headers={"Request-Proof": proof}, trust_env=False)
            nonce = answer.headers["Proof-Nonce"]
        assert answer.status_code == 200, answer.text
        releases: list[dict[str, Any]] = answer.json()["releases"]
        return releases


def test_the_data_holder_through_its_life(town: Town) -> None:
    # It declares itself, with the key that wallets seal to.
    wait(lambda: len(town.consent.declarations) == 1, town.folder / "holder.log")
    kit, resident = town.kit(), Resident(town)
    kit.declare(purpose_declaration())
    assert resident.make_link().status_code == 201

    # A grant, and a read with its proof.
    asked = kit.ask(
        kit.detail(
            purpose_declaration(),
            holder=HOLDER,
            terms={"income.band": Term("binned:eur-6", optional=False)},
            days=90,
            max_uses=10,
        )
    )
    resident.give(asked.request_id)
    given = kit.answer(asked.request_id)
    assert isinstance(given, Given)
    grant_id = given.grant.grant_id
    first = kit.read(grant_id, expected_subject={CLAIM: ANNA})
    assert isinstance(first, Released) and first.attributes == {"income.band": "3"}, first

    # kill -9: what was acknowledged is there, and the declaration is the same one.
    town.kill()
    down = kit.read(grant_id)
    assert isinstance(down, Refused) and down.reasons == ("holder_unavailable",)
    town.start()
    assert resident.make_link().status_code == 200, "the same link"
    assert [one["use_id"] for one in resident.journal()] == [first.use_id]
    second = kit.read(grant_id)
    assert isinstance(second, Released) and second.counter == first.counter + 1
    assert len(town.consent.declarations) == 2

    # A withdrawal that the consent service never hears of, over another kill -9.
    assert resident.withdraw(grant_id).json()["state"] == "withdrawn"
    town.kill()
    town.start()
    refused = kit.read(grant_id)
    assert isinstance(refused, Refused) and refused.reasons == ("withdrawn",)

    # Nothing of the resident in what it stored or printed.
    stored = b"".join(path.read_bytes() for path in (town.folder / "state").rglob("*") if path.is_file())
    printed = (town.folder / "holder.log").read_bytes()
    for secret in (ANNA.encode(), b"17432"):
        assert secret not in stored and secret not in printed
    kit.close()
