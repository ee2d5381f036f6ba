"""Access and refresh tokens: bound to their key, rotating, forgiving of a lost answer and of nothing else."""

from typing import Any

import pytest

from identity.keys.signer import SoftwareSigner
from tests.issuer_city import ISSUER, City, Wallet

PERSON, RESIDENCY = "person-id-sd-jwt", "residency-sd-jwt"


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["error"])


def tokens_of(wallet: Wallet) -> dict[str, Any]:
    return dict(wallet.exchange(wallet.code()).json())


def ask(wallet: Wallet, token: str, configuration: str = PERSON, **dpop: Any) -> Any:
    city = wallet.city
    proof = city.proof(SoftwareSigner.generate(), city.c_nonce())
    body = {"credential_configuration_id": configuration, "proofs": {"jwt": [proof]}}
    if wallet.key is None:
        return city.ask(token, body)
    return city.ask(token, body, scheme="DPoP", **wallet.dpop("credential", token=token, **dpop))


@pytest.fixture
def wallet(city: City) -> Wallet:
    return Wallet(city, SoftwareSigner.generate())


def test_dpop_nonce_is_asked_for_once(city: City, wallet: Wallet) -> None:
    code = wallet.code()
    wallet.nonce = None
    refused = city.post_form("token", {"grant_type": "authorization_code", "code": code}, **wallet.dpop("token"))
    assert error(refused) == "invalid_request", "the form comes first"
    assert wallet.exchange(code).status_code == 200, "a proof without nonce spends no code"
    token = tokens_of(wallet)["access_token"]
    missing = ask(wallet, token, nonce=None)
    assert error(missing, 401) == "use_dpop_nonce"
    assert missing.headers["www-authenticate"].startswith('DPoP error="use_dpop_nonce"')
    wallet.nonce = missing.headers["dpop-nonce"]
    assert ask(wallet, token).status_code == 200
    assert "dpop-nonce" in city.client.post(f"{ISSUER}/nonce").headers


def test_proofs_at_the_credential_endpoint(city: City, wallet: Wallet) -> None:
    token = tokens_of(wallet)["access_token"]
    assert ask(wallet, token).status_code == 200
    assert error(ask(wallet, token, ath=None), 401) == "invalid_dpop_proof"
    assert error(ask(wallet, token, htu=f"{ISSUER}/token"), 401) == "invalid_dpop_proof"
    assert error(ask(wallet, token, jti=f"jti-{wallet.jti - 2}"), 401) == "invalid_dpop_proof", "used before"
    own, wallet.key = wallet.key, SoftwareSigner.generate()
    assert error(ask(wallet, token), 401) == "invalid_token", "another key"
    wallet.key = own
    assert error(city.ask(token, {}, scheme="DPoP"), 401) == "invalid_dpop_proof", "no proof"
    assert error(city.ask(token, {}), 401) == "invalid_token", "as Bearer"


def test_bearer_token_is_not_for_dpop(city: City, wallet: Wallet) -> None:
    token = city.token(PERSON)
    wallet.nonce = city.client.post(f"{ISSUER}/nonce").headers["dpop-nonce"]
    assert error(ask(wallet, token), 401) == "invalid_token"


def test_replayed_proof_at_the_token_endpoint(city: City, wallet: Wallet) -> None:
    code, _ = city.offer(PERSON)
    wallet.nonce = city.client.post(f"{ISSUER}/nonce").headers["dpop-nonce"]
    header = wallet.dpop("token")
    fields = {"grant_type": "urn:ietf:params:oauth:grant-type:pre-authorized_code"}
    first = city.post_form("token", {**fields, "pre-authorized_code": code}, **header)
    assert first.json()["token_type"] == "DPoP"
    other, _ = city.offer(PERSON)
    again = city.post_form("token", {**fields, "pre-authorized_code": other}, **header)
    assert error(again) == "invalid_dpop_proof"
    assert city.redeem(other).status_code == 200


def test_two_proofs_in_one_request(city: City, wallet: Wallet) -> None:
    wallet.nonce = city.client.post(f"{ISSUER}/nonce").headers["dpop-nonce"]
    headers = [*wallet.dpop("token").items(), *wallet.dpop("token").items()]
    form = ("Content-Type", "application/x-www-form-urlencoded")
    answer = city.client.post(
        f"{ISSUER}/token", content=b"grant_type=refresh_token&refresh_token=x", headers=[*headers, form]
    )
    assert error(answer) == "invalid_dpop_proof"


@pytest.mark.parametrize("with_key", [True, False])
def test_refresh_rotates(city: City, with_key: bool) -> None:
    wallet = Wallet(city, SoftwareSigner.generate() if with_key else None)
    tokens = tokens_of(wallet)
    city.now[0] += 86_400
    for _ in range(3):
        fresh = wallet.refresh(tokens["refresh_token"])
        assert fresh.status_code == 200
        assert fresh.json()["token_type"] == ("DPoP" if with_key else "Bearer")
        assert fresh.json()["refresh_token"] != tokens["refresh_token"]
        tokens = fresh.json()
        assert ask(wallet, tokens["access_token"]).status_code == 200


def test_refresh_narrows_and_never_widens(city: City) -> None:
    wallet = Wallet(city)
    token = tokens_of(wallet)["refresh_token"]
    assert error(wallet.refresh(token, scope="pairwise-sd-jwt")) == "invalid_scope"
    assert error(wallet.refresh(token, scope="unknown")) == "invalid_scope"
    narrow = wallet.refresh(token, scope=RESIDENCY).json()
    assert narrow["scope"] == RESIDENCY
    assert error(ask(wallet, narrow["access_token"], PERSON)) == "unknown_credential_configuration"
    assert wallet.refresh(narrow["refresh_token"]).json()["scope"] == f"{PERSON} {RESIDENCY}", "all is still granted"


def test_refresh_token_is_bound(city: City, wallet: Wallet) -> None:
    token = tokens_of(wallet)["refresh_token"]
    assert error(Wallet(city, SoftwareSigner.generate()).refresh(token)) == "invalid_grant"
    assert error(Wallet(city).refresh(token)) == "invalid_grant"
    assert error(wallet.refresh(token, client_id="another")) == "invalid_grant"
    assert wallet.refresh(token).status_code == 200, "and nobody else's trying did it harm"
    assert error(wallet.refresh("unknown")) == "invalid_grant"


def test_lost_answer(city: City, wallet: Wallet) -> None:
    first = tokens_of(wallet)
    lost = wallet.refresh(first["refresh_token"]).json()
    again = wallet.refresh(first["refresh_token"])
    assert again.status_code == 200, "the answer was lost, so the old one works once more"
    assert ask(wallet, again.json()["access_token"]).status_code == 200
    assert error(ask(wallet, lost["access_token"]), 401) == "invalid_token", "what was lost is worth nothing"
    assert error(wallet.refresh(lost["refresh_token"])) == "invalid_grant"
    assert error(wallet.refresh(again.json()["refresh_token"])) == "invalid_grant", "and its use ends all"


def test_copied_refresh_token(city: City, wallet: Wallet) -> None:
    first = tokens_of(wallet)
    second = wallet.refresh(first["refresh_token"]).json()
    assert ask(wallet, second["access_token"]).status_code == 200, "the answer has arrived"
    assert error(wallet.refresh(first["refresh_token"])) == "invalid_grant"
    assert error(wallet.refresh(second["refresh_token"])) == "invalid_grant"
    assert error(ask(wallet, second["access_token"]), 401) == "invalid_token"


def test_successors_use_also_confirms(city: City, wallet: Wallet) -> None:
    first = tokens_of(wallet)
    second = wallet.refresh(first["refresh_token"]).json()
    assert wallet.refresh(second["refresh_token"]).status_code == 200
    assert error(wallet.refresh(first["refresh_token"])) == "invalid_grant"


def test_old_access_token_confirms_nothing(city: City, wallet: Wallet) -> None:
    first = tokens_of(wallet)
    wallet.refresh(first["refresh_token"])
    assert ask(wallet, first["access_token"]).status_code == 200
    assert wallet.refresh(first["refresh_token"]).status_code == 200


def test_refreshing_ends_with_the_issuance(city: City, wallet: Wallet) -> None:
    token = tokens_of(wallet)["refresh_token"]
    city.now[0] += 90 * 86_400
    assert error(wallet.refresh(token)) == "invalid_grant"


def test_named_datasets_stay_named(city: City) -> None:
    wallet = Wallet(city)
    details = f'[{{"type":"openid_credential","credential_configuration_id":"{PERSON}"}}]'
    tokens = wallet.exchange(wallet.code(scope=None, authorization_details=details)).json()
    named = [{"type": "openid_credential", "credential_configuration_id": PERSON,
              "credential_identifiers": [f"{PERSON}.0"]}]  # fmt: skip
    assert tokens["authorization_details"] == named
    assert wallet.refresh(tokens["refresh_token"]).json()["authorization_details"] == named
