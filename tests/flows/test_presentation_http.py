"""Verifier and portal as processes of their own, over HTTP: presentation, revocation, kill -9, login, production.

The issuer's side (signed list, status lists) is served by a thread of the test.
"""

import json
import os
import secrets
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from atorga.town.pki import ISSUERS, REGISTRY
from identity.formats.sd_jwt_vc.present import present
from identity.openid4vp import wallet_metadata
from identity.openid4vp.request import VerifiedAuthorizationRequest
from identity.openid4vp.respond import format_response
from identity.status.status_list import StatusList
from identity.status.token import sign_status_list
from tests.paper_city import DISTRICT_QUERY, IDS, PORTAL, RESIDENT, Copy, PaperCity

TOKEN = "the town's own token"
READY_SECONDS = 60.0
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VERIFIED = {"state": "verified", "claims": {"residency": [{"district": RESIDENT["district"]}]}}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class IssuerSide:
    """Serves what is in ``files``: path → (media type, body)."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {}
        self.asked: list[str] = []
        side = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                side.asked.append(self.path)
                media_type, body = side.files.get(self.path, ("text/plain", b""))
                self.send_response(200 if self.path in side.files else 404)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Service:
    """One ``atorga serve`` process; its log is kept."""

    def __init__(self, name: str, folder: Path, configuration: dict[str, Any], *, profile: str = "sandbox") -> None:
        self.name, self.folder, self.profile = name, folder, profile
        self.port = configuration["service"]["port"]
        self.url = str(configuration["service"]["url"])
        self.log = folder / f"{name}.log"
        self.configuration = folder / f"{name}.toml"
        self.configuration.write_text(toml(configuration))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Service":
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "atorga", "serve", self.name, "--config", str(self.configuration)]
            self.process = subprocess.Popen([*command, "--profile", self.profile], stdout=log, stderr=log)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return self
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)


def toml(tables: dict[str, Any]) -> str:
    lines: list[str] = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines.extend(f"{key} = {json.dumps(value)}" for key, value in table.items())
    return "\n".join(lines) + "\n"


class Town:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.issuer_side = IssuerSide()
        self.now = int(time.time())
        self.city = PaperCity(folder / "pki", now=self.now, issuer=f"{self.issuer_side.url}/bcn", host="localhost")
        self.city.clock.now = float(self.now)
        (folder / "registry-root.pem").write_bytes(self.city.certificates.pki.root(REGISTRY).certificates.read_bytes())
        (folder / "issuers-root.pem").write_bytes(self.city.certificates.pki.root(ISSUERS).certificates.read_bytes())
        self.issuer_side.files["/registry"] = ("application/jwt", self.city.registry_list.encode())
        uri = f"{self.issuer_side.url}/bcn/status/"
        aggregation = json.dumps({"status_lists": [f"{uri}1"]}).encode()
        self.issuer_side.files["/bcn/status/"] = ("application/json", aggregation)
        self.publish_status()
        self.http = httpx.Client(trust_env=False, timeout=20)

    def publish_status(self, *revoked: int) -> None:
        statuses = StatusList(1, 1_024)
        for index in revoked:
            statuses.set(index, 1)
        signing = self.city.certificates.status
        now = int(time.time())
        token = sign_status_list(
            statuses,
            uri=f"{self.issuer_side.url}/bcn/status/1",
            signer=signing.signer(),
            x5c=signing.chain(),
            iat=now,
            exp=now + 3_600,
            ttl=2,
        )
        self.issuer_side.files["/bcn/status/1"] = ("application/statuslist+jwt", token.encode())

    def configuration(self, name: str, **more: Any) -> dict[str, Any]:
        port = free_port()
        access = self.city.certificates.access
        return {
            "service": {"url": f"http://localhost:{port}", "port": port, "data": name},
            "registry": {"url": f"{self.issuer_side.url}/registry", "anchors": "registry-root.pem"},
            "client": {"key": str(access.key), "certificates": str(access.certificates)},
            "trust": {"issuer_anchors": "issuers-root.pem"},
            **more,
        }

    def read(self, link: str) -> VerifiedAuthorizationRequest:
        self.city.clock.now = time.time()
        return self.city.read(link, lambda url: self.http.get(url).text)

    def read_by_post(self, link: str) -> VerifiedAuthorizationRequest:
        def post(url: str) -> tuple[str, str]:
            nonce = secrets.token_urlsafe(16)
            return self.http.post(url, content=wallet_metadata.format(nonce), headers=FORM).text, nonce

        self.city.clock.now = time.time()
        return self.city.read(link, lambda url: "", post=post)

    def present(self, request: VerifiedAuthorizationRequest, copies: list[Copy]) -> httpx.Response:
        self.city.clock.now = time.time()
        body = format_response(request, self.city.vp_token(request, copies))
        return self.http.post(request.response_uri, content=body, headers=FORM)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


@pytest.fixture
def verifier(town: Town) -> Iterator[Service]:
    more = {"verifier": {"profile": "base"}, "town": {"token_sha256": sha256(TOKEN.encode()).hexdigest()}}
    service = Service("verifier", town.folder, town.configuration("verifier", **more)).start()
    yield service
    service.stop()


def ask(town: Town, verifier: Service, **more: Any) -> tuple[str, str]:
    answer = town.http.post(
        f"{verifier.url}/admin/requests",
        json={"dcql": DISTRICT_QUERY, **more},
        headers={"Authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 200, answer.text
    return answer.json()["request"], answer.json()["id"]


def state(town: Town, verifier: Service, request_id: str) -> Any:
    answer = town.http.get(f"{verifier.url}/admin/requests/{request_id}", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(town: Town, verifier: Service, copy: Copy, wanted: str) -> Any:
    """Presents until the status list that it takes is known to the verifier."""
    deadline = time.monotonic() + 20
    while True:
        link, request_id = ask(town, verifier)
        town.present(town.read(link), [copy])
        found = state(town, verifier, request_id)
        if found.get("error", found["state"]) == wanted:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.2)


def test_presentation_revocation_and_a_restart_between_every_step(town: Town, verifier: Service) -> None:
    copy = town.city.residency(index=7)
    assert until(town, verifier, copy, "verified") == VERIFIED

    # Killed between request and answer, and again before anybody asks how it ended.
    link, request_id = ask(town, verifier, response_mode="direct_post.jwt", request_uri_method="post")
    request = town.read_by_post(link)
    verifier.kill()
    verifier.start()
    # At once after its start: it does not serve before it knows the status lists.
    fresh = town.city.residency(index=11)
    assert town.present(request, [fresh]).status_code == 200
    verifier.kill()
    verifier.start()
    assert state(town, verifier, request_id) == VERIFIED
    again = town.present(request, [fresh])
    assert (again.status_code, again.json()["error"]) == (400, "invalid_request")

    asked_before = len(town.issuer_side.asked)
    town.publish_status(7)
    assert until(town, verifier, copy, "credential_revoked")["state"] == "refused"
    # Lists are asked for on their own schedule: no address says which credential was shown.
    assert set(town.issuer_side.asked[asked_before:]) <= {"/registry", "/bcn/status/", "/bcn/status/1"}

    lying = b"".join(path.read_bytes() for path in (town.folder / "verifier").rglob("*") if path.is_file())
    assert b"atorga:residency" in lying
    for place in (lying, verifier.log.read_bytes()):
        assert RESIDENT["district"].encode() not in place
        assert b"2c81" not in place


def test_anchors_of_one_request(town: Town, verifier: Service) -> None:
    """A foreign issuer counts only where the request says so, and its status list is fetched when needed."""
    foreign_side = IssuerSide()
    foreign = PaperCity(town.folder / "foreign", now=town.now, issuer=f"{foreign_side.url}/town", host="localhost")
    uri = f"{foreign_side.url}/town/status/1"
    statuses = StatusList(1, 1_024)
    statuses.set(9, 1)
    signing = foreign.certificates.status
    token = sign_status_list(
        statuses, uri=uri, signer=signing.signer(), x5c=signing.chain(), iat=town.now, exp=town.now + 600, ttl=60
    )
    foreign_side.files["/town/status/1"] = ("application/statuslist+jwt", token.encode())
    stand_in = {
        "trust_anchors": [foreign.certificates.pki.root(ISSUERS).certificates.read_text()],
        "status_prefixes": [f"{foreign_side.url}/town/status/"],
    }

    def ended(copy: Copy, **more: Any) -> Any:
        link, request_id = ask(town, verifier, **more)
        town.present(town.read(link), [copy])
        return state(town, verifier, request_id)

    assert ended(foreign.residency(index=8), **stand_in) == VERIFIED
    assert ended(foreign.residency(index=9), **stand_in)["error"] == "credential_revoked"
    assert ended(foreign.residency(index=8))["error"] == "untrusted_issuer"
    without_lists = {"trust_anchors": stand_in["trust_anchors"]}
    assert ended(foreign.residency(index=8), **without_lists)["error"] == "status_unavailable"
    assert ended(foreign.residency(index=None), **without_lists) == VERIFIED
    # The anchors replace the usual ones.
    assert ended(town.city.residency(index=None), **stand_in)["error"] == "untrusted_issuer"


def test_bad_input_is_never_a_fault_of_the_server(town: Town, verifier: Service) -> None:
    link, request_id = ask(town, verifier, response_mode="direct_post")
    request = town.read(link)
    for content, headers, status in (
        (b"x" * 300_000, FORM, 413),
        (b"{}", {"Content-Type": "application/json"}, 415),
        (b"vp_token=%7B%7D&state=other", FORM, 400),
        (b"vp_token=%ff", FORM, 400),
    ):
        answer = town.http.post(request.response_uri, content=content, headers=headers)
        assert answer.status_code == status
        assert answer.json()["error"] == "invalid_request"
    assert state(town, verifier, request_id)["state"] == "refused"
    for path in ("/", "/requests/x/jwt", "/admin/requests/x"):
        assert town.http.get(f"{verifier.url}{path}").status_code in (401, 404)


def test_a_store_that_is_gone(town: Town, verifier: Service) -> None:
    link, _ = ask(town, verifier)
    request = town.read(link)
    database = town.folder / "verifier" / "verifier.sqlite3"
    holder = sqlite3.connect(database)
    holder.execute("DROP TABLE request")
    holder.close()
    answer = town.present(request, [town.city.residency(index=None)])
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


def test_production_has_no_helpers(town: Town) -> None:
    more = {"verifier": {"profile": "haip"}}
    configuration = town.configuration("verifier", **more)
    service = Service("verifier", town.folder, configuration, profile="production")
    # Plain http is the sandbox's: production refuses it, and so does the section of the town.
    ran = subprocess.run(
        [sys.executable, "-m", "atorga", "serve", "verifier", "--config", str(service.configuration)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, "url" in ran.stderr) == (2, True)
    for name in ("verifier", "portal"):
        tables = town.configuration(
            name,
            **{name: {"profile": "haip"} | ({"party": PORTAL, "issuer": "https://i"} if name == "portal" else {})},
        )
        tables["service"]["url"] = "https://verifier.example"
        file = town.folder / f"production-{name}.toml"
        file.write_text(toml(tables))
        script = (
            "import json, sys, time, secrets\n"
            "from pathlib import Path\n"
            "from starlette.testclient import TestClient\n"
            f"from atorga.serve import {name} as service\n"
            "from atorga.serve.settings import load\n"
            f"head, rest = load(Path({str(file)!r}), profile='production')\n"
            "made = service.settings(head, rest)\n"
            "app = service.build(made, profile='production', clock=time.time, random=secrets.token_bytes)\n"
            "http = TestClient(app, base_url='https://verifier.example')\n"
            "paths = list(http.get('/openapi.json').json()['paths'])\n"
            "admin = http.post('/admin/requests', json={}).status_code\n"
            "town = sorted(one for one in sys.modules if one.startswith('atorga.town'))\n"
            "print(json.dumps([paths, admin, town]))\n"
        )
        ran = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        paths, admin, imported = json.loads(ran.stdout)
        assert paths == ["/requests/{handle}/jwt", "/responses/{handle}"]
        assert (admin, imported) == (404, [])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"verifier": {"profile": "later"}}, "profile"),
        ({"verifier": {"profile": "base", "later": 1}}, "later"),
        ({"trust": {"issuer_anchors": "missing.pem"}}, "missing.pem"),
        ({"trust": {"issuer_anchors": "verifier.toml"}}, "anchors"),
        ({"client": {"key": "missing.pem", "certificates": "x"}}, "missing.pem"),
        ({"registry": None}, "registry"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_configurations_that_cannot_be_used(town: Town, change: dict[str, Any], says: str) -> None:
    tables = town.configuration("verifier", verifier={"profile": "base"}) | change
    tables = {name: table for name, table in tables.items() if table is not None}
    service = Service("verifier", town.folder, tables)
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            "atorga",
            "serve",
            "verifier",
            "--config",
            str(service.configuration),
            "--profile",
            "sandbox",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 2, ran.stderr
    assert says in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_login_at_the_portal(town: Town) -> None:
    more = {"portal": {"profile": "haip", "party": PORTAL, "issuer": f"{town.issuer_side.url}/bcn"}}
    portal = Service("portal", town.folder, town.configuration("portal", **more)).start()
    try:
        browser = httpx.Client(trust_env=False, timeout=20, headers={"Accept-Language": "en"})
        link = _link(browser.get(f"{portal.url}/login").text)
        copies = [town.city.pairwise(), town.city.residency(index=None)]
        back = town.present(town.read(link), copies).json()["redirect_uri"]
        # A power cut between the wallet's answer and the browser.
        portal.kill()
        portal.start()
        page = browser.get(back, follow_redirects=True)
        assert page.url.path == "/account"
        assert IDS[PORTAL] in page.text
        assert RESIDENT["district"] in page.text

        attacker = httpx.Client(trust_env=False, timeout=20)
        link = _link(attacker.get(f"{portal.url}/login").text)
        copies = [town.city.pairwise(), town.city.residency(index=None)]
        back = town.present(town.read(link), copies).json()["redirect_uri"]
        assert httpx.get(back, trust_env=False).status_code == 403
        assert attacker.get(back).status_code == 403
        assert attacker.get(f"{portal.url}/account").headers["location"] == "/login"
    finally:
        portal.stop()
    lying = b"".join(path.read_bytes() for path in (town.folder / "portal").rglob("*") if path.is_file())
    for value in (IDS[PORTAL], RESIDENT["district"]):
        assert value.encode() not in lying + portal.log.read_bytes()


def _link(html: str) -> str:
    import re
    from html import unescape

    found = re.search(r'<a id="wallet-link"[^>]* href="([^"]+)"', html)
    assert found
    return unescape(found[1])


def test_a_wallets_own_proof_is_for_this_verifier_only(town: Town, verifier: Service) -> None:
    """Two verifiers: what one got does not serve at the other (OpenID4VP section 14.1.2)."""
    link, _ = ask(town, verifier, response_mode="direct_post", client_id_prefix="x509_san_dns")
    request = town.read(link)
    copy = town.city.residency(index=None)
    shown = present(
        copy.credential,
        disclose=[("district",)],
        audience="x509_san_dns:elsewhere.example",
        nonce=request.nonce,
        now=int(time.time()),
        holder=copy.key,
    )
    answer = town.http.post(
        request.response_uri, content=format_response(request, {"residency": [shown]}), headers=FORM
    )
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_presentation")
