"""Offers, metadata and the JSON requests, against the examples of the specification."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from identity.errors import ProtocolError
from identity.issuer.credential_type import bundled
from identity.keys.signer import SoftwareSigner
from identity.openid4vci import authorization_details, credential_request, metadata, offer
from wallet_cli.receive import offer as wallet_offer

ISSUER = "https://issuer.example/bcn"
VECTORS = Path(__file__).parents[3] / "vectors" / "openid4vci"


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_text())


def test_offers_are_what_the_wallet_reads() -> None:
    made = offer.pre_authorized(ISSUER, ["a", "b"], code="c", tx_code_length=6, tx_code_hint="on paper")
    (value,) = parse_qs(urlsplit(offer.by_value(made)).query)["credential_offer"]
    read = wallet_offer.parse(value)
    assert (read.credential_issuer, read.configurations, read.pre_authorized_code) == (ISSUER, ("a", "b"), "c")
    assert read.tx_code == wallet_offer.TxCode(6, "on paper")
    plain = offer.pre_authorized(ISSUER, ["a"], code="c", tx_code_length=None, tx_code_hint="")
    assert wallet_offer.parse(json.dumps(plain)).tx_code is None
    state = wallet_offer.parse(json.dumps(offer.authorization_code(ISSUER, ["a"], issuer_state="s")))
    assert (state.needs_authorization, state.issuer_state) == (True, "s")
    assert wallet_offer.reference_of(offer.by_reference(f"{ISSUER}/offers/x")) == f"{ISSUER}/offers/x"


def test_offer_has_the_shape_of_the_example() -> None:
    example = vector("credential_offer_multiple_credentials.json")
    made = offer.pre_authorized(ISSUER, ["a"], code="c", tx_code_length=4, tx_code_hint="hint")
    assert made.keys() == example.keys()
    (grant,), (shown,) = made["grants"].items(), example["grants"].items()
    assert grant[0] == shown[0] and grant[1].keys() == shown[1].keys()
    assert grant[1]["tx_code"].keys() == shown[1]["tx_code"].keys()


def test_details_of_the_example_are_read() -> None:
    details = vector("authorization_details.json")
    found = authorization_details.parse(json.dumps(details), issuer=ISSUER)
    assert found == (details[0]["credential_configuration_id"],)


def test_configurations_have_the_shape_of_the_example() -> None:
    (example,) = vector("credential_metadata_sd_jwt_vc.json")["credential_configurations_supported"].values()
    for kind in bundled(["person-id", "residency", "pairwise"]).values():
        made = kind.metadata()
        assert made.keys() == example.keys() and made["format"] == example["format"]
        assert {"display", "claims"} == made["credential_metadata"].keys()
        languages = [entry["locale"] for entry in made["credential_metadata"]["display"]]
        assert sorted(languages) == ["ca", "en", "es", "eu", "gl"]


def test_metadata() -> None:
    issuer = metadata.credential_issuer(ISSUER, names={"ca": "Ajuntament"}, batch_size=10, configurations={"a": {}})
    assert issuer["credential_issuer"] == ISSUER and issuer["batch_credential_issuance"] == {"batch_size": 10}
    assert all(value.startswith(f"{ISSUER}/") for name, value in issuer.items() if name.endswith("_endpoint"))
    server = metadata.authorization_server(ISSUER, scopes=["a"])
    assert server["issuer"] == ISSUER and server["require_pushed_authorization_requests"] is True
    assert server["code_challenge_methods_supported"] == ["S256"]
    assert server["authorization_response_iss_parameter_supported"] is True
    key = SoftwareSigner.generate().public_key
    published = metadata.jwt_vc_issuer(ISSUER, [key])
    assert published["jwks"]["keys"][0]["kid"] == key.thumbprint and "d" not in published["jwks"]["keys"][0]
    assert metadata.well_known(ISSUER, "/.well-known/x") == "https://issuer.example/.well-known/x/bcn"


def ask(body: Any) -> credential_request.CredentialRequest:
    return credential_request.parse(body if isinstance(body, bytes) else json.dumps(body).encode(), batch_size=10)


def test_credential_requests() -> None:
    named = ask({"credential_configuration_id": "a", "proofs": {"jwt": ["x", "y"]}, "unknown": 1})
    assert named == credential_request.CredentialRequest("a", None, ("x", "y"))
    assert ask({"credential_identifier": "a.0", "proofs": {"jwt": ["x"]}}).identifier == "a.0"


PROOFS = {"jwt": ["x"]}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_credential_request"),
        (b"[]", "invalid_credential_request"),
        (b"{", "invalid_credential_request"),
        (b'{"credential_configuration_id":"a","credential_configuration_id":"a","proofs":{"jwt":["x"]}}',
         "invalid_credential_request"),
        (b'{"credential_configuration_id":"a","proofs":{"jwt":["x"],"jwt":["x"]}}', "invalid_credential_request"),
        (b"\xff", "invalid_credential_request"),
        (b" " * 65_537, "invalid_credential_request"),
        ({"proofs": PROOFS}, "invalid_credential_request"),
        ({"credential_configuration_id": "a", "credential_identifier": "a", "proofs": PROOFS},
         "invalid_credential_request"),
        ({"credential_configuration_id": 7, "proofs": PROOFS}, "invalid_credential_request"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": ["x"] * 11}}, "invalid_credential_request"),
        ({"credential_configuration_id": "a"}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proof": {"proof_type": "jwt", "jwt": "x"}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"attestation": ["x"]}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": ["x"], "di_vp": ["x"]}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": "x"}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": []}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": [7]}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": {"jwt": ["x" * 8_193]}}, "invalid_proof"),
        ({"credential_configuration_id": "a", "proofs": PROOFS, "credential_response_encryption": {}},
         "invalid_encryption_parameters"),
    ],
)  # fmt: skip
def test_credential_requests_that_are_refused(body: Any, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        ask(body)
    assert caught.value.code == code


def test_deferred_and_notification() -> None:
    assert credential_request.parse_deferred(b'{"transaction_id":"t"}') == "t"
    told = credential_request.parse_notification(b'{"notification_id":"n","event":"credential_accepted","x":1}')
    assert told == credential_request.Notification("n", "credential_accepted")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{}", "invalid_credential_request"),
        (b"[", "invalid_credential_request"),
        (b'{"transaction_id":7}', "invalid_transaction_id"),
        (b'{"transaction_id":"t","credential_response_encryption":{}}', "invalid_encryption_parameters"),
    ],
)
def test_deferred_requests_that_are_refused(data: bytes, code: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        credential_request.parse_deferred(data)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{}",
        b'{"notification_id":"n"}',
        b'{"event":"credential_accepted"}',
        b'{"notification_id":"n","event":"other"}',
        b'{"notification_id":"n","event":["credential_accepted"]}',
        b'{"notification_id":7,"event":"credential_accepted"}',
        b'{"notification_id":"n","event":"credential_accepted","event_description":7}',
        b'{"notification_id":"n","notification_id":"n","event":"credential_accepted"}',
    ],
)
def test_notifications_that_are_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        credential_request.parse_notification(data)
    assert caught.value.code == "invalid_notification_request"
