"""A grant that left the wallet and was, so they say, not taken: whoever has it could use it all the same.

And permissions of which the consent service says that they have ended: taking back all means all.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.grant.withdrawal import verify_withdrawal
from identity.codec import base64url
from tests.unit.wallet_cli.city import CONSENT, HOLDER, PORTAL, City, party
from tests.unit.wallet_cli.conftest import Wallet
from tests.unit.wallet_cli.consenting import Permissions, down
from tests.unit.wallet_cli.issuing import IssuerScript
from wallet_cli.consents import withdraw


@pytest.fixture
def city(tmp_path: Path) -> City:
    return City(tmp_path / "city")


@pytest.fixture
def permissions(city: City, tmp_path: Path) -> Iterator[Permissions]:
    made = Permissions(city, tmp_path / "consent")
    yield made
    made.close()


@pytest.fixture
def resident(city: City, wallet: Wallet, permissions: Permissions) -> Wallet:
    """With an account, a link and one permission."""
    issuer = IssuerScript(city)
    city.trusted_by(wallet)
    assert wallet.run("offer", "accept", issuer.link("person-id-sd-jwt", "pairwise-sd-jwt")).code == 0
    assert wallet.run("consent", "grant", permissions.ask(), "--yes", "--json").code == 0
    return wallet


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(withdraw, "PAUSES_SECONDS", (0.0, 0.0))


def takes_and_denies(permissions: Permissions) -> Any:
    """A consent service that keeps the grant and says that it does not."""

    def answer(request: httpx.Request) -> httpx.Response:
        taken = permissions.forward(request)
        return taken if taken.status_code == 401 else httpx.Response(409, json={"error": "request_closed"})

    return answer


def told(permissions: Permissions) -> dict[str, set[str]]:
    """Which grants each door was told of, as taken back whole."""
    found = {}
    for door, compacts in permissions.withdrawals.items():
        messages = [verify_withdrawal(compact) for compact in compacts]
        assert all(message.attributes is None for message in messages)
        found[door] = {message.grant_id for message in messages}
    return found


def test_one_that_is_refused_is_taken_back_everywhere(resident: Wallet, city: City, permissions: Permissions) -> None:
    city.answer("POST", f"{CONSENT}/me/grants", takes_and_denies(permissions))
    result = resident.run("consent", "grant", permissions.ask(), "--yes", "--json")
    assert (result.code, result.json["error"]) == (1, "grant_refused")
    doors = told(permissions)
    assert doors["holder"] == doors["service"]
    (grant_id,) = doors["holder"]
    assert not permissions.use(grant_id), "and the consent service's own door was told as well"


def test_one_that_never_arrived_is_taken_back_when_its_time_is_over(
    resident: Wallet, city: City, permissions: Permissions
) -> None:
    city.answer("POST", f"{CONSENT}/me/grants", down)
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").json["error"] == "grant_unanswered"
    assert told(permissions)["holder"] == set()
    resident.now = city.now = city.now + 301
    assert len(resident.run("consent", "list", "--json").json["consents"]) == 1
    assert len(told(permissions)["holder"]) == 1
    before = city.sent(f"{HOLDER}/withdrawals")
    resident.run("consent", "list", "--json")
    assert city.sent(f"{HOLDER}/withdrawals") == before, "once told, a door is not told again"
    result = resident.run("timeline", "--json")
    assert result.code == 0 and "WARNING" not in result.err, result.err


def test_a_door_that_is_down_is_told_later(resident: Wallet, city: City, permissions: Permissions) -> None:
    city.answer("POST", f"{CONSENT}/me/grants", lambda _: httpx.Response(400, json={"error": "invalid_request"}))
    real = city.answers[("POST", f"{HOLDER}/withdrawals")]
    city.answer("POST", f"{HOLDER}/withdrawals", down)
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").json["error"] == "grant_refused"
    assert told(permissions)["holder"] == set()
    city.answer("POST", f"{HOLDER}/withdrawals", real)
    resident.run("consent", "list", "--json")
    assert told(permissions)["holder"] == told(permissions)["service"] != set()


def test_one_that_was_taken_after_all_shows_up(resident: Wallet, city: City, permissions: Permissions) -> None:
    """Its consent service denied it, and dropped the withdrawal: it stands in the list as what it is."""
    city.answer("POST", f"{CONSENT}/me/grants", takes_and_denies(permissions))
    city.answer("POST", f"{CONSENT}/withdrawals", lambda _: httpx.Response(202, json={"state": "noted"}))
    for door in (HOLDER, PORTAL):
        city.answer("POST", f"{door}/withdrawals", lambda _: httpx.Response(202, json={"state": "noted"}))
    assert resident.run("consent", "grant", permissions.ask(), "--yes", "--json").code == 1
    listed = resident.run("consent", "list", "--json").json["consents"]
    assert [one["state"] for one in listed] == ["given", "given"]


@pytest.mark.parametrize("said", ["withdrawn", "revoked", "expired", "invalidated", "erased"])
@pytest.mark.parametrize("arguments", [("--all",), ("--service", party("social-services"))])
def test_all_means_also_what_is_said_to_have_ended(
    resident: Wallet, city: City, permissions: Permissions, said: str, arguments: tuple[str, ...]
) -> None:
    grant_id = resident.run("consent", "list", "--json").json["consents"][0]["grant_id"]
    lie = {"grants": [{"grant_id": grant_id, "state": said, "counter": 2, "act": 0}]}
    city.answer("GET", f"{CONSENT}/me/grants", lambda _: httpx.Response(200, json=lie))
    assert resident.run("consent", "list", "--json").json["consents"][0]["state"] == said
    assert resident.run("consent", "withdraw", *arguments, "--json").code == 0
    assert told(permissions) == {"holder": {grant_id}, "service": {grant_id}}


def test_one_that_the_service_gave_back(resident: Wallet, city: City, permissions: Permissions) -> None:
    """The consent service has nothing left to take back, and says so: nobody is asked again."""
    grant_id = resident.run("consent", "list", "--json").json["consents"][0]["grant_id"]
    service = city.registry().party(party("social-services"), now=city.now)
    permissions.office.withdrawing.give_back(service, grant_id)
    assert permissions.office.sequencer.wait(base64url.decode(grant_id), 2, seconds=30)
    result = resident.run("consent", "withdraw", grant_id, "--json")
    assert (result.code, result.json["state"]) == (0, "withdrawn"), result.err
    assert set(result.json["doors"].values()) == {"withdrawn"}
    before = city.sent(f"{CONSENT}/withdrawals")
    resident.run("consent", "list", "--json")
    assert city.sent(f"{CONSENT}/withdrawals") == before


def test_what_was_taken_back_is_not_taken_back_again(resident: Wallet, permissions: Permissions) -> None:
    assert resident.run("consent", "withdraw", "--all", "--json").code == 0
    again = resident.run("consent", "withdraw", "--all", "--json")
    assert (again.code, again.json["error"]) == (1, "unknown_id")
