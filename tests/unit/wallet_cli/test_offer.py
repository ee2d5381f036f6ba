"""`wallet offer accept`: what is kept, and what is refused before anything is kept or signed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from identity.card import challenge, web_eid
from identity.envelope import jws
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner
from identity.trust.chain import format_x5c
from tests.unit.wallet_cli.city import ISSUER, PERSON_ID, RESIDENCY, City
from tests.unit.wallet_cli.conftest import Wallet
from tests.unit.wallet_cli.issuing import SECRETS, IssuerScript
from tests.unit.wallet_cli.test_software_card import PIN, card_file


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def issuer(city: City) -> IssuerScript:
    return IssuerScript(city)


@pytest.fixture
def resident(city: City, wallet: Wallet) -> Wallet:
    return city.trusted_by(wallet)


@pytest.fixture
def card(tmp_path: Path) -> list[str]:
    """Arguments that name a software card and its PIN."""
    path = card_file(tmp_path / "card.p12", signature=True, non_repudiation=False)
    pin = tmp_path / "pin"
    pin.write_bytes(PIN + b"\n")
    return ["--card", str(path), "--pin-file", str(pin)]


def held(wallet: Wallet) -> list[dict[str, Any]]:
    credentials: list[dict[str, Any]] = wallet.run("list", "--json").json["credentials"]
    return credentials


def test_a_pre_authorized_offer_fills_the_wallet(resident: Wallet, issuer: IssuerScript) -> None:
    result = resident.run("offer", "accept", issuer.link(), "--json")
    assert result.code == 0, result.err
    assert len(result.json["credentials"]) == 3
    assert [(one["type"], one["copies"], one["issuer"]) for one in held(resident)].count((PERSON_ID, 10, ISSUER)) == 1
    assert "The city" not in result.err  # the signed list's name for it, not its own
    assert "The bcn" in result.err


def test_an_offer_by_reference(resident: Wallet, issuer: IssuerScript) -> None:
    assert resident.run("offer", "accept", issuer.link_by_reference(), "--json").code == 0


def test_no_value_and_no_secret_is_on_disk_in_clear(resident: Wallet, issuer: IssuerScript) -> None:
    assert resident.run("offer", "accept", issuer.link()).code == 0
    content = b"".join(path.read_bytes() for path in resident.folder.rglob("*") if path.is_file())
    for secret in (*SECRETS, "eyJ0eXAi", "eyJhbGci", "urn:atorga"):
        assert secret.encode() not in content
    history = resident.run("history", "--json")
    assert not any(secret in history.out + history.err for secret in SECRETS)


@pytest.mark.parametrize("arguments", [["--tx-code", "493536"], ["--tx-code=493536"]])
def test_the_code_from_the_counter(resident: Wallet, issuer: IssuerScript, arguments: list[str]) -> None:
    issuer.tx_code = "493536"
    assert resident.run("offer", "accept", issuer.link(), *arguments).code == 0


def test_the_code_is_asked_for(resident: Wallet, issuer: IssuerScript) -> None:
    issuer.tx_code = "493536"
    result = resident.run("offer", "accept", issuer.link(), typed="493536\n")
    assert result.code == 0
    assert "on paper" in result.err


def test_a_wrong_code_keeps_nothing(resident: Wallet, issuer: IssuerScript) -> None:
    issuer.tx_code = "493536"
    result = resident.run("offer", "accept", issuer.link(), "--tx-code", "000000", "--json")
    assert (result.code, result.json["error"]) == (1, "invalid_grant")
    assert held(resident) == []


@pytest.mark.parametrize("arguments", [[], ["--tx-code", ""]])
def test_an_empty_code_is_none(resident: Wallet, issuer: IssuerScript, city: City, arguments: list[str]) -> None:
    issuer.tx_code = "493536"
    result = resident.run("offer", "accept", issuer.link(), *arguments, "--json")
    assert result.json["error"] == "tx_code_missing"
    assert city.sent(ISSUER) == 0


def test_a_card_login_gives_the_credential_to_our_key(resident: Wallet, issuer: IssuerScript, card: list[str]) -> None:
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.code == 0, result.err
    assert len(held(resident)) == 3
    assert "SOFTWARE CARD" in result.err
    (token,) = issuer.tokens
    from cryptography import x509

    made = next(iter(issuer.challenges.values()))
    key = PublicKey.from_cryptography(x509.load_der_x509_certificate(token.unverified_certificate).public_key())
    web_eid.verify_signature(token, key, origin="http://localhost:8100", nonce=made.nonce)
    assert PIN.decode() not in result.err + result.out


def test_a_challenge_for_another_key_is_never_signed(resident: Wallet, issuer: IssuerScript, card: list[str]) -> None:
    issuer.bind_to = SoftwareSigner.generate().public_key.thumbprint
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "card_challenge_refused"
    assert issuer.tokens == []
    assert held(resident) == []


@pytest.mark.parametrize(
    "change", [{"issuer": "http://localhost:8100/other"}, {"purpose": "issue+pkce"}], ids=["tenant", "purpose"]
)
def test_a_challenge_of_another_tenant_or_for_something_else(
    resident: Wallet, issuer: IssuerScript, city: City, card: list[str], change: dict[str, str]
) -> None:
    real = city.answers[("POST", f"{ISSUER}/card/challenge")]

    def other(request: httpx.Request) -> httpx.Response:
        honest = challenge.parse_challenge(real(request).json())
        return httpx.Response(200, json=challenge.format_challenge(replace(honest, **change)))

    city.answer("POST", f"{ISSUER}/card/challenge", other)
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "card_challenge_refused"
    assert issuer.tokens == []


@pytest.mark.parametrize("member", ["nonce", "random", "binding", "issuer", "purpose", "session"])
def test_a_challenge_that_does_not_explain_itself_is_never_signed(
    resident: Wallet, issuer: IssuerScript, city: City, card: list[str], member: str
) -> None:
    real = city.answers[("POST", f"{ISSUER}/card/challenge")]

    def twisted(request: httpx.Request) -> httpx.Response:
        answer = real(request).json()
        other = {"purpose": "withdraw", "issuer": "http://localhost:8100/other"}.get(member)
        answer[member] = other or answer[member][:-4] + "AAAA"
        return httpx.Response(200, json=answer)

    city.answer("POST", f"{ISSUER}/card/challenge", twisted)
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "card_challenge_refused"
    assert issuer.tokens == []


def test_a_wrong_pin_is_not_tried_again(
    resident: Wallet, issuer: IssuerScript, card: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pin").write_bytes(b"00000000")
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "wrong_pin"
    assert issuer.tokens == []


def test_a_server_that_redirects_by_itself_needs_no_browser(resident: Wallet, issuer: IssuerScript) -> None:
    issuer.redirects = True
    result = resident.run("offer", "accept", issuer.link(card=True), "--json")
    assert result.code == 0, result.err
    assert resident.opened == []


def test_a_page_needs_a_person(resident: Wallet, issuer: IssuerScript) -> None:
    result = resident.run("offer", "accept", issuer.link(card=True), "--json")
    assert result.json["error"] == "browser_needed"


def test_the_browser_comes_back_to_this_computer(resident: Wallet, issuer: IssuerScript) -> None:
    import threading
    import urllib.request

    def browser(url: str) -> None:
        resident.opened.append(url)
        back = issuer._return(issuer.pushed["urn:request:1"])
        threading.Thread(target=lambda: urllib.request.urlopen(back, timeout=10).read()).start()

    resident.browser = browser
    result = resident.run("offer", "accept", issuer.link(card=True), typed="")
    assert result.code == 0, result.err
    assert len(resident.opened) == 1
    from identity.card.challenge import comparison_code

    assert comparison_code(issuer.pushed["urn:request:1"]["dpop_jkt"]) in result.err


def other_state(fields: dict[str, str]) -> dict[str, str]:
    return {**fields, "state": "another"}


def elsewhere(fields: dict[str, str]) -> dict[str, str]:
    return {**fields, "redirect_uri": "http://127.0.0.1:9/callback"}


@pytest.mark.parametrize("twist", [other_state, elsewhere])
def test_a_code_of_another_flow_is_not_redeemed(
    resident: Wallet,
    issuer: IssuerScript,
    card: list[str],
    twist: Callable[[dict[str, str]], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = IssuerScript._return
    monkeypatch.setattr(IssuerScript, "_return", lambda self, fields: real(self, twist(dict(fields))))
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "issuer_answer_refused"
    assert issuer.token_calls == []


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("state={state}&iss={iss}&error=access_denied", "authorization_refused"),
        ("state={state}&iss={iss}", "issuer_answer_refused"),
        ("state={state}&iss={iss}&code=", "issuer_answer_refused"),
        ("state={state}&iss={iss}&code=a&code=b", "issuer_answer_refused"),
        ("state={state}&code=a", "issuer_answer_refused"),
        ("state={state}&iss=http%3A%2F%2Flocalhost%3A8100%2Fother&code=a", "issuer_answer_refused"),
    ],
    ids=["error", "none", "empty", "twice", "no-iss", "other-iss"],
)
def test_what_comes_back_without_one_code(
    resident: Wallet,
    issuer: IssuerScript,
    card: list[str],
    query: str,
    code: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def back(_: IssuerScript, fields: dict[str, str]) -> str:
        return f"{fields['redirect_uri']}?{query.format(state=fields['state'], iss=quote(ISSUER, safe=''))}"

    monkeypatch.setattr(IssuerScript, "_return", back)
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == code
    assert issuer.token_calls == []


@pytest.mark.parametrize("member", ["pushed_authorization_request_endpoint", "authorization_endpoint"])
def test_a_server_without_pushed_requests(
    resident: Wallet, issuer: IssuerScript, city: City, card: list[str], member: str
) -> None:
    address = "http://localhost:8100/.well-known/oauth-authorization-server/bcn"
    real = city.answers[("GET", address)]

    def without(request: httpx.Request) -> httpx.Response:
        value = real(request).json()
        del value[member]
        return httpx.Response(200, json=value)

    city.answer("GET", address, without)
    result = resident.run("offer", "accept", issuer.link(card=True), *card, "--json")
    assert result.json["error"] == "not_offered"
    assert issuer.pushed == {}


# ── whom the wallet believes ─────────────────────────────────────────────────────────────────


def test_an_unknown_issuer_is_not_asked_anything(wallet: Wallet, city: City, issuer: IssuerScript) -> None:
    wallet.transport = city.transport
    result = wallet.run("offer", "accept", issuer.link(), "--json")
    assert result.json["error"] == "unknown_issuer"
    assert city.asked == []


def test_an_unlisted_issuer_passes_a_sandbox_with_a_warning(wallet: Wallet, city: City, issuer: IssuerScript) -> None:
    city.unlisted = {"bcn"}
    city.trusted_by(wallet)
    result = wallet.run("offer", "accept", issuer.link(), "--json")
    assert result.code == 0, result.err
    assert "not on the signed list" in result.err


def test_outside_the_sandbox_the_list_decides(bare_wallet: Wallet, city: City, issuer: IssuerScript) -> None:
    assert bare_wallet.run("init").code == 0
    bare_wallet.transport = city.transport
    result = bare_wallet.run("offer", "accept", issuer.link(), "--json")
    assert result.json["error"] == "unknown_issuer"
    assert city.asked == []


@pytest.mark.parametrize(
    "changed",
    [
        {"issuer": f"{ISSUER}/other"},
        {"vct": "urn:atorga:other:1"},
        {"exp": 1},
        {"holder_key": SoftwareSigner.generate().public_key},
        {"holder_key": None},
        {"signer": SoftwareSigner.generate()},
        {"x5c": ()},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_bad_copy_refuses_the_batch(
    resident: Wallet, issuer: IssuerScript, changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = IssuerScript.copy

    def one_bad(self: IssuerScript, kind: str, key: PublicKey) -> str:
        return real(self, kind, key, **(changed if self.issued == 4 else {}))

    monkeypatch.setattr(IssuerScript, "copy", one_bad)
    result = resident.run("offer", "accept", issuer.link("person-id-sd-jwt"), "--json")
    assert result.code == 1
    assert held(resident) == []


def test_another_listed_type_than_was_offered(
    resident: Wallet, issuer: IssuerScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = IssuerScript.copy
    monkeypatch.setattr(IssuerScript, "copy", lambda self, kind, key: real(self, RESIDENCY, key))
    result = resident.run("offer", "accept", issuer.link("person-id-sd-jwt"), "--json")
    assert "type is not the offered one" in result.err
    assert held(resident) == []


def test_a_copy_without_an_end(resident: Wallet, issuer: IssuerScript, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(self: IssuerScript, kind: str, key: PublicKey) -> str:
        signing = self.city.pki.issuer_signer("bcn", issuer=ISSUER)
        payload = {"iss": ISSUER, "vct": kind, "cnf": {"jwk": key.jwk()}}
        x5c = {"x5c": format_x5c(signing.chain())}
        return jws.sign(payload, signing.signer(), typ="dc+sd-jwt", header=x5c) + "~"

    monkeypatch.setattr(IssuerScript, "copy", endless)
    result = resident.run("offer", "accept", issuer.link("person-id-sd-jwt"), "--json")
    assert "no end date" in result.err
    assert held(resident) == []


def test_copies_of_two_issuers(resident: Wallet, issuer: IssuerScript, monkeypatch: pytest.MonkeyPatch) -> None:
    other = "http://localhost:8100/other"
    signing = issuer.city.pki.issuer_signer("other", issuer=other)
    real = IssuerScript.copy

    def mixed(self: IssuerScript, kind: str, key: PublicKey) -> str:
        changed: dict[str, Any] = {"issuer": other, "signer": signing.signer(), "x5c": signing.chain()}
        return real(self, kind, key, **(changed if self.issued == 4 else {}))

    monkeypatch.setattr(IssuerScript, "copy", mixed)
    result = resident.run("offer", "accept", issuer.link("person-id-sd-jwt"), "--json")
    assert "different issuers" in result.err
    assert held(resident) == []


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, {}),
        (200, {"credentials": []}),
        (200, {"credentials": "x"}),
        (200, {"credentials": ["x"]}),
        (200, {"credentials": [{"credential": 7}]}),
        (202, {"transaction_id": "t", "interval": 1}),
    ],
    ids=["none", "empty", "text", "texts", "number", "deferred-nowhere"],
)
def test_what_is_no_credential(
    resident: Wallet, issuer: IssuerScript, city: City, status: int, answer: dict[str, Any]
) -> None:
    city.answer("POST", f"{ISSUER}/credential", lambda _: httpx.Response(status, json=answer))
    result = resident.run("offer", "accept", issuer.link("person-id-sd-jwt"), "--json")
    assert result.json["error"] == "issuer_answer_refused"
    assert held(resident) == []


@pytest.mark.parametrize(
    "uri",
    [
        "openid-credential-offer://",
        "openid-credential-offer://?credential_offer={}",
        "openid-credential-offer://?credential_offer=%7B",
        "openid4vp://?credential_offer=%7B%7D",
        "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fa.example",
    ],
)
def test_a_bad_offer(resident: Wallet, uri: str) -> None:
    result = resident.run("offer", "accept", uri, "--json")
    assert (result.code, result.json["error"]) == (1, "offer_invalid")
