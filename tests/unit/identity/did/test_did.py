"""What a DID can be wrong in; did:jwk, which has no vector file, by the examples of its specification."""

import json
from typing import Any

import pytest

from identity.codec import base64url
from identity.did import did_jwk, did_key, multibase
from identity.errors import DidError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner

P256 = SoftwareSigner.generate()
SIGNING = ["assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation"]


def as_did(jwk: Any) -> str:
    return did_jwk.PREFIX + base64url.encode(json.dumps(jwk).encode())


@pytest.mark.parametrize("curve", ["P-256", "P-384", "P-521", "Ed25519"])
def test_create_and_read_back(curve: str) -> None:
    key = SoftwareSigner.generate(curve).public_key
    assert did_key.key_of(did_key.create(key)) == key
    assert did_jwk.key_of(did_jwk.create(key)) == key
    assert did_key.resolve(did_key.create(key))["verificationMethod"][0]["publicKeyJwk"] == key.jwk()
    document = did_jwk.resolve(did_jwk.create(key))
    assert document["verificationMethod"][0]["publicKeyJwk"] == key.jwk()
    assert ("keyAgreement" in document) == (curve != "Ed25519")


def test_agreement_keys() -> None:
    key = AgreementPrivateKey.generate().public
    for method in (did_key, did_jwk):
        document = method.resolve(method.create(key))
        assert document["verificationMethod"][0]["publicKeyJwk"] == key.jwk()
        assert [name for name in SIGNING if name in document] == []
        with pytest.raises(DidError, match="expected one that signs"):
            method.key_of(method.create(key))


def test_examples_of_the_did_jwk_specification() -> None:
    did = (
        "did:jwk:eyJjcnYiOiJQLTI1NiIsImt0eSI6IkVDIiwieCI6ImFjYklRaXVNczNpOF91c3pFakoydHBUdFJNNEVVM3l6OTFQSDZDZEgyVjAi"
        "LCJ5IjoiX0tjeUxqOXZXTXB0bm1LdG00NkdxRHo4d2Y3NEk1TEtncmwyR3pIM25TRSJ9"
    )
    document = did_jwk.resolve(did)
    assert document["verificationMethod"] == [
        {
            "id": f"{did}#0",
            "type": "JsonWebKey2020",
            "controller": did,
            "publicKeyJwk": {
                "crv": "P-256",
                "kty": "EC",
                "x": "acbIQiuMs3i8_uszEjJ2tpTtRM4EU3yz91PH6CdH2V0",
                "y": "_KcyLj9vWMptnmKtm46GqDz8wf74I5LKgrl2GzH3nSE",
            },
        }
    ]
    assert all(document[name] == [f"{did}#0"] for name in [*SIGNING, "keyAgreement"])
    assert did_jwk.create(did_jwk.key_of(did)) == did
    encryption = (
        "did:jwk:eyJrdHkiOiJPS1AiLCJjcnYiOiJYMjU1MTkiLCJ1c2UiOiJlbmMiLCJ4IjoiM3A3YmZYdDl3YlRUVzJIQzdPUTFOei1EUThoYmVH"
        "ZE5yZngtRkctSUswOCJ9"
    )
    document = did_jwk.resolve(encryption)
    assert document["keyAgreement"] == [f"{encryption}#0"]
    assert "authentication" not in document


def test_use_decides_about_relationships() -> None:
    jwk = P256.public_key.jwk()
    assert "keyAgreement" not in did_jwk.resolve(as_did({**jwk, "use": "sig"}))
    for_encryption = as_did({**jwk, "use": "enc"})
    assert "authentication" not in did_jwk.resolve(for_encryption)
    with pytest.raises(DidError, match="expected one that signs"):
        did_jwk.key_of(for_encryption)
    with pytest.raises(DidError, match="use must be"):
        did_jwk.resolve(as_did({**jwk, "use": "both"}))


@pytest.mark.parametrize(
    ("did", "message"),
    [
        ("did:web:example.org", "does not begin"),
        ("did:jwk:", "not one JSON text"),
        ("did:jwk:!!!", "base64url"),
        (did_jwk.create(P256.public_key) + "=", "base64url"),
        (did_jwk.create(P256.public_key) + "#0", "base64url"),
        (as_did([]), "JSON object was expected"),
        (as_did(P256.private_jwk()), "private key"),
        (as_did({"kty": "oct", "k": "AA"}), "kty and crv"),
        (as_did({"kty": "OKP", "crv": "X25519"}), "expected exactly"),
        (as_did({"kty": "OKP", "crv": "X25519", "x": "AA"}), "1 bytes"),
        (as_did({**P256.public_key.jwk(), "y": P256.public_key.jwk()["x"]}), "not on the curve"),
        ("did:jwk:" + "A" * 2000, "at most 1024"),
        (
            "did:jwk:" + base64url.encode(b'{"kty":"EC","kty":"EC"}'),
            "member twice",
        ),
    ],
)
def test_did_jwk_refused(did: str, message: str) -> None:
    with pytest.raises(DidError) as caught:
        did_jwk.resolve(did)
    assert message in str(caught.value)
    with pytest.raises(DidError):
        did_jwk.key_of(did)


def _key(curve: str, raw: bytes) -> str:
    return did_key.PREFIX + multibase.encode_key(curve, raw)


@pytest.mark.parametrize(
    ("did", "message"),
    [
        ("did:jwk:abc", "does not begin"),
        ("did:key:", "begins with 'z'"),
        ("did:key:m1234", "begins with 'z'"),
        ("did:key:z0OIl", "not of base58btc"),
        (did_key.create(P256.public_key) + "#frag", "not of base58btc"),
        ("did:key:z" + "2" * 200, "at most 128"),
        ("did:key:z", "not a key of"),
        # secp256k1, which nothing of ours speaks
        ("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", "not a key of"),
        (_key("Ed25519", bytes(31)), "31 bytes, expected 32"),
        (_key("X25519", bytes(33)), "33 bytes, expected 32"),
        (_key("P-256", b"\x04" + bytes(64)), "65 bytes, expected 33"),
        (_key("P-256", b"\x02" + b"\xff" * 32), "not on P-256"),
        (_key("P-256", b"\x05" + bytes(32)), "not on P-256"),
        (_key("P-384", b"\x02" + b"\xff" * 48), "not on P-384"),
    ],
)
def test_did_key_refused(did: str, message: str) -> None:
    with pytest.raises(DidError) as caught:
        did_key.resolve(did)
    assert message in str(caught.value)
    with pytest.raises(DidError):
        did_key.key_of(did)


def test_point_of_small_order_has_no_derived_key() -> None:
    with pytest.raises(DidError, match="prime order"):
        did_key.resolve(_key("Ed25519", b"\x01" + bytes(31)))


@pytest.mark.parametrize("raw", [b"", b"\0", b"\0\0a", b"abc", bytes(range(40))])
def test_base58_is_a_pair(raw: bytes) -> None:
    assert multibase._from_base58(multibase._base58(raw)) == raw
