"""What a resident may ask for, in one city of separate processes: freeze, narrow, object, export, disclose, erase."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from atorga.town import parties, story
from atorga.town.actors import City, Resident
from atorga.town.town import Town
from consent.ledger.case import parse_case, verify_case
from tests.flows.city import running_city

PASSPHRASE = "una frase larga de prueba 4711"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rights")


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[tuple[Town, City]]:
    with running_city(place / "city") as both:
        yield both


@pytest.fixture(scope="module")
def city(running: tuple[Town, City]) -> City:
    return running[1]


@pytest.fixture(scope="module")
def resident(place: Path, city: City) -> Resident:
    made = story.new_wallet(city, place / "wallet", passphrase=PASSPHRASE)
    story.receive_with_card(city, made)
    return made


def reasons(city: City, grant_id: str, attribute: str = story.ATTRIBUTE) -> list[str]:
    read = city.read(grant_id, attribute)
    return [] if read["state"] == "released" else list(read["reasons"])


def audited(city: City) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "atorga", "audit", city["consent"], "--vkey", city["log_vkey"]],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_a_pause_holds_at_both_ends_and_ends_by_one_act(city: City, resident: Resident) -> None:
    grant_id = story.grant(city, resident).answer["grant_id"]
    # Before its first use a data holder knows nothing of a grant; then it notes what it is told.
    assert reasons(city, grant_id) == []
    paused = resident.wallet("consent", "pause", grant_id).answer
    assert paused == {"grant_id": grant_id, "state": "paused", "doors": {"consent": "paused", "holder": "paused"}}
    assert reasons(city, grant_id) == ["paused"]
    assert resident.wallet("consent", "resume", grant_id, "--yes").answer["state"] == "given"
    assert reasons(city, grant_id) == []
    seen = resident.wallet("timeline").answer["events"]
    kinds = [one["kind"] for one in seen if one["grant_id"] == grant_id and one["kind"] != "deny"]
    assert kinds == ["grant", "use", "pause", "resume", "use"]
    story.withdraw(resident, grant_id)


def test_a_freeze_with_an_end_opens_again_by_itself(city: City, resident: Resident) -> None:
    grants = [story.grant(city, resident).answer["grant_id"] for _ in range(3)]
    until = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(time.time() + 15))
    frozen = resident.wallet("consent", "freeze", "--until", until)
    assert set(frozen.answer["paused"]) >= set(grants)
    assert [reasons(city, one) for one in grants] == [["paused"]] * 3
    # Their leaves are spread over the next hour, under promises that this wallet holds.
    waiting = resident.wallet("timeline").answer["events"]
    kinds = [one["kind"] for one in waiting if one["grant_id"] == grants[0] and one["kind"] != "deny"]
    assert kinds[:2] == ["grant", "pause"]
    deadline = time.monotonic() + 60
    while reasons(city, grants[0]):
        assert time.monotonic() < deadline, "the freeze did not end"
        time.sleep(0.5)
    seen = resident.wallet("timeline").answer["events"]
    kinds = [one["kind"] for one in seen if one["grant_id"] == grants[0] and one["kind"] != "deny"]
    assert kinds == ["grant", "pause", "resume", "use"]
    told = resident.wallet("consent", "withdraw", "--all").answer["withdrawals"]
    assert {one["grant_id"] for one in told} >= set(grants)
    assert all(one["doors"]["consent"] == one["doors"]["service"] == "withdrawn" for one in told)
    assert {one["doors"]["holder"] for one in told} <= {"withdrawn", "noted"}
    assert [reasons(city, one) for one in grants] == [["withdrawn"]] * 3
    assert resident.wallet("timeline").code == 0


def test_narrowing_objecting_and_who_deletes(city: City, resident: Resident) -> None:
    grant_id = story.grant(city, resident).answer["grant_id"]
    assert reasons(city, grant_id) == []
    narrowed = resident.wallet("consent", "amend", grant_id, "--max-uses", "2", "--days", "2", "--yes").answer
    assert set(narrowed["doors"].values()) == {"given"}
    assert [reasons(city, grant_id) for _ in range(2)] == [[], ["max_uses"]]
    made = resident.wallet("consent", "oppose", "--service", parties.SERVICE).answer["oppositions"][0]
    listed = resident.wallet("consent", "oppositions").answer["oppositions"]
    assert [one["opposition_id"] for one in listed] == [made["opposition_id"]]
    resident.wallet("consent", "oppose", "--end", made["opposition_id"])
    deletions = resident.wallet("consent", "deletions").answer["deletions"]
    assert all(one["state"] in ("due", "received") for one in deletions)
    assert resident.wallet("consent", "notices").answer == {"notices": []}
    unasked = resident.wallet("consent", "change", grant_id, "--follow", "--yes", expect=1)
    assert unasked.answer["error"] == "nothing_changed"
    assert resident.wallet("consent", "recoveries").answer["recoveries"] == []
    assert resident.wallet("mandate", "list").answer == {"acting": [], "given": []}
    assert resident.wallet("timeline").code == 0


def test_a_mailbox_takes_a_request(city: City, resident: Resident) -> None:
    opened = resident.wallet("consent", "mailbox", "--service", parties.SERVICE).answer
    assert resident.wallet("consent", "requests").answer == {"requests": []}
    closed = resident.wallet("consent", "mailbox", "--close", opened["mailbox"]).answer
    assert closed["state"] == "closed"


def test_export_disclose_and_erase(city: City, resident: Resident, place: Path) -> None:
    grant_id = story.grant(city, resident).answer["grant_id"]
    assert reasons(city, grant_id) == []
    story.withdraw(resident, grant_id)
    assert reasons(city, grant_id) == ["withdrawn"]
    case, export = place / "case.json", place / "export.json"
    # The wallet ended other permissions just before: this end waits its time in the log, under a promise.
    early = resident.wallet("consent", "disclose", grant_id, "--to", str(case), "--yes", expect=None)
    assert early.code == 0 or early.answer["error"] == "not_logged_yet"
    used = story.grant(city, resident).answer["grant_id"]
    assert reasons(city, used) == []
    resident.wallet("consent", "disclose", used, "--to", str(case), "--yes")
    verified = verify_case(parse_case(case.read_bytes()), log_vkey=city["log_vkey"])
    assert [one.event["kind"] for one in verified.events] == ["grant", "use"] and verified.grant_id == used
    resident.wallet("consent", "export", "--to", str(export))
    (account,) = json.loads(export.read_bytes())["accounts"]
    assert grant_id in {one["grant_id"] for one in account["grants"]}
    assert all("event" in one for one in account["timeline"]), "this wallet opens all of it"
    assert "READ YOUR DATA: income band" in (place / "export.json.txt").read_text()
    erased = resident.wallet("consent", "erase", grant_id, "--yes").answer
    assert erased == {"erased": [grant_id], "account": "kept"}
    seen = resident.wallet("timeline").answer["events"]
    assert [one["kind"] for one in seen if one["grant_id"] == grant_id][:2] == ["grant", "use"]
    audited(city)


def test_nothing_of_it_is_in_clear_in_the_wallets_files(resident: Resident) -> None:
    words = ("rent-subsidy", "social-services", "income.band", "withdrawn", "paused")
    for path in sorted(one for one in resident.store.rglob("*") if one.is_file()):
        content = path.read_bytes()
        assert not [word for word in words if word.encode() in content], path
