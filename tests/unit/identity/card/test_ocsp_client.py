"""Asking a responder over HTTP: what is sent, and what is not taken."""

import gzip
from collections.abc import Callable, Iterator

import httpx
import pytest

from identity.card.ocsp_client import MAX_ANSWER_BYTES, OcspClient
from identity.errors import FetchError

URL = "http://ocsp.example/ocsp"
TYPE = {"Content-Type": "application/ocsp-response"}


def client(handler: Callable[[httpx.Request], httpx.Response], **more: object) -> OcspClient:
    return OcspClient(transport=httpx.MockTransport(handler), **more)  # type: ignore[arg-type]


def test_a_question_and_its_answer() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return httpx.Response(200, content=b"\x30\x00", headers=TYPE)

    assert client(answer).post(URL, b"question") == b"\x30\x00"
    (request,) = seen
    assert (request.method, str(request.url), request.content) == ("POST", URL, b"question")
    assert request.headers["Content-Type"] == "application/ocsp-request"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("status", [201, 204, 301, 302, 307, 400, 404, 500, 503])
def test_another_status_and_no_redirect(status: int) -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(status, headers={**TYPE, "Location": "http://169.254.169.254/"}, content=b"\x30\x00")

    with pytest.raises(FetchError, match=f"answered {status}"):
        client(answer).post(URL, b"")
    assert asked == [URL]


@pytest.mark.parametrize("media", ["text/html", "application/ocsp-request", ""])
def test_another_media_type(media: str) -> None:
    with pytest.raises(FetchError, match="another media type"):
        client(lambda _: httpx.Response(200, content=b"x", headers={"Content-Type": media})).post(URL, b"")


def test_an_answer_without_end() -> None:
    sent: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield bytes(1_024)

    with pytest.raises(FetchError, match=f"more than {MAX_ANSWER_BYTES}"):
        client(lambda _: httpx.Response(200, content=endless(), headers=TYPE)).post(URL, b"")
    assert len(sent) < 40


def test_an_answer_that_trickles() -> None:
    moments = iter(range(1_000))

    def slow() -> Iterator[bytes]:
        while True:
            yield b"\0"

    with pytest.raises(FetchError, match="took more than 5 s"):
        client(lambda _: httpx.Response(200, content=slow(), headers=TYPE), passed=lambda: next(moments)).post(URL, b"")


def test_nobody_there() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("no")

    with pytest.raises(FetchError, match=r"ocsp\.example cannot be reached \(ConnectError\)"):
        client(fail).post(URL, b"")


def test_a_packed_answer() -> None:
    packed = {**TYPE, "Content-Encoding": "gzip"}
    with pytest.raises(FetchError, match="packed"):
        client(lambda _: httpx.Response(200, content=gzip.compress(b"\x30\x00"), headers=packed)).post(URL, b"")


def test_an_address_that_is_none() -> None:
    with pytest.raises(FetchError):
        client(lambda _: httpx.Response(200)).post("http://ocsp.example/\x00", b"")
