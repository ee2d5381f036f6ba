"""Requests to one issuer under one DPoP key (RFC 9449): tokens, then what they open.

The key is this issuance's own. The authorization server and the credential endpoint each hand out
nonces; a request refused with ``use_dpop_nonce`` is made once more with the fresh one (sections 8
and 9), never a third time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from identity.clock import Clock
from identity.codec import base64url, strict_json
from identity.envelope import jws
from identity.keys.signer import SoftwareSigner
from identity.randomness import Random
from wallet_cli.network import FORM, JSON, Answer, Network, origin

NONCE_HEADER = "dpop-nonce"


@dataclass(slots=True)
class Exchange:
    network: Network
    clock: Clock
    random: Random
    key: SoftwareSigner | None
    """None = the authorization server gives bearer tokens only."""
    nonces: dict[str, str] = field(default_factory=dict)
    """Origin → the newest DPoP nonce it gave."""

    def post_form(self, url: str, fields: Mapping[str, str]) -> Answer:
        from urllib.parse import urlencode

        return self._post(url, urlencode(fields).encode("ascii"), {"Content-Type": FORM, "Accept": JSON}, None)

    def post_json(self, url: str, value: Any, *, token: str | None = None) -> Answer:
        """``token`` goes as DPoP-bound where there is a key, else as bearer (RFC 6750)."""
        return self._post(url, strict_json.compact(value), {"Content-Type": JSON, "Accept": JSON}, token)

    def _post(self, url: str, content: bytes, headers: dict[str, str], token: str | None) -> Answer:
        answer = self._once(url, content, headers, token)
        if self.key is not None and answer.status in (400, 401) and _wants_nonce(answer):
            answer = self._once(url, content, headers, token)
        return answer

    def _once(self, url: str, content: bytes, headers: dict[str, str], token: str | None) -> Answer:
        sent = dict(headers)
        if token is not None:
            sent["Authorization"] = f"{'Bearer' if self.key is None else 'DPoP'} {token}"
        if self.key is not None:
            sent["DPoP"] = self._proof(self.key, url, token)
        answer = self.network.send("POST", url, headers=sent, content=content)
        if nonce := answer.headers.get(NONCE_HEADER):
            self.remember_nonce(url, nonce)
        return answer

    def remember_nonce(self, url: str, nonce: str) -> None:
        self.nonces[origin(url)] = nonce

    def _proof(self, key: SoftwareSigner, url: str, token: str | None) -> str:
        """RFC 9449 section 4.2; ``htu`` is the address without query and fragment."""
        claims: dict[str, Any] = {
            "jti": base64url.encode(self.random(16)),
            "htm": "POST",
            "htu": url.partition("#")[0].partition("?")[0],
            "iat": int(self.clock()),
        }
        if token is not None:
            claims["ath"] = base64url.encode(sha256(token.encode("utf-8")).digest())
        if nonce := self.nonces.get(origin(url)):
            claims["nonce"] = nonce
        return jws.sign(claims, key, typ="dpop+jwt", header={"jwk": key.public_key.jwk()})


def _wants_nonce(answer: Answer) -> bool:
    """At the token endpoint the code stands in the body, at a resource in the challenge (RFC 9449 sections 8, 9)."""
    return answer.fault()[0] == "use_dpop_nonce" or "use_dpop_nonce" in answer.headers.get("www-authenticate", "")


def unguessable(random: Random) -> str:
    """32 bytes for ``state`` and for a PKCE verifier (RFC 7636 section 4.1: 43 characters)."""
    return base64url.encode(random(32))
