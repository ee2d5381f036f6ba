"""Known answers of WIRE's first section: b64, strict JSON, length prefixes, keys, HPKE."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from identity.codec import base64url, strict_json
from identity.codec.length_prefix import prefixed
from identity.envelope import hpke
from identity.errors import EncodingError, EnvelopeError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner

WIRE = Path(__file__).parent / "wire"


def load(name: str) -> Any:
    return json.loads((WIRE / f"{name}.json").read_text())


KEYS = load("keys")["keys"]


@pytest.mark.parametrize("case", load("b64")["valid"])
def test_b64(case: dict[str, str]) -> None:
    assert base64url.encode(bytes.fromhex(case["hex"])) == case["b64"]
    assert base64url.decode(case["b64"]) == bytes.fromhex(case["hex"])


@pytest.mark.parametrize("text", load("b64")["invalid"])
def test_b64_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        base64url.decode(text)


@pytest.mark.parametrize("text", load("hashing")["json_refused"])
def test_json_refused(text: str) -> None:
    with pytest.raises(EncodingError):
        strict_json.parse(text, what="vector")


@pytest.mark.parametrize("case", load("hashing")["cases"])
def test_length_prefix(case: dict[str, Any]) -> None:
    value = prefixed(*map(bytes.fromhex, case["parts_hex"]))
    assert value.hex() == case["prefixed_hex"]
    assert base64url.encode(sha256(value).digest()) == case["sha256_b64"]


def test_length_prefix_limit() -> None:
    with pytest.raises(EncodingError):
        prefixed(b"x" * 65_536)


@pytest.mark.parametrize("name", KEYS)
def test_keys(name: str) -> None:
    jwk = KEYS[name]["jwk"]
    if jwk["crv"] == "X25519":
        assert AgreementPrivateKey.from_jwk(jwk).public.thumbprint == KEYS[name]["thumbprint"]
    else:
        assert SoftwareSigner.from_jwk(jwk).public_key.thumbprint == KEYS[name]["thumbprint"]


@pytest.mark.parametrize("case", load("hpke")["cases"], ids=lambda case: case["name"])
def test_hpke(case: dict[str, str]) -> None:
    key = AgreementPrivateKey.from_jwk(KEYS[case["recipient"]]["jwk"])
    info = bytes.fromhex(case["info_hex"])
    assert hpke.open_sealed(key, info, case["sealed"]).decode() == case["plaintext"]
    again = hpke.seal(key.public, info, case["plaintext"].encode())
    assert hpke.open_sealed(key, info, again).decode() == case["plaintext"]


@pytest.mark.parametrize("case", load("hpke")["refused"], ids=lambda case: case["fault"])
def test_hpke_refused(case: dict[str, str]) -> None:
    key = AgreementPrivateKey.from_jwk(KEYS[case["recipient"]]["jwk"])
    with pytest.raises(EnvelopeError):
        hpke.open_sealed(key, bytes.fromhex(case["info_hex"]), case["sealed"])


def test_hpke_size_limit() -> None:
    with pytest.raises(EnvelopeError, match="at most"):
        hpke.open_sealed(AgreementPrivateKey.generate(), b"", "A" * (hpke.MAX_SEALED_CHARACTERS + 1))
