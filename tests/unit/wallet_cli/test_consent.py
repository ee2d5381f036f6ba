"""`wallet consent`: what is given to whom, what leaves the wallet for it, and how it is taken back."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.detail import Term
from consent.grant.receipt import parse_receipt
from consent.grant.withdrawal import verify_withdrawal
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.unit.wallet_cli.city import CONSENT, HOLDER, PAIRWISE, PERSON_ID, PORTAL, REGISTRY, City, party
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.consenting import DAY, HOUSEHOLD, INCOME, Permissions, down
from tests.unit.wallet_cli.issuing import SECRETS, IssuerScript
from tests.unit.wallet_cli.verifying import query
from wallet_cli.consents import receipts, withdraw
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents, database


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    yield made
    made.close()


@pytest.fixture
def resident(city: City, wallet: Wallet) -> Wallet:
    """With credentials, and nothing given yet."""
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    city.asked.clear()
    return wallet


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdraw, "PAUSES_SECONDS", (0.0, 0.0))


def give(wallet: Wallet, permissions: Permissions, *arguments: str) -> str:
    result = wallet.run("consent", "grant", permissions.ask(), "--yes", "--json", *arguments)
    assert result.code == 0, result.err
    assert result.json["state"] == "given"
    return str(result.json["grant_id"])


# ── giving ───────────────────────────────────────────────────────────────────────────────────


def test_the_first_permission(resident: Wallet, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)
    shown = resident.run("consent", "show", grant_id[:6], "--json").json
    assert (shown["state"], shown["service"], shown["holder"]) == ("given", party("social-services"), party("hacienda"))
    assert shown["attributes"] == {INCOME: "binned:eur-6", HOUSEHOLD: "raw"}
    assert shown["receipt"]["type"] == "ConsentReceipt"
    assert permissions.use(grant_id)


def test_who_learns_what(resident: Wallet, permissions: Permissions, city: City, tmp_path: Path) -> None:
    """The data holder learns whose row it is, by one claim; the consent service only its own number."""
    bodies: list[bytes] = []
    forward = permissions.forward

    def listening(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return forward(request)

    city.answer("POST", f"{CONSENT}/*", listening)
    give(resident, permissions)
    (claims,) = permissions.links.values()
    assert claims["personal_administrative_number"] == SECRETS[3]
    assert "given_name" not in claims
    sent = b"".join(bodies)
    import base64

    for secret in SECRETS:
        for spelled in (secret.encode(), base64.urlsafe_b64encode(secret.encode()).rstrip(b"=")):
            assert spelled not in sent
    held = b"".join(path.read_bytes() for path in (tmp_path / "consent").rglob("*") if path.is_file())
    assert not any(secret.encode() in held for secret in SECRETS)


def test_the_second_permission_presents_nothing(resident: Wallet, permissions: Permissions, city: City) -> None:
    first = give(resident, permissions)
    city.asked.clear()
    second = give(resident, permissions)
    assert first != second
    assert city.sent(f"{HOLDER}/links") == 0
    assert city.sent(f"{CONSENT}/me/account") == 0
    assert len(resident.run("consent", "list", "--json").json["consents"]) == 2


def test_the_screen_says_who_what_why_and_how_long(resident: Wallet, permissions: Permissions) -> None:
    result = resident.run("consent", "grant", permissions.ask(), typed="y\n")
    assert result.code == 0, result.err
    for words in (
        "The social-services asks to read data that The hacienda keeps",
        "Responsible: social-services of the city",
        "income band (only in which of six bands)",
        "you may leave it out",
        "What for: help with the rent",
        "For the rent subsidy.",
        "For how long: from",
        "10 times at most",
        "Not more than 5 times in 1 day",
        "They may keep it for 30 days",
        "opens an account",
        "DNI or NIE number",
        "wallet consent withdraw",
        "Permission given",
    ):
        assert words in result.out, words
    again = resident.run("consent", "grant", permissions.ask(), typed="n\n")
    assert "They may already read: people in the household, income band" in again.out
    assert "opens an account" not in again.out


def test_a_no_sends_nothing(resident: Wallet, permissions: Permissions, city: City) -> None:
    result = resident.run("consent", "grant", permissions.ask(), typed="n\n")
    assert result.code == 1
    assert city.sent(CONSENT) == 0 and city.sent(HOLDER) == 0


def test_a_refusal_without_an_account_stays_at_home(resident: Wallet, permissions: Permissions, city: City) -> None:
    result = resident.run("consent", "grant", permissions.ask(), "--refuse", "--json")
    assert result.json == {"grant_id": None, "state": "refused"}
    assert city.sent(CONSENT) == 0


def test_a_refusal_with_an_account_is_told(resident: Wallet, permissions: Permissions) -> None:
    give(resident, permissions)
    link = permissions.ask()
    assert resident.run("consent", "grant", link, "--refuse", "--json").json["state"] == "refused"
    late = resident.run("consent", "grant", link, "--yes", "--json")
    assert late.json["error"] in ("grant_refused", "unknown_request", "http_404")


def test_giving_less(resident: Wallet, permissions: Permissions) -> None:
    less = ("--drop", HOUSEHOLD, "--days", "7", "--max-uses", "2", "--resolution", f"{INCOME}=binned:eur-3")
    grant_id = give(resident, permissions, *less)
    shown = resident.run("consent", "show", grant_id, "--json").json
    assert shown["attributes"] == {INCOME: "binned:eur-3"}
    assert shown["max_uses"] == 2
    assert shown["not_after"] == int(resident.now) + 7 * DAY
    assert not permissions.use(grant_id, HOUSEHOLD)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--drop", INCOME], "cannot_drop"),
        (["--drop", "shoe.size"], "not_narrower"),
        (["--resolution", f"{INCOME}=raw"], "not_narrower"),
        (["--resolution", f"{INCOME}=binned:own"], "not_narrower"),
        (["--resolution", INCOME], "usage"),
        (["--days", "0"], "usage"),
    ],
)
def test_giving_more_or_something_else(
    resident: Wallet, permissions: Permissions, city: City, arguments: list[str], code: str
) -> None:
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json", *arguments)
    assert result.json["error"] == code
    assert city.sent(CONSENT) == 0 and city.sent(HOLDER) == 0


def test_giving_nothing_is_no_giving(resident: Wallet, permissions: Permissions, city: City) -> None:
    optional = {INCOME: Term("binned:eur-6", True), HOUSEHOLD: Term("raw", True)}
    link = permissions.ask(permissions.detail(terms=optional))
    result = resident.run("consent", "grant", link, "--yes", "--json", "--drop", INCOME, "--drop", HOUSEHOLD)
    assert result.json["error"] == "cannot_drop"
    assert city.sent(CONSENT) == 0


def test_a_time_that_ends_before_it_begins(resident: Wallet, permissions: Permissions, city: City) -> None:
    link = permissions.ask(permissions.detail(not_before=int(city.now) + 30 * DAY))
    assert resident.run("consent", "grant", link, "--yes", "--json", "--days", "7").json["error"] == "not_narrower"
    assert city.sent(CONSENT) == 0


# ── refused before anything is sent ──────────────────────────────────────────────────────────


def refused(wallet: Wallet, city: City, link: str, *codes: str) -> Result:
    result = wallet.run("consent", "grant", link, "--yes", "--json")
    assert result.code == 1
    assert result.json["error"] in codes, result.err
    assert city.sent(CONSENT) == 0 and city.sent(HOLDER) == 0
    return result


def test_a_link_to_no_consent_service(resident: Wallet, permissions: Permissions, city: City) -> None:
    for address in (
        "https://elsewhere.example/requests/1/jwt",
        f"{CONSENT}.example/x",
        "http://localhost:81011/x",
        HOLDER,
    ):
        refused(resident, city, f"atorga-consent://?request_uri={address}", "unknown_party")
    assert city.asked == [("GET", "http://localhost:8100/registry")] * 4


@pytest.mark.parametrize("link", ["atorga-consent://", "https://a.example/", "nonsense", "atorga-consent://?a=b"])
def test_a_bad_link(resident: Wallet, city: City, permissions: Permissions, link: str) -> None:
    refused(resident, city, link, "request_invalid")


def test_without_the_signed_list_there_are_no_consents(wallet: Wallet, city: City, permissions: Permissions) -> None:
    wallet.transport = city.transport
    refused(wallet, city, permissions.ask(), "registry_missing")


def test_a_request_that_its_service_did_not_sign(resident: Wallet, city: City, permissions: Permissions) -> None:
    city.keys["social-services"], own = SoftwareSigner.generate(), city.keys["social-services"]
    forged = permissions.request()
    city.keys["social-services"] = own
    refused(resident, city, permissions.slip(forged), "bad_message")


@pytest.mark.parametrize(
    "changes",
    [
        {"consent": party("another")},
        {"service": party("portal")},
        {"expires": 1},
        {"issued": 1, "expires": 1_900_000_000},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_request_for_somebody_else_or_another_time(
    resident: Wallet, city: City, permissions: Permissions, changes: dict[str, Any]
) -> None:
    refused(resident, city, permissions.slip(permissions.request(**changes)), "bad_message", "unknown_party")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identifier": "rent-subsidy@2"}, "declaration_missing"),
        ({"procedure": "another"}, "more_than_needed"),
        ({"purpose": "https://w3id.org/dpv#Marketing"}, "more_than_needed"),
        ({"datatypes": (INCOME, "shoe.size"), "terms": {INCOME: Term("raw", False), "shoe.size": Term("raw", False)}},
         "more_than_needed"),
        ({"data_life_seconds": 91 * DAY}, "more_than_needed"),
        ({"holder": party("consent")}, "unknown_party"),
        ({"terms": {INCOME: Term("binned:own", False), HOUSEHOLD: Term("raw", True)}}, "declaration_missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)  # fmt: skip
def test_more_than_was_declared_is_not_even_shown(
    resident: Wallet, city: City, permissions: Permissions, changes: dict[str, Any], code: str
) -> None:
    asked = permissions.slip(permissions.request(permissions.detail(**changes)))
    result = refused(resident, city, asked, code)
    assert "Exactly this" not in result.err


def test_a_data_holder_that_the_procedure_does_not_name(resident: Wallet, city: City, permissions: Permissions) -> None:
    declared = permissions.purpose_declaration(holders=(party("consent"),))
    served = {"declarations": [permissions.signed(declared), permissions.signed(permissions.data_declaration())]}
    link = permissions.ask()
    city.answer("GET", f"{CONSENT}/declarations", lambda _: httpx.Response(200, json=served))
    refused(resident, city, link, "more_than_needed")


def test_a_declaration_under_another_key_does_not_count(resident: Wallet, city: City, permissions: Permissions) -> None:
    """A consent service that serves its own HPKE key for the data holder would read the locators."""
    link = permissions.ask()
    city.keys["hacienda"], own = SoftwareSigner.generate(), city.keys["hacienda"]
    forged = permissions.signed(permissions.data_declaration(hpke=AgreementPrivateKey.generate().public, version=2))
    city.keys["hacienda"] = own
    honest = permissions.signed(permissions.purpose_declaration())
    served = {"declarations": [forged, honest]}
    city.answer("GET", f"{CONSENT}/declarations", lambda _: httpx.Response(200, json=served))
    refused(resident, city, link, "declaration_missing")


def test_a_party_that_is_no_longer_listed(resident: Wallet, city: City, permissions: Permissions) -> None:
    link = permissions.ask()
    city.unlisted, city.version = {"hacienda"}, 2
    refused(resident, city, link, "unknown_party")


def test_without_the_credential_that_names_the_row(wallet: Wallet, city: City, permissions: Permissions) -> None:
    city.trusted_by(wallet)
    issuer = IssuerScript(city)
    assert wallet.run("offer", "accept", issuer.link("pairwise-sd-jwt")).code == 0
    result = wallet.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.json["error"] == "no_matching_credential"
    assert city.sent(f"{CONSENT}/me/account") == 0 and city.sent(HOLDER) == 0


@pytest.mark.parametrize(
    ("twist", "code"),
    [
        ({"jar": {"nonce": "b" * 43}}, "request_invalid"),
        ({"jar": {"response_uri": f"{CONSENT}/elsewhere"}}, "request_invalid"),
        ({"jar": {"response_uri": "https://elsewhere.example/me/account"}}, "request_invalid"),
        ({"jar": {"dcql_query": query(PAIRWISE, ["ids", party("consent")], ["ids", party("portal")])}},
         "more_than_needed"),
        ({"jar": {"dcql_query": query(PERSON_ID)}}, "more_than_needed"),
        ({"jar_party": "portal"}, "unknown_party"),
    ],
    ids=["nonce", "path", "host", "other-number", "other-credential", "signer"],
)  # fmt: skip
def test_an_account_is_opened_for_our_key_and_our_number_only(
    resident: Wallet, city: City, permissions: Permissions, twist: dict[str, Any], code: str
) -> None:
    for name, value in twist.items():
        setattr(permissions, name, value)
    refused(resident, city, permissions.ask(), code)


def test_a_challenge_for_another_account_key_is_not_answered(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    other = SoftwareSigner.generate().public_key.thumbprint
    served = permissions.office.enrolling.offer(other)
    city.answer("GET", f"{CONSENT}/me/account/request", lambda _: httpx.Response(200, json=served))
    refused(resident, city, permissions.ask(), "request_invalid")


def change_entry(city: City, name: str, **changes: Any) -> None:
    """The next version of the list says something else of this party; None = nothing."""
    real = city._claims

    def changed() -> dict[str, Any]:
        claims = real()
        for entry in claims["parties"]:
            if entry["id"] == party(name):
                entry |= changes
                for member in [member for member, value in changes.items() if value is None]:
                    del entry[member]
        return claims

    city._claims = changed  # type: ignore[method-assign]
    city.version += 1


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("consent", {"roles": ["consent", "verifier"], "log_vkey": None}),
        ("hacienda", {"endpoints": {"journal": f"{HOLDER}/journal"}}),
        ("hacienda", {"roles": ["service"]}),
        ("social-services", {"roles": ["holder"]}),
    ],
    ids=["log-key", "address", "holder", "service"],
)
def test_a_party_listed_otherwise(
    resident: Wallet, city: City, permissions: Permissions, name: str, changes: dict[str, Any]
) -> None:
    link = permissions.ask()
    change_entry(city, name, **changes)
    result = resident.run("consent", "grant", link, "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "unknown_party")
    assert city.sent(f"{CONSENT}/me") == 0 and city.sent(HOLDER) == 0


@pytest.mark.parametrize(
    "served", [{}, {"declarations": 7}, {"declarations": ["x"] * 1_001}, {"declarations": [7, "x"]}]
)
def test_what_is_no_list_of_declarations(
    resident: Wallet, city: City, permissions: Permissions, served: dict[str, Any]
) -> None:
    link = permissions.ask()
    city.answer("GET", f"{CONSENT}/declarations", lambda _: httpx.Response(200, json=served))
    refused(resident, city, link, "declaration_missing")


@pytest.mark.parametrize("answer", [{}, {"state": "closed"}, {"state": 7}])
def test_an_account_in_a_state_that_we_do_not_know(
    resident: Wallet, city: City, permissions: Permissions, answer: dict[str, Any]
) -> None:
    city.answer("POST", f"{CONSENT}/me/account", lambda _: httpx.Response(201, json=answer))
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.json["error"] == "bad_answer"
    assert permissions.links == {}


# ── answers that get lost ────────────────────────────────────────────────────────────────────


def test_a_data_holder_that_is_down(resident: Wallet, city: City, permissions: Permissions) -> None:
    real = city.answers[("POST", f"{HOLDER}/links")]
    city.answer("POST", f"{HOLDER}/links", down)
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 1
    assert resident.run("consent", "list", "--json").json["consents"] == []
    city.answer("POST", f"{HOLDER}/links", real)
    give(resident, permissions)
    assert len(permissions.links) == 1


def test_a_lost_answer_of_the_data_holder_makes_no_second_link(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    real = city.answers[("POST", f"{HOLDER}/links")]

    def lost(request: httpx.Request) -> httpx.Response:
        real(request)
        raise httpx.ReadTimeout("lost", request=request)

    city.answer("POST", f"{HOLDER}/links", lost)
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").json["error"] == "unreachable"
    city.answer("POST", f"{HOLDER}/links", real)
    give(resident, permissions)
    assert len(permissions.links) == 1


def test_a_lost_answer_of_the_enrolment(resident: Wallet, city: City, permissions: Permissions) -> None:
    def lost(request: httpx.Request) -> httpx.Response:
        permissions.forward(request)
        raise httpx.ReadTimeout("lost", request=request)

    city.answer("POST", f"{CONSENT}/me/account", lost)
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").json["error"] == "unreachable"
    city.answer("POST", f"{CONSENT}/me/account", permissions.forward)
    city.asked.clear()
    give(resident, permissions)
    assert ("POST", f"{CONSENT}/me/account") in city.asked  # the nonce had to be asked for first
    grants = resident.run("history", "--json").json["history"]
    assert [entry["act"] for entry in grants].count("enrolled") == 1


def lose(permissions: Permissions, *, arrives: bool) -> Callable[[httpx.Request], httpx.Response]:
    def lost(request: httpx.Request) -> httpx.Response:
        if arrives and (answer := permissions.forward(request)).status_code == 401:
            return answer  # only a fresh nonce is wanted
        raise httpx.ReadTimeout("lost", request=request)

    return lost


def test_a_grant_whose_answer_is_lost_is_looked_for_at_once(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    give(resident, permissions)
    city.answer("POST", f"{CONSENT}/me/grants", lose(permissions, arrives=True))
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.json["state"] == "given", result.err


def test_a_grant_that_nobody_knows_about_is_resolved_later(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    give(resident, permissions)
    city.answer("POST", f"{CONSENT}/me/grants", lose(permissions, arrives=True))
    city.answer("GET", f"{CONSENT}/me/grants", down)
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "grant_unanswered")
    states = [one["state"] for one in resident.run("consent", "list", "--json").json["consents"]]
    assert sorted(states) == ["given", "sending"]
    city.answer("GET", f"{CONSENT}/me/grants", permissions.forward)
    states = [one["state"] for one in resident.run("consent", "list", "--json").json["consents"]]
    assert states == ["given", "given"]


def test_a_grant_that_never_arrived_is_forgotten_when_its_time_is_over(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    give(resident, permissions)
    city.answer("POST", f"{CONSENT}/me/grants", lose(permissions, arrives=False))
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").json["error"] == "grant_unanswered"
    assert len(resident.run("consent", "list", "--json").json["consents"]) == 2
    resident.now = city.now = city.now + 301
    assert len(resident.run("consent", "list", "--json").json["consents"]) == 1


def test_a_grant_that_is_refused_is_none(resident: Wallet, city: City, permissions: Permissions) -> None:
    give(resident, permissions)
    city.answer("POST", f"{CONSENT}/me/grants", lambda _: httpx.Response(409, json={"error": "request_closed"}))
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "grant_refused")
    assert "request_closed" in result.err
    assert len(resident.run("consent", "list", "--json").json["consents"]) == 1


# ── receipts ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def receipt(resident: Wallet, permissions: Permissions, city: City, tmp_path: Path) -> Path:
    grant_id = give(resident, permissions)
    path = tmp_path / "receipt.json"
    assert resident.run("consent", "show", grant_id, "--receipt", str(path)).code == 0
    assert path.stat().st_mode & 0o777 == 0o600
    city.asked.clear()
    return path


def test_a_receipt_is_verified_without_asking_anybody(resident: Wallet, receipt: Path, city: City) -> None:
    result = resident.run("receipt", "verify", str(receipt), "--json")
    assert result.code == 0, result.err
    assert (result.json["state"], result.json["kind"], result.json["held"]) == ("valid", "grant", True)
    assert city.asked == []


def flip(text: str) -> str:
    middle = len(text) // 2
    return text[:middle] + ("A" if text[middle] != "A" else "B") + text[middle + 1 :]


FORGERIES: dict[str, Callable[[dict[str, Any]], None]] = {
    "proof": lambda r: r.update(tlog_proof=flip(r["tlog_proof"])),
    "salt": lambda r: r.update(salt=flip(r["salt"])),
    "grant": lambda r: r.update(grant=flip(r["grant"])),
    "attributes": lambda r: r["event"].update(attributes=[INCOME]),
    "later": lambda r: r["event"].update(not_after=r["event"]["not_after"] + 1),
    "service": lambda r: r["event"].update(service=party("portal")),
    "notice": lambda r: r["notice"].update(text="For anything."),
    "controller": lambda r: r["controller"].update(id=party("portal")),
    "more": lambda r: r.update(more=1),
    "less": lambda r: r.pop("rights"),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_a_forged_receipt(resident: Wallet, receipt: Path, forge: Callable[[dict[str, Any]], None]) -> None:
    value = json.loads(receipt.read_text())
    forge(value)
    receipt.write_text(json.dumps(value))
    result = resident.run("receipt", "verify", str(receipt), "--json")
    assert (result.code, result.json["error"]) == (1, "receipt_invalid")


def test_a_receipt_of_a_log_that_was_not_pinned(receipt: Path, bare_wallet: Wallet, tmp_path: Path) -> None:
    other = Wallet(tmp_path / "other", bare_wallet.passphrase_file)
    assert other.run("init", "--sandbox").code == 0
    assert other.run("receipt", "verify", str(receipt), "--json").json["error"] == "receipt_invalid"


def test_a_receipt_must_be_of_the_grant_that_we_signed(resident: Wallet, receipt: Path) -> None:
    """Of a withdrawal the log holds no hash of the grant: here the grant itself is compared."""
    secret = resident.passphrase_file.read_bytes().strip()
    with database.opened(resident.folder, lambda: secret) as store:
        (grant,), (account,) = consents.grants(store), consents.accounts(store)
    found = receipts.verify(parse_receipt(receipt.read_bytes()), account.log_vkey)
    receipts.require_of(found, grant)
    for other in (replace(grant, grant_jws="another"), replace(grant, service=party("portal"))):
        with pytest.raises(ConsentRefused) as caught:
            receipts.require_of(found, other)
        assert caught.value.code == "proof_refused"


@pytest.mark.parametrize("listed", [None, 7, [{"counter": 1, "id": "x"}], [{"counter": 1}]])
def test_a_grant_whose_receipts_are_no_list(
    resident: Wallet, city: City, permissions: Permissions, listed: Any
) -> None:
    def changed(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request)
        if answer.status_code != 200:
            return answer
        return httpx.Response(200, json={**answer.json(), "receipts": listed})

    city.answer("GET", f"{CONSENT}/me/grants/*", changed)
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.json["error"] == "bad_answer"


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"a":1,"a":2}', "x" * 300_000])
def test_what_is_no_receipt(resident: Wallet, tmp_path: Path, content: str) -> None:
    (tmp_path / "r").write_text(content)
    assert resident.run("receipt", "verify", str(tmp_path / "r"), "--json").json["error"] == "receipt_invalid"


def test_a_receipt_that_is_only_promised_comes_later(resident: Wallet, city: City, permissions: Permissions) -> None:
    def promised(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request)
        if answer.status_code != 200:
            return answer
        value = answer.json()
        value |= {"leaf_index": None, "promise": "not read before the leaf is there"}
        del value["tlog_proof"]
        return httpx.Response(200, json=value)

    city.answer("GET", f"{CONSENT}/me/receipts/*", promised)
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0
    assert "not here yet" in result.err
    grant_id = result.json["grant_id"]
    assert (
        resident.run("consent", "show", grant_id, "--receipt", "/nowhere", "--json").json["error"] == "receipt_missing"
    )
    city.answer("GET", f"{CONSENT}/me/receipts/*", permissions.forward)
    assert resident.run("consent", "show", grant_id, "--json").json["receipt"]["type"] == "ConsentReceipt"


def test_a_receipt_about_something_else_is_loud(resident: Wallet, city: City, permissions: Permissions) -> None:
    """The consent service hands out the receipt of another grant of the same resident."""
    served: list[bytes] = []

    def first(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request)
        served.append(answer.content)
        return answer

    city.answer("GET", f"{CONSENT}/me/receipts/*", first)
    give(resident, permissions)
    city.answer("GET", f"{CONSENT}/me/receipts/*", lambda _: httpx.Response(200, content=served[-1]))
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "proof_refused")
    assert "cheats" in result.err
    # What was given stands all the same, and can be taken back.
    assert resident.run("consent", "withdraw", "--all", "--json").code == 0


# ── taking back ──────────────────────────────────────────────────────────────────────────────


def test_three_doors(resident: Wallet, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)
    assert permissions.use(grant_id)
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert result.code == 0, result.err
    assert result.json == {
        "grant_id": grant_id,
        "state": "withdrawn",
        "doors": {"consent": "withdrawn", "holder": "withdrawn", "service": "withdrawn"},
    }
    assert not permissions.use(grant_id)
    (at_holder,), (at_service,) = permissions.withdrawals.values()
    assert at_holder == at_service
    assert verify_withdrawal(at_holder).grant_id == grant_id
    assert resident.run("consent", "show", grant_id, "--json").json["state"] == "withdrawn"


def test_a_dead_door_is_knocked_at_by_the_next_command(resident: Wallet, city: City, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)
    real = city.answers[("POST", f"{PORTAL}/withdrawals")]
    del city.answers[("POST", f"{PORTAL}/withdrawals")]
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert result.code == 0
    assert result.json["doors"] == {"consent": "withdrawn", "holder": "withdrawn", "service": "missing"}
    assert "HAS NOT ANSWERED" in result.err
    city.answer("POST", f"{PORTAL}/withdrawals", real)
    listed = resident.run("consent", "list", "--json")
    assert "everybody knows" in listed.err
    assert len(permissions.withdrawals["service"]) == 1
    city.asked.clear()
    assert resident.run("consent", "list").code == 0
    assert city.sent(PORTAL) == 0


def test_where_the_consent_service_is_dead_the_data_holder_still_knows(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    grant_id = give(resident, permissions)
    city.answer("POST", f"{CONSENT}/withdrawals", down)
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert (result.json["state"], result.json["doors"]["consent"]) == ("withdrawn", "missing")
    city.answer("POST", f"{CONSENT}/withdrawals", permissions.forward)
    assert resident.run("timeline", "--json").code == 0
    assert not permissions.use(grant_id)


def test_where_nobody_answers_it_is_said_and_tried_again(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    grant_id = give(resident, permissions)
    kept = {
        key: city.answers.get(key) for key in [("POST", f"{base}/withdrawals") for base in (HOLDER, PORTAL, CONSENT)]
    }
    for key in kept:
        city.answer(*key, down)
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert (result.code, result.json["error"]) == (1, "door_missing")
    for key, handler in kept.items():
        city.answer(*key, handler or permissions.forward)
    # The same message again: no door gets two.
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert result.json["state"] == "withdrawn"
    assert len(set(permissions.withdrawals["holder"])) == 1


def test_an_expired_list_does_not_stand_in_the_way(resident: Wallet, city: City, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)
    old = city.signed_list()
    city.answer("GET", REGISTRY, lambda _: httpx.Response(200, text=old))
    resident.now = resident.now + 2 * DAY
    link = permissions.ask()
    assert resident.run("consent", "grant", link, "--yes", "--json").json["error"] == "registry_refused"
    assert resident.run("consent", "withdraw", grant_id, "--json").json["state"] == "withdrawn"
    assert len(permissions.withdrawals["holder"]) == 1


def test_one_attribute(resident: Wallet, permissions: Permissions, city: City) -> None:
    grant_id = give(resident, permissions)
    left = {"state": "given", "attributes": [INCOME], "effective_at": 1}
    city.answer("POST", f"{HOLDER}/withdrawals", lambda _: httpx.Response(200, json=left))
    result = resident.run("consent", "withdraw", grant_id, "--attribute", HOUSEHOLD, "--json")
    assert result.code == 0, result.err
    assert result.json["state"] == "given"
    assert not permissions.use(grant_id, HOUSEHOLD)
    assert permissions.use(grant_id, INCOME)
    assert (
        resident.run("consent", "withdraw", grant_id, "--attribute", "shoe.size", "--json").json["error"]
        == "unknown_id"
    )


@pytest.mark.parametrize("name", [party("social-services"), "The social-services", "el SOCIAL-services"])
def test_all_of_a_service(resident: Wallet, permissions: Permissions, name: str) -> None:
    ids = {give(resident, permissions), give(resident, permissions)}
    result = resident.run("consent", "withdraw", "--service", name, "--json")
    assert {one["grant_id"] for one in result.json["withdrawals"]} == ids
    assert {one["state"] for one in result.json["withdrawals"]} == {"withdrawn"}
    assert resident.run("consent", "withdraw", "--all", "--json").json["error"] == "unknown_id"


def test_a_wrong_command_line(resident: Wallet, permissions: Permissions) -> None:
    give(resident, permissions)
    for arguments in (["--all", "--attribute", INCOME], ["x", "--all"], []):
        assert resident.run("consent", "withdraw", *arguments, "--json").code == 2


def test_a_promise_that_no_log_made_is_loud(resident: Wallet, city: City, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)

    def promising(request: httpx.Request) -> httpx.Response:
        answer = permissions.forward(request).json()
        answer.pop("proof", None)
        return httpx.Response(200, json=answer)

    city.answer("POST", f"{CONSENT}/withdrawals", promising)
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert result.json["state"] == "withdrawn"
    assert "cheats" in result.err


def test_the_history_names_no_value(resident: Wallet, permissions: Permissions) -> None:
    grant_id = give(resident, permissions)
    resident.run("consent", "withdraw", grant_id)
    result = resident.run("history", "--json")
    acts = [entry["act"] for entry in result.json["history"]]
    assert acts[-4:] == ["enrolled", "linked", "granted", "withdrawn"]
    assert not any(secret in result.out + result.err for secret in SECRETS)


def test_many_are_told_before_a_silent_door_is_tried_again(
    resident: Wallet, permissions: Permissions, city: City
) -> None:
    """Whoever takes everything back is not held up by one door that is down."""
    given = [give(resident, permissions) for _ in range(3)]
    city.answer("POST", f"{HOLDER}/withdrawals", down)
    city.asked.clear()
    result = resident.run("consent", "withdraw", "--all", "--json")
    assert result.code == 0, result.err
    doors = [url for method, url in city.asked if method == "POST" and url.endswith("/withdrawals")]
    first = doors[: 3 * 3]
    assert first.count(f"{CONSENT}/withdrawals") == first.count(f"{HOLDER}/withdrawals") == 3
    assert doors[9:] == [f"{HOLDER}/withdrawals"] * 6
    assert not any(permissions.use(one) for one in given)
    assert result.err.count("HAS NOT ANSWERED") == 3
    assert result.err.count("What they have read already cannot be taken back") == 1
