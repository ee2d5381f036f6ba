"""The published did:key vectors: same identifiers, same keys, same relationships."""

import json
from pathlib import Path
from typing import Any

import pytest

from identity.codec import base64url
from identity.did import did_key
from identity.did.multibase import _from_base58
from identity.errors import DidError
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

FOLDER = Path(__file__).parent / "did_key"
NIST: dict[str, Any] = json.loads((FOLDER / "nist-curves.json").read_text())
ED25519: dict[str, Any] = json.loads((FOLDER / "ed25519-x25519.json").read_text())
X25519: dict[str, Any] = json.loads((FOLDER / "x25519.json").read_text())["didDocument"]
RELATIONSHIPS = ("assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation", "keyAgreement")


def raw(method: dict[str, Any]) -> bytes:
    if "publicKeyJwk" in method:
        return base64url.decode(method["publicKeyJwk"]["x"])
    return _from_base58(method["publicKeyBase58"])


def members(document: dict[str, Any]) -> dict[str, Any]:
    return {name: document[name] for name in ("id", *RELATIONSHIPS) if name in document}


@pytest.mark.parametrize("did", NIST)
def test_nist_curves(did: str) -> None:
    ours, theirs = did_key.resolve(did), NIST[did]["didDocument"]
    assert members(ours) == members(theirs)
    (our_method,), (their_method,) = ours["verificationMethod"], theirs["verificationMethod"]
    key = did_key.key_of(did)
    assert did_key.create(key) == did
    assert our_method["publicKeyJwk"] == key.jwk()
    assert our_method["id"] == their_method["id"]
    if their_method["type"] == "JsonWebKey2020":
        assert ours == theirs
        assert SoftwareSigner.from_jwk(NIST[did]["verificationMethod"]["privateKeyJwk"]).public_key == key
    else:  # one older entry: P256Key2021
        assert did.endswith(their_method["id"].partition("#")[2])


@pytest.mark.parametrize("did", ED25519)
def test_ed25519_and_the_x25519_key_derived_from_it(did: str) -> None:
    ours, theirs = did_key.resolve(did), ED25519[did]["didDocument"]
    assert members(ours) == members(theirs)
    for our_method, their_method in zip(ours["verificationMethod"], theirs["verificationMethod"], strict=True):
        assert our_method["id"] == their_method["id"]
        assert base64url.decode(our_method["publicKeyJwk"]["x"]) == raw(their_method)
    assert did_key.create(did_key.key_of(did)) == did


@pytest.mark.parametrize("did", X25519)
def test_x25519(did: str) -> None:
    ours, theirs = did_key.resolve(did), X25519[did]
    assert members(ours) == members(theirs)
    key = AgreementPublicKey.from_jwk(ours["verificationMethod"][0]["publicKeyJwk"])
    assert key.raw == raw(theirs["verificationMethod"][0])
    assert did_key.create(key) == did
    with pytest.raises(DidError, match="expected one that signs"):
        did_key.key_of(did)


def test_private_half_of_the_derived_key() -> None:
    pairs = [entry["keyAgreementKeyPair"] for entry in ED25519.values()]
    with_private = [pair for pair in pairs if "privateKeyBase58" in pair]
    assert len(with_private) >= 3
    for pair in with_private:
        private = AgreementPrivateKey.from_raw(_from_base58(pair["privateKeyBase58"]))
        assert private.public.raw == raw(pair)


def test_keys_of_certificates_have_none() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = PublicKey.from_cryptography(rsa.generate_private_key(65537, 2048).public_key())
    with pytest.raises(DidError, match="RSA"):
        did_key.create(key)
