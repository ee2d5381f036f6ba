"""One case opened by its resident: everything that was logged about a grant, checked by whoever gets the file."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atorga import cli
from consent.errors import ConsentError, LogError, MessageError
from consent.grant.receipt import parse_served
from consent.ledger.case import (
    CaseEvent,
    UnverifiedCase,
    VerifiedCase,
    officers_case,
    parse_case,
    resident_case,
    verify_case,
)
from consent.ledger.leaf import Kind, Leaf
from consent.log.writer import LogWriter
from identity.codec import strict_json
from tests.consent_city import ConsentCity, Held, Wallet

Change = Callable[[dict[str, Any]], None]


def opened(wallet: Wallet, held: Held) -> list[tuple[dict[str, Any], CaseEvent]]:
    """Timeline items of the grant, each with its event, salt and proof."""
    opening, writer = wallet.opening(held), wallet.city.office.sequencer.writer
    items = wallet.call("GET", "/me/timeline").json()["items"]
    found = []
    for item in items:
        if item["grant_id"] == held.id:
            event = wallet.open(item, opening)
            found.append((item, CaseEvent(event.event, event.salt, writer.prove(item["leaf_index"]))))
    return found


@pytest.fixture
def held(wallet: Wallet) -> Held:
    """A grant that was used twice, paused, resumed, withdrawn, and asked for once more."""
    city = wallet.city
    held = wallet.give()
    for _ in range(2):
        assert city.use(city.use_request(held.id)).status_code == 200
    for number, verb in enumerate(("pause", "resume"), 1):
        assert wallet.act(held, number, verb).status_code == 200
    wallet.withdraw(held)
    assert city.use(city.use_request(held.id)).status_code == 403
    deadline = time.monotonic() + 5
    while not all(item["leaf_index"] is not None for item in wallet.call("GET", "/me/timeline").json()["items"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return held


@pytest.fixture
def case(wallet: Wallet, held: Held) -> UnverifiedCase:
    served = parse_served(wallet.call("GET", held.receipt).json())
    receipt = served.opened(wallet.opening(held), grant_id=held.id, counter=1)
    later = [event for item, event in opened(wallet, held) if item["counter"] != 1]
    return resident_case(receipt, later)


def check(city: ConsentCity, value: Any) -> VerifiedCase:
    return verify_case(parse_case(strict_json.compact(value)), log_vkey=city.vkey)


def test_it_tells_what_happened_and_verifies_offline(wallet: Wallet, held: Held, case: UnverifiedCase) -> None:
    verified = verify_case(parse_case(case.format()), log_vkey=wallet.city.vkey, key_of=wallet.city.key_of)
    assert verified.grant_id == held.id and verified.opened_at is None
    kinds = [one.logged.leaf.kind for one in verified.events]
    assert kinds == [Kind.GRANT, Kind.USE, Kind.USE, Kind.PAUSE, Kind.RESUME, Kind.WITHDRAW, Kind.DENY]
    assert verified.ended is verified.events[5]
    assert verified.refused_after == verified.events[6].at - verified.events[5].at >= 0
    assert parse_case(case.format()) == case


def drop(number: int) -> Change:
    def change(case: dict[str, Any]) -> None:
        del case["events"][number]

    return change


def swap(case: dict[str, Any]) -> None:
    case["events"][0], case["events"][1] = case["events"][1], case["events"][0]


def put(number: int, name: str, value: Any) -> Change:
    def change(case: dict[str, Any]) -> None:
        case["events"][number][name] = value

    return change


def say(number: int, name: str, value: Any) -> Change:
    def change(case: dict[str, Any]) -> None:
        case["events"][number]["event"][name] = value

    return change


def twice(case: dict[str, Any]) -> None:
    case["events"].insert(0, case["events"][0])


@pytest.mark.parametrize(
    "change",
    [
        drop(0), drop(1), drop(2), swap, twice,
        say(0, "attributes", ["household.size"]), say(0, "time", "2026-01-01T00:00:00.000Z"),
        say(1, "service", "urn:x"), say(4, "kind", "expire"), say(0, "use_request_hash", "A" * 43),
        put(0, "salt", "A" * 43), put(0, "tlog_proof", "x"), put(0, "more", 1),
        lambda case: case.update(type="Case"), lambda case: case.update(schema_version="atorga-case/2"),
        lambda case: case.update(events={}), lambda case: case.update(events=[1]),
        lambda case: case.update(grant_id="x"), lambda case: case.pop("receipt"),
        lambda case: case["receipt"].update(salt="A" * 43),
    ],
)  # fmt: skip
def test_what_is_changed_is_noticed(wallet: Wallet, case: UnverifiedCase, change: Change) -> None:
    value = json.loads(case.format())
    change(value)
    with pytest.raises(ConsentError):
        check(wallet.city, value)


def test_what_came_last_can_only_be_missed_by_the_log(wallet: Wallet, case: UnverifiedCase) -> None:
    """The file is complete up to its last act, and says no more than that."""
    value = json.loads(case.format())
    value["events"] = value["events"][:2]
    assert len(check(wallet.city, value).events) == 3


def test_events_of_another_grant(wallet: Wallet, case: UnverifiedCase) -> None:
    other = wallet.give()
    assert wallet.city.use(wallet.city.use_request(other.id)).status_code == 200
    foreign = next(event for item, event in opened(wallet, other) if item["kind"] == "use")
    value = json.loads(case.format())
    value["events"][0] = foreign.to_json()
    with pytest.raises(LogError, match="another grant"):
        check(wallet.city, value)


def test_the_receipt_of_a_later_act(wallet: Wallet, held: Held, case: UnverifiedCase) -> None:
    described = wallet.call("GET", f"/me/grants/{held.id}").json()["receipts"]
    later = next(one for one in described if one["counter"] != 1)
    served = parse_served(wallet.call("GET", f"/me/receipts/{later['id']}").json())
    receipt = served.opened(wallet.opening(held), grant_id=held.id, counter=later["counter"])
    with pytest.raises(LogError, match="giving"):
        verify_case(resident_case(receipt, case.events), log_vkey=wallet.city.vkey)


def test_another_key(wallet: Wallet, case: UnverifiedCase) -> None:
    with pytest.raises(ConsentError):
        verify_case(case, log_vkey=wallet.city.vkey.replace("localhost", "elsewhere"))


def test_opened_by_officers_it_needs_the_leaf_that_says_so(wallet: Wallet, held: Held) -> None:
    """What two officers open verifies like what the resident opens; behind the resident's back it does not."""
    writer = wallet.city.office.sequencer.writer
    quiet = officers_case(held.id, writer.prove(0), [event for _, event in opened(wallet, held)])
    with pytest.raises(LogError, match="of kind declare, not notice"):
        verify_case(parse_case(quiet.format()), log_vkey=wallet.city.vkey)
    entry = Leaf(Kind.NOTICE, 0, bytes(16), 0, 0, 0, 30_000_000, 0, 0, 0, bytes(32)).to_bytes()
    log = LogWriter(wallet.city.folder / "officers", writer.key.name, wallet.city.keys.log)
    log.append([entry])
    told = replace(quiet, opening=log.prove(0))
    log.close()
    verified = verify_case(parse_case(told.format()), log_vkey=wallet.city.vkey)
    assert verified.opened_at is not None and verified.receipt is None and len(verified.events) == 7
    short = replace(told, events=told.events[1:])
    with pytest.raises(LogError, match="after act 0 comes act 2"):
        verify_case(short, log_vkey=wallet.city.vkey)


# ── the command ──────────────────────────────────────────────────────────────────────────────────


def ask(path: Path, vkey: str, *more: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = cli.main(["audit", "case", str(path), "--vkey", vkey, "--lang", "en", *more])
    return code, capsys.readouterr().out


def test_the_command(
    wallet: Wallet, held: Held, case: UnverifiedCase, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "case.json"
    path.write_bytes(case.format())
    code, out = ask(path, wallet.city.vkey, capsys=capsys)
    assert code == 0 and f"Grant {held.id}" in out and "Opened by its resident." in out and "withdrawal, entry" in out
    code, out = ask(path, wallet.city.vkey, "--json", capsys=capsys)
    told = json.loads(out)
    assert (code, told["state"], told["opened_by"], len(told["events"])) == (0, "valid", "resident", 7)
    assert told["refused_after_ms"] >= 0 and told["service"] == "urn:atorga:party:social-services"
    path.write_bytes(case.format().replace(b'"use"', b'"deny"', 1))
    assert ask(path, wallet.city.vkey, capsys=capsys)[0] == 1
    code, out = ask(path, wallet.city.vkey, "--json", capsys=capsys)
    assert (code, json.loads(out)["error"]) == (1, "case_refused")
    assert ask(tmp_path / "none", wallet.city.vkey, capsys=capsys)[0] == 2
    assert cli.main(["audit", "case", "--vkey", wallet.city.vkey]) == 2


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"type":"ConsentCase"}'])
def test_files_that_are_no_case(content: str) -> None:
    with pytest.raises(MessageError):
        parse_case(content)
