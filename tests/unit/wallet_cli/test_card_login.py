"""`wallet card login`: the card speaks for another wallet, after a code was compared."""

from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from identity.card import challenge
from identity.card.challenge import comparison_code
from identity.keys.signer import SoftwareSigner
from tests.unit.wallet_cli.city import ISSUER, City
from tests.unit.wallet_cli.conftest import Wallet
from tests.unit.wallet_cli.issuing import IssuerScript
from tests.unit.wallet_cli.test_software_card import PIN, card_file

URL = f"{ISSUER}/authorize?client_id=other&request_uri=urn%3Arequest%3A1"
BINDING = SoftwareSigner.generate().public_key.thumbprint


@pytest.fixture
def issuer(tmp_path: Path, wallet: Wallet) -> IssuerScript:
    """With a flow that another wallet has begun."""
    script = IssuerScript(City(tmp_path / "city"))
    script.pushed["urn:request:1"] = {"redirect_uri": "http://127.0.0.1:9/cb", "state": "s", "dpop_jkt": BINDING}
    wallet.transport = script.city.transport
    return script


@pytest.fixture
def card(tmp_path: Path) -> list[str]:
    path = card_file(tmp_path / "card.p12", signature=True, non_repudiation=False)
    (tmp_path / "pin").write_bytes(PIN + b"\n")
    return ["--card", str(path), "--pin-file", str(tmp_path / "pin")]


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_the_last_line_is_where_the_other_wallet_goes_on(
    wallet: Wallet, issuer: IssuerScript, card: list[str], json: list[str]
) -> None:
    result = wallet.run("card", "login", URL, *card, "--yes", *json)
    assert result.code == 0, result.err
    last = urlsplit(result.out.splitlines()[-1])
    assert (last.netloc, parse_qs(last.query)["code"]) == ("127.0.0.1:9", ["code-1"])
    assert comparison_code(BINDING) in result.err
    assert "ANOTHER wallet" in result.err


def test_only_an_answer_goes_on(wallet: Wallet, issuer: IssuerScript, card: list[str]) -> None:
    assert wallet.run("card", "login", URL, *card, "--json").json["error"] == "declined"
    assert wallet.run("card", "login", URL, *card, typed="n\n").code == 1
    assert issuer.tokens == []
    assert wallet.run("card", "login", URL, *card, typed="y\n").code == 0


def test_the_pin_comes_from_a_descriptor(wallet: Wallet, issuer: IssuerScript, card: list[str], tmp_path: Path) -> None:
    with (tmp_path / "pin").open("rb") as pin:
        arguments = [*card[:2], "--pin-fd", str(pin.fileno()), "--yes"]
        assert wallet.run("card", "login", URL, *arguments).code == 0


def test_without_a_card(wallet: Wallet, issuer: IssuerScript) -> None:
    result = wallet.run("card", "login", URL, "--json")
    assert (result.code, result.json["error"]) == (2, "card_missing")
    assert issuer.city.asked == []


def test_a_software_card_is_for_the_sandbox(bare_wallet: Wallet, issuer: IssuerScript, card: list[str]) -> None:
    other = Wallet(bare_wallet.folder.with_name("strict"), bare_wallet.passphrase_file, issuer.city.transport)
    assert other.run("init").code == 0
    result = other.run("card", "login", URL.replace("http:", "https:"), *card, "--yes", "--json")
    assert result.json["error"] == "software_card_refused"
    assert issuer.city.asked == []


@pytest.mark.parametrize("member", ["challenge", "login"])
def test_a_challenge_from_elsewhere(wallet: Wallet, issuer: IssuerScript, card: list[str], member: str) -> None:
    """A page that relays the card's signature to another issuer."""
    session = {
        "session": "AAAAAAAAAAAAAAAAAAAAAA",
        "challenge": f"{ISSUER}/card/challenge",
        "login": f"{ISSUER}/card/login",
    }
    session[member] = session[member].replace("8100", "8199")
    issuer.city.answer("GET", f"{ISSUER}/authorize", lambda _: httpx.Response(200, json=session))
    result = wallet.run("card", "login", URL, *card, "--yes", "--json")
    assert result.json["error"] == "card_challenge_refused"
    assert issuer.tokens == []


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://bank.example"},
        {"purpose": "grant"},
        {"purpose": "recover"},
        {"session": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=["issuer", "grant", "recover", "session"],
)
def test_a_challenge_that_explains_itself_and_is_about_something_else(
    wallet: Wallet, issuer: IssuerScript, card: list[str], change: dict[str, str]
) -> None:
    real = issuer.city.answers[("POST", f"{ISSUER}/card/challenge")]

    def relayed(request: httpx.Request) -> httpx.Response:
        honest = challenge.parse_challenge(real(request).json())
        return httpx.Response(200, json=challenge.format_challenge(replace(honest, **change)))

    issuer.city.answer("POST", f"{ISSUER}/card/challenge", relayed)
    result = wallet.run("card", "login", URL, *card, "--yes", "--json")
    assert result.json["error"] == "card_challenge_refused"
    assert issuer.tokens == []
