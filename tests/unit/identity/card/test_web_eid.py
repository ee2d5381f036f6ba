"""The token's form, and that a signature belongs to one key, origin, challenge and algorithm."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from hashlib import sha256, sha384
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from identity.card import web_eid
from identity.card.web_eid import WebEidToken
from identity.errors import CardError, KeyMaterialError
from identity.keys.public_key import PublicKey
from tests.unit.identity.card.mint import NONCE, ORIGIN, Issued, Key, Mint, ec_key, rsa_key, token

Message = dict[str, Any]


@pytest.fixture(scope="module")
def card(mint: Mint) -> Issued:
    return mint.card()


@pytest.fixture
def message(card: Issued) -> Message:
    return dict(token(card))


def verify(message: Message, key: Key, *, origin: str = ORIGIN, nonce: str = NONCE) -> None:
    public = PublicKey.from_cryptography(key.public_key())
    web_eid.verify_signature(web_eid.parse_token(message), public, origin=origin, nonce=nonce)


KEYS: dict[str, Callable[[], Key]] = {
    "RS256": rsa_key,
    "ES256": lambda: ec_key(ec.SECP256R1()),
    "ES384": lambda: ec_key(ec.SECP384R1()),
    "ES512": lambda: ec_key(ec.SECP521R1()),
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_card_signs_and_is_verified(mint: Mint, algorithm: str) -> None:
    made = mint.card(key=KEYS[algorithm]())
    message = dict(token(made))
    assert message["algorithm"] == algorithm
    assert web_eid.format_token(web_eid.parse_token(message)) == message
    assert web_eid.read_token(json.dumps(message)) == web_eid.parse_token(message)
    verify(message, made.key)


def test_rsa_pss(card: Issued, message: Message) -> None:
    signature = rsa_key().sign(
        web_eid.signed_bytes(ORIGIN, NONCE, "PS256"), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()
    )
    verify({**message, "algorithm": "PS256", "signature": b64encode(signature).decode()}, card.key)


def test_the_signed_text_is_two_raw_hashes() -> None:
    for algorithm, hashed in (("RS256", sha256), ("ES384", sha384)):
        expected = hashed(ORIGIN.encode()).digest() + hashed(NONCE.encode()).digest()
        assert web_eid.signed_bytes(ORIGIN, NONCE, algorithm) == expected


@pytest.mark.parametrize("algorithm", ["EdDSA", "none", ""])
def test_there_is_no_signed_text_without_a_hash(algorithm: str) -> None:
    with pytest.raises(CardError, match="algorithm is not one of"):
        web_eid.signed_bytes(ORIGIN, NONCE, algorithm)


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "web-eid:1.1"},
        {"format": "web-eid:1"},
        {"algorithm": "RS384"},
        {"algorithm": "HS256"},
        {"algorithm": "none"},
        {"algorithm": "EdDSA"},
        {"algorithm": "rs256"},
        {"signature": ""},
        {"signature": None},
        {"signature": ["AAAA"]},
        {"signature": "AAAA AAAA"},
        {"signature": "AAA"},
        {"signature": "AAB="},
        {"signature": "____"},
        {"signature": "AAAAé"},
        {"unverifiedCertificate": "-----BEGIN CERTIFICATE-----"},
        {"unverifiedCertificate": 7},
        {"appVersion": "https://web-eid.eu/é"},
        {"appVersion": 1},
        {"unverifiedSigningCertificate": "AAAA"},
        {"signature": "A" * 10_000},
    ],
)
def test_another_form_is_refused(message: Message, changes: Message) -> None:
    with pytest.raises(CardError, match="card token"):
        web_eid.parse_token({**message, **changes})


@pytest.mark.parametrize("name", ["unverifiedCertificate", "algorithm", "signature", "format"])
def test_a_missing_member(message: Message, name: str) -> None:
    del message[name]
    with pytest.raises(CardError, match="missing"):
        web_eid.parse_token(message)


@pytest.mark.parametrize("value", [None, [], "token", 7, True])
def test_what_is_no_object(value: object) -> None:
    with pytest.raises(CardError):
        web_eid.parse_token(value)


def test_the_version_of_the_program_may_be_said(message: Message, card: Issued) -> None:
    verify({**message, "appVersion": "https://web-eid.eu/web-eid-app/releases/2.5.0+0"}, card.key)


def test_limits(message: Message) -> None:
    def of_size(size: int) -> Message:
        without = {**message, "unverifiedCertificate": "", "signature": "AAAA"}
        room = size - len(json.dumps(without, separators=(",", ":")))
        # Base64 comes in fours; the rest is the version of the program.
        certificate = {**without, "unverifiedCertificate": "A" * (room - 20 & ~3)} if room > 23 else without
        rest = size - len(json.dumps(certificate, separators=(",", ":"))) - len(',"appVersion":""')
        return {**certificate, "appVersion": "x" * rest} if rest > 0 else certificate

    for size in (120, 10_000):
        assert len(json.dumps(of_size(size), separators=(",", ":"))) == size
        web_eid.parse_token(of_size(size))
    with pytest.raises(CardError, match="10001 characters"):
        web_eid.parse_token(of_size(10_001))
    small = {**message, "unverifiedCertificate": "AAAA", "signature": "AAAA"}
    assert len(json.dumps(small, separators=(",", ":"))) == 94
    with pytest.raises(CardError, match="94 characters"):
        web_eid.parse_token(small)


def test_a_text_is_read_strictly(message: Message) -> None:
    text = json.dumps(message)
    for wrong in (
        text[:-1] + ',"format":"web-eid:1.0"}',
        text[: len(text) // 2],
        text + "}",
        text + " " * 10_000,
        "",
        "[]",
    ):
        with pytest.raises(CardError, match="card token"):
            web_eid.read_token(wrong)


@pytest.mark.parametrize(
    "origin",
    [
        "https://identitat.example/",
        "https://identitat.example:443",
        "http://identitat.example",
        "https://IDENTITAT.example",
        "https://identitat.example.org",
        "https://identitat.example?",
        "https://me@identitat.example",
        "identitat.example",
        "",
    ],
)
def test_another_origin(message: Message, card: Issued, origin: str) -> None:
    with pytest.raises(CardError, match="origin"):
        verify(message, card.key, origin=origin)


@pytest.mark.parametrize(
    "origin", ["https://a.example/", "https://a.example:0443", "ftp://a.example", "https://A.example"]
)
def test_a_card_signs_for_an_origin_only(card: Issued, origin: str) -> None:
    with pytest.raises(CardError, match="origin is https"):
        token(card, origin=origin)


def test_another_nonce(message: Message, card: Issued) -> None:
    with pytest.raises(CardError, match="not by this key over this origin and challenge"):
        verify(message, card.key, nonce="V" + NONCE[1:])


def test_the_nonce_is_signed_as_text(card: Issued, message: Message) -> None:
    raw = hashes.Hash(hashes.SHA256())
    raw.update(b64decode(NONCE))
    origin = web_eid.signed_bytes(ORIGIN, NONCE, "RS256")[:32]
    signature = rsa_key().sign(origin + raw.finalize(), padding.PKCS1v15(), hashes.SHA256())
    with pytest.raises(CardError):
        verify({**message, "signature": b64encode(signature).decode()}, card.key)


def test_another_key(message: Message) -> None:
    with pytest.raises(CardError, match="not by this key"):
        verify(message, rsa_key(number=1))


@pytest.mark.parametrize(
    ("signs", "claims"),
    [
        ("RS256", "PS256"),
        ("RS256", "ES256"),
        ("ES256", "RS256"),
        ("ES256", "ES384"),
        ("ES384", "ES256"),
        ("ES384", "ES512"),
        ("ES512", "ES384"),
    ],
)
def test_algorithm_confusion(mint: Mint, signs: str, claims: str) -> None:
    made = mint.card(key=KEYS[signs]())
    message = {**token(made), "algorithm": claims}
    with pytest.raises(CardError, match=r"algorithm does not fit|not by this key"):
        verify(message, made.key)


def test_a_curve_and_its_hash_belong_together(mint: Mint) -> None:
    """ES256 with a P-384 key is a right signature under a name it must not have."""
    key = ec_key(ec.SECP384R1())
    made = mint.card(key=key)
    der = key.sign(web_eid.signed_bytes(ORIGIN, NONCE, "ES256"), ec.ECDSA(hashes.SHA256()))
    message = {**token(made), "algorithm": "ES256", "signature": b64encode(der).decode()}
    with pytest.raises(CardError, match="does not fit"):
        verify(message, key)


def test_an_ecdsa_signature_is_raw_and_of_its_length(mint: Mint) -> None:
    made = mint.card(key=ec_key())
    message = dict(token(made))
    raw = b64decode(message["signature"])
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    long = r.to_bytes(40, "big") + s.to_bytes(40, "big")
    for wrong in (encode_dss_signature(r, s), raw[:-1], raw + b"\0", long, bytes(64)):
        with pytest.raises(CardError):
            verify({**message, "signature": b64encode(wrong).decode()}, made.key)


def test_an_rsa_signature_is_as_long_as_its_modulus(message: Message, card: Issued) -> None:
    raw = b64decode(message["signature"])
    for wrong in (raw[:-1], b"\0" + raw, raw + b"\0"):
        with pytest.raises(CardError, match="256 were expected"):
            verify({**message, "signature": b64encode(wrong).decode()}, card.key)


def test_a_key_that_no_card_has(card: Issued) -> None:
    with pytest.raises(KeyMaterialError):
        token(card, key=ed25519.Ed25519PrivateKey.generate())  # type: ignore[arg-type]


def test_a_token_does_not_show_its_certificate(message: Message) -> None:
    assert repr(web_eid.parse_token(message)) == "WebEidToken(RS256)"
    assert str(WebEidToken(b"person", "RS256", b"")) == "WebEidToken(RS256)"
