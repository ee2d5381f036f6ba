"""Keys at an issuer's own address: asked rarely, read strictly."""

import json
from typing import Any

import pytest

from identity.errors import TrustError
from identity.keys.signer import SoftwareSigner
from identity.trust.issuer_metadata import CACHE_SECONDS, MAX_KEYS, RETRY_SECONDS, IssuerMetadata, metadata_url
from tests.unit.identity.trust.conftest import ISS, Answers, Clock

URL = "https://town.example/.well-known/jwt-vc-issuer/bcn"
ONE, TWO = (SoftwareSigner.generate().public_key for _ in range(2))


def document(**changes: Any) -> dict[str, Any]:
    keys = [ONE.jwk() | {"kid": "1", "use": "sig", "alg": "ES256"}, TWO.jwk() | {"kid": "2"}]
    return {"issuer": ISS, "jwks": {"keys": keys}} | changes


def metadata(
    body: Any, clock: Clock | None = None, more: dict[str, str | bytes] | None = None
) -> tuple[IssuerMetadata, Answers]:
    answers = Answers({URL: body if isinstance(body, str) else json.dumps(body), **(more or {})})
    return IssuerMetadata(answers, clock or Clock()), answers


@pytest.mark.parametrize(
    ("iss", "url"),
    [
        (ISS, URL),
        (ISS + "/", URL),
        ("https://a.example", "https://a.example/.well-known/jwt-vc-issuer"),
        ("https://a.example:8443/x/y", "https://a.example:8443/.well-known/jwt-vc-issuer/x/y"),
        ("http://localhost:8100/bcn", "http://localhost:8100/.well-known/jwt-vc-issuer/bcn"),
    ],
)
def test_address(iss: str, url: str) -> None:
    assert metadata_url(iss) == url


@pytest.mark.parametrize(
    "iss", ["", "did:web:a.example", "https://a.example/?x=1", "https://a.example/#", "https://u@a/"]
)
def test_no_address(iss: str) -> None:
    with pytest.raises(TrustError):
        metadata_url(iss)


def test_key_by_name_is_remembered() -> None:
    keys, answers = metadata(document())
    assert keys.key(ISS, "1") == ONE and keys.key(ISS, "2") == TWO and answers.asked == [URL]


def test_without_name_only_where_there_is_one_key() -> None:
    keys, _ = metadata(document(jwks={"keys": [ONE.jwk()]}))
    assert keys.key(ISS, None) == ONE
    with pytest.raises(TrustError, match="no such key"):
        metadata(document())[0].key(ISS, None)


def test_unknown_name_is_asked_for_once_a_minute() -> None:
    clock = Clock()
    keys, answers = metadata(document(jwks={"keys": [ONE.jwk() | {"kid": "1"}]}), clock)
    keys.key(ISS, "1")
    for _ in range(3):
        with pytest.raises(TrustError, match="no such key"):
            keys.key(ISS, "2")
    assert len(answers.asked) == 1
    clock.now += RETRY_SECONDS
    answers.answers[URL] = json.dumps(document())
    assert keys.key(ISS, "2") == TWO and len(answers.asked) == 2


def test_dropped_key_is_forgotten_in_an_hour_and_no_old_answer_helps() -> None:
    clock = Clock()
    keys, answers = metadata(document(), clock)
    keys.key(ISS, "1")
    answers.answers[URL] = json.dumps(document(jwks={"keys": [TWO.jwk() | {"kid": "2"}]}))
    clock.now += CACHE_SECONDS - 1
    keys.key(ISS, "1")
    clock.now += 1
    with pytest.raises(TrustError, match="no such key"):
        keys.key(ISS, "1")
    assert keys.key(ISS, "2") == TWO
    clock.now += CACHE_SECONDS
    del answers.answers[URL]
    with pytest.raises(TrustError, match="cannot be reached"):
        keys.key(ISS, "2")


def test_issuer_that_is_down_is_not_asked_by_every_call() -> None:
    keys, answers = metadata(document())
    del answers.answers[URL]
    for _ in range(3):
        with pytest.raises(TrustError):
            keys.key(ISS, "1")
    assert len(answers.asked) == 1


def test_keys_at_another_address_of_the_issuer() -> None:
    there = "https://town.example/keys"
    body = {"issuer": ISS, "jwks_uri": there}
    keys, answers = metadata(body, more={there: json.dumps({"keys": [ONE.jwk() | {"kid": "1"}]})})
    assert keys.key(ISS, "1") == ONE and answers.asked == [URL, there]


@pytest.mark.parametrize(
    "there", ["https://other.example/keys", "http://town.example/keys", "https://town.example:1/", 7]
)
def test_keys_at_another_host_are_not_asked_for(there: object) -> None:
    keys, answers = metadata({"issuer": ISS, "jwks_uri": there})
    with pytest.raises(TrustError):
        keys.key(ISS, "1")
    assert answers.asked == [URL]


RSA = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "rsa"}


def test_keys_that_are_not_understood_are_passed_over() -> None:
    keys, _ = metadata(document(jwks={"keys": [RSA, ONE.jwk() | {"use": "enc", "kid": "e"}, TWO.jwk() | {"kid": "2"}]}))
    assert keys.key(ISS, "2") == TWO == keys.key(ISS, None)
    with pytest.raises(TrustError):
        keys.key(ISS, "e")


@pytest.mark.parametrize(
    "body",
    [
        document(issuer=f"{ISS}2"),
        document(issuer=None),
        document(jwks_uri=f"{ISS}/keys"),
        {"issuer": ISS},
        document(jwks=[]),
        document(jwks={}),
        document(jwks={"keys": []}),
        document(jwks={"keys": ["x"]}),
        document(jwks={"keys": [ONE.jwk() | {"kid": "1"}, TWO.jwk() | {"kid": "1"}]}),
        document(jwks={"keys": [ONE.jwk() | {"kid": 1}]}),
        document(jwks={"keys": [ONE.jwk() | {"kid": "x" * 513}]}),
        document(jwks={"keys": [ONE.jwk() | {"kid": "1"}, TWO.jwk() | {"kid": "2", "d": "x"}]}),
        document(jwks={"keys": [ONE.jwk() | {"kid": f"{n}"} for n in range(1, MAX_KEYS + 2)]}),
        document(more="x" * 70_000),
        "[]",
        '{"issuer":"a","issuer":"b"}',
        "",
    ],
)
def test_answer_refused(body: Any) -> None:
    with pytest.raises(TrustError):
        metadata(body)[0].key(ISS, "1")
