import httpx
import pytest

from identity.errors import FetchError
from identity.fetch import AllowListFetcher


def _fetcher(answer: httpx.Response | Exception, allow: str = "https://good.example/") -> AllowListFetcher:
    def handler(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    return AllowListFetcher(lambda url: url.startswith(allow), transport=httpx.MockTransport(handler))


def _get(fetcher: AllowListFetcher, url: str = "https://good.example/x", max_bytes: int = 10) -> bytes:
    return fetcher.get(url, accept="application/json", max_bytes=max_bytes)


def test_fetches() -> None:
    assert _get(_fetcher(httpx.Response(200, content=b"0123456789"))) == b"0123456789"


def test_too_large() -> None:
    with pytest.raises(FetchError, match="more than 10"):
        _get(_fetcher(httpx.Response(200, content=b"0123456789x")))


@pytest.mark.parametrize("status", [204, 301, 302, 404, 500])
def test_other_answers_and_redirects(status: int) -> None:
    with pytest.raises(FetchError, match=str(status)):
        _get(_fetcher(httpx.Response(status, headers={"Location": "https://good.example/y"})))


def test_unreachable() -> None:
    with pytest.raises(FetchError, match="cannot be reached"):
        _get(_fetcher(httpx.ConnectTimeout("secret")))


def test_address_that_the_client_refuses() -> None:
    with pytest.raises(FetchError, match="cannot be reached"):
        _get(_fetcher(httpx.Response(200)), "https://good.example/\x7f")


@pytest.mark.parametrize(
    "url",
    [
        "https://other.example/x",
        "http://good.example/x",
        "http://localhost/x",
        "ftp://good.example/x",
        "file:///etc/passwd",
        "https://good.example@other.example/",
        "https://good.example:x/",
        "https:///x",
        "",
    ],
)
def test_address_refused(url: str) -> None:
    with pytest.raises(FetchError):
        _get(_fetcher(httpx.Response(200)), url)


def test_loopback_http_only_where_allowed() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=b"ok"))
    fetcher = AllowListFetcher(lambda _: True, allow_loopback_http=True, transport=transport)
    for url in ("http://localhost:1/x", "http://127.0.0.1/x", "http://[::1]/x"):
        assert _get(fetcher, url) == b"ok"
    with pytest.raises(FetchError):
        _get(fetcher, "http://192.0.2.1/x")
