"""The network refuses what must not be asked, and keeps what must not travel."""

from collections.abc import Callable

import httpx
import pytest

from identity.errors import FetchError
from wallet_cli.errors import NetworkError, UsageFault
from wallet_cli.network import Network, parse_map


def network(handler: Callable[[httpx.Request], httpx.Response], *, sandbox: bool = True, **maps: str) -> Network:
    return Network(sandbox, maps.get("maps", {}), httpx.MockTransport(handler))  # type: ignore[arg-type]


def fine(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"fine": True})


@pytest.mark.parametrize(
    ("url", "sandbox"),
    [
        ("http://localhost:1/x", False),
        ("http://192.0.2.1/x", True),
        ("ftp://localhost/x", True),
        ("https://user:password@host.example/x", True),
        ("https:///x", True),
        ("nonsense", True),
    ],
)
def test_addresses_that_are_never_asked(url: str, sandbox: bool) -> None:
    def asked(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    with pytest.raises(NetworkError) as caught:
        network(asked, sandbox=sandbox).get(url)
    assert caught.value.code == "address_refused"
    assert "password" not in caught.value.description


def test_redirects_are_answers_not_orders() -> None:
    seen: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return httpx.Response(302, headers={"Location": "https://elsewhere.example/"})

    assert network(redirect).get("https://a.example/").status == 302
    assert seen == ["https://a.example/"]


def test_an_endless_answer_is_cut() -> None:
    with pytest.raises(NetworkError) as caught:
        network(lambda _: httpx.Response(200, content=b"x" * 2_000_000)).get("https://a.example/")
    assert caught.value.code == "bad_answer"


def test_nobody_there() -> None:
    def down(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(NetworkError) as caught:
        network(down).get("https://a.example/secret-path")
    assert caught.value.code == "unreachable"
    assert "secret-path" not in caught.value.description


def test_a_fault_keeps_the_other_partys_code() -> None:
    def fault(_: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": "invalid_grant", "error_description": "used"})

    with pytest.raises(NetworkError) as caught:
        network(fault).get("https://a.example/").expect(200, what="token")
    assert caught.value.code == "invalid_grant"
    assert "used" in caught.value.description


def test_a_fault_without_a_code_has_its_status() -> None:
    answer = network(lambda _: httpx.Response(500, text="<html>")).get("https://a.example/")
    assert answer.fault() == ("http_500", "")


def test_duplicate_members_are_no_answer() -> None:
    answer = network(lambda _: httpx.Response(200, text='{"a":1,"a":2}')).get("https://a.example/")
    with pytest.raises(NetworkError):
        answer.object(what="answer")


def test_cookies_stay_in_one_session_and_at_one_origin() -> None:
    sent: list[str | None] = []

    def server(request: httpx.Request) -> httpx.Response:
        sent.append(request.headers.get("cookie"))
        return httpx.Response(200, headers={"Set-Cookie": "session=abc; Path=/; HttpOnly; Secure"})

    plain_network = network(server)
    plain_network.get("http://localhost:8100/")
    plain_network.get("http://localhost:8100/")
    session = plain_network.session()
    session.get("http://localhost:8100/")
    session.get("http://localhost:8100/again")
    session.get("http://localhost:8101/")
    assert sent == [None, None, None, "session=abc", None]


def test_map_sends_a_public_address_elsewhere_under_its_own_name() -> None:
    seen: list[tuple[str, str]] = []

    def server(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers["host"]))
        return fine(request)

    mapped = Network(True, parse_map(["https://city.example=http://127.0.0.1:9"]), httpx.MockTransport(server))
    mapped.get("https://city.example/a?b=c")
    assert seen == [("http://127.0.0.1:9/a?b=c", "city.example")]


@pytest.mark.parametrize(
    "entry", ["x", "https://a.example", "https://a.example=x", "https://a.example/p=http://127.0.0.1:1"]
)
def test_a_bad_map_is_a_wrong_command_line(entry: str) -> None:
    with pytest.raises(UsageFault):
        parse_map([entry])


def test_the_fetcher_asks_listed_addresses_only() -> None:
    fetcher = network(fine).fetcher(lambda url: url == "https://a.example/list")
    assert fetcher.get("https://a.example/list", accept="*/*", max_bytes=100) == b'{"fine":true}'
    with pytest.raises(FetchError):
        fetcher.get("https://a.example/other", accept="*/*", max_bytes=100)
    with pytest.raises(FetchError):
        fetcher.get("https://a.example/list", accept="*/*", max_bytes=3)
