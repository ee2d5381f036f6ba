"""Everything a JWS can be wrong in, refused before or at the signature."""

import json
from typing import Any

import pytest

from identity.codec import base64url
from identity.envelope import jws
from identity.errors import EnvelopeError
from identity.keys.signer import SoftwareSigner

SIGNER = SoftwareSigner.generate()


def _made(header: str, payload: str = "{}", signer: SoftwareSigner = SIGNER) -> str:
    signing_input = f"{base64url.encode(header.encode())}.{base64url.encode(payload.encode())}"
    return f"{signing_input}.{base64url.encode(signer.sign(signing_input.encode()))}"


def _verify(compact: str, **expect: Any) -> jws.VerifiedJws:
    return jws.verify(jws.parse(compact), SIGNER.public_key, **{"typ": "t+jwt", **expect})


def test_sign_and_verify() -> None:
    compact = jws.sign({"a": 1}, SIGNER, typ="t+jwt", header={"kid": "k"})
    verified = _verify(compact, members={"typ", "alg", "kid"})
    assert verified.claims() == {"a": 1}
    assert list(verified.header) == ["typ", "alg", "kid"]
    assert verified.digest == jws.digest(compact)


@pytest.mark.parametrize(
    "header",
    [
        '{"typ":"t+jwt","alg":"ES256","alg":"ES256"}',
        '{"typ":"t+jwt","alg":"ES256","crit":["exp"]}',
        '{"typ":"t+jwt","alg":"ES256","b64":false}',
        '{"typ":"other","alg":"ES256"}',
        '{"alg":"ES256"}',
        '{"typ":"t+jwt","alg":"none"}',
        '{"typ":"t+jwt","alg":"ES384"}',
        '{"typ":"t+jwt","alg":"HS256"}',
        '{"typ":"t+jwt","alg":["ES256"]}',
        '{"typ":"t+jwt"}',
        '["ES256"]',
        "",
    ],
)
def test_header_refused(header: str) -> None:
    with pytest.raises(EnvelopeError):
        _verify(_made(header))


def test_exact_header_members() -> None:
    compact = jws.sign({}, SIGNER, typ="t+jwt", header={"kid": "k"})
    with pytest.raises(EnvelopeError, match="exactly"):
        _verify(compact, members={"typ", "alg"})
    with pytest.raises(EnvelopeError, match="exactly"):
        _verify(compact, members={"typ", "alg", "kid", "jwk"})


def test_another_key_and_another_text() -> None:
    compact = jws.sign({"a": 1}, SIGNER, typ="t+jwt")
    with pytest.raises(EnvelopeError, match="does not belong"):
        jws.verify(jws.parse(compact), SoftwareSigner.generate().public_key, typ="t+jwt")
    head, _, signature = compact.split(".")
    with pytest.raises(EnvelopeError, match="does not belong"):
        _verify(f"{head}.{base64url.encode(b'{}')}.{signature}")


def test_algorithm_that_is_allowed_but_not_of_the_key() -> None:
    with pytest.raises(EnvelopeError):
        _verify(_made('{"typ":"t+jwt","alg":"EdDSA"}'), algorithms={"ES256", "EdDSA"})


@pytest.mark.parametrize("change", ["{}=", " {}", "{}\n", "{}.", "x{}", "é{}"])
def test_form_refused(change: str) -> None:
    with pytest.raises(EnvelopeError):
        _verify(change.format(jws.sign({}, SIGNER, typ="t+jwt")))


def test_size() -> None:
    compact = jws.sign({}, SIGNER, typ="t+jwt")
    jws.parse(compact, max_bytes=len(compact))
    with pytest.raises(EnvelopeError, match="at most"):
        jws.parse(compact, max_bytes=len(compact) - 1)
    with pytest.raises(EnvelopeError, match="header"):
        jws.parse(jws.sign({}, SIGNER, typ="t", header={"x5c": ["A" * 20_000]}))


def test_payload_must_be_a_strict_object() -> None:
    for payload in ("[]", '{"a":1,"a":1}', "x"):
        verified = _verify(_made(json.dumps({"typ": "t+jwt", "alg": "ES256"}), payload))
        with pytest.raises(EnvelopeError):
            verified.claims()
