"""The scripted city's issuer: OpenID4VCI 1.0 with both grants, the card login (WIRE C7), and refresh tokens."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import httpx

from identity.card import challenge, web_eid
from identity.codec import base64url, strict_json
from identity.envelope import jws
from identity.formats.sd_jwt.claim_path import ClaimPath
from identity.formats.sd_jwt_vc.issue import issue
from identity.keys.public_key import PublicKey
from tests.unit.wallet_cli.city import (
    ISSUER,
    MANDATE,
    PAIRWISE,
    PERSON_ID,
    RESIDENCY,
    City,
    body,
    form,
    party,
    problem,
)
from tests.unit.wallet_cli.conftest import NOW

ORIGIN = "http://localhost:8100"
CONFIGURATIONS = {
    "person-id-sd-jwt": PERSON_ID,
    "pairwise-sd-jwt": PAIRWISE,
    "residency-sd-jwt": RESIDENCY,
    "mandate-sd-jwt": MANDATE,
}
NAMES = {PERSON_ID: "Person", PAIRWISE: "Private numbers", RESIDENCY: "Residency", MANDATE: "Mandate"}
DAY_SECONDS = 86_400

PERSON: Mapping[str, Any] = {
    "given_name": "Quintina",
    "family_name": "Zubizarreta Oms",
    "birthdate": "1950-02-03",
    "personal_administrative_number": "12345678Z",
    "age_equal_or_over": {"16": True, "18": True, "65": True},
}
REPRESENTED = "krepresentedperson"
SECRETS = ("Quintina", "Zubizarreta", "1950-02-03", "12345678Z")


@dataclass
class IssuerScript:
    city: City
    tx_code: str | None = None
    batch: int = 10
    organisations: list[str] = field(default_factory=lambda: [party("consent"), party("verifier"), party("portal")])
    codes: set[str] = field(default_factory=lambda: {"pre-authorized"})
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    """Token → thumbprint of the key it is bound to."""
    down: bool = False
    redirects: bool = False
    """Whether the authorization page sends back at once."""
    bind_to: str | None = None
    """Whose key the challenge is bound to; None = the one that asked."""
    pushed: dict[str, dict[str, str]] = field(default_factory=dict)
    challenges: dict[str, challenge.Challenge] = field(default_factory=dict)
    tokens: list[web_eid.WebEidToken] = field(default_factory=list)
    token_calls: list[dict[str, str]] = field(default_factory=list)
    mandate: dict[str, Any] = field(
        default_factory=lambda: {
            "role": "helper",
            "verbs": ["read", "withdraw", "pause"],
            "purposes": ["*"],
            "until": NOW + 90 * DAY_SECONDS,
        }
    )
    issued: int = 0

    def __post_init__(self) -> None:
        at = self.city.answer
        at("GET", f"{ORIGIN}/.well-known/openid-credential-issuer/bcn", self._metadata)
        at("GET", f"{ORIGIN}/.well-known/oauth-authorization-server/bcn", self._server)
        at("POST", f"{ISSUER}/token", self._token)
        at("POST", f"{ISSUER}/nonce", lambda _: httpx.Response(200, json={"c_nonce": "fresh"}))
        at("POST", f"{ISSUER}/credential", self._credential)
        at("POST", f"{ISSUER}/notification", lambda _: httpx.Response(204))
        at("POST", f"{ISSUER}/par", self._par)
        at("GET", f"{ISSUER}/authorize", self._authorize)
        at("POST", f"{ISSUER}/card/challenge", self._challenge)
        at("POST", f"{ISSUER}/card/login", self._login)
        at("GET", f"{ISSUER}/offers/1", lambda _: httpx.Response(200, content=strict_json.compact(self.offer())))

    # ── offers ───────────────────────────────────────────────────────────────────────────────

    def offer(self, *configurations: str, card: bool = False) -> dict[str, Any]:
        grant: dict[str, Any] = {"pre-authorized_code": "pre-authorized"}
        if self.tx_code is not None:
            grant["tx_code"] = {"length": 6, "description": "on paper"}
        grants = (
            {"authorization_code": {"issuer_state": "state"}}
            if card
            else {"urn:ietf:params:oauth:grant-type:pre-authorized_code": grant}
        )
        return {
            "credential_issuer": ISSUER,
            "credential_configuration_ids": list(configurations or list(CONFIGURATIONS)[:3]),
            "grants": grants,
        }

    def link(self, *configurations: str, card: bool = False) -> str:
        offered = strict_json.compact(self.offer(*configurations, card=card)).decode()
        return f"openid-credential-offer://?credential_offer={quote(offered)}"

    def link_by_reference(self) -> str:
        return f"openid-credential-offer://?credential_offer_uri={quote(f'{ISSUER}/offers/1')}"

    # ── endpoints ────────────────────────────────────────────────────────────────────────────

    def _metadata(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            json={
                "credential_issuer": ISSUER,
                "credential_endpoint": f"{ISSUER}/credential",
                "nonce_endpoint": f"{ISSUER}/nonce",
                "notification_endpoint": f"{ISSUER}/notification",
                "batch_credential_issuance": {"batch_size": self.batch},
                "display": [{"name": "The city", "locale": "en"}],
                "credential_configurations_supported": {
                    name: {
                        "format": "dc+sd-jwt",
                        "vct": vct,
                        "scope": name,
                        "credential_metadata": {"display": [{"name": NAMES[vct], "locale": "en"}]},
                    }
                    for name, vct in CONFIGURATIONS.items()
                },
            },
        )

    def _server(self, _: httpx.Request) -> httpx.Response:
        return httpx.Response(
            200,
            json={
                "issuer": ISSUER,
                "token_endpoint": f"{ISSUER}/token",
                "authorization_endpoint": f"{ISSUER}/authorize",
                "pushed_authorization_request_endpoint": f"{ISSUER}/par",
                "dpop_signing_alg_values_supported": ["ES256"],
                "pre-authorized_grant_anonymous_access_supported": True,
            },
        )

    def _token(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            return problem(503, "temporarily_unavailable")
        proof = jws.parse(request.headers["DPoP"])
        if proof.claims().get("nonce") != "dpop-nonce":
            return httpx.Response(400, json={"error": "use_dpop_nonce"}, headers={"DPoP-Nonce": "dpop-nonce"})
        key = PublicKey.from_jwk(proof.header["jwk"]).thumbprint
        fields = form(request)
        self.token_calls.append(fields)
        if "pre-authorized_code" in fields:
            if fields["pre-authorized_code"] not in self.codes or fields.get("tx_code") != self.tx_code:
                return problem(400, "invalid_grant")
            self.codes.discard(fields["pre-authorized_code"])
        elif "code" in fields:
            if fields["code"] not in self.codes:
                return problem(400, "invalid_grant")
        elif self.refresh_tokens.pop(fields.get("refresh_token", ""), None) != key:
            return problem(400, "invalid_grant")
        refresh = secrets.token_urlsafe(16)
        self.refresh_tokens[refresh] = key
        return httpx.Response(
            200, json={"access_token": "access", "token_type": "DPoP", "refresh_token": refresh, "expires_in": 300}
        )

    def _credential(self, request: httpx.Request) -> httpx.Response:
        asked = body(request)
        assert request.headers["Authorization"] == "DPoP access"
        vct = CONFIGURATIONS[asked["credential_configuration_id"]]
        keys = []
        for proof in asked["proofs"]["jwt"]:
            parsed = jws.parse(proof)
            key = PublicKey.from_jwk(parsed.header["jwk"])
            claims = jws.verify(parsed, key, typ="openid4vci-proof+jwt").claims()
            assert (claims["aud"], claims["nonce"]) == (ISSUER, "fresh")
            keys.append(key)
        return httpx.Response(200, json={"credentials": [{"credential": self.copy(vct, key)} for key in keys]})

    def copy(self, kind: str, key: PublicKey, **changed: Any) -> str:
        signing = self.city.pki.issuer_signer("bcn", issuer=ISSUER)
        self.issued += 1
        claims: dict[str, Any]
        paths: list[ClaimPath]
        if kind == PERSON_ID:
            claims, paths = dict(PERSON), [(name,) for name in PERSON if name != "age_equal_or_over"]
            paths += [("age_equal_or_over", age) for age in ("16", "18", "65")]
        elif kind == PAIRWISE:
            claims = {"ids": {name: f"p{secrets.token_hex(16)}" for name in self.organisations}}
            paths = [("ids", name) for name in self.organisations]
        elif kind == MANDATE:
            claims = {**self.mandate, "ids": {party("consent"): REPRESENTED, party("portal"): "qqportal"}}
            paths = [*((name,) for name in self.mandate), *(("ids", name) for name in claims["ids"])]
        else:
            claims = {"municipality": "Barcelona", "district": "Gràcia"}
            paths = [(name,) for name in claims]
        given: dict[str, Any] = {
            "claims": claims,
            "disclosable": paths,
            "vct": kind,
            "issuer": ISSUER,
            "signer": signing.signer(),
            "x5c": signing.chain(),
            "holder_key": key,
            "iat": None,
            "exp": int(self.city.now) + DAY_SECONDS,
            "random": secrets.token_bytes,
        }
        return issue(**{**given, **changed})

    # ── authorization code and card ──────────────────────────────────────────────────────────

    def _par(self, request: httpx.Request) -> httpx.Response:
        fields = form(request)
        self.pushed["urn:request:1"] = fields
        return httpx.Response(201, json={"request_uri": "urn:request:1", "expires_in": 60})

    def _return(self, fields: Mapping[str, str], code: str = "code-1") -> str:
        self.codes.add(code)
        return f"{fields['redirect_uri']}?{urlencode({'code': code, 'state': fields['state'], 'iss': ISSUER})}"

    def _authorize(self, request: httpx.Request) -> httpx.Response:
        fields = self.pushed[dict(request.url.params)["request_uri"]]
        if "json" not in request.headers["Accept"]:
            if self.redirects:
                return httpx.Response(302, headers={"Location": self._return(fields)})
            return httpx.Response(200, html="<p>Who are you?</p>")
        session = base64url.encode(secrets.token_bytes(16))
        answer = {"session": session, "challenge": f"{ISSUER}/card/challenge", "login": f"{ISSUER}/card/login"}
        return httpx.Response(200, json=answer, headers={"Set-Cookie": "atorga_issuer=1; Path=/; HttpOnly"})

    def _challenge(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Cookie"] == "atorga_issuer=1"
        session = body(request)["session"]
        made = challenge.make_challenge(
            secrets.token_bytes,
            binding=self.bind_to or self.pushed["urn:request:1"]["dpop_jkt"],
            issuer=ISSUER,
            purpose="issue",
            session=session,
        )
        self.challenges[session] = made
        return httpx.Response(200, json=challenge.format_challenge(made))

    def _login(self, request: httpx.Request) -> httpx.Response:
        sent = body(request)
        token = web_eid.parse_token(sent["token"])
        self.tokens.append(token)
        return httpx.Response(200, json={"redirect_to": self._return(self.pushed["urn:request:1"])})
