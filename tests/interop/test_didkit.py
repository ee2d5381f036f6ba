"""didkit (docs/adr/0002) and our code read the same identifiers, believe the same VC-JWTs and no changed one.

VC-JWT is the JWT form of the VC data model 1.1 (section 6.3.1). Only its envelope is ours: JWS and DIDs.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import didkit
import pytest

from identity.codec import base64url
from identity.did import did_jwk, did_key
from identity.envelope import jws
from identity.errors import EnvelopeError
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

RESOLUTIONS = 200
VC_JWTS = 25
ALGORITHMS = frozenset({"EdDSA", "ES256"})
SIGNING = ("authentication", "assertionMethod")

METHODS = {"key": did_key, "jwk": did_jwk}


def ask(function: Callable[..., Any], *arguments: str) -> str:
    """didkit's functions want a running loop already when they are called."""

    async def call() -> str:
        return str(await function(*arguments))

    return asyncio.run(call())


def faults(compact: str) -> list[Any]:
    return list(json.loads(ask(didkit.verify_credential, compact, '{"proofFormat":"jwt"}'))["errors"])


def signer(number: int) -> SoftwareSigner:
    return SoftwareSigner.generate("Ed25519" if number % 2 else "P-256")


def private_jwk(key: SoftwareSigner) -> str:
    return json.dumps(key.private_jwk())


def key_in(document: dict[str, Any], relationship: str) -> list[dict[str, Any]]:
    methods = {method["id"]: method for method in document["verificationMethod"]}
    return [methods[name]["publicKeyJwk"] for name in document.get(relationship, [])]


@pytest.mark.parametrize("method", ["key", "jwk"])
def test_both_resolve_to_the_same_keys(method: str) -> None:
    """RESOLUTIONS fresh keys: the identifier each makes, the key each finds in it, for each signing relationship."""

    async def resolve_all(dids: list[str]) -> list[str]:
        return [await didkit.resolve_did(did, "{}") for did in dids]

    keys = [signer(number) for number in range(RESOLUTIONS)]
    ours = [METHODS[method].create(key.public_key) for key in keys]
    theirs = [didkit.key_to_did(method, private_jwk(key)) for key in keys]
    documents = [json.loads(text) for text in asyncio.run(resolve_all(ours))]
    for key, our_did, their_did, document in zip(keys, ours, theirs, documents, strict=True):
        # A JWK has many spellings, so a did:jwk may differ in text; the key may not.
        assert our_did == their_did or method == "jwk"
        assert METHODS[method].key_of(their_did) == key.public_key
        found = METHODS[method].resolve(our_did)
        for relationship in SIGNING:
            assert key_in(document, relationship) == key_in(found, relationship) == [key.public_key.jwk()]


def credential(issuer: str) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiableCredential"],
        "issuer": issuer,
        "issuanceDate": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:resident"},
    }


def our_vc_jwt(key: SoftwareSigner, did: str, method: str) -> str:
    fragment = did.removeprefix("did:key:") if method == "key" else "0"
    body = credential(did)
    claims = {"iss": did, "nbf": 1767225600, "sub": "did:example:resident", "vc": body}
    return jws.sign(claims, key, typ="JWT", header={"kid": f"{did}#{fragment}"})


def our_verdict(compact: str) -> jws.VerifiedJws:
    """The key comes from the issuer's identifier; the header may only name that same one."""
    parsed = jws.parse(compact)
    did = str(parsed.claims()["iss"])
    key: PublicKey = (did_key if did.startswith(did_key.PREFIX) else did_jwk).key_of(did)
    assert str(parsed.header["kid"]).partition("#")[0] == did
    return jws.verify(parsed, key, typ=None, algorithms=ALGORITHMS)


def flipped(compact: str) -> str:
    """The same token with one bit of its payload changed, so that it is still JSON of the same shape."""
    header, payload, signature = compact.split(".")
    changed = base64url.decode(payload).replace(b"did:example:resident", b"did:example:residenu")
    return f"{header}.{base64url.encode(changed)}.{signature}"


@pytest.mark.parametrize("method", ["key", "jwk"])
def test_didkit_believes_our_vc_jwts_and_no_changed_one(method: str) -> None:
    for number in range(VC_JWTS):
        key = signer(number)
        did = METHODS[method].create(key.public_key)
        compact = our_vc_jwt(key, did, method)
        assert faults(compact) == []
        assert faults(flipped(compact)) != []


@pytest.mark.parametrize("method", ["key", "jwk"])
def test_we_believe_didkits_vc_jwts_and_no_changed_one(method: str) -> None:
    for number in range(VC_JWTS):
        key = signer(number)
        jwk = private_jwk(key)
        did = didkit.key_to_did(method, jwk)
        options = json.dumps(
            {
                "proofFormat": "jwt",
                "proofPurpose": "assertionMethod",
                "verificationMethod": ask(didkit.key_to_verification_method, method, jwk),
            }
        )
        compact = ask(didkit.issue_credential, json.dumps(credential(did)), options, jwk)
        assert our_verdict(compact).claims()["vc"]["credentialSubject"] == {"id": "did:example:resident"}
        with pytest.raises(EnvelopeError):
            our_verdict(flipped(compact))
