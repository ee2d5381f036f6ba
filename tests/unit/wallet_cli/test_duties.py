"""Objections, erasure, export, deletions, case files, mailboxes, notices: over the real consent service."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.deletion_receipt import DeletionReceipt, sign_deletion_receipt
from consent.ledger.case import parse_case, verify_case
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.unit.wallet_cli.city import CONSENT, HOLDER, City, body, party, problem
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.consenting import DAY, HOUSEHOLD, INCOME, PURPOSE, Permissions
from tests.unit.wallet_cli.issuing import SECRETS, IssuerScript
from wallet_cli.store import consents, database, oppositions

SOCIAL = "The social-services"


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    for method in ("PATCH", "DELETE"):
        city.answer(method, f"{CONSENT}/*", made.forward)
    yield made
    made.close()


@pytest.fixture
def resident(city: City, wallet: Wallet) -> Wallet:
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    return wallet


@pytest.fixture
def grant_id(resident: Wallet, permissions: Permissions) -> str:
    """A permission that was used twice."""
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0, result.err
    made = str(result.json["grant_id"])
    assert permissions.use(made)
    assert permissions.use(made, INCOME, HOUSEHOLD)
    return made


def refused(result: Result, code: str) -> Result:
    assert (result.code, result.json["error"]) == (1, code), result.err
    return result


def no_plaintext(wallet: Wallet, *words: str) -> None:
    for path in sorted(one for one in wallet.folder.rglob("*") if one.is_file()):
        content = path.read_bytes()
        for word in words:
            assert word.encode() not in content, path


# ── objections ───────────────────────────────────────────────────────────────────────────────


def test_objecting_and_ending_it(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    made = resident.run("consent", "oppose", "--service", "The social-services", "--json")
    assert made.code == 0, made.err
    (one,) = made.json["oppositions"]
    assert (one["service"], one["purpose"], one["holder"]) == (party("social-services"), None, None)
    assert "Some laws let nobody object" in made.err
    listed = resident.run("consent", "oppositions", "--json")
    assert [each["opposition_id"] for each in listed.json["oppositions"]] == [one["opposition_id"]]
    shown = resident.run("timeline", "--json")
    assert shown.code == 0, shown.err
    assert shown.json["events"][-1]["kind"] == "oppose"
    assert "  you objected\n" in shown.err and ": you objected" not in shown.err, "an objection is no service's act"
    ended = resident.run("consent", "oppose", "--end", one["opposition_id"][:6], "--json")
    assert ended.json == {"opposition_id": one["opposition_id"], "state": "ended"}
    assert resident.run("consent", "oppositions", "--json").json == {"oppositions": []}
    assert resident.run("timeline").code == 0
    no_plaintext(resident, "social-services", one["opposition_id"])


def test_one_purpose_at_one_data_holder(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    made = resident.run(
        "consent", "oppose", "--service", party("social-services"), "--purpose", "Public Benefit",
        "--holder", "The hacienda", "--json",
    )  # fmt: skip
    (one,) = made.json["oppositions"]
    assert (one["purpose"], one["holder"]) == (PURPOSE, party("hacienda"))
    assert "Public Benefit" in made.err and "https://w3id.org" not in made.err


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--service", "Nobody"),
        ("--service", "The hacienda"),
        ("--service", "The social-services", "--purpose", "x"),
    ],
)
def test_who_is_meant_must_be_listed(resident: Wallet, permissions: Permissions, grant_id: str, arguments: Any) -> None:
    result = resident.run("consent", "oppose", *arguments, "--json")
    assert (result.code, result.json["error"]) == (2, "usage")


def test_an_objection_that_is_gone_is_said_loudly(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    assert resident.run("consent", "oppose", "--service", "The social-services").code == 0
    city.answer("GET", f"{CONSENT}/me/oppositions", permissions.twisted(lambda value: value.update(oppositions=[])))
    result = refused(resident.run("consent", "oppositions", "--json"), "opposition_gone")
    assert "is not there any more" in result.err


def test_an_objection_that_says_something_else(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    assert resident.run("consent", "oppose", "--service", "The social-services").code == 0

    def smaller(value: dict[str, Any]) -> None:
        value["oppositions"][0]["purpose"] = PURPOSE

    city.answer("GET", f"{CONSENT}/me/oppositions", permissions.twisted(smaller))
    refused(resident.run("consent", "oppositions", "--json"), "opposition_gone")


def test_an_objection_that_is_not_in_the_record(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    assert resident.run("consent", "oppose", "--service", "The social-services").code == 0

    def hidden(value: dict[str, Any]) -> None:
        value["items"] = [one for one in value["items"] if one["kind"] != "oppose"]

    city.answer("GET", f"{CONSENT}/me/timeline", permissions.twisted(hidden))
    resident.now = city.now = city.now + 120
    refused(resident.run("timeline", "--json"), "timeline_gap")


# ── access that rests on law ─────────────────────────────────────────────────────────────────


def mailbox_of_link(wallet: Wallet) -> str:
    secret = wallet.passphrase_file.read_bytes().strip()
    with database.opened(wallet.folder, lambda: secret) as store:
        (link,) = consents.links(store)
        assert link.registered == party("consent")
        return link.mailbox


def test_an_access_by_law_beside_the_uses(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    """The mailbox of the holder link is how the consent service knows whom to tell."""
    permissions.approve()
    assert permissions.access_by_law([mailbox_of_link(resident)])
    result = resident.run("timeline", "--json")
    assert result.code == 0, result.err
    one = result.json["usage"][-1]
    assert one["basis"]["kind"] == "law" and one["basis"]["law"]["en"] == "Tax Act, article 93"
    assert one["released"] is True and one["what"] == [INCOME]
    assert "READ YOUR DATA BECAUSE A LAW SAYS SO" in result.err
    assert "You were not asked. The law: Tax Act, article 93" in result.err
    assert (result.json["totals"][0]["by_consent"], result.json["totals"][0]["by_law"]) == (2, 1)
    assert "article 93" in resident.run("--lang", "ca", "timeline").out
    no_plaintext(resident, "Tax Act", "tax-audit")


def test_an_objection_stops_it(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    permissions.approve()
    assert resident.run("consent", "oppose", "--service", SOCIAL).code == 0
    assert not permissions.access_by_law([mailbox_of_link(resident)])
    assert resident.run("consent", "withdraw", "--all").code == 0
    assert resident.run("timeline").code == 0


def test_a_release_by_law_that_nobody_wrote_down(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    """The consent service hides the notice; the data holder's journal has the release."""
    permissions.approve()
    assert permissions.access_by_law([mailbox_of_link(resident)])

    def hidden(value: dict[str, Any]) -> None:
        value["items"] = [one for one in value["items"] if one["kind"] != "notice"]

    city.answer("GET", f"{CONSENT}/me/timeline", permissions.twisted(hidden))
    refused(resident.run("timeline", "--json"), "release_without_use")


def test_a_basis_that_the_list_does_not_have(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    """The consent service lets pass what nobody approved."""
    permissions.approve()
    assert permissions.access_by_law([mailbox_of_link(resident)])
    permissions.approved.clear()
    refused(resident.run("timeline", "--json"), "unapproved_basis")


# ── erasure ──────────────────────────────────────────────────────────────────────────────────


def test_what_stands_is_not_erased(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    refused(resident.run("consent", "erase", grant_id, "--yes", "--json"), "not_ended")


def test_what_is_over_is_erased_and_the_wallet_keeps_what_it_has(
    resident: Wallet, permissions: Permissions, grant_id: str
) -> None:
    assert resident.run("timeline").code == 0
    assert resident.run("consent", "withdraw", grant_id).code == 0
    assert resident.run("timeline").code == 0
    refused(resident.run("consent", "erase", grant_id, "--json"), "declined")
    done = resident.run("consent", "erase", grant_id, "--yes", "--json")
    assert done.code == 0, done.err
    assert done.json == {"erased": [grant_id], "account": "kept"}
    after = resident.run("timeline", "--json")
    assert after.code == 0, after.err
    assert [one["kind"] for one in after.json["events"]] == ["grant", "use", "use", "withdraw"]
    shown = resident.run("consent", "show", grant_id, "--json")
    assert shown.json["state"] == "erased" and shown.json["receipt"] is not None


def test_erased_before_it_was_ever_looked_at(resident: Wallet, permissions: Permissions, grant_id: str) -> None:
    assert resident.run("consent", "withdraw", grant_id).code == 0
    assert resident.run("consent", "erase", grant_id, "--yes").code == 0
    after = resident.run("timeline", "--json")
    assert after.code == 0, after.err
    assert len(after.json["events"]) == 4


def test_the_account_goes_with_the_last_record(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    kept = resident.run("consent", "erase", "--account", "--yes", "--json")
    assert kept.json == {"erased": [], "account": "kept"}
    permissions.approve()
    assert permissions.access_by_law([mailbox_of_link(resident)])
    assert resident.run("consent", "oppose", "--service", SOCIAL).code == 0
    assert resident.run("consent", "withdraw", "--all").code == 0
    done = resident.run("consent", "erase", "--account", "--yes", "--json")
    assert done.json == {"erased": [grant_id], "account": "erased"}
    refused(resident.run("consent", "oppositions", "--json"), "no_account")
    # A new permission opens a new account.
    again = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert again.code == 0, again.err
    # Of the old account nothing has to be there any more; this wallet still shows it.
    resident.now = city.now = city.now + 120
    seen = resident.run("timeline", "--json")
    assert seen.code == 0, seen.err
    assert [one["basis"]["kind"] for one in seen.json["usage"]] == ["consent", "consent", "law"]
    assert seen.json["usage"][-1]["basis"]["law"]["en"] == "Tax Act, article 93"


def test_an_erasure_that_nobody_asked_for(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    def erased(value: dict[str, Any]) -> None:
        value["grants"][0]["state"] = "erased"

    city.answer("GET", f"{CONSENT}/me/grants", permissions.twisted(erased))
    result = resident.run("timeline", "--json")
    assert (result.code, result.json["error"]) == (1, "foreign_erasure")


def test_something_else_is_erased(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert resident.run("consent", "withdraw", grant_id).code == 0
    lie = {"erased": ["A" * 22], "account": "kept"}
    city.answer("POST", f"{CONSENT}/me/erasure", lambda _: httpx.Response(200, json=lie))
    refused(resident.run("consent", "erase", grant_id, "--yes", "--json"), "bad_answer")


# ── deletions ────────────────────────────────────────────────────────────────────────────────


def deleted(permissions: Permissions, grant_id: str, /, **changes: Any) -> str:
    city = permissions.city
    claims: dict[str, Any] = {
        "service": party("social-services"),
        "consent": party("consent"),
        "id": base64url.encode(secrets.token_bytes(16)),
        "issued": int(city.now),
        "grant_id": grant_id,
        "attributes": (INCOME,),
        "deleted_at": int(city.now),
    }
    signer = changes.pop("signer", city.keys["social-services"])
    return sign_deletion_receipt(DeletionReceipt(**{**claims, **changes}), signer)


def listing(city: City, *entries: dict[str, Any]) -> None:
    city.answer("GET", f"{CONSENT}/me/deletions", lambda _: httpx.Response(200, json={"deletions": list(entries)}))


def test_a_service_that_is_late(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    due = int(city.now) + 3 * DAY
    listing(city, {"grant_id": grant_id, "due": due, "state": "due", "receipt": None})
    early = resident.run("consent", "deletions", "--json")
    assert early.json["deletions"][0]["state"] == "due"
    resident.now = city.now = due + 1
    # Whatever the consent service calls it.
    late = resident.run("consent", "deletions", "--json")
    assert late.code == 0
    assert late.json["deletions"][0]["state"] == "overdue"
    assert "LATE: The social-services had until" in late.err


def test_a_signed_deletion(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    receipt = deleted(permissions, grant_id)
    listing(city, {"grant_id": grant_id, "due": int(city.now) + DAY, "state": "received", "receipt": receipt})
    result = resident.run("consent", "deletions", "--json")
    assert result.json["deletions"][0]["deleted_at"] == int(city.now)
    assert "has signed that it deleted" in result.err


@pytest.mark.parametrize(
    "changes",
    [{"grant_id": "A" * 22}, {"consent": party("other")}, {"service": party("hacienda")}, {"deleted_at": 1},
     {"signer": SoftwareSigner.generate()}],
    ids=["grant", "consent", "service", "before", "key"],
)  # fmt: skip
def test_a_deletion_that_proves_nothing(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, changes: dict[str, Any]
) -> None:
    assert resident.run("timeline").code == 0
    receipt = deleted(permissions, grant_id, **changes)
    listing(city, {"grant_id": grant_id, "due": int(city.now) + DAY, "state": "received", "receipt": receipt})
    result = resident.run("consent", "deletions", "--json")
    assert result.json["deletions"][0]["deleted_at"] is None
    assert "says about deleting is not right" in result.err


def test_a_day_later_than_agreed(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert resident.run("timeline").code == 0
    listing(city, {"grant_id": grant_id, "due": int(city.now) + 300 * DAY, "state": "due", "receipt": None})
    assert "later than was agreed" in resident.run("consent", "deletions").err


@pytest.mark.parametrize(
    "answer",
    [{}, {"deletions": 7}, {"deletions": [7]}, {"deletions": [{"grant_id": "x"}]},
     {"deletions": [{"grant_id": "A" * 22, "due": 1, "state": "gone", "receipt": None}]},
     {"deletions": [{"grant_id": "A" * 22, "due": 1, "state": "received", "receipt": None}]}],
)  # fmt: skip
def test_what_is_no_list_of_deletions(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, answer: Any
) -> None:
    city.answer("GET", f"{CONSENT}/me/deletions", lambda _: httpx.Response(200, json=answer))
    refused(resident.run("consent", "deletions", "--json"), "bad_answer")


# ── export and case ──────────────────────────────────────────────────────────────────────────


def test_everything_in_two_files(resident: Wallet, permissions: Permissions, grant_id: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    result = resident.run("consent", "export", "--to", str(path), "--json")
    assert result.code == 0, result.err
    value = json.loads(path.read_bytes())
    (account,) = value["accounts"]
    assert [one["event"]["kind"] for one in account["timeline"]] == ["grant", "use", "use"]
    assert account["grants"][0]["detail"]["procedure"] == "rent-subsidy"
    assert account["mailboxes"], "the link's mailbox is registered"
    assert value["receipts"][0]["type"] == "ConsentReceipt"
    readable = (tmp_path / "mine.json.txt").read_text()
    assert "READ YOUR DATA: income band" in readable and "The social-services: given" in readable
    assert oct(path.stat().st_mode & 0o777) == "0o600"
    for content in (path.read_text(), readable):
        assert not any(secret in content for secret in SECRETS)


def test_the_file_to_read_has_dates_and_names_and_no_numbers(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, tmp_path: Path
) -> None:
    def owed(value: dict[str, Any]) -> None:
        far = {"grant_id": grant_id, "due": 2**60, "state": "due", "receipt": None}
        value["deletions"] = [far | {"due": 1_803_397_140}, far]

    city.answer("GET", f"{CONSENT}/me/export", permissions.twisted(owed))
    path = tmp_path / "mine.json"
    assert resident.run("consent", "export", "--to", str(path)).code == 0
    readable = (tmp_path / "mine.json.txt").read_text()
    assert "The social-services has until 23 February 2027 to delete" in readable and "1803397140" not in readable
    assert "Z  The social-services" not in readable and "2026-11-" not in readable


def test_many_pages_of_an_export(
    resident: Wallet, permissions: Permissions, grant_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from consent.service import reading

    monkeypatch.setattr(reading, "TIMELINE_PAGE", 1)
    path = tmp_path / "mine.json"
    assert resident.run("consent", "export", "--to", str(path)).code == 0
    assert len(json.loads(path.read_bytes())["accounts"][0]["timeline"]) == 3


@pytest.mark.parametrize("change", [{"grants": 7}, {"account": None}, {"timeline": None}, {"next": "x"}])
def test_what_is_no_export(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, tmp_path: Path, change: dict[str, Any]
) -> None:
    city.answer("GET", f"{CONSENT}/me/export", permissions.twisted(lambda value: value.update(change)))
    path = tmp_path / "mine.json"
    refused(resident.run("consent", "export", "--to", str(path), "--json"), "bad_answer")
    assert not path.exists()


def test_a_case_for_an_auditor(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str, tmp_path: Path
) -> None:
    path = tmp_path / "case.json"
    assert resident.run("consent", "withdraw", grant_id).code == 0
    assert not permissions.use(grant_id)
    refused(resident.run("consent", "disclose", grant_id, "--to", str(path), "--json"), "declined")
    assert not path.exists()
    result = resident.run("consent", "disclose", grant_id[:6], "--to", str(path), "--yes", "--json")
    assert result.code == 0, result.err
    case = verify_case(parse_case(path.read_bytes()), log_vkey=city.log_vkey)
    assert case.grant_id == grant_id and case.ended is not None
    assert [one.event["kind"] for one in case.events][:4] == ["grant", "use", "use", "withdraw"]
    assert not any(secret in path.read_text() for secret in SECRETS)


# ── mailboxes, requests, notices ─────────────────────────────────────────────────────────────


def test_a_request_in_a_mailbox(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    opened = resident.run("consent", "mailbox", "--service", "The social-services", "--json")
    assert opened.code == 0, opened.err
    mailbox = opened.json["mailbox"]
    assert resident.run("consent", "requests", "--json").json == {"requests": []}
    asked = permissions.request(mailbox=mailbox, expires=int(city.now) + 20 * DAY)
    permissions._post("/requests", asked)
    waiting = resident.run("consent", "requests", "--json")
    assert waiting.code == 0, waiting.err
    (one,) = waiting.json["requests"]
    assert (one["service"], one["acceptable"]) == (party("social-services"), True)
    assert "help with the rent" in waiting.err
    given = resident.run("consent", "grant", one["link"], "--yes", "--json")
    assert given.code == 0, given.err
    assert resident.run("consent", "requests", "--json").json == {"requests": []}
    closed = resident.run("consent", "mailbox", "--close", mailbox[:5], "--json")
    assert closed.json == {"mailbox": mailbox, "state": "closed"}
    assert resident.run("consent", "mailbox", "--json").json == {"mailboxes": []}
    no_plaintext(resident, mailbox)


def test_a_request_that_is_not_right_is_not_shown(
    resident: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    entry = {
        "request_id": "x",
        "link": "https://elsewhere.example/",
        "expires_in": 60,
        "request_uri": "",
        "request": "",
    }
    city.answer("GET", f"{CONSENT}/me/requests", lambda _: httpx.Response(200, json={"requests": [entry]}))
    result = resident.run("consent", "requests", "--json")
    assert result.json["requests"][0]["acceptable"] is False
    assert "Do not answer it" in result.err


def test_the_mailbox_of_a_link_is_registered_once(resident: Wallet, city: City, grant_id: str) -> None:
    assert resident.run("consent", "list").code == 0
    sent = [one for one in city.asked if one == ("POST", f"{CONSENT}/me/mailboxes")]
    # Once without a nonce, perhaps, and once with it.
    assert 1 <= len(sent) <= 2


def told(city: City, *notices: dict[str, Any]) -> None:
    city.answer("GET", f"{HOLDER}/notices", lambda _: httpx.Response(200, json={"notices": list(notices)}))


def test_what_a_data_holder_tells(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    now = int(city.now)
    told(city, {"kind": "value_changed", "time": now, "grant_id": grant_id}, {"kind": "link", "time": now - 5})
    result = resident.run("consent", "notices", "--json")
    assert [one["kind"] for one in result.json["notices"]] == ["link", "value_changed"]
    assert "another wallet made itself known" in result.err and f"change {grant_id} --follow" in result.err


@pytest.mark.parametrize("answer", [{}, {"notices": 7}, {"notices": [{"kind": "other", "time": 1}]}])
def test_what_is_no_notice(resident: Wallet, permissions: Permissions, city: City, grant_id: str, answer: Any) -> None:
    city.answer("GET", f"{HOLDER}/notices", lambda _: httpx.Response(200, json=answer))
    result = resident.run("consent", "notices", "--json")
    assert result.json == {"notices": []} and "did not answer" in result.err


def test_a_changed_value_is_followed(resident: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    came: list[dict[str, Any]] = []

    def changes(request: httpx.Request) -> httpx.Response:
        came.append(body(request))
        return httpx.Response(200, json={**body(request)})

    city.answer("POST", f"{HOLDER}/changes", changes)
    assert resident.run("consent", "change", grant_id, "--json").code == 2
    refused(resident.run("consent", "change", grant_id, "--follow", "--json"), "declined")
    result = resident.run("consent", "change", grant_id, "--follow", "--yes", "--json")
    assert result.code == 0, result.err
    assert came == [{"grant_id": grant_id, "answer": "follow"}]
    city.answer("POST", f"{HOLDER}/changes", lambda _: problem(409, "not_asked"))
    refused(resident.run("consent", "change", grant_id, "--follow", "--yes", "--json"), "nothing_changed")


def test_the_store_of_the_first_wallets_is_migrated(
    bare_wallet: Wallet, monkeypatch: pytest.MonkeyPatch, city: City
) -> None:
    files = database.schema_files()
    monkeypatch.setattr(database, "schema_files", lambda: files[:3])
    assert bare_wallet.run("init", "--sandbox").code == 0
    monkeypatch.undo()
    secret = bare_wallet.passphrase_file.read_bytes().strip()
    with database.opened(bare_wallet.folder, lambda: secret) as store:
        assert oppositions.all_of(store, party("consent")) == []
        assert store.row("PRAGMA user_version") == (len(files),)
