"""Wycheproof through our key and JWS code: what is invalid is refused, what is valid is taken."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity.envelope import jws
from identity.errors import EnvelopeError, IdentityError, KeyMaterialError, SignatureInvalid
from identity.keys import ed25519
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey

FOLDER = Path(__file__).parent / "wycheproof"


def cases(name: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    groups = json.loads((FOLDER / f"{name}.json").read_text())["testGroups"]
    return [(group, test) for group in groups for test in group["tests"]]


def named(case: Any) -> str:
    return f"{case['tcId']}" if isinstance(case, dict) and "tcId" in case else ""


def expect(test: dict[str, Any], check: Any) -> None:
    if test["result"] == "valid":
        check()
    else:
        with pytest.raises(SignatureInvalid):
            check()


@pytest.mark.parametrize(("group", "test"), cases("ecdsa_secp256r1_sha256_p1363_test"), ids=named)
def test_es256(group: dict[str, Any], test: dict[str, Any]) -> None:
    key = PublicKey.from_spki_der(bytes.fromhex(group["publicKeyDer"]))
    if "publicKeyJwk" in group:
        assert PublicKey.from_jwk_members(group["publicKeyJwk"]) == key
    signature, data = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
    expect(test, lambda: key.verify(signature, data, algorithm="ES256"))


@pytest.mark.parametrize(("group", "test"), cases("ed25519_test"), ids=named)
def test_eddsa_by_both_libraries(group: dict[str, Any], test: dict[str, Any]) -> None:
    key = PublicKey.from_spki_der(bytes.fromhex(group["publicKeyDer"]))
    assert PublicKey.from_jwk_members(group["publicKeyJwk"]) == key
    raw = bytes.fromhex(group["publicKey"]["pk"])
    signature, data = bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"])
    expect(test, lambda: key.verify(signature, data, algorithm="EdDSA"))
    expect(test, lambda: ed25519.verify(raw, signature, data))


@pytest.mark.parametrize(("group", "test"), cases("x25519_test"), ids=named)
def test_x25519(group: dict[str, Any], test: dict[str, Any]) -> None:
    private = AgreementPrivateKey.from_raw(bytes.fromhex(test["private"]))
    public = AgreementPublicKey(bytes.fromhex(test["public"]))
    assert AgreementPublicKey.from_jwk(public.jwk()) == public
    shared = bytes.fromhex(test["shared"])
    if any(shared):
        assert private.cryptography_key.exchange(public.cryptography_key) == shared
    else:
        # RFC 7748 section 6.1: a shared secret of zeros means a point of small order.
        assert test["result"] == "acceptable"
        with pytest.raises(ValueError, match="Error computing shared key"):
            private.cryptography_key.exchange(public.cryptography_key)


UNSUPPORTED = {
    2: "HS256: we hold no symmetric JWK",
    5: "RS256: an RSA key comes from a certificate, never from a JWK",
    13: "HS256: we hold no symmetric JWK",
    14: "HS384: we hold no symmetric JWK",
    15: "HS512: we hold no symmetric JWK",
}
"""Valid elsewhere, refused here; the reason why."""


@pytest.mark.parametrize(("group", "test"), cases("json_web_key_test"), ids=named)
def test_json_web_key(group: dict[str, Any], test: dict[str, Any]) -> None:
    keys = group.get("public", group["private"])["keys"]
    assert test["result"] == "invalid" or test["tcId"] in UNSUPPORTED
    with pytest.raises((EnvelopeError, KeyMaterialError)):
        parsed = jws.parse(test["jws"])
        (key,) = [jwk for jwk in keys if jwk["kid"] == parsed.header["kid"]][:1]
        jws.verify(parsed, PublicKey.from_jwk_members(key), typ=None)


@pytest.mark.parametrize("number", [19, 20, 21])
def test_signature_was_good_and_only_the_key_was_wrong(number: int) -> None:
    """Else the three cases above would prove nothing about ``use`` and ``alg``."""
    group, test = next(case for case in cases("json_web_key_test") if case[1]["tcId"] == number)
    (jwk,) = group["public"]["keys"]
    key = PublicKey.from_jwk({name: jwk[name] for name in ("kty", "crv", "x", "y")})
    assert jws.verify(jws.parse(test["jws"]), key, typ=None).payload == b"foo"
    with pytest.raises(IdentityError, match="'(use|alg)'"):
        PublicKey.from_jwk_members(jwk)
