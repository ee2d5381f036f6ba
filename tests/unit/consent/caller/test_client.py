"""Requests to other parties: proven, capped, and to permitted addresses alone."""

import secrets
from collections.abc import Callable

import httpx
import pytest

from consent.caller.client import Client
from consent.caller.nonces import Nonces
from consent.caller.proof import verify_proof
from consent.errors import MessageError, PeerUnavailable, ProofNonceNeeded
from identity.keys.signer import SoftwareSigner

NOW = 1_795_315_110
URL = "https://consent.example/uses"
KEY = SoftwareSigner.generate()

Answer = Callable[[httpx.Request], httpx.Response]


def client(answer: Answer, *, loopback: bool = False) -> Client:
    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Client(http, signer=KEY, clock=lambda: float(NOW), random=secrets.token_bytes, allow_loopback_http=loopback)


def test_a_proof_with_the_newest_nonce() -> None:
    nonces, asked = Nonces(bytes(32)), []

    def answer(request: httpx.Request) -> httpx.Response:
        headers = {"Proof-Nonce": nonces.fresh(NOW)}
        asked.append(request)
        try:
            verify_proof(
                request.headers["Request-Proof"],
                method=request.method,
                url=URL,
                body=request.content,
                now=NOW,
                accepts_nonce=lambda nonce: nonces.accepts(nonce, NOW),
                spend=lambda *_: True,
                key_for={KEY.public_key.thumbprint: KEY.public_key}.get,
            )
        except ProofNonceNeeded:
            return httpx.Response(401, json={"error": "use_proof_nonce"}, headers=headers)
        except MessageError:
            return httpx.Response(401, json={"error": "invalid_proof"}, headers=headers)
        return httpx.Response(200, json={}, headers=headers)

    caller = client(answer)
    assert caller.post_proven(URL, {"a": 1}).status == 200
    assert len(asked) == 2, "the first one gets the nonce"
    assert caller.get_proven(URL).status == 200
    assert len(asked) == 3, "it is good for the next one too"


def test_a_server_that_never_takes_a_nonce_is_asked_twice() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(401, json={"error": "use_proof_nonce"})

    assert client(answer).get_proven(URL).status == 401
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://consent.example/uses", True),
        ("http://localhost:8101/uses", False),
        ("ftp://consent.example/uses", True),
        ("https://user@consent.example/uses", True),
    ],
)
def test_addresses_that_are_not_asked(url: str, loopback: bool) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    with pytest.raises(PeerUnavailable):
        client(answer, loopback=loopback).get(url, max_bytes=10)
    assert asked == []
    assert client(answer, loopback=True).get("http://localhost:8101/services", max_bytes=10).status == 200


def test_redirects_are_not_followed() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(307, headers={"Location": "https://elsewhere.example/"})

    assert client(answer).get(URL, max_bytes=10).status == 307
    assert len(asked) == 1


def test_answers_are_capped() -> None:
    caller = client(lambda _: httpx.Response(200, content=b"x" * 11))
    assert caller.get(URL, max_bytes=11).body == b"x" * 11
    with pytest.raises(PeerUnavailable, match="more than 10"):
        caller.get(URL, max_bytes=10)


def test_who_does_not_answer_is_unavailable() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("too long", request=request)

    with pytest.raises(PeerUnavailable, match="ReadTimeout"):
        client(answer).get(URL, max_bytes=10)


def test_bodies_are_what_was_expected() -> None:
    jwt = {"Content-Type": "application/jwt; charset=ascii"}
    answers = {
        "jws": httpx.Response(200, content=b"a.b.c", headers=jwt),
        "text": httpx.Response(200, content=b"a.b.c", headers={"Content-Type": "text/plain"}),
        "not ascii": httpx.Response(200, content="ñ".encode(), headers=jwt),
    }
    read = {name: client(lambda _, one=one: one).get(URL, max_bytes=99) for name, one in answers.items()}  # type: ignore[misc]
    assert read["jws"].text() == "a.b.c"
    for name in ("text", "not ascii"):
        with pytest.raises(PeerUnavailable):
            read[name].text()
    for answer in read.values():
        assert answer.error() == ""
        with pytest.raises(PeerUnavailable):
            answer.object()
