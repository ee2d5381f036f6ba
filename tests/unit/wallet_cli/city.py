"""A scripted city for wallet tests: certificates, the signed list, and parties that are functions.

Each party answers as the specification says, with the project's own libraries; a test replaces one
answer (`City.answers`) to make it cheat. Nothing here listens anywhere.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from atorga.town.pki import TownPki
from consent.log.note import ED25519, NoteKey
from identity.codec import strict_json
from identity.keys.ed25519 import Ed25519Signer
from identity.keys.signer import SoftwareSigner
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry
from tests.unit.wallet_cli.conftest import NOW, Wallet

ISSUER = "http://localhost:8100/bcn"
REGISTRY = "http://localhost:8100/registry"
TRUST_PEM = "http://localhost:8100/trust.pem"
CONSENT = "http://localhost:8101"
HOLDER = "http://localhost:8102"
VERIFIER = "http://localhost:8103"
PORTAL = "http://localhost:8104"

PERSON_ID, PAIRWISE, RESIDENCY = "urn:atorga:person-id:1", "urn:atorga:pairwise:1", "urn:atorga:residency:1"
MANDATE = "urn:atorga:mandate:1"
LOG_SEED = bytes(range(32))
LOG_ORIGIN = "localhost:8101/log/2026"

Answer = Callable[[httpx.Request], httpx.Response]


def party(name: str) -> str:
    return f"urn:atorga:party:{name}"


def form(request: httpx.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode(), keep_blank_values=True).items()}


def body(request: httpx.Request) -> dict[str, Any]:
    return strict_json.parse_object(request.content, what="request", max_bytes=1_000_000)


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"error": code})


@dataclass
class City:
    folder: Path
    now: float = NOW
    pki: TownPki = field(init=False)
    keys: dict[str, SoftwareSigner] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """(method, address without query) → who answers there."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    unlisted: set[str] = field(default_factory=set)
    """Names of parties that the list leaves out."""
    version: int = 1
    _verified: dict[tuple[int, frozenset[str], int], VerifiedRegistry] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pki = TownPki(self.folder, clock=lambda: NOW)
        for name in ("bcn", "consent", "hacienda", "social-services", "portal", "verifier", "witness"):
            self.keys[name] = SoftwareSigner.generate()
        self.answer("GET", REGISTRY, lambda _: httpx.Response(200, text=self.signed_list()))
        self.answer("GET", TRUST_PEM, lambda _: httpx.Response(200, content=self.pki.trust_pem().read_bytes()))

    def answer(self, method: str, url: str, handler: Answer) -> None:
        self.answers[(method, url)] = handler

    @property
    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self._dispatch)

    def _dispatch(self, request: httpx.Request) -> httpx.Response:
        parts = urlsplit(str(request.url))
        address = f"{parts.scheme}://{parts.netloc}{parts.path}"
        self.asked.append((request.method, address))
        handler = self.answers.get((request.method, address)) or self._below(request.method, address)
        if handler is None:
            raise httpx.ConnectError(f"nobody at {address}", request=request)
        return handler(request)

    def _below(self, method: str, address: str) -> Answer | None:
        """Handlers whose address ends in ``/*`` answer for everything below."""
        found = [url for known, url in self.answers if known == method and url.endswith("/*")]
        fits = sorted((url for url in found if address.startswith(url[:-1])), key=len)
        return self.answers[(method, fits[-1])] if fits else None

    def sent(self, url: str) -> int:
        """How many requests other than GET went below this address."""
        return sum(1 for method, address in self.asked if method != "GET" and address.startswith(url))

    @property
    def log_vkey(self) -> str:
        return NoteKey(LOG_ORIGIN, ED25519, Ed25519Signer(LOG_SEED).public).format()

    def signed_list(self) -> str:
        signing = self.pki.registry_signer()
        return sign_registry(self._claims(), signing.signer(), signing.chain())

    def registry(self) -> VerifiedRegistry:
        """As services read it; they ask for it at every step."""
        state = (self.version, frozenset(self.unlisted), int(self.now))
        if state not in self._verified:
            anchors = [self.pki.root("registry").chain()[0]]
            self._verified[state] = verify_registry(self.signed_list(), anchors=anchors, now=int(self.now))
        return self._verified[state]

    def _claims(self) -> dict[str, Any]:
        access = {name: [self.pki.access_certificate(name).x5t] for name in ("consent", "portal", "verifier")}
        issuer = {
            "issuer": ISSUER,
            "vcts": [PERSON_ID, PAIRWISE, RESIDENCY, MANDATE],
            "status_prefixes": [f"{ISSUER}/status/"],
        }
        parties = [
            self._entry("bcn", ["issuer", "status"], {}, **issuer)
            | {"x5t#S256": [self.pki.issuer_signer("bcn", issuer=ISSUER).x5t]},
            self._entry(
                "consent",
                ["consent", "log", "verifier"],
                {"consent": CONSENT, "withdrawals": f"{CONSENT}/withdrawals"},
                log_vkey=self.log_vkey,
            ),
            self._entry(
                "hacienda",
                ["holder"],
                {name: f"{HOLDER}/{name}" for name in ("links", "journal", "data", "withdrawals")},
            ),
            self._entry("social-services", ["service"], {"withdrawals": f"{PORTAL}/withdrawals"}),
            self._entry("portal", ["verifier"], {}),
            self._entry("verifier", ["verifier"], {}),
        ]
        for entry in parties:
            entry["x5t#S256"] = entry["x5t#S256"] or access.get(entry["id"].rpartition(":")[2], [])
        return {
            "iss": party("registry"),
            "version": self.version,
            "iat": int(self.now) - 10,
            "exp": int(self.now) + 86_400,
            "parties": [entry for entry in parties if entry["id"].rpartition(":")[2] not in self.unlisted],
        }

    def _entry(self, name: str, roles: list[str], endpoints: dict[str, str], **more: Any) -> dict[str, Any]:
        return {
            "id": party(name),
            "roles": roles,
            "name": {"en": f"The {name}", "es": f"El {name}", "ca": f"El {name} català"},
            "legal_entity": f"{name} of the city",
            "contact": "mailto:nobody@localhost.invalid",
            "territory": "ES-CT",
            "from": NOW - 86_400,
            "to": NOW + 30 * 86_400,
            "jwk": self.keys[name].public_key.jwk(),
            "x5t#S256": [],
            "endpoints": endpoints,
            **more,
        }

    def trusted_by(self, wallet: Wallet) -> Wallet:
        """The wallet in this city, with its anchors and its list."""
        wallet.transport = self.transport
        assert wallet.run("trust", "add", TRUST_PEM).code == 0
        assert wallet.run("trust", "add", "--registry", REGISTRY).code == 0
        self.asked.clear()
        return wallet
