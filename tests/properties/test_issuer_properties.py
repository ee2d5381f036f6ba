"""Whatever is sent to the issuer gets an answer that names its fault, and never a 500."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from identity.issuer.status_places import place
from identity.keys.signer import SoftwareSigner
from tests.issuer_city import CLIENT, ISSUER, City, Wallet, empty_database, open_city, open_session

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)
MEMBERS = st.sampled_from([
    "credential_configuration_id", "credential_identifier", "proofs", "jwt", "transaction_id", "notification_id",
    "event", "session", "token", "credential_response_encryption",
])  # fmt: skip
OBJECTS = st.dictionaries(MEMBERS, JSON_VALUES | st.dictionaries(MEMBERS, JSON_VALUES, max_size=2), max_size=4)
BODIES = (
    st.binary(max_size=200)
    | OBJECTS.map(lambda value: json.dumps(value).encode())
    | JSON_VALUES.map(lambda value: json.dumps(value).encode())
)
PARAMETERS = st.dictionaries(
    st.sampled_from([
        "grant_type", "code", "code_verifier", "pre-authorized_code", "tx_code", "refresh_token", "client_id", "scope",
        "redirect_uri", "response_type", "code_challenge", "code_challenge_method", "authorization_details",
        "request_uri", "issuer_state", "dpop_jkt", "state",
    ]),
    st.sampled_from([
        "code", "S256", CLIENT, "authorization_code", "refresh_token", "person-id-sd-jwt", "[]", "[{}]", "{",
        "urn:ietf:params:oauth:grant-type:pre-authorized_code", "v" * 43, "https://w.example/cb", "\x00", "é",
    ]) | st.text(max_size=30),
)  # fmt: skip
LIMITS = settings(max_examples=60, deadline=None)


@pytest.fixture(scope="module")
def city(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("issuer")
    with open_city(folder, empty_database=empty_database(folder / "empty.sqlite")) as made:
        yield made


@pytest.fixture(scope="module")
def token(city: City) -> str:
    return city.token("person-id-sd-jwt")


def require_named(answer: Any) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    body = answer.json()
    assert body.keys() == {"error", "error_description"}
    assert all(" " <= character <= "~" and character not in '"\\' for character in body["error_description"])


@LIMITS
@given(body=BODIES, path=st.sampled_from(["credential", "deferred", "notification"]))
def test_json_endpoints(city: City, token: str, body: bytes, path: str) -> None:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    require_named(city.client.post(f"{ISSUER}/{path}", content=body, headers=headers))


@LIMITS
@given(body=BODIES, path=st.sampled_from(["challenge", "login"]))
def test_card_endpoints(city: City, body: bytes, path: str) -> None:
    headers = {"Content-Type": "application/json"}
    require_named(city.client.post(f"{ISSUER}/card/{path}", content=body, headers=headers))


@LIMITS
@given(token=st.dictionaries(st.sampled_from(["origin", "nonce", "algorithm", "signature"]), JSON_VALUES))
def test_card_tokens(city: City, token: dict[str, Any]) -> None:
    session = open_session(city, Wallet(city).address())
    city.client.post(session["challenge"], json={"session": session["session"]})
    body = json.dumps({"session": session["session"], "token": token}).encode()
    answer = city.client.post(session["login"], content=body, headers={"Content-Type": "application/json"})
    require_named(answer)


@LIMITS
@given(fields=PARAMETERS, path=st.sampled_from(["token", "par"]))
def test_forms(city: City, fields: dict[str, str], path: str) -> None:
    answer = city.post_form(path, fields)
    if answer.status_code != 201:
        require_named(answer)


@LIMITS
@given(body=st.binary(max_size=300), path=st.sampled_from(["token", "par"]))
def test_form_bytes(city: City, body: bytes, path: str) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    require_named(city.client.post(f"{ISSUER}/{path}", content=body, headers=headers))


@LIMITS
@given(query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=80))
def test_authorization_addresses(city: City, query: str) -> None:
    require_named(city.client.get(f"{ISSUER}/authorize?{query}", headers={"Accept": "application/json"}))


@LIMITS
@given(header=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=80))
def test_headers(city: City, header: str) -> None:
    for name in ("Authorization", "DPoP"):
        headers = {"Content-Type": "application/json", name: header}
        require_named(city.client.post(f"{ISSUER}/credential", content=b"{}", headers=headers))
    require_named(city.post_form("token", {"grant_type": "refresh_token", "refresh_token": "x"}, DPoP=header))


@LIMITS
@given(at=st.integers(0, 10_000), to=st.sampled_from("Aa0-_.~=x"))
def test_changed_proofs(city: City, token: str, at: int, to: str) -> None:
    """No character of a proof can be changed without being noticed."""
    proof = city.proof(SoftwareSigner.generate(), city.c_nonce())
    at %= len(proof)
    changed = proof[:at] + to + proof[at + 1 :]
    body = {"credential_configuration_id": "person-id-sd-jwt", "proofs": {"jwt": [changed]}}
    answer = city.ask(token, body)
    if changed != proof:
        require_named(answer)
        assert answer.json()["error"] == "invalid_proof"


@given(key=st.binary(min_size=32, max_size=32), size=st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_places_are_a_permutation_under_any_key(key: bytes, size: int) -> None:
    assert sorted(place(key, size, number) for number in range(size)) == list(range(size))
