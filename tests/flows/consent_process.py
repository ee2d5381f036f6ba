"""The consent service as its own process, with the list, the hashing process and a witness that it needs."""

import http.server
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from atorga.town.pki import ISSUERS, REGISTRY, TownPki
from consent.log.note import COSIGNATURE_V1, ED25519, NoteKey
from identity.formats.sd_jwt_vc.issue import issue
from identity.formats.sd_jwt_vc.present import present
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.keyed_hash_process import make_keys
from identity.keys.signer import SoftwareSigner
from identity.openid4vp.request import read_request
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry
from tests.consent_city import CONSENT, ROLES, Driver, Keys, Resident

READY_SECONDS = 120.0
PAIRWISE = "urn:atorga:pairwise:1"
WITNESS = "witness.example"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class ListServer:
    """Serves the signed list."""

    def __init__(self, compact: str) -> None:
        content = compact.encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://localhost:{self.server.server_port}/registry"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class ConsentProcess:
    """``start``, ``kill`` (SIGKILL) and ``stop`` (SIGTERM) as often as a test likes."""

    def __init__(self, folder: Path, *, workers: int = 1, database: str | None = None) -> None:
        self.folder = folder
        self.workers = workers
        self.database = database
        self.keys = Keys()
        self.port, self.witness_port = free_port(), free_port()
        self.url = f"http://localhost:{self.port}"
        origin = f"localhost:{self.port}/log/2026"
        self.vkey = NoteKey(origin, ED25519, self.keys.log.public).format()
        pki = TownPki(folder / "pki", clock=time.time)
        self.issuer_url = f"http://localhost:{free_port()}/bcn"
        self.issuer = pki.issuer_signer("bcn", issuer=self.issuer_url)
        self.access = pki.access_certificate("consent")
        self.access_anchors = pki.root("access").chain()
        self.witness_seed = secrets.token_bytes(32)
        self.witness_key = NoteKey(WITNESS, COSIGNATURE_V1, Ed25519Signer(self.witness_seed).public)
        lister = pki.registry_signer()
        compact = sign_registry(self._claims(), lister.signer(), lister.chain())
        self.registry: VerifiedRegistry = verify_registry(
            compact, anchors=pki.root(REGISTRY).chain(), now=int(time.time())
        )
        self.list = ListServer(compact)
        self._configure(pki)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def _claims(self) -> dict[str, Any]:
        now = int(time.time())

        def entry(party_id: str, roles: list[str], key: SoftwareSigner, **more: Any) -> dict[str, Any]:
            return {
                "id": party_id, "roles": roles, "name": {"en": party_id}, "legal_entity": "City council",
                "contact": "mailto:nobody@localhost.invalid", "territory": "ES-CT", "from": now - 60,
                "to": now + 86_400, "jwk": key.public_key.jwk(), "x5t#S256": [], "endpoints": {}, **more,
            }  # fmt: skip

        parties = [
            entry(party_id, sorted(ROLES[party_id] - {"log"}), signer)
            for party_id, signer in self.keys.signers.items()
            if party_id != CONSENT
        ]
        parties.append(
            entry(
                CONSENT, ["consent", "log", "verifier"], self.keys.signers[CONSENT],
                log_vkey=self.vkey, endpoints={"consent": self.url}, **{"x5t#S256": [self.access.x5t]},
            )
        )  # fmt: skip
        parties.append(
            entry(
                "urn:atorga:party:bcn", ["issuer"], SoftwareSigner.generate(),
                issuer=self.issuer_url, vcts=[PAIRWISE], **{"x5t#S256": [self.issuer.x5t]},
            )
        )  # fmt: skip
        parties.append(
            entry(
                "urn:atorga:party:witness", ["witness"], SoftwareSigner.generate(),
                log_vkey=self.witness_key.format(), legal_entity="Another body",
            )
        )  # fmt: skip
        return {
            "iss": "urn:atorga:party:registry", "version": 1, "iat": now, "exp": now + 86_400, "parties": parties,
        }  # fmt: skip

    def _configure(self, pki: TownPki) -> None:
        folder = self.folder
        (folder / "consent.pem").write_bytes(self.keys.signers[CONSENT].to_pem())
        (folder / "log-seed").write_text(self.keys.log_seed.hex())
        (folder / "witness-seed").write_text(self.witness_seed.hex())
        make_keys(folder / "hashes.json", ("account",), secrets.token_bytes)
        (folder / "consent.toml").write_text(
            f"""
[service]
url = "{self.url}"
port = {self.port}
data = "consent"
workers = {self.workers}
[registry]
url = "{self.list.url}"
anchors = "{pki.root(REGISTRY).certificates}"
[consent]
party = "{CONSENT}"
key = "consent.pem"
log_seed = "log-seed"
period = "2026"
keyed_hash = "hashes.sock"
openings = "openings"
{f'database = "{self.database}"' if self.database else ""}
[client]
key = "{self.access.key}"
certificates = "{self.access.certificates}"
[trust]
issuer_anchors = "{pki.root(ISSUERS).certificates}"
[witnesses]
keys = ["{self.witness_key.format()}"]
urls = ["http://localhost:{self.witness_port}"]
threshold = 1
"""
        )
        (folder / "witness.toml").write_text(
            f"""
[service]
url = "http://localhost:{self.witness_port}"
port = {self.witness_port}
data = "witness"
[witness]
name = "{WITNESS}"
seed = "witness-seed"
logs = ["{self.vkey}"]
"""
        )

    def start(self) -> None:
        self.start_hashes()
        self._serve("consent")
        self._wait_until(lambda: self._answers(f"{self.url}/services"), "consent")

    def start_hashes(self) -> None:
        if "hashes" not in self._processes:
            socket_path = self.folder / "hashes.sock"
            keys = ["--keys", str(self.folder / "hashes.json"), "--socket", str(socket_path)]
            self._run("hashes", "-m", "identity.keys.keyed_hash_process", *keys)
            self._wait_until(socket_path.exists, "hashes")

    def start_witness(self) -> None:
        self._serve("witness")
        self._wait_until(lambda: self._answers(f"http://localhost:{self.witness_port}/"), "witness")

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def kill(self) -> None:
        process = self._processes["consent"]
        process.send_signal(signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """SIGTERM, and its end."""
        process = self._processes["consent"]
        process.terminate()
        process.wait(20)

    def end(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        self.list.stop()

    def driver(self) -> Driver:
        return Driver(self.url, self.keys, clock=time.time, vkey=self.vkey, transport=None)

    def _serve(self, name: str) -> None:
        config = self.folder / f"{name}.toml"
        self._run(name, "-m", "atorga", "serve", name, "--profile", "sandbox", "--config", str(config))

    def _run(self, name: str, *arguments: str) -> None:
        with self.log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [sys.executable, *arguments], stdout=log, stderr=log, env=os.environ
            )

    def _wait_until(self, condition: Callable[[], bool], name: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            running = self._processes[name].poll() is None
            assert running and time.monotonic() < deadline, self.log(name).read_text()
            time.sleep(0.05)

    def _answers(self, url: str) -> bool:
        try:
            httpx.get(url, trust_env=False)
        except httpx.HTTPError:
            return False
        return True


class Presenting(Resident):
    """A resident who holds a pairwise identifier and presents it as any wallet would."""

    def __init__(self, process: ConsentProcess, driver: Driver, claim: str) -> None:
        super().__init__(driver, claim)
        self.process = process
        self.holder_key = SoftwareSigner.generate()
        now = int(time.time())
        self.credential = issue(
            claims={"ids": {CONSENT: claim, "urn:atorga:party:portal": "qqportal"}},
            disclosable=[("ids", CONSENT), ("ids", "urn:atorga:party:portal")],
            vct=PAIRWISE,
            issuer=process.issuer_url,
            signer=process.issuer.signer(),
            x5c=process.issuer.chain(),
            holder_key=self.holder_key.public_key,
            iat=now - now % 60,
            exp=now + 3_600,
            random=secrets.token_bytes,
        )

    def present(self, jar: str, nonce: str) -> dict[str, Any]:
        request = read_request(
            jar,
            client_id=f"x509_hash:{self.process.access.x5t}",
            profile="base",
            anchors=self.process.access_anchors,
            registry=self.process.registry,
            now=int(time.time()),
        )
        assert request.party is not None and request.party.id == CONSENT
        assert (request.nonce, request.response_uri) == (nonce, f"{self.city.url}/me/account")
        (asked,) = request.query.credentials
        assert [claim.path for claim in asked.claims] == [("ids", CONSENT)]
        presentation = present(
            self.credential,
            disclose=[("ids", CONSENT)],
            audience=request.client_id,
            nonce=nonce,
            now=int(time.time()),
            holder=self.holder_key,
        )
        return {asked.id: [presentation]}
