"""The shape of the timeline: who, what, why, on which basis, when, how much; totals; what is kept as evidence."""

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.wallet_cli.city import CONSENT, HOLDER, City, party, problem
from tests.unit.wallet_cli.conftest import Result, Wallet
from tests.unit.wallet_cli.consenting import HOUSEHOLD, INCOME, PURPOSE, Permissions
from tests.unit.wallet_cli.issuing import IssuerScript
from wallet_cli.store import database
from wallet_cli.terminal import Terminal


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    city.answer("PATCH", f"{CONSENT}/*", made.forward)
    city.answer("POST", f"{HOLDER}/acts", lambda _: problem(404, "not_found"))
    yield made
    made.close()


@pytest.fixture
def grant_id(city: City, wallet: Wallet, permissions: Permissions) -> str:
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    result = wallet.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0, result.err
    return str(result.json["grant_id"])


def timeline(wallet: Wallet, *arguments: str) -> Result:
    return wallet.run("timeline", "--json", *arguments)


def test_one_use_in_full(wallet: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert permissions.use(grant_id, INCOME, HOUSEHOLD)
    result = timeline(wallet)
    assert result.code == 0, result.err
    (one,) = result.json["usage"]
    assert one["receiver"] == {"id": party("social-services"), "name": "The social-services"}
    assert one["what"] == [INCOME, HOUSEHOLD] and one["action"] == "read" and one["logtime"] == int(city.now)
    assert one["why"] == {"purpose": PURPOSE, "procedure": "rent-subsidy"}
    assert one["basis"] == {"kind": "consent", "reference": grant_id, "law": {}}
    assert one["how_much"] == {"attributes": 2, "use": 1, "of": 10}
    assert one["released"] is True and one["late_seconds"] is None and isinstance(one["leaf_index"], int)
    for words in ("What for: help with the rent", f"You allowed it: permission {grant_id}", "Reading number 1 of 10"):
        assert words in result.err


def test_totals_by_month_and_service(wallet: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    permissions.use(grant_id)
    permissions.use(grant_id, INCOME, HOUSEHOLD)
    city.now = wallet.now = city.now + 10 * 86_400
    city.version += 1
    permissions.use(grant_id)
    result = timeline(wallet)
    assert result.code == 0, result.err
    months = [(one["month"], one["by_consent"], one["attributes"]) for one in result.json["totals"]]
    assert months == [("2026-11", 2, 3), ("2026-12", 1, 1)]
    assert "November 2026, The social-services: with your permission 2, by law 0, refused 0" in result.err


def test_a_refusal_is_counted_apart(wallet: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    wallet.run("consent", "pause", grant_id)
    assert not permissions.use(grant_id)
    result = timeline(wallet)
    assert result.code == 0, result.err
    assert [one["action"] for one in result.json["usage"]] == ["refused"]
    assert result.json["totals"][0]["refused"] == 1


def test_a_use_that_no_journal_speaks_of(wallet: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    assert permissions.use(grant_id)
    permissions.releases.clear()
    fresh = timeline(wallet)
    assert fresh.json["remarks"] == [], "it may be written down a moment later"
    city.now = wallet.now = city.now + 120
    result = timeline(wallet)
    assert result.code == 0, "a data holder may have died in between"
    assert [one["code"] for one in result.json["remarks"]] == ["use_without_release"]
    assert "has not written down" in result.err


def test_a_release_after_the_allow_had_run_out(
    wallet: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    assert permissions.use(grant_id)
    permissions.releases[0]["time"] += 3_600
    result = timeline(wallet)
    assert result.json["error"] == "release_without_use"
    assert "allowed no more" in result.err


def test_acts_by_somebody_else_are_found(wallet: Wallet, permissions: Permissions, city: City, grant_id: str) -> None:
    """A pause is logged that this wallet did not sign."""
    wallet.run("consent", "pause", grant_id)
    wallet.run("consent", "resume", grant_id, "--yes")
    assert timeline(wallet).code == 0
    secret = wallet.passphrase_file.read_bytes().strip()
    with database.opened(wallet.folder, lambda: secret) as store, store.transaction():
        store.change("DELETE FROM act")
        store.change("DELETE FROM event")
    result = timeline(wallet)
    assert result.code == 1 and "an act that this wallet did not sign" in result.err


def test_what_was_found_is_kept_as_evidence(
    wallet: Wallet, permissions: Permissions, city: City, grant_id: str, tmp_path: Path
) -> None:
    permissions.use(grant_id)
    permissions.release(grant_id, 9)
    path = tmp_path / "evidence.json"
    assert timeline(wallet, "--evidence", str(path)).code == 1
    permissions.releases.pop()
    city.answer("GET", f"{HOLDER}/journal", lambda _: problem(404, "gone"))
    assert timeline(wallet, "--evidence", str(path)).code == 0
    value = json.loads(path.read_bytes())
    assert value["type"] == "AtorgaEvidence"
    (one,) = value["findings"]
    assert (one["code"], one["about"]) == ("release_without_use", grant_id)
    assert "localhost:8101/log/2026" in one["checkpoints"][0]
    for file in (one for one in wallet.folder.rglob("*") if one.is_file()):
        assert b"release_without_use" not in file.read_bytes()


def test_a_waiting_event_of_more_than_an_hour(
    wallet: Wallet, permissions: Permissions, city: City, grant_id: str
) -> None:
    permissions.use(grant_id)

    def waiting(value: dict[str, Any]) -> None:
        value["items"][-1]["leaf_index"] = None

    city.answer("GET", f"{CONSENT}/me/timeline", permissions.twisted(waiting))
    assert timeline(wallet).code == 0
    city.now = wallet.now = city.now + 4_000
    assert timeline(wallet).json["error"] == "broken_promise"


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_grave_things_are_red_where_there_are_colours() -> None:
    screen, plain, script = Screen(), Screen(), io.StringIO()
    Terminal(stderr=screen).alarm("late")
    Terminal(stderr=plain, colourless=True).alarm("late")
    Terminal(stderr=script).alarm("late")
    assert screen.getvalue() == "\x1b[1;31mlate\x1b[0m\n"
    assert plain.getvalue() == script.getvalue() == "late\n"


def test_long_work_shows_how_far_it_is() -> None:
    screen, script = Screen(), io.StringIO()
    Terminal(stderr=screen).progress("3 of 9")
    Terminal(stderr=script).progress("3 of 9")
    assert "3 of 9" in screen.getvalue() and not script.getvalue()
