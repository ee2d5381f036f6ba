"""What two presentations have in common: a recording relay before a verifier, and the values in what it saw.

The wallet is told by ``--map`` that the verifier's address leads here; everything is passed on
unchanged. What is recorded is exactly what a verifier receives.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs

import httpx

from atorga.town import parties
from atorga.town.actors import City, Resident, StoryFailed
from identity.codec import base64url
from identity.formats.sd_jwt.compact import parse
from identity.openid4vp.spec import VP_TOKEN

DISTRICT = "district"

SAME_FOR_EVERYBODY = frozenset(
    {"alg", "typ", "kid", "x5c", "iss", "vct", "iat", "exp", "nbf", "_sd_alg", "kty", "crv", "uri", "aud", "nonce"}
)
"""Members whose values all residents' credentials of a day have, or that the verifier itself chose."""


class Relay:
    """Passes requests on to one verifier and keeps the bodies of its answers' posts."""

    def __init__(self, target: str) -> None:
        self.bodies: list[str] = []
        relay = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._pass_on(httpx.get(target + self.path, headers=self._headers(), trust_env=False))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                relay.bodies.append(body.decode("ascii", errors="replace"))
                self._pass_on(httpx.post(target + self.path, content=body, headers=self._headers(), trust_env=False))

            def _headers(self) -> dict[str, str]:
                return {name: self.headers[name] for name in ("Content-Type", "Accept") if name in self.headers}

            def _pass_on(self, answer: httpx.Response) -> None:
                self.send_response(answer.status_code)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/octet-stream"))
                self.send_header("Content-Length", str(len(answer.content)))
                self.end_headers()
                self.wfile.write(answer.content)

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://localhost:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["Relay"]:
        self._thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()


def query(organisation: str) -> dict[str, Any]:
    """What a login asks for: the organisation's own number of the resident, and the district."""
    return {
        "credentials": [
            {
                "id": "who", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:atorga:pairwise:1"]},
                "claims": [{"path": ["ids", organisation]}],
            },
            {
                "id": "where", "format": "dc+sd-jwt", "meta": {"vct_values": ["urn:atorga:residency:1"]},
                "claims": [{"path": [DISTRICT]}],
            },
        ]
    }  # fmt: skip


def record_login(city: City, resident: Resident, organisation: str) -> list[str]:
    """The presentations that a verifier received for ``organisation``'s login. Raises StoryFailed."""
    with Relay(city["verifier"]).running() as relay:
        asked = city.ask_presentation(query(organisation))
        resident.wallet("present", asked["request"], "--yes", "--map", f"{city['verifier']}={relay.url}")
        found = [parse_qs(body).get(VP_TOKEN) for body in relay.bodies]
    tokens = [one[0] for one in found if one]
    if len(tokens) != 1:
        raise StoryFailed(f"the verifier received {len(tokens)} answers, expected 1")
    return [presentation for presentations in json.loads(tokens[0]).values() for presentation in presentations]


def values(presentations: list[str]) -> set[str]:
    """Every value by which it could be joined with something else: claims, salts, digests, keys, signatures."""
    found: set[str] = set()
    for presentation in presentations:
        parts = parse(presentation)
        header, payload = parts.issuer_jwt.header, parts.payload
        found |= set(_leaves(header)) | set(_leaves(payload))
        found.add(base64url.encode(parts.issuer_jwt.signature))
        for disclosure in parts.disclosures:
            found |= set(_leaves(json.loads(base64url.decode(disclosure))))
        for part in (parts.key_binding_jwt or "").split("."):
            found.add(part)
    return found


def compare(one: list[str], other: list[str], *, asked: set[str]) -> tuple[int, int]:
    """How many values both have beyond what was asked, and how many the first has."""
    first, second = values(one), values(other)
    # A KB-JWT's header says the algorithm and nothing else.
    constant = {base64url.encode(b'{"typ":"kb+jwt","alg":"ES256"}')}
    return len((first & second) - asked - constant), len(first)


def _leaves(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in SAME_FOR_EVERYBODY:
                yield from _leaves(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(inner)
    else:
        yield str(value)


ORGANISATIONS = (parties.PORTAL, parties.VERIFIER)
