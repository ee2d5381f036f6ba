"""A wallet that was lost: its permissions are taken back by the account; and a wallet that takes an account over."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.wallet_cli.city import CONSENT, City, problem
from tests.unit.wallet_cli.conftest import PASSPHRASE, Wallet
from tests.unit.wallet_cli.consenting import DAY, HOUSEHOLD, INCOME, Permissions
from tests.unit.wallet_cli.issuing import IssuerScript
from wallet_cli.consents import withdraw


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


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdraw, "PAUSES_SECONDS", (0.0, 0.0))


class SamePerson(IssuerScript):
    """Who receives again gets the same numbers: they are made from the person and the organisation."""

    def copy(self, kind: str, key: Any, **changed: Any) -> str:
        if "pairwise" in kind:
            numbers = {name: f"p{name.rpartition(':')[2]}" for name in self.organisations}
            changed = {"claims": {"ids": numbers}, **changed}
        return super().copy(kind, key, **changed)


def new_wallet(city: City, folder: Path, issuer: IssuerScript) -> Wallet:
    folder.mkdir()
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE)
    wallet = Wallet(folder / "store", passphrase)
    assert wallet.run("init", "--sandbox").code == 0
    city.trusted_by(wallet)
    issuer.codes.add("pre-authorized")
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    return wallet


def give(wallet: Wallet, permissions: Permissions) -> str:
    result = wallet.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0, result.err
    return str(result.json["grant_id"])


@pytest.fixture
def wallets(city: City, permissions: Permissions, tmp_path: Path) -> tuple[Wallet, Wallet, str]:
    """The lost one, the new one that has recovered the account, and what the lost one had given."""
    issuer = SamePerson(city)
    lost = new_wallet(city, tmp_path / "lost", issuer)
    grant_id = give(lost, permissions)
    fresh = new_wallet(city, tmp_path / "fresh", issuer)
    # Giving opens the account again; the permission itself has to wait three days.
    tried = fresh.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert tried.code == 1, tried.err
    return lost, fresh, grant_id


def test_what_a_lost_wallet_gave_is_taken_back(wallets: tuple[Wallet, Wallet, str], permissions: Permissions) -> None:
    _, fresh, grant_id = wallets
    assert permissions.use(grant_id)
    result = fresh.run("consent", "withdraw", "--all", "--json")
    assert result.code == 0, result.err
    told = {one["grant_id"]: one for one in result.json["withdrawals"]}
    assert told[grant_id]["state"] == "withdrawn" and told[grant_id]["doors"] == {"consent": "withdrawn"}
    assert not permissions.use(grant_id)


@pytest.mark.parametrize("by", ["id", "service"])
def test_one_of_them(wallets: tuple[Wallet, Wallet, str], permissions: Permissions, by: str) -> None:
    _, fresh, grant_id = wallets
    which = (grant_id[:8],) if by == "id" else ("--service", "The social-services")
    assert fresh.run("consent", "withdraw", *which).code == 0
    assert not permissions.use(grant_id)


def test_a_part_of_one(wallets: tuple[Wallet, Wallet, str], permissions: Permissions) -> None:
    _, fresh, grant_id = wallets
    result = fresh.run("consent", "withdraw", grant_id, "--attribute", HOUSEHOLD, "--json")
    assert result.code == 0, result.err
    assert result.json["state"] == "given"
    assert permissions.use(grant_id, INCOME) and not permissions.use(grant_id, HOUSEHOLD)
    assert (
        fresh.run("consent", "withdraw", grant_id, "--attribute", "shoe.size", "--json").json["error"] == "unknown_id"
    )


def test_when_nobody_answers_it_is_said(
    wallets: tuple[Wallet, Wallet, str], permissions: Permissions, city: City
) -> None:
    _, fresh, grant_id = wallets
    city.answer("POST", f"{CONSENT}/me/grants/{grant_id}/withdrawal", lambda _: problem(503, "busy"))
    result = fresh.run("consent", "withdraw", grant_id, "--json")
    assert (result.code, result.json["error"]) == (1, "door_missing")
    city.answer("GET", f"{CONSENT}/me/grants", lambda _: problem(503, "busy"))
    assert "lost wallet" in fresh.run("consent", "withdraw", "--all").err


def test_the_wallet_that_was_there_before_is_told_and_takes_it_back(
    wallets: tuple[Wallet, Wallet, str], permissions: Permissions
) -> None:
    lost, fresh, grant_id = wallets
    listed = lost.run("consent", "list")
    assert "another wallet opened your account" in listed.err
    found = lost.run("consent", "recoveries", "--json")
    assert found.code == 0, found.err
    (one,) = [each for each in found.json["recoveries"] if not each["own"]]
    done = lost.run("consent", "recoveries", "--cancel", one["recovery_id"][:6], "--json")
    assert done.json == {"recovery_id": one["recovery_id"], "state": "cancelled"}, done.err
    assert "another wallet opened your account" not in lost.run("consent", "list").err
    assert lost.run("consent", "withdraw", grant_id).code == 0
    assert fresh.run("consent", "oppositions", "--json").code == 1


def test_a_recovery_that_stands(wallets: tuple[Wallet, Wallet, str], permissions: Permissions, city: City) -> None:
    lost, fresh, _ = wallets
    (one,) = [each for each in lost.run("consent", "recoveries", "--json").json["recoveries"] if not each["own"]]
    # Not by the wallet that came by it itself.
    result = fresh.run("consent", "recoveries", "--cancel", one["recovery_id"], "--json")
    assert (result.code, result.json["error"]) == (1, "recovery_stands")
    assert lost.run("consent", "recoveries", "--cancel", "?", "--json").json["error"] == "unknown_id"


@pytest.mark.parametrize("answer", [{}, {"recoveries": 7}, {"recoveries": [{"recovery_id": "x"}]}])
def test_what_is_no_list_of_recoveries(
    wallets: tuple[Wallet, Wallet, str], permissions: Permissions, city: City, answer: Any
) -> None:
    lost, _, _ = wallets
    city.answer("GET", f"{CONSENT}/me/recoveries", lambda _: httpx.Response(200, json=answer))
    assert lost.run("consent", "recoveries", "--json").json["error"] == "bad_answer"


def test_three_days_later_the_new_wallet_gives(
    wallets: tuple[Wallet, Wallet, str], permissions: Permissions, city: City
) -> None:
    _, fresh, _ = wallets
    fresh.now = city.now = city.now + 3 * DAY + 60
    city.version += 1
    result = fresh.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert result.code == 0 or result.json["error"] in ("no_fresh_copy", "no_matching_credential"), result.err
