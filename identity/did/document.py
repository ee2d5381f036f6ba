"""The DID document of an identifier that is a key (DID Core 1.0 section 5)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CONTEXT = ("https://www.w3.org/ns/did/v1", "https://w3id.org/security/suites/jws-2020/v1")

SIGNING: tuple[str, ...] = ("assertionMethod", "authentication", "capabilityInvocation", "capabilityDelegation")
AGREEMENT: tuple[str, ...] = ("keyAgreement",)


@dataclass(frozen=True, slots=True)
class Method:
    """One verification method and what it is for."""

    fragment: str
    jwk: Mapping[str, Any]
    relationships: tuple[str, ...]


def document(did: str, *methods: Method) -> dict[str, Any]:
    """Keys as ``JsonWebKey2020`` with ``publicKeyJwk``, whatever their curve: one form to read."""
    out: dict[str, Any] = {
        "@context": list(CONTEXT),
        "id": did,
        "verificationMethod": [
            {
                "id": f"{did}#{method.fragment}",
                "type": "JsonWebKey2020",
                "controller": did,
                "publicKeyJwk": dict(method.jwk),
            }
            for method in methods
        ],
    }
    for relationship in SIGNING + AGREEMENT:
        if members := [f"{did}#{method.fragment}" for method in methods if relationship in method.relationships]:
            out[relationship] = members
    return out
