"""The examples of OpenID4VP 1.0: queries are read, written again and answered; the encrypted response opens."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from identity.codec import strict_json
from identity.envelope import jwe
from identity.errors import ProtocolError
from identity.openid4vp import client_metadata, dcql, form
from identity.openid4vp.match import evaluate, match
from identity.openid4vp.respond import parse_response

HERE = Path(__file__).parent / "openid4vp"
QUERIES = sorted([*HERE.glob("query_lang/*.json"), *HERE.glob("request/dcql_*.json")])


def example(path: Path | str) -> Any:
    return json.loads((HERE / path).read_text())


def query_of(path: Path | str) -> dict[str, Any]:
    found = example(path)
    return dict(found.get("dcql_query", found))


@dataclass(frozen=True)
class Held:
    vct: str
    claims: dict[str, Any]
    aka_vcts: tuple[str, ...] = ()
    header: dict[str, Any] = field(default_factory=dict)


IDENTITY = Held(
    "https://credentials.example.com/identity_credential",
    {
        "given_name": "John",
        "family_name": "Doe",
        "address": {"street_address": "42 Market Street"},
        "postal_code": "90210",
        "date_of_birth": "1980-01-01",
    },
)
REDUCED = Held(
    "https://credentials.example.com/reduced_identity_credential", {"given_name": "John", "family_name": "Doe"}
)
RESIDENCE = Held(
    "https://cred.example/residence_credential", {"postal_code": "1", "locality": "Milliways", "region": "x"}
)
REWARDS = Held("https://company.example/company_rewards", {"rewards_number": "7"})


def test_there_are_as_many_as_were_copied() -> None:
    assert len(QUERIES) == 9


@pytest.mark.parametrize("path", QUERIES, ids=lambda path: path.stem)
def test_every_query_is_read_and_written_again(path: Path) -> None:
    obj = query_of(path)
    assert dcql.format(dcql.parse(obj)) == obj


def test_simple() -> None:
    query = dcql.parse(query_of("query_lang/simple.json"))
    found = match(query.credentials[0], IDENTITY)
    assert found is not None
    assert found.claims == (("family_name",), ("given_name",), ("address", "street_address"))


def test_values() -> None:
    query = dcql.parse(query_of("query_lang/value_matching_simple.json")).credentials[0]
    assert match(query, IDENTITY) is not None
    assert match(query, Held(IDENTITY.vct, IDENTITY.claims | {"postal_code": "90212"})) is None


def test_claim_sets_take_the_second_option_where_the_first_is_not_held() -> None:
    query = dcql.parse(query_of("query_lang/claims_alternatives.json")).credentials[0]
    found = match(query, IDENTITY)
    assert found is not None
    assert found.claims == (("family_name",), ("postal_code",), ("date_of_birth",))


def test_credential_sets() -> None:
    query = dcql.parse(query_of("query_lang/credentials_alternatives.json"))
    assert evaluate(query, [IDENTITY, REDUCED, RESIDENCE]).needed == ("pid",)
    without = evaluate(query, [REDUCED, RESIDENCE, REWARDS])
    assert (without.needed, without.optional) == (("pid_reduced_cred_1", "pid_reduced_cred_2"), ("nice_to_have",))
    assert evaluate(query, [REDUCED]).missing == ("pid",)


def test_another_format_is_not_ours_to_answer() -> None:
    assert evaluate(dcql.parse(query_of("query_lang/simple_mdoc.json")), [IDENTITY]).missing == ("my_credential",)
    assert evaluate(dcql.parse(query_of("query_lang/multi_credentials.json")), [IDENTITY]).missing == ("mdl",)


def test_verifier_metadata() -> None:
    client_metadata.require_our_formats(example("client_metadata/sd_jwt_vc_verifier_metadata.json"))
    for name in ("mso_mdoc", "w3c_jwt", "w3c_ldp"):
        with pytest.raises(ProtocolError) as caught:
            client_metadata.require_our_formats(example(f"client_metadata/{name}_verifier_metadata.json"))
        assert caught.value.code == "vp_formats_not_supported"


def test_encrypted_response_of_section_8_3() -> None:
    vector = example("response_encryption.json")
    header, plaintext = jwe.decrypt(vector["response"], vector["private_jwk"])
    assert header == vector["header"]
    assert strict_json.parse_object(plaintext, what="payload") == vector["payload"]
    read = parse_response(
        form.format({"response": vector["response"]}),
        response_mode="direct_post.jwt",
        private_jwk=vector["private_jwk"],
        kid="ac",
    )
    assert (read.state, getattr(read, "vp_token", None)) == (None, vector["payload"]["vp_token"])


def test_key_binding_jwt_is_for_a_client_with_its_prefix() -> None:
    claims = example("response/kb_jwt_unsecured.json")
    assert claims["aud"].partition(":")[0] in {"x509_san_dns", "x509_hash", "redirect_uri"}
    assert claims.keys() >= {"nonce", "iat", "sd_hash"}
