"""Answers on the wire: what a wallet writes, what a verifier reads as strictly as it asked."""

from dataclasses import replace
from typing import Any

import pytest

from identity.codec import strict_json
from identity.envelope import jwe
from identity.errors import ProtocolError
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import form
from identity.openid4vp.client_metadata import EncryptionKey
from identity.openid4vp.respond import (
    ErrorResponse,
    UnverifiedResponse,
    format_error,
    format_response,
    parse_response,
)
from tests.unit.identity.openid4vp.test_request import read

KEY = SoftwareSigner.generate()
TOKEN = {"q": ["a.b.c~d~e.f.g"]}
REQUEST = replace(read(), encryption=EncryptionKey(KEY.public_key.jwk(), "k1", "A256GCM"))
IN_CLEAR = replace(REQUEST, response_mode="direct_post", encryption=None)


def parse(body: bytes, mode: str = "direct_post.jwt", **change: Any) -> UnverifiedResponse | ErrorResponse:
    arguments: dict[str, Any] = {"response_mode": mode, "private_jwk": KEY.private_jwk(), "kid": "k1", **change}
    return parse_response(body, **arguments)


def sealed(plaintext: Any, *, kid: str | None = "k1", to: SoftwareSigner = KEY) -> bytes:
    raw = plaintext if isinstance(plaintext, bytes) else strict_json.compact(plaintext)
    header = {} if kid is None else {"kid": kid}
    return form.format({"response": jwe.encrypt(raw, to.public_key.jwk(), enc="A128GCM", header=header)})


def test_in_clear() -> None:
    assert parse(format_response(IN_CLEAR, TOKEN), "direct_post") == UnverifiedResponse(TOKEN, "s-1")


@pytest.mark.parametrize("enc", ["A128GCM", "A256GCM"])
def test_encrypted(enc: Any) -> None:
    request = replace(REQUEST, encryption=EncryptionKey(KEY.public_key.jwk(), "k1", enc))
    body = format_response(request, TOKEN)
    fields = form.parse(body, what="body", max_bytes=100_000)
    assert fields.keys() == {"response"}
    header, _ = jwe.decrypt(fields["response"], KEY.private_jwk())
    assert (header["alg"], header["enc"], header["kid"]) == ("ECDH-ES", enc, "k1")
    assert parse(body) == UnverifiedResponse(TOKEN, "s-1")


@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
def test_an_error_may_come_in_clear(mode: str) -> None:
    body = format_error("access_denied", "no", "s-1")
    assert parse(body, mode) == ErrorResponse("access_denied", "no", "s-1")
    assert parse(format_error("access_denied", "x" * 900, None), mode) == ErrorResponse(
        "access_denied", "x" * 500, None
    )


def test_an_error_may_come_encrypted() -> None:
    assert parse(sealed({"error": "access_denied", "state": "s-1"})) == ErrorResponse("access_denied", "", "s-1")


def test_more_is_ignored() -> None:
    body = format_response(IN_CLEAR, TOKEN) + b"&later=1"
    assert parse(body, "direct_post") == UnverifiedResponse(TOKEN, "s-1")


REFUSED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "in clear, encrypted was asked": (format_response(IN_CLEAR, TOKEN), {}),
    "encrypted, in clear was asked": (format_response(REQUEST, TOKEN), {"mode": "direct_post"}),
    "both": (format_response(IN_CLEAR, TOKEN) + b"&" + format_response(REQUEST, TOKEN), {}),
    "nothing": (b"", {}),
    "nothing, in clear": (b"state=s-1", {"mode": "direct_post"}),
    "encrypted without vp_token": (sealed({"state": "s-1"}), {}),
    "to another key": (sealed({"vp_token": TOKEN}, to=SoftwareSigner.generate()), {}),
    "another kid": (sealed({"vp_token": TOKEN}, kid="k2"), {}),
    "no kid": (sealed({"vp_token": TOKEN}, kid=None), {}),
    "the key is gone": (sealed({"vp_token": TOKEN}), {"private_jwk": None}),
    "no JWE": (b"response=x", {}),
    "no JSON inside": (sealed(b"x"), {}),
    "no object inside": (sealed([]), {}),
    "a member twice inside": (sealed(b'{"vp_token":{},"vp_token":{}}'), {}),
    "vp_token no JSON": (b"vp_token=x&state=s-1", {"mode": "direct_post"}),
    "vp_token twice": (b"vp_token=%7B%7D&vp_token=%7B%7D", {"mode": "direct_post"}),
    "a member twice in vp_token": (b"vp_token=%7B%22a%22%3A%5B%5D%2C%22a%22%3A%5B%5D%7D", {"mode": "direct_post"}),
    "error empty": (b"error=", {"mode": "direct_post"}),
    "error too long": (b"error=" + b"e" * 65, {"mode": "direct_post"}),
    "error no text": (sealed({"error": 1}), {}),
    "error_description no text": (sealed({"error": "a", "error_description": 1}), {}),
    "state no text": (sealed({"vp_token": TOKEN, "state": 1}), {}),
    "too large": (b"vp_token=" + b"x" * 262_144, {"mode": "direct_post"}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    body, change = REFUSED[name]
    with pytest.raises(ProtocolError) as caught:
        parse(body, **change)
    assert caught.value.code == "invalid_request"


def test_a_bit_changed_in_the_jwe() -> None:
    body = format_response(REQUEST, TOKEN)
    flipped = body[:-1] + (b"A" if body[-1:] != b"A" else b"Q")
    with pytest.raises(ProtocolError):
        parse(flipped)
