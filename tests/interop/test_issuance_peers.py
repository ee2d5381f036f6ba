"""Foreign peers of our issuer: sd-jwt and openvc-core read its credentials, status list, offers and metadata."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from jwcrypto.jwk import JWK
from openvc.errors import OpenvcError
from openvc.openid4vci import parse_credential_issuer_metadata, parse_credential_offer, verify_credential_request_proofs
from openvc.proof.sd_jwt import SdJwtVcProofSuite
from openvc.status.token_status_list import check_token_status
from sd_jwt.verifier import SDJWTVerifier

from identity.envelope import jws
from identity.formats.sd_jwt_vc.parse import peek
from identity.formats.sd_jwt_vc.present import present
from identity.keys.signer import SoftwareSigner
from identity.openid4vci import offer
from tests.issuer_city import ISSUER, City, empty_database, open_city

CONFIGURATIONS = ("person-id-sd-jwt", "residency-sd-jwt", "pairwise-sd-jwt")
AUDIENCE, NONCE = "x509_hash:verifier", "a-nonce"


@pytest.fixture
def city(tmp_path: Path) -> Iterator[City]:
    with open_city(tmp_path, empty_database=empty_database(tmp_path / "empty.sqlite")) as made:
        made.now[0] = time.time()
        yield made


@dataclass
class Held:
    body: str
    key: SoftwareSigner

    @property
    def claims(self) -> dict[str, Any]:
        return peek(self.body).claims


def held(city: City, configuration: str) -> Held:
    token, key = city.token(configuration), SoftwareSigner.generate()
    proofs = {"jwt": [city.proof(key, city.c_nonce())]}
    answer = city.ask(token, {"credential_configuration_id": configuration, "proofs": proofs})
    return Held(answer.json()["credentials"][0]["credential"], key)


def presented(one: Held) -> str:
    return present(
        one.body,
        disclose=peek(one.body).disclosable,
        audience=AUDIENCE,
        nonce=NONCE,
        now=int(time.time()),
        holder=one.key,
    )


def issuer_jwk(city: City) -> dict[str, Any]:
    (jwk,) = city.client.get("/.well-known/jwt-vc-issuer/bcn").json()["jwks"]["keys"]
    return dict(jwk)


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_reference_implementation_reads_what_we_issue(city: City, configuration: str) -> None:
    one = held(city, configuration)
    key = JWK.from_json(json.dumps(issuer_jwk(city)))
    seen = SDJWTVerifier(presented(one), lambda *_: key, AUDIENCE, NONCE).get_verified_payload()
    assert {name: seen[name] for name in one.claims if name != "_sd_alg"} == one.claims
    with pytest.raises(ValueError, match="once"):
        SDJWTVerifier(presented(one), lambda *_: key, AUDIENCE, "another")


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_openvc_reads_what_we_issue(city: City, configuration: str) -> None:
    one = held(city, configuration)
    suite = SdJwtVcProofSuite()
    jwk = {name: value for name, value in issuer_jwk(city).items() if name in ("kty", "crv", "x", "y")}
    found = suite.verify(
        presented(one), public_key_jwk=jwk, audience=AUDIENCE, nonce=NONCE, require_key_binding=True,
        expected_vct=one.claims["vct"],
    )  # fmt: skip
    assert found.key_bound and found.claims["iss"] == ISSUER
    with pytest.raises(OpenvcError):
        suite.verify(presented(one), public_key_jwk=SoftwareSigner.generate().public_key.jwk(), audience=AUDIENCE,
                     nonce=NONCE)  # fmt: skip


def test_openvc_reads_our_status_list(city: City) -> None:
    one = held(city, "residency-sd-jwt")

    def status() -> Any:
        def resolve(uri: str) -> dict[str, Any]:
            token = jws.parse(city.client.get(uri).text, max_bytes=1_000_000)
            return dict(jws.verify(token, city.status_key.public_key, typ="statuslist+jwt").claims())

        return check_token_status(one.claims, resolve_status_list_token=resolve)

    assert status().status == 0 and not status().revoked
    uri, index = one.claims["status"]["status_list"]["uri"], one.claims["status"]["status_list"]["idx"]
    city.hall.revocation.by_status(uri, index, "loss")
    assert status().revoked


def test_openvc_reads_our_offers_and_metadata(city: City) -> None:
    # it takes https only, as production does
    issuer = "https://issuer.example/bcn"
    made = offer.pre_authorized(issuer, list(CONFIGURATIONS), code="c", tx_code_length=6, tx_code_hint="on paper")
    link = parse_qs(urlsplit(offer.by_value(made)).query)["credential_offer"][0]
    read = parse_credential_offer(link)
    assert read.credential_issuer == issuer and tuple(read.credential_configuration_ids) == CONFIGURATIONS
    published = json.loads(json.dumps(city.hall.tenant.metadata()).replace(ISSUER, issuer))
    metadata = parse_credential_issuer_metadata(published)
    assert (metadata.credential_issuer, metadata.batch_size) == (issuer, 10)
    assert set(metadata.credential_configurations_supported) == set(CONFIGURATIONS)


def test_openvc_believes_the_proofs_that_we_accept(city: City) -> None:
    nonce = city.c_nonce()
    keys = [SoftwareSigner.generate() for _ in range(10)]
    spent: list[str] = []

    def spend(value: str) -> bool:
        spent.append(value)
        return True

    found = verify_credential_request_proofs(
        {"credential_configuration_id": "a", "proofs": {"jwt": [city.proof(key, nonce) for key in keys]}},
        credential_issuer=ISSUER,
        check_nonce=spend,
        batch_size=10,
    )
    assert len(found) == 10 and spent == [nonce]
