"""`wallet present`: what is shown, to whom; and every refusal before anything is sent."""

from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from identity.keys.signer import SoftwareSigner
from identity.openid4vp import stated_purpose
from identity.openid4vp.stated_purpose import StatedPurpose
from tests.unit.wallet_cli.city import PAIRWISE, PERSON_ID, RESIDENCY, VERIFIER, City, party
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.issuing import SECRETS, IssuerScript
from tests.unit.wallet_cli.verifying import REQUEST, RESPONSE, VerifierScript, query
from wallet_cli import texts
from wallet_cli.errand import Errand
from wallet_cli.errors import RequestRefused
from wallet_cli.invocation import Invocation
from wallet_cli.present import request
from wallet_cli.store import database
from wallet_cli.terminal import Terminal
from wallet_cli.trust.whom import Trust
from wallet_cli.world import World

NAME = query(PERSON_ID, ["given_name"])
OWN_NUMBER = query(PAIRWISE, ["ids", party("verifier")])


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def issuer(city: City) -> IssuerScript:
    return IssuerScript(city)


@pytest.fixture
def resident(city: City, wallet: Wallet, issuer: IssuerScript) -> Wallet:
    """With a person id, pairwise identifiers and residency, ten copies each."""
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link()).code == 0
    city.asked.clear()
    return wallet


def present(wallet: Wallet, verifier: VerifierScript, *arguments: str, method: str = "get") -> Result:
    return wallet.run("present", verifier.link(method), "--yes", "--json", *arguments)


def copies(wallet: Wallet, vct: str) -> int:
    held = wallet.run("list", "--json").json["credentials"]
    return next(int(one["copies"]) for one in held if one["type"] == vct)


# ── what is shown ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["direct_post", "direct_post.jwt"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_exactly_what_is_asked(resident: Wallet, city: City, mode: str, method: str) -> None:
    verifier = VerifierScript(city, NAME, mode=mode)
    result = present(resident, verifier, method=method)
    assert result.code == 0, result.err
    assert result.json == {"state": "presented", "redirect_uri": None}
    assert verifier.verified[0].claims == {"q": [{"given_name": "Quintina"}]}
    if mode == "direct_post.jwt":
        assert b"eyJ" in verifier.bodies[0] and b"vp_token" not in verifier.bodies[0]


def test_the_screen_says_who_what_why_and_how_long(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    result = resident.run("present", verifier.link(), typed="y\n")
    assert result.code == 0, result.err
    for words in (
        "The verifier asks you for data",
        "verifier of the city",
        "first name: Quintina",
        "What for",
        "How long",
    ):
        assert words.casefold() in (result.out + result.err).casefold()
    assert "birth" not in result.out


PURPOSE = stated_purpose.format(StatedPurpose("login", {"en": "To open\x1b[2K your file"}))


def test_a_listed_party_says_what_for_in_its_own_words(resident: Wallet, city: City) -> None:
    result = present(resident, VerifierScript(city, NAME, changed={"verifier_info": PURPOSE}))
    assert result.code == 0, result.err
    assert "What for, in their own words: To open [2K your file" in result.err
    assert "does not say" not in result.err


def test_a_strangers_words_lend_it_no_credit(resident: Wallet, city: City) -> None:
    city.unlisted, city.version = {"verifier"}, 2
    result = present(resident, VerifierScript(city, NAME, changed={"verifier_info": PURPOSE}))
    assert result.code == 0, result.err
    assert "your file" not in result.err and "does not say" in result.err


def test_a_no_sends_nothing_and_is_remembered(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    result = resident.run("present", verifier.link(), typed="n\n")
    assert result.code == 1
    assert city.sent(RESPONSE) == 0
    assert copies(resident, PERSON_ID) == 10
    assert resident.run("history", "--json").json["history"][-1]["act"] == "declined"


def test_nobody_at_the_terminal_is_a_no(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    assert resident.run("present", verifier.link(), "--json").json["error"] == "declined"
    assert city.sent(RESPONSE) == 0


def test_the_history_holds_names_and_no_values(resident: Wallet, city: City) -> None:
    present(resident, VerifierScript(city, NAME))
    last = resident.run("history", "--json")
    entry = last.json["history"][-1]
    assert (entry["act"], entry["party"], entry["names"]) == ("presented", party("verifier"), ["given_name"])
    assert not any(secret in last.out + last.err for secret in SECRETS)


def test_only_the_askers_own_number(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, OWN_NUMBER)
    assert present(resident, verifier).code == 0
    (claims,) = verifier.verified[0].claims["q"]
    assert list(claims["ids"]) == [party("verifier")]


def test_each_copy_is_shown_once(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    for _ in range(9):
        assert present(resident, verifier).code == 0
    assert len(set(verifier.keys)) == 9


def test_a_batch_refills_when_two_are_left(resident: Wallet, city: City, issuer: IssuerScript) -> None:
    verifier = VerifierScript(city, NAME)
    for _ in range(7):
        present(resident, verifier)
    assert copies(resident, PERSON_ID) == 3
    present(resident, verifier)
    assert copies(resident, PERSON_ID) == 10
    for _ in range(4):
        present(resident, verifier)
    assert len(set(verifier.keys)) == 12


def test_without_an_issuer_a_login_shows_its_least_used_copy_and_says_so(
    resident: Wallet, city: City, issuer: IssuerScript
) -> None:
    issuer.down = True
    verifier = VerifierScript(city, OWN_NUMBER)
    for _ in range(10):
        assert present(resident, verifier).code == 0
    again = present(resident, verifier)
    assert again.code == 0
    assert "shown before" in again.err
    assert len(set(verifier.keys)) == 10
    for _ in range(9):
        present(resident, verifier)
    # the least used each time: every copy was shown twice
    assert sorted(verifier.keys.count(key) for key in set(verifier.keys)) == [2] * 10


def test_without_an_issuer_other_credentials_are_not_shown_twice(
    resident: Wallet, city: City, issuer: IssuerScript
) -> None:
    issuer.down = True
    verifier = VerifierScript(city, query(RESIDENCY, ["district"]))
    for _ in range(10):
        assert present(resident, verifier).code == 0
    assert present(resident, verifier).json["error"] == "no_fresh_copy"
    assert len(verifier.bodies) == 10


def test_copies_past_their_day_are_renewed_first(resident: Wallet, city: City) -> None:
    resident.now = city.now = city.now + 2 * 86_400
    city.version += 1
    verifier = VerifierScript(city, NAME)
    assert present(resident, verifier).code == 0


def test_an_organisation_newer_than_the_credential(resident: Wallet, city: City, issuer: IssuerScript) -> None:
    issuer.organisations.append(party("hospital"))
    verifier = VerifierScript(city, query(PAIRWISE, ["ids", party("hospital")]))
    result = present(resident, verifier)
    assert result.code == 0, result.err
    assert sum(1 for call in issuer.token_calls if call["grant_type"] == "refresh_token") == 1


def test_refreshing_for_an_organisation_nobody_has_is_done_once(
    resident: Wallet, city: City, issuer: IssuerScript
) -> None:
    verifier = VerifierScript(city, query(PAIRWISE, ["ids", party("nobody")]))
    assert present(resident, verifier).json["error"] == "no_matching_credential"
    assert sum(1 for call in issuer.token_calls if call["grant_type"] == "refresh_token") == 1
    assert city.sent(RESPONSE) == 0


# ── where a login goes on ────────────────────────────────────────────────────────────────────


def test_a_login_goes_on_at_the_partys_own_address(resident: Wallet, city: City) -> None:
    own = f"{VERIFIER}/done?response_code=1"
    verifier = VerifierScript(city, NAME, answer={"redirect_uri": own})
    assert present(resident, verifier).json["redirect_uri"] == own
    assert resident.opened == []
    resident.run("present", verifier.link(), typed="y\n")
    assert resident.opened == [own]


@pytest.mark.parametrize(
    "url", ["https://elsewhere.example/", "javascript:alert(1)", "http://localhost.example/", "http://a@127.0.0.1/", 7]
)
def test_nobody_is_sent_elsewhere(resident: Wallet, city: City, url: Any) -> None:
    verifier = VerifierScript(city, NAME, answer={"redirect_uri": url})
    result = present(resident, verifier)
    assert result.json == {"state": "presented", "redirect_uri": None}
    assert "does not belong" in result.err
    resident.run("present", verifier.link(), typed="y\n")
    assert resident.opened == []


# ── refused before anything is sent ──────────────────────────────────────────────────────────


def refused(wallet: Wallet, city: City, verifier: VerifierScript, code: str, method: str = "get") -> Result:
    result = present(wallet, verifier, method=method)
    assert (result.code, result.json["error"]) == (1, code)
    assert city.sent(RESPONSE) == 0
    assert verifier.bodies == []
    assert copies(wallet, PERSON_ID) == 10
    return result


def test_a_request_signed_by_somebody_else(resident: Wallet, city: City) -> None:
    refused(resident, city, VerifierScript(city, NAME, signer=SoftwareSigner.generate()), "request_invalid")


def test_a_client_id_of_another_certificate(resident: Wallet, city: City) -> None:
    other = f"x509_hash:{city.pki.access_certificate('portal').x5t}"
    refused(resident, city, VerifierScript(city, NAME, client_id=other), "request_invalid")


@pytest.mark.parametrize(
    "changed",
    [
        {"response_uri": "https://elsewhere.example/responses"},
        {"response_uri": "http://127.0.0.1:8103/responses/1"},
        {"nonce": ""},
        {"nonce": None},
        {"aud": "https://another.example"},
        {"exp": 1},
        {"response_type": "code"},
        {"response_mode": "fragment"},
        {"transaction_data": ["eyJ0eXBlIjoieCJ9"]},
        {"redirect_uri": f"{VERIFIER}/x"},
        {"dcql_query": {"credentials": []}},
    ],
    ids=lambda changed: "-".join(map(str, next(iter(changed.items()))))[:40],
)
def test_a_request_that_is_not_as_it_should_be(resident: Wallet, city: City, changed: dict[str, Any]) -> None:
    refused(resident, city, VerifierScript(city, NAME, changed=changed), "request_invalid")


def test_a_wallet_nonce_that_does_not_come_back(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME, changed={"wallet_nonce": "an-old-one"})
    refused(resident, city, verifier, "request_invalid", method="post")


def test_a_certificate_under_no_anchor(wallet: Wallet, city: City, issuer: IssuerScript, tmp_path: Path) -> None:
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link()).code == 0
    stranger = City(tmp_path / "stranger")
    verifier = VerifierScript(stranger, NAME)
    city.answer("GET", REQUEST, lambda _: httpx.Response(200, text=verifier.request(None)))
    refused(wallet, city, verifier, "unknown_verifier")


def test_nothing_that_fits(resident: Wallet, city: City) -> None:
    refused(resident, city, VerifierScript(city, query("urn:other:1")), "no_matching_credential")
    refused(resident, city, VerifierScript(city, query(PERSON_ID, ["shoe_size"])), "no_matching_credential")
    wanted = query(PERSON_ID, ["given_name"], values=["Another"])
    refused(resident, city, VerifierScript(city, wanted), "no_matching_credential")


def test_an_unknown_verifier_passes_a_sandbox_with_a_warning(resident: Wallet, city: City) -> None:
    city.unlisted, city.version = {"verifier"}, 2
    verifier = VerifierScript(city, NAME)
    result = present(resident, verifier)
    assert result.code == 0
    assert "nobody vouches" in result.err
    assert "localhost:8103" in result.err
    assert resident.run("history", "--json").json["history"][-1]["party"] == "localhost:8103"


def test_a_listed_party_that_is_no_verifier(resident: Wallet, city: City) -> None:
    real = City._claims

    def other_role(self: City) -> dict[str, Any]:
        claims = real(self)
        for entry in claims["parties"]:
            entry["roles"] = ["service"] if entry["id"] == party("verifier") else entry["roles"]
        return claims

    city._claims = lambda: other_role(city)  # type: ignore[method-assign]
    city.version = 2
    refused(resident, city, VerifierScript(city, NAME), "unknown_verifier")


def test_an_unsigned_request_is_of_somebody_unknown(resident: Wallet, city: City) -> None:
    dcql = quote('{"credentials":[{"id":"q","format":"dc+sd-jwt","meta":{"vct_values":["urn:atorga:person-id:1"]},'
                 '"claims":[{"path":["given_name"]}]}]}')  # fmt: skip
    link = (
        f"openid4vp://?client_id={quote(f'redirect_uri:{RESPONSE}')}&response_uri={quote(RESPONSE)}"
        f"&response_type=vp_token&response_mode=direct_post&nonce=nonce-of-this-request-0000&dcql_query={dcql}"
    )
    city.answer("POST", RESPONSE, lambda _: httpx.Response(200, json={}))
    result = resident.run("present", link, "--yes", "--json")
    assert result.code == 0, result.err
    assert "nobody vouches" in result.err


@pytest.mark.parametrize("link", ["openid4vp://", "openid4vp://?request_uri=x", "https://a.example/", "nonsense", "%"])
def test_a_bad_link(resident: Wallet, link: str) -> None:
    result = resident.run("present", link, "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "request_invalid")


# ── more than is needed ──────────────────────────────────────────────────────────────────────


def test_somebody_elses_number_is_pointed_at(resident: Wallet, city: City) -> None:
    result = resident.run(
        "present", VerifierScript(city, query(PAIRWISE, ["ids", party("consent")])).link(), typed="n\n"
    )
    assert "MORE THAN IS NEEDED" in result.err
    assert city.sent(RESPONSE) == 0


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (query(PERSON_ID, ["birthdate"]), "Think about it: your date of birth"),
        (query(PERSON_ID, ["birthdate"], ["age_equal_or_over", "18"]), "MORE THAN IS NEEDED"),
        (query(PERSON_ID, ["personal_administrative_number"]), "Think about it: the number"),
    ],
)
def test_what_should_be_thought_about(resident: Wallet, city: City, asked: dict[str, Any], words: str) -> None:
    assert words in present(resident, VerifierScript(city, asked)).err


def strict(bare_wallet: Wallet, city: City, issuer: IssuerScript) -> Wallet:
    """A sandbox wallet's content under the rules outside the sandbox: the town itself is on http."""
    assert bare_wallet.run("init", "--sandbox").code == 0
    city.trusted_by(bare_wallet)
    assert bare_wallet.run("offer", "accept", issuer.link()).code == 0
    secret = bare_wallet.passphrase_file.read_bytes().strip()
    with database.opened(bare_wallet.folder, lambda: secret) as store, store.transaction():
        store.set_setting("profile", "haip")
    bare_wallet.transport = httpx.MockTransport(lambda request: city._dispatch(_as_http(request)))
    city.asked.clear()
    return bare_wallet


def _as_http(request: httpx.Request) -> httpx.Request:
    """What is https for the wallet is the same scripted party."""
    headers = {name: value for name, value in request.headers.items() if name != "host"}
    return httpx.Request(request.method, str(request.url).replace("https://", "http://"), headers=headers,
                         content=request.content)  # fmt: skip


def strict_link(verifier: VerifierScript) -> str:
    return verifier.link().replace("http%3A", "https%3A").replace("http:", "https:")


def test_outside_the_sandbox_an_unlisted_verifier_is_not_even_asked(
    bare_wallet: Wallet, city: City, issuer: IssuerScript
) -> None:
    city.unlisted = {"verifier"}
    wallet = strict(bare_wallet, city, issuer)
    verifier = VerifierScript(city, NAME, mode="direct_post.jwt")
    result = wallet.run("present", strict_link(verifier), "--yes", "--json")
    assert result.json["error"] == "unknown_verifier"
    assert not any(address.startswith(VERIFIER) for _, address in city.asked)


def test_outside_the_sandbox_without_a_list_nobody_is_asked(bare_wallet: Wallet, city: City) -> None:
    assert bare_wallet.run("init").code == 0
    bare_wallet.transport = city.transport
    verifier = VerifierScript(city, NAME, mode="direct_post.jwt")
    for link in (strict_link(verifier), strict_link(verifier).replace("x509_hash", "x509_san_dns")):
        assert bare_wallet.run("present", link, "--yes", "--json").json["error"] == "unknown_verifier"
    assert city.asked == []


def test_outside_the_sandbox_a_request_without_a_link_needs_a_listed_signer(
    bare_wallet: Wallet, city: City, issuer: IssuerScript
) -> None:
    """The consent service hands its request over itself; its certificate is looked up all the same."""
    city.unlisted = {"verifier"}
    wallet = strict(bare_wallet, city, issuer)
    signed = VerifierScript(city, NAME, mode="direct_post.jwt").request(None)
    secret = wallet.passphrase_file.read_bytes().strip()
    world = World(Terminal(), clock=lambda: wallet.now, transport=wallet.transport)
    call = Invocation(world, texts.load("en"), Namespace(store=wallet.folder))
    with database.opened(wallet.folder, lambda: secret) as store:
        network = call.network(store)
        errand = Errand(call, store, network, Trust(store, network, world.clock, sandbox=False), sandbox=False)
        with pytest.raises(RequestRefused) as caught:
            request.verify(errand, signed)
    assert caught.value.code == "unknown_verifier"


def test_outside_the_sandbox_yes_does_not_pass_more_than_is_needed(
    bare_wallet: Wallet, city: City, issuer: IssuerScript
) -> None:
    wallet = strict(bare_wallet, city, issuer)
    asked = query(PERSON_ID, ["birthdate"], ["age_equal_or_over", "18"])
    verifier = VerifierScript(city, asked, mode="direct_post.jwt", changed={"response_uri": f"https{RESPONSE[4:]}"})
    result = wallet.run("present", strict_link(verifier), "--yes", "--json")
    assert result.json["error"] == "more_than_needed"
    assert city.sent(RESPONSE) == 0
    assert wallet.run("present", strict_link(verifier), typed="y\n").code == 0


def test_outside_the_sandbox_only_encrypted_answers(bare_wallet: Wallet, city: City, issuer: IssuerScript) -> None:
    wallet = strict(bare_wallet, city, issuer)
    verifier = VerifierScript(city, NAME, changed={"response_uri": f"https{RESPONSE[4:]}"})
    result = wallet.run("present", strict_link(verifier), "--yes", "--json")
    assert result.json["error"] == "request_invalid"


def test_an_expired_list_refuses(bare_wallet: Wallet, city: City, issuer: IssuerScript) -> None:
    wallet = strict(bare_wallet, city, issuer)
    kept = city.signed_list()
    wallet.now = city.now + 2 * 86_400
    city.answer("GET", "http://localhost:8100/registry", lambda _: httpx.Response(200, text=kept))
    verifier = VerifierScript(city, NAME, mode="direct_post.jwt")
    result = wallet.run("present", strict_link(verifier), "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "registry_refused")
    assert not any(address.startswith(VERIFIER) for _, address in city.asked)


def test_the_wrong_passphrase_sends_nothing(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    resident.passphrase_file.write_text("another sentence")
    assert present(resident, verifier).json["error"] == "wrong_passphrase"
    assert city.asked == []


def test_a_refused_presentation_is_an_error_and_the_copy_is_spent(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    city.answer("POST", RESPONSE, lambda _: httpx.Response(400, json={"error": "invalid_request"}))
    result = present(resident, verifier)
    assert (result.code, result.json["error"]) == (1, "invalid_request")
    assert copies(resident, PERSON_ID) == 9


def test_the_request_object_by_value(resident: Wallet, city: City) -> None:
    verifier = VerifierScript(city, NAME)
    link = f"openid4vp://?client_id={quote(verifier.own_id)}&request={verifier.request(None)}"
    assert resident.run("present", link, "--yes", "--json").code == 0
