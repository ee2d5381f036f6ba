"""The scripted city's verifier: OpenID4VP 1.0, both response modes, checked as a verifier checks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx

from identity.errors import IdentityError
from identity.keys.signer import SoftwareSigner
from identity.openid4vp import client_metadata, dcql, wallet_metadata
from identity.openid4vp.check import VerifiedPresentation, check_presentation
from identity.openid4vp.request import make_claims, sign_request
from identity.openid4vp.respond import UnverifiedResponse, parse_response
from identity.trust.issuers import IssuerTrust
from tests.unit.wallet_cli.city import VERIFIER, City, problem

REQUEST, RESPONSE = f"{VERIFIER}/requests/1", f"{VERIFIER}/responses/1"
NONCE, STATE = "nonce-of-this-request-0000", "state-1"


def query(vct: str, *paths: list[str], **claim: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"id": "q", "format": "dc+sd-jwt", "meta": {"vct_values": [vct]}}
    if paths:
        asked["claims"] = [{"path": path, **claim} for path in paths]
    return {"credentials": [asked]}


@dataclass
class VerifierScript:
    city: City
    dcql: dict[str, Any]
    party: str = "verifier"
    mode: str = "direct_post"
    changed: dict[str, Any] = field(default_factory=dict)
    """Members of the request object that are not what they should be."""
    client_id: str | None = None
    signer: SoftwareSigner | None = None
    answer: dict[str, Any] = field(default_factory=dict)
    verified: list[VerifiedPresentation] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    """The copies' keys, as the verifier could join on them."""

    def __post_init__(self) -> None:
        self.encryption = SoftwareSigner.generate()
        self.city.answer("GET", REQUEST, lambda _: httpx.Response(200, text=self.request(None)))
        self.city.answer("POST", REQUEST, self._post)
        self.city.answer("POST", RESPONSE, self._response)

    @property
    def own_id(self) -> str:
        return f"x509_hash:{self.city.pki.access_certificate(self.party).x5t}"

    def link(self, method: str = "get") -> str:
        named = quote(self.client_id or self.own_id)
        return f"openid4vp://?client_id={named}&request_uri={quote(REQUEST)}&request_uri_method={method}"

    def request(self, wallet_nonce: str | None) -> str:
        signing = self.city.pki.access_certificate(self.party)
        encryption = (self.encryption.public_key, "enc-1") if self.mode == "direct_post.jwt" else None
        claims = make_claims(
            client_id=self.own_id,
            response_uri=RESPONSE,
            response_mode=self.mode,
            nonce=NONCE,
            state=STATE,
            query=dcql.parse(self.dcql),
            metadata=client_metadata.make(encryption),
            iat=int(self.city.now),
            exp=int(self.city.now) + 300,
            wallet_nonce=wallet_nonce,
        )
        return sign_request({**claims, **self.changed}, self.signer or signing.signer(), x5c=signing.chain())

    def _post(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=self.request(wallet_metadata.parse(request.content).wallet_nonce))

    def _response(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(request.content)
        jwk: Mapping[str, Any] = self.encryption.private_jwk()
        encrypted = self.mode == "direct_post.jwt"
        found = parse_response(
            request.content,
            response_mode=self.mode,
            private_jwk=jwk if encrypted else None,
            kid="enc-1" if encrypted else None,
        )
        assert isinstance(found, UnverifiedResponse) and found.state == STATE
        anchors = [self.city.pki.root("issuers").chain()[0]]
        try:
            checked = check_presentation(
                found.vp_token,
                dcql.parse(self.dcql),
                issuer_key=IssuerTrust(self.city.registry, anchors, lambda: self.city.now).issuer_key,
                status_check=None,
                client_id=self.own_id,
                nonce=NONCE,
                now=int(self.city.now),
            )
        except IdentityError as fault:
            return problem(400, str(fault))
        self.verified.append(checked)
        for several in checked.credentials.values():
            for one in several:
                assert one.credential.holder_key is not None
                self.keys.append(one.credential.holder_key.thumbprint)
                assert not one.extra
        return httpx.Response(200, json=self.answer)
