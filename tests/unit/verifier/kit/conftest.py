"""A service with its kit, and somebody between it and the data holder."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from consent.grant.detail import AuthorizationDetail
from identity.codec import strict_json
from tests.holder_city import CONSENT, HOLDER_URL, SERVICE, City, Wallet
from verifier.kit.kit import ConsentKit
from verifier.kit.outcome import Given

KIT_URL = "http://localhost:8104"

Change = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass
class Between:
    """Passes use requests on to the data holder; ``change`` alters its answers, ``breaks`` loses some."""

    city: City
    change: Change = lambda value: value
    breaks: int = 0
    seen: list[str] = field(default_factory=list)
    answer: Response | None = None

    def app(self) -> Starlette:
        async def data(request: Request) -> Response:
            body = (await request.body()).decode()
            self.seen.append(body)
            if self.answer is not None:
                return self.answer
            found = await run_in_threadpool(self.city.send, body)
            if self.breaks:
                self.breaks -= 1
                raise httpx.ReadError("the line broke")
            if found.status_code != 200:
                return Response(found.content, found.status_code, media_type="application/json")
            return Response(strict_json.compact(self.change(found.json())), 200, media_type="application/json")

        return Starlette(routes=[Route("/data", data, methods=["POST"])])


@dataclass
class Service:
    city: City
    kit: ConsentKit
    between: Between
    folder: Path

    def given(self, wallet: Wallet, detail: AuthorizationDetail | None = None) -> str:
        """Asked through the consent service, answered by the wallet, taken by the kit."""
        asked = self.kit.ask(detail or self.detail())
        request = self.city.consent.requests[asked.request_id]
        signed = self.city.signed_grant(wallet, request, request.request.detail)
        self.city.consent.give(signed, self.city.locator(wallet, signed), self.city.declaration.resolutions)
        answer = self.kit.answer(asked.request_id)
        assert isinstance(answer, Given), answer
        return answer.grant.grant_id

    def detail(self, **changes: Any) -> AuthorizationDetail:
        return self.city.detail(**changes)

    def withdraw(self, wallet: Wallet, grant_id: str, attributes: tuple[str, ...] | None = None) -> httpx.Response:
        """At the service's own door."""
        with self.city.http() as http:
            return http.post(
                f"{KIT_URL}/withdrawals",
                content=self.city.withdrawal(wallet, grant_id, attributes),
                headers={"Content-Type": "application/jwt"},
            )

    def reopened(self) -> ConsentKit:
        return make_kit(self.city, self.folder)


def make_kit(city: City, folder: Path) -> ConsentKit:
    return ConsentKit(
        folder,
        party=SERVICE,
        signer=city.keys[SERVICE],
        consent=CONSENT,
        log_vkey=city.consent.vkey,
        registry=city.registry,
        client=city.client(SERVICE),
        clock=city.clock,
        random=secrets.token_bytes,
    )


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path)


@pytest.fixture
def anna(city: City) -> Wallet:
    return city.resident()


@pytest.fixture
def service(city: City, anna: Wallet, tmp_path: Path) -> Service:
    between = Between(city)
    real = dict(city.hosts)
    city.call = _calling(city, real)  # type: ignore[method-assign]
    city.hosts[HOLDER_URL] = between.app()
    kit = make_kit(city, tmp_path / "kit")
    city.hosts[KIT_URL] = Starlette(routes=[kit.withdrawals_route()])
    return Service(city, kit, between, tmp_path / "kit")


def _calling(city: City, hosts: dict[str, Any]) -> Callable[..., httpx.Response]:
    """Wallets reach the real data holder."""

    def call(method: str, path: str, **request: Any) -> httpx.Response:
        changed, city.hosts = city.hosts, hosts
        try:
            client = city.http()
        finally:
            city.hosts = changed
        with client as http:
            return http.request(method, HOLDER_URL + path, **request)

    return call
