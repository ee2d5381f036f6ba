"""Foreign peers at both ends of a presentation: a certified verifier takes ours, we take another issuer's."""

import json
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from atorga.town.pki import ISSUERS
from identity.codec import base64url
from identity.errors import IdentityError
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.openid4vp import dcql, form
from identity.openid4vp.check import VerifiedPresentation, check_presentation
from identity.openid4vp.match import evaluate
from identity.openid4vp.request import VerifiedAuthorizationRequest, read_request
from identity.openid4vp.respond import format_error, format_response
from identity.trust.chain import anchors_from_pem, format_x5c
from tests.paper_city import DISTRICT_QUERY, RESIDENCY, Copy, PaperCity

NOW = int(time.time())
ISSUER = "https://issuer.example/bcn"


@pytest.fixture
def city(tmp_path: Path) -> PaperCity:
    return PaperCity(tmp_path / "pki", now=NOW)


class Polaris:
    """polaris-oid4vp, certified for OpenID4VP 1.0 with HAIP 1.0, trusting our city's issuers."""

    def __init__(self, city: PaperCity, folder: Path) -> None:
        from cryptography.x509 import load_pem_x509_certificates
        from polaris_oid4vp import cli, verifier

        cli.keygen(folder, "verifier.example")
        issuers = city.certificates.pki.root(ISSUERS).certificates.read_bytes()
        self.verifier: Any = verifier.Verifier(
            client_cert_pem=(folder / cli.FILES["client_cert"]).read_bytes(),
            client_key_pem=(folder / cli.FILES["client_key"]).read_bytes(),
            request_uri="https://verifier.example/request",
            response_uri="https://verifier.example/response",
            issuer_trust_anchors=load_pem_x509_certificates(issuers),
            vct_values=(RESIDENCY,),
            claims=("district",),
        )
        self.anchors = anchors_from_pem((folder / cli.FILES["anchor"]).read_bytes())
        self.session, self.jar = self.verifier.new_request()

    def read(self, jar: str | None = None, **more: Any) -> VerifiedAuthorizationRequest:
        return read_request(
            jar or self.jar,
            client_id=self.verifier.client_id,
            profile="haip",
            anchors=self.anchors,
            registry=None,
            now=int(time.time()),
            **more,
        )

    def answered(self, body: bytes) -> tuple[int, Any, Any]:
        fields = form.parse(body, what="body", max_bytes=1_000_000)
        status, answer, verdict = self.verifier.handle_direct_post({name: [value] for name, value in fields.items()})
        return status, answer, verdict


@pytest.fixture
def polaris(city: PaperCity, tmp_path: Path) -> Polaris:
    return Polaris(city, tmp_path / "polaris")


def token(request: VerifiedAuthorizationRequest, copy: Copy, **change: Any) -> dict[str, list[str]]:
    found = evaluate(request.query, [peek(copy.credential)])
    assert not found.missing
    arguments: dict[str, Any] = {
        "audience": request.client_id,
        "nonce": request.nonce,
        "now": int(time.time()),
        "holder": copy.key,
        **change,
    }
    (query_id,) = found.needed
    return {query_id: [present(copy.credential, disclose=found.candidates[query_id][0].match.claims, **arguments)]}


def test_polaris_takes_what_our_wallet_presents(city: PaperCity, polaris: Polaris) -> None:
    request = polaris.read()
    assert request.party is None
    status, answer, verdict = polaris.answered(format_response(request, token(request, city.residency(index=None))))
    assert status == 200, answer
    assert verdict.authentic, verdict.reason
    assert verdict.claims["district"] == "Gràcia-2c81"
    assert "municipality" not in verdict.claims


def test_polaris_gives_back_our_wallets_nonce(polaris: Polaris) -> None:
    jar = polaris.verifier.request_object(polaris.session.state, wallet_nonce="w-1")
    assert polaris.read(jar, wallet_nonce="w-1").nonce == polaris.session.nonce
    with pytest.raises(IdentityError):
        polaris.read(jar, wallet_nonce="w-2")


@pytest.mark.parametrize("change", [{"nonce": "other"}, {"audience": "x509_hash:other"}, {"now": NOW - 86_400}])
def test_polaris_refuses_what_we_present_wrongly(city: PaperCity, polaris: Polaris, change: dict[str, Any]) -> None:
    request = polaris.read()
    body = format_response(request, token(request, city.residency(index=None), **change))
    status, _, verdict = polaris.answered(body)
    assert (status, verdict.authentic) == (400, False)


def test_polaris_understands_our_refusal(polaris: Polaris) -> None:
    request = polaris.read()
    status, _, verdict = polaris.answered(format_error("access_denied", "not today", request.state))
    assert (status, verdict.authentic, verdict.code) == (200, False, "wallet_error")


class Reference:
    """sd-jwt, the reference implementation, issues under our listed certificate and presents."""

    def __init__(self, city: PaperCity) -> None:
        from jwcrypto.jwk import JWK
        from sd_jwt.common import SDObj
        from sd_jwt.issuer import SDJWTIssuer

        signing = city.certificates.issuer
        self.holder_key = JWK.generate(kty="EC", crv="P-256")
        claims = {
            "iss": ISSUER,
            "vct": RESIDENCY,
            "iat": NOW,
            "exp": NOW + 3_600,
            SDObj("district"): "Gràcia-2c81",
            SDObj("municipality"): "Barcelona",
        }
        self.issuer = SDJWTIssuer(
            user_claims=claims,
            issuer_key=JWK.from_pem(signing.key.read_bytes()),
            holder_key=JWK.from_json(self.holder_key.export_public()),
            sign_alg="ES256",
            extra_header_parameters={"typ": "dc+sd-jwt", "x5c": format_x5c(signing.chain())},
        )

    def presentation(self, disclose: dict[str, bool], *, nonce: str = "n-1", audience: str = "x509_hash:me") -> str:
        from sd_jwt.holder import SDJWTHolder

        holder = SDJWTHolder(self.issuer.sd_jwt_issuance)
        holder.create_presentation(disclose, nonce, audience, self.holder_key, sign_alg="ES256")
        return str(holder.sd_jwt_presentation)


def checked(city: PaperCity, presentation: str) -> VerifiedPresentation:
    return check_presentation(
        {"residency": [presentation]},
        dcql.parse(DISTRICT_QUERY),
        issuer_key=city.issuers.issuer_key,
        status_check=None,
        client_id="x509_hash:me",
        nonce="n-1",
        now=int(time.time()),
    )


def test_we_take_what_the_reference_implementation_made(city: PaperCity) -> None:
    found = checked(city, Reference(city).presentation({"district": True}))
    assert found.claims == {"residency": [{"district": "Gràcia-2c81"}]}


def test_we_refuse_it_tampered(city: PaperCity) -> None:
    text = Reference(city).presentation({"district": True})
    head, disclosure, binding = text.split("~")
    salt, name, _ = json.loads(base64url.decode(disclosure))
    changed = base64url.encode(json.dumps([salt, name, "Sants"]).encode())
    signature = base64url.encode(secrets.token_bytes(64))
    for wrong in (
        f"{head}~{changed}~{binding}",
        f"{head}~{disclosure}~{disclosure}~{binding}",
        f"{head}~{binding}",
        f"{head}~{disclosure}~",
        f"{head.rsplit('.', 1)[0]}.{signature}~{disclosure}~{binding}",
        Reference(city).presentation({"district": True}, nonce="n-2"),
        Reference(city).presentation({"district": True}, audience="x509_hash:other"),
        Reference(city).presentation({"municipality": True}),
    ):
        with pytest.raises(IdentityError):
            checked(city, wrong)


def test_we_refuse_it_unlisted(city: PaperCity, tmp_path: Path) -> None:
    presentation = Reference(city).presentation({"district": True})
    city.registry = PaperCity(tmp_path / "elsewhere", now=NOW, issuer="https://issuer.example/elsewhere").registry
    with pytest.raises(IdentityError, match="no party is listed"):
        checked(city, presentation)
