"""The authorization endpoint, which is the card login: pushed requests, sessions, challenges, codes (WIRE C7)."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from sqlalchemy import text

from identity.card.challenge import comparison_code, parse_challenge
from identity.card.challenge import nonce as card_nonce
from identity.codec import base64url
from identity.issuer.authorization import CODE_SECONDS, REQUEST_SECONDS
from identity.issuer.store.requests import MAX_CHALLENGES, MAX_SESSIONS
from identity.keys.signer import SoftwareSigner
from identity.openid4vci.redirect import RedirectPolicy
from tests.issuer_city import (
    BASE,
    CHALLENGE,
    CLIENT,
    ISSUER,
    REDIRECT,
    RESIDENTS,
    STRANGER,
    City,
    Wallet,
    card_of,
    challenge,
    login,
    open_session,
)

MIREIA = card_of(RESIDENTS[0])
HTML = {"Accept": "text/html"}


def error(answer: Any, status: int = 400) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return str(answer.json()["error"])


def returned(answer: Any) -> dict[str, str]:
    assert answer.status_code == 200, answer.text
    where = answer.json()["redirect_to"]
    assert where.startswith(f"{REDIRECT}?")
    return {name: value for name, (value,) in parse_qs(urlsplit(where).query).items()}


def test_pushed_request(city: City) -> None:
    answer = Wallet(city).push()
    assert answer.status_code == 201 and answer.headers["cache-control"] == "no-store"
    assert answer.json()["expires_in"] == REQUEST_SECONDS
    assert re.fullmatch(r"urn:ietf:params:oauth:request_uri:[\w-]{43}", answer.json()["request_uri"])


def test_whole_flow_with_dpop(city: City) -> None:
    wallet = Wallet(city, SoftwareSigner.generate())
    answer = returned(login(city, wallet.address(), MIREIA))
    assert answer.keys() == {"code", "state", "iss"}
    assert answer["state"] == "a-state" and answer["iss"] == ISSUER
    tokens = wallet.exchange(answer["code"])
    assert tokens.status_code == 200 and tokens.json()["token_type"] == "DPoP"
    token = tokens.json()["access_token"]
    proof = city.proof(SoftwareSigner.generate(), city.c_nonce(), iss=CLIENT)
    body = {"credential_configuration_id": "person-id-sd-jwt", "proofs": {"jwt": [proof]}}
    issued = city.ask(token, body, scheme="DPoP", **wallet.dpop("credential", token=token))
    assert issued.status_code == 200, issued.text


def test_challenge_is_bound_to_the_key_that_receives(city: City) -> None:
    key = SoftwareSigner.generate()
    session = open_session(city, Wallet(city, key).address())
    found = parse_challenge(challenge(city, session).json())
    assert (found.binding, found.purpose) == (key.public_key.thumbprint, "issue")
    assert (found.issuer, found.session) == (ISSUER, session["session"])
    assert session["challenge"] == f"{ISSUER}/card/challenge" and session["login"] == f"{ISSUER}/card/login"


def test_without_dpop_the_challenge_is_bound_to_the_code_challenge(city: City) -> None:
    found = parse_challenge(challenge(city, open_session(city, Wallet(city).address())).json())
    assert found.purpose == "issue+pkce"
    assert found.binding == base64url.encode(sha256(CHALLENGE.encode()).digest())


def test_key_may_be_named_by_the_proof_beside_the_request(city: City) -> None:
    key = SoftwareSigner.generate()
    wallet = Wallet(city, key)
    found = parse_challenge(challenge(city, open_session(city, wallet.address(dpop_jkt=None))).json())
    assert found.binding == key.public_key.thumbprint
    another = SoftwareSigner.generate().public_key.thumbprint
    assert error(wallet.push(dpop_jkt=another)) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"redirect_uri": "http://wallet.example/cb"}, "invalid_request"),
        ({"redirect_uri": "http://127.0.0.1.evil.example/cb"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": None}, "invalid_scope"),
        ({"scope": "unknown"}, "invalid_scope"),
        ({"issuer_state": "unknown"}, "invalid_request"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"authorization_details": "[]"}, "invalid_authorization_details"),
        ({"authorization_details": '[{"type":"openid_credential","credential_configuration_id":"x"}]'},
         "invalid_authorization_details"),
    ],
)  # fmt: skip
def test_requests_that_are_refused(city: City, changes: dict[str, str | None], code: str) -> None:
    assert error(Wallet(city).push(**changes)) == code


@pytest.mark.parametrize("policy", [RedirectPolicy.NATIVE_ONLY])
def test_outside_the_sandbox_unknown_clients_stay_on_their_machine(city: City) -> None:
    assert error(Wallet(city).push(redirect_uri="https://wallet.example/cb")) == "invalid_request"
    assert Wallet(city).push().status_code == 201


def test_unknown_scopes_are_ignored(city: City) -> None:
    assert Wallet(city).push(scope="unknown person-id-sd-jwt openid").status_code == 201


def test_issuer_state_narrows(city: City) -> None:
    made = city.hall.offers.authorization_code(["residency-sd-jwt"], by_reference=False)
    offer = json.loads(parse_qs(urlsplit(made.link).query)["credential_offer"][0])
    state = offer["grants"]["authorization_code"]["issuer_state"]
    wallet = Wallet(city)
    assert wallet.push(issuer_state=state, scope="residency-sd-jwt").status_code == 201
    assert error(wallet.push(issuer_state=state, scope="person-id-sd-jwt")) == "invalid_request"
    city.now[0] += 600
    assert error(wallet.push(issuer_state=state, scope="residency-sd-jwt")) == "invalid_request"


def test_addresses_that_are_refused(city: City) -> None:
    good = Wallet(city).address()
    uri = parse_qs(urlsplit(good).query)["request_uri"][0]
    wrong = [
        f"{ISSUER}/authorize",
        f"{ISSUER}/authorize?client_id={CLIENT}",
        f"{ISSUER}/authorize?request_uri={uri}",
        f"{ISSUER}/authorize?client_id=another&request_uri={uri}",
        f"{ISSUER}/authorize?client_id={CLIENT}&request_uri={uri[:-1]}A",
        f"{ISSUER}/authorize?client_id={CLIENT}&request_uri=https%3A%2F%2Fevil.example%2Frequest",
        f"{good}&client_id={CLIENT}",
        f"{good}&x=%FF",
        f"{ISSUER}/authorize?client_id={CLIENT}&response_type=code&redirect_uri={quote(REDIRECT)}&scope=person-id-sd-jwt",
    ]
    for url in wrong:
        answer = city.client.get(url, headers={"Accept": "application/json"})
        assert error(answer) == "invalid_request", url
        page = city.client.get(url, headers=HTML)
        assert page.status_code == 400 and "location" not in page.headers
    city.now[0] += REQUEST_SECONDS
    assert error(city.client.get(good, headers={"Accept": "application/json"})) == "invalid_request"


def test_a_redirect_address_in_the_query_is_not_looked_at(city: City) -> None:
    evil = "https%3A%2F%2Fevil.example%2Fcb"
    answer = returned(login(city, f"{Wallet(city).address()}&redirect_uri={evil}&state=theirs", MIREIA))
    assert answer["state"] == "a-state"


def test_redirect_address_with_a_query_keeps_it(city: City) -> None:
    answer = login(city, Wallet(city).address(redirect_uri=f"{REDIRECT}?x=1", state=None), MIREIA)
    where = parse_qs(urlsplit(answer.json()["redirect_to"]).query)
    assert where.keys() == {"x", "code", "iss"} and where["x"] == ["1"]


def test_session_needs_its_cookie(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    mine = dict(city.client.cookies)
    (name,) = mine
    assert name == "atorga_issuer_card"
    for cookie in ({}, {name: "another"}, {name: ""}):
        city.client.cookies.clear()
        city.client.cookies.update(cookie)
        assert error(challenge(city, session), 403) == "invalid_session"
    other = open_session(city, Wallet(city).address())
    assert error(challenge(city, session), 403) == "invalid_session", "another session's cookie"
    assert challenge(city, other).status_code == 200
    unknown = {**other, "session": base64url.encode(bytes(16))}
    assert error(challenge(city, unknown), 403) == "invalid_session"


def test_cookie_stays_here(city: City) -> None:
    answer = city.client.get(Wallet(city).address(), headers={"Accept": "application/json"})
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie and "path=/bcn" in cookie


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{}", b'{"session":7}', b'{"session":"x"}', b'{"session":"A","session":"A"}', b"{" + b" " * 1_100],
)
def test_malformed_challenge_requests(city: City, body: bytes) -> None:
    session = open_session(city, Wallet(city).address())
    answer = city.client.post(session["challenge"], content=body, headers={"Content-Type": "application/json"})
    assert error(answer, 413 if len(body) > 1_024 else 400) == "invalid_request"
    form = city.client.post(session["challenge"], data={"session": session["session"]})
    assert error(form, 415) == "invalid_request"


def answer_challenge(city: City, session: dict[str, str], **token: Any) -> Any:
    return city.client.post(session["login"], json={"session": session["session"], "token": token})


def test_challenge_is_used_once_even_if_the_answer_is_wrong(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    nonce = challenge(city, session).json()["nonce"]
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce="wrong"), 403) == "access_denied"
    right = {**MIREIA, "origin": BASE, "nonce": nonce}
    assert error(answer_challenge(city, session, **right), 403) == "access_denied", "the challenge is spent"
    fresh = challenge(city, session).json()["nonce"]
    assert answer_challenge(city, session, **{**right, "nonce": fresh}).status_code == 200


def test_replayed_and_old_challenges(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    first = challenge(city, session).json()["nonce"]
    challenge(city, session)
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce=first), 403) == "access_denied"
    late = challenge(city, session).json()["nonce"]
    city.now[0] += 300
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce=late), 403) == "access_denied"
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce=late), 403) == "access_denied"


def test_nobody_asked_for_a_challenge(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce="x"), 403) == "access_denied"


def test_signature_for_another_wallets_key(city: City) -> None:
    """A card that signs what another wallet was given unlocks nothing here: the nonce holds the key."""
    mine = open_session(city, Wallet(city, SoftwareSigner.generate()).address())
    mine_nonce = challenge(city, mine).json()["nonce"]
    theirs = open_session(city, Wallet(city, SoftwareSigner.generate()).address())
    challenge(city, theirs)
    assert error(answer_challenge(city, theirs, **MIREIA, origin=BASE, nonce=mine_nonce), 403) == "access_denied"


@pytest.mark.parametrize("column", ["binding = 'A' || substr(binding, 2)", "issuer = 'http://localhost:8100/other'"])
def test_challenge_that_is_not_this_requests(city: City, column: str) -> None:
    """Whatever put it there: a card's signature over it gives nothing away here."""
    session = open_session(city, Wallet(city).address())
    challenge(city, session)
    with city.engine.begin() as connection:
        connection.execute(text(f"UPDATE challenge SET {column}"))
        changed = connection.execute(text("SELECT * FROM challenge")).one()
    nonce = card_nonce(
        random=changed.random, binding=changed.binding, issuer=changed.issuer, purpose=changed.purpose,
        session=session["session"],
    )  # fmt: skip
    assert error(answer_challenge(city, session, **MIREIA, origin=BASE, nonce=nonce), 403) == "access_denied"


def test_signature_for_another_origin(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    nonce = challenge(city, session).json()["nonce"]
    assert (
        error(answer_challenge(city, session, **MIREIA, origin="http://evil.example", nonce=nonce), 403)
        == "access_denied"
    )


@pytest.mark.parametrize("token", [None, 7, "text", [], {}])
def test_malformed_tokens(city: City, token: Any) -> None:
    session = open_session(city, Wallet(city).address())
    challenge(city, session)
    answer = city.client.post(session["login"], json={"session": session["session"], "token": token})
    assert error(answer, 403) == "access_denied"


def test_oversized_login(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    assert error(answer_challenge(city, session, x="x" * 16_384), 413) == "invalid_request"


def test_two_cards_answer_one_request(city: City) -> None:
    address = Wallet(city).address()
    first = open_session(city, address)
    cookies = dict(city.client.cookies)
    nonce = challenge(city, first).json()["nonce"]
    assert login(city, address, card_of(RESIDENTS[1])).status_code == 200
    city.client.cookies.clear()
    city.client.cookies.update(cookies)
    answer = answer_challenge(city, first, **MIREIA, origin=BASE, nonce=nonce)
    assert error(answer) == "invalid_request", "the first answer ended it"
    assert error(challenge(city, first)) == "invalid_request"
    opened = city.client.get(address, headers={"Accept": "application/json"})
    assert error(opened) == "invalid_request"


def test_two_posts_race_for_one_challenge(city: City) -> None:
    session = open_session(city, Wallet(city).address())
    nonce = challenge(city, session).json()["nonce"]

    def post(_: int) -> int:
        return int(answer_challenge(city, session, **MIREIA, origin=BASE, nonce=nonce).status_code)

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(post, range(4)))[:2] != [200, 200]


def test_person_who_cannot_have_it(city: City) -> None:
    wallet = Wallet(city)
    answer = returned(login(city, wallet.address(), STRANGER))
    assert answer.keys() == {"error", "error_description", "state", "iss"}
    assert answer["error"] == "access_denied" and "register" in answer["error_description"]
    assert "Zoe" not in str(answer) and "99999999R" not in str(answer)
    low = returned(login(city, wallet.address(scope="person-id-sd-jwt"), {**MIREIA, "assurance": "low"}))
    assert low["error"] == "access_denied"
    only = returned(login(city, wallet.address(scope="person-id-sd-jwt"), STRANGER))
    assert "code" in only, "the register knows nothing of a stranger, the card does"


def test_card_without_a_date_of_birth(city: City) -> None:
    card = {name: value for name, value in MIREIA.items() if name != "birthdate"}
    wallet = Wallet(city)
    token = wallet.exchange(wallet.code(card, scope="person-id-sd-jwt")).json()["access_token"]
    proof = city.proof(SoftwareSigner.generate(), city.c_nonce())
    answer = city.ask(token, {"credential_configuration_id": "person-id-sd-jwt", "proofs": {"jwt": [proof]}})
    from identity.formats.sd_jwt_vc.parse import peek

    claims = peek(answer.json()["credentials"][0]["credential"]).claims
    assert claims["given_name"] == "Mireia" and not {"birthdate", "age_equal_or_over"} & claims.keys()


def test_sessions_and_challenges_are_limited(city: City) -> None:
    address = Wallet(city).address()
    session = open_session(city, address)
    for _ in range(MAX_CHALLENGES):
        assert challenge(city, session).status_code == 200
    assert error(challenge(city, session), 403) == "invalid_session"
    for _ in range(MAX_SESSIONS - 1):
        open_session(city, address)
    city.client.cookies.clear()
    assert error(city.client.get(address, headers={"Accept": "application/json"})) == "invalid_request"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"code_verifier": "w" * 43}, "invalid_grant"),
        ({"redirect_uri": "https://evil.example/cb"}, "invalid_grant"),
        ({"redirect_uri": None}, "invalid_grant"),
        ({"client_id": "another"}, "invalid_grant"),
        ({"authorization_details": '[{"type":"openid_credential","credential_configuration_id":"pairwise-sd-jwt"}]'},
         "invalid_authorization_details"),
    ],
)  # fmt: skip
def test_codes_are_spent_by_a_wrong_try(city: City, changes: dict[str, str | None], code: str) -> None:
    wallet = Wallet(city)
    given = wallet.code()
    assert error(wallet.exchange(given, **changes)) == code
    assert error(wallet.exchange(given)) == "invalid_grant"


def test_missing_verifier_spends_nothing(city: City) -> None:
    wallet = Wallet(city)
    given = wallet.code()
    assert error(wallet.exchange(given, code_verifier=None)) == "invalid_request"
    assert wallet.exchange(given).status_code == 200


def test_codes_are_short_lived_and_reuse_ends_what_they_gave(city: City) -> None:
    wallet = Wallet(city)
    late = wallet.code()
    city.now[0] += CODE_SECONDS
    assert error(wallet.exchange(late)) == "invalid_grant"
    given = wallet.code()
    tokens = wallet.exchange(given).json()
    assert error(wallet.exchange(given)) == "invalid_grant"
    assert city.batch(tokens["access_token"], "person-id-sd-jwt").status_code == 401
    assert error(wallet.refresh(tokens["refresh_token"])) == "invalid_grant"


def test_code_bound_to_a_key_needs_it(city: City) -> None:
    wallet = Wallet(city, SoftwareSigner.generate())
    for other in (Wallet(city, SoftwareSigner.generate()), Wallet(city)):
        given = wallet.code()
        assert error(other.exchange(given)) == "invalid_dpop_proof"
        assert error(wallet.exchange(given)) == "invalid_grant"


def test_page(city: City) -> None:
    key = SoftwareSigner.generate()
    address = Wallet(city, key).address()
    texts = {
        "es": "Demuestre quién es", "ca": "Demostri qui és", "en": "Prove who you are", "fr, de;q=0.5": "Demuestre",
        "de, en;q=0.4, ca;q=0.9": "Demostri", "en;q=0, ca;q=0.1": "Demostri", "en;q=x, ca": "Demostri",
    }  # fmt: skip
    for language, title in texts.items():
        city.client.cookies.clear()
        page = city.client.get(address, headers={**HTML, "Accept-Language": language})
        assert page.status_code == 200 and title in page.text
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert comparison_code(key.public_key.thumbprint) in page.text
        assert "wallet card login" in page.text and '<meta http-equiv="refresh"' in page.text
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "form-action 'none'" in policy and "frame-ancestors 'none'" in policy
        assert page.headers["referrer-policy"] == "no-referrer" and page.headers["cache-control"] == "no-store"
        # nothing is loaded from anywhere, and nothing runs
        assert not re.search(r"<(script|link|img|iframe|object|form)|src=|@import|url\(", page.text)
        style = re.search(r"<style>(.*)</style>", page.text)
        assert style is not None
        hashed = base64url.encode(sha256(style[1].encode()).digest()).replace("-", "+").replace("_", "/")
        assert hashed in policy


def test_page_keeps_its_session_and_never_learns_the_code(city: City) -> None:
    address = Wallet(city).address()
    first = city.client.get(address, headers=HTML)
    assert "set-cookie" in first.headers
    again = city.client.get(address, headers=HTML)
    assert "set-cookie" not in again.headers
    cookies = dict(city.client.cookies)
    answer = returned(login(city, address, MIREIA))
    city.client.cookies.clear()
    city.client.cookies.update(cookies)
    done = city.client.get(address, headers={**HTML, "Accept-Language": "en"})
    assert "The card has answered" in done.text and answer["code"] not in done.text
    assert REDIRECT not in done.text and '<meta http-equiv="refresh"' not in done.text


def test_names_in_pages_are_escaped(city: City) -> None:
    from identity.issuer import page

    assert "<b>" not in page.done("en", {"en": "<b>Town</b>"})
