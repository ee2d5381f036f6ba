"""Requests with a caller proof (WIRE C1): by the account key at the consent service, by a link key at its holder."""

from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.caller.proof import sign_proof
from identity.codec import strict_json
from identity.keys.signer import Signer
from wallet_cli.network import JSON, Answer, Network
from wallet_cli.world import World


@dataclass(slots=True)
class Caller:
    world: World
    network: Network
    signer: Signer
    nonce: str = ""
    """The newest ``Proof-Nonce``; it is good for any request for five minutes."""

    def get(self, url: str, *, accept: str = JSON, language: str | None = None) -> Answer:
        """``language``: only where the answer is written for a person; else it would tell one wallet from another."""
        headers = {"Accept": accept} if language is None else {"Accept": accept, "Accept-Language": language}
        return self._send("GET", url, headers, b"", with_jwk=False)

    def post(self, url: str, value: Any, *, with_jwk: bool = False) -> Answer:
        body = strict_json.compact(value)
        return self._send("POST", url, {"Accept": JSON, "Content-Type": JSON}, body, with_jwk=with_jwk)

    def delete(self, url: str, value: Any = None) -> Answer:
        body = b"" if value is None else strict_json.compact(value)
        headers = {"Accept": JSON} | ({"Content-Type": JSON} if body else {})
        return self._send("DELETE", url, headers, body, with_jwk=False)

    def _send(self, method: str, url: str, headers: dict[str, str], body: bytes, *, with_jwk: bool) -> Answer:
        answer = self._once(method, url, headers, body, with_jwk=with_jwk)
        if answer.status == 401 and answer.fault()[0] == "use_proof_nonce":
            answer = self._once(method, url, headers, body, with_jwk=with_jwk)
        return answer

    def _once(self, method: str, url: str, headers: dict[str, str], body: bytes, *, with_jwk: bool) -> Answer:
        proof = sign_proof(
            self.signer,
            method=method,
            url=url,
            nonce=self.nonce,
            now=self.world.now,
            random=self.world.random,
            body=body,
            with_jwk=with_jwk,
        )
        answer = self.network.send(
            method, url, headers={**headers, spec.REQUEST_PROOF_HEADER: proof}, content=body or None
        )
        self.nonce = answer.headers.get(spec.PROOF_NONCE_HEADER.lower(), self.nonce)
        return answer
