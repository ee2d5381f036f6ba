"""Who acts in the story, each as what it is: the wallet is the ``wallet`` command, the browser speaks HTTP."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

WALLET_SECONDS = 120
HTTP_SECONDS = 30.0


class StoryFailed(Exception):
    """A step of the story did not end as it must; the message holds what was printed."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One ``wallet`` command: what it answered and what the resident saw."""

    code: int
    answer: dict[str, Any]
    screen: str
    seconds: float


@dataclass(slots=True)
class Resident:
    """The demo resident at a terminal: every act is one ``wallet`` command in a process of its own."""

    store: Path
    passphrase_file: Path
    language: str = "en"
    captured: list[str] = field(default_factory=list)
    """Everything the wallet ever printed, for the search for secrets."""

    def wallet(self, *arguments: str, expect: int | None = 0) -> Ran:
        """Raises StoryFailed where the exit code is another than ``expect``."""
        command = [sys.executable, "-m", "wallet_cli", "--store", str(self.store), "--json", *arguments]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("WALLET", "LC_"))}
        environment |= {"WALLET_PASSPHRASE_FILE": str(self.passphrase_file), "LANG": f"{self.language}.UTF-8"}
        began = time.monotonic()
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=WALLET_SECONDS, env=environment,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        seconds = time.monotonic() - began
        self.captured += [ran.stdout, ran.stderr]
        if expect is not None and ran.returncode != expect:
            raise StoryFailed(f"wallet {' '.join(arguments)}: exit code {ran.returncode}\n{ran.stderr}{ran.stdout}")
        lines = ran.stdout.strip().splitlines()
        try:
            answer = json.loads(lines[-1]) if lines else {}
        except ValueError:
            raise StoryFailed(f"wallet {' '.join(arguments)}: the last line is no JSON\n{ran.stdout}") from None
        return Ran(ran.returncode, answer, ran.stderr, seconds)


class Browser:
    """A browser without script: cookies of its own, links and forms followed by hand."""

    def __init__(self, transport: httpx.BaseTransport | None = None) -> None:
        self._client = httpx.Client(
            timeout=HTTP_SECONDS, follow_redirects=True, trust_env=False, transport=transport,
            headers={"Accept": "text/html", "Accept-Language": "en"},
        )  # fmt: skip

    def open(self, url: str) -> "Page":
        answer = self._client.get(url)
        return Page(str(answer.url), answer.status_code, answer.text)

    def submit(self, url: str, fields: Mapping[str, str]) -> "Page":
        answer = self._client.post(url, data=dict(fields))
        return Page(str(answer.url), answer.status_code, answer.text)

    def poll(self, url: str) -> dict[str, Any]:
        found = self._client.get(url, headers={"Accept": "application/json"}).json()
        return dict(found)

    def close(self) -> None:
        self._client.close()


@dataclass(frozen=True, slots=True)
class Page:
    url: str
    status: int
    html: str

    @property
    def text(self) -> str:
        """What a reader sees, on one line."""
        reader = _Reader()
        reader.feed(self.html)
        return " ".join(" ".join(reader.words).split())

    def wallet_link(self) -> tuple[str, str]:
        """The link for the wallet on this device, and where to ask how it went (WIRE section A)."""
        reader = _Reader()
        reader.feed(self.html)
        if reader.link is None:
            raise StoryFailed(f"{self.url} ({self.status}): no wallet link on the page: {self.text[:300]}")
        return reader.link["href"] or "", urljoin(self.url, reader.link.get("data-poll-url") or "")

    def definitions(self) -> list[tuple[str, str]]:
        """The terms of the page's definition lists, each with what stands beside it."""
        reader = _Reader()
        reader.feed(self.html)
        return [(" ".join(term.split()), " ".join(what.split())) for term, what in reader.definitions]

    def form(self) -> tuple[str, dict[str, str]]:
        """Address and hidden fields of the page's first form."""
        reader = _Reader()
        reader.feed(self.html)
        if reader.action is None:
            raise StoryFailed(f"{self.url} ({self.status}): no form on the page: {self.text[:300]}")
        return urljoin(self.url, reader.action), dict(reader.fields)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.link: dict[str, str | None] | None = None
        self.action: str | None = None
        self.fields: dict[str, str] = {}
        self.definitions: list[tuple[str, str]] = []
        self._silent = 0
        self._part: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag in ("script", "style", "svg"):
            self._silent += 1
        if tag in ("dt", "dd"):
            self._part = tag
        if tag == "dt":
            self.definitions.append(("", ""))
        if tag == "a" and named.get("id") == "wallet-link":
            self.link = named
        if tag == "form" and self.action is None:
            self.action = named.get("action") or ""
        if tag == "input" and named.get("name"):
            self.fields[str(named["name"])] = named.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag in ("script", "style", "svg"):
            self._silent -= 1
        if tag in ("dt", "dd"):
            self._part = None

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.words.append(data)
        if self._part and self.definitions:
            term, what = self.definitions[-1]
            self.definitions[-1] = (term + data, what) if self._part == "dt" else (term, what + data)


class City:
    """The running city as its JSON line describes it, and its admin helpers."""

    def __init__(self, line: Mapping[str, Any]) -> None:
        self.line = dict(line)
        self._client = httpx.Client(
            timeout=HTTP_SECONDS, trust_env=False, headers={"Authorization": f"Bearer {line['admin_token']}"}
        )

    def __getitem__(self, name: str) -> Any:
        return self.line[name]

    def offer(self, configurations: Sequence[str], grant: str, **more: Any) -> dict[str, Any]:
        asked = {"configurations": list(configurations), "grant": grant, "tx_code": False, "by": "value", **more}
        return self._post(f"{self['issuer']}/admin/offers", asked)

    def revoke(self, credential: Mapping[str, Any]) -> dict[str, Any]:
        return self._post(f"{self['issuer']}/admin/revocations", dict(credential))

    def ask_consent(self, **more: Any) -> dict[str, Any]:
        return self._post(f"{self['portal']}/admin/requests", more)

    def ask_presentation(self, dcql: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        asked = {"dcql": dict(dcql), "response_mode": "direct_post", **more}
        return self._post(f"{self['verifier']}/admin/requests", asked)

    def read(self, grant: str, attribute: str) -> dict[str, Any]:
        return self._post(f"{self['portal']}/admin/reads", {"grant": grant, "attribute": attribute})

    def close(self) -> None:
        self._client.close()

    def _post(self, url: str, value: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._client.post(url, json=dict(value))
        if answer.status_code not in (200, 201):
            raise StoryFailed(f"{url}: {answer.status_code} {answer.text[:500]}")
        return dict(answer.json())
