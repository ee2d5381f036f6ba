"""The story between real processes: restarts between its steps, kill -9 in its middle, a search at its end."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atorga.town import parties, story
from atorga.town.actors import Browser, City, Resident
from atorga.town.population import demo_facts
from atorga.town.secret_search import SecretSearch
from atorga.town.town import Town
from tests.flows.city import running_city

PASSPHRASE = "una frase larga de prueba 4711"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("story")


@pytest.fixture(scope="module")
def running(place: Path) -> Iterator[tuple[Town, City]]:
    with running_city(place / "city") as both:
        yield both


@pytest.fixture(scope="module")
def town(running: tuple[Town, City]) -> Town:
    return running[0]


@pytest.fixture(scope="module")
def city(running: tuple[Town, City]) -> City:
    return running[1]


@pytest.fixture(scope="module")
def resident(place: Path, city: City) -> Resident:
    made = story.new_wallet(city, place / "wallet", passphrase=PASSPHRASE)
    received = story.receive_with_card(city, made)
    assert len(received.answer["credentials"]) == len(story.CONFIGURATIONS)
    return made


def audit(city: City, *more: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "atorga", "audit", city["consent"], "--vkey", city["log_vkey"], "--json", *more]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ran.returncode, json.loads(ran.stdout)


def test_the_whole_story_with_issuer_and_consent_restarted_between_its_steps(
    town: Town, city: City, resident: Resident
) -> None:
    town.processes.stop("issuer")
    town.processes.again("issuer")
    browser = Browser()
    login = story.log_in(city, resident, browser)
    assert login.page.status == 200 and len(login.page.definitions()) == 2
    for words in ("asks you for data", "in their own words: So that you can log in", "For how long"):
        assert words in login.presented.screen
    browser.close()
    town.processes.stop("consent")
    town.processes.again("consent")
    grant_id = story.grant(city, resident).answer["grant_id"]
    town.processes.stop("consent")
    town.processes.again("consent")
    read = city.read(grant_id, story.ATTRIBUTE)
    assert read["state"] == "released" and read["value"] == "15000–20999" and read["leaf_index"] > 0
    town.processes.stop("consent")
    town.processes.again("consent")
    seen = resident.wallet("timeline").answer
    timeline = seen["events"]
    assert seen["witnessed_by"] == [parties.WITNESS]
    assert [item["kind"] for item in timeline if item["grant_id"] == grant_id] == ["grant", "use"]
    doors = story.withdraw(resident, grant_id).answer["doors"]
    assert doors == {"consent": "withdrawn", "holder": "withdrawn", "service": "withdrawn"}
    town.processes.stop("consent")
    town.processes.again("consent")
    assert story.refused_read(city, grant_id).answer["reasons"] == ["withdrawn"]
    code, report = audit(city)
    assert code == 0 and report["kinds"]["use"] == 1 and report["kinds"]["withdraw"] == 1


@pytest.mark.parametrize("service", ["issuer", "consent", "holder", "verifier", "portal", "witness", "ocsp"])
def test_kill_9_in_the_middle_loses_nothing_acknowledged(
    town: Town, city: City, resident: Resident, service: str
) -> None:
    grant_id = story.grant(city, resident).answer["grant_id"]
    assert city.read(grant_id, story.ATTRIBUTE)["state"] == "released"
    town.processes.kill(service)
    town.processes.again(service)
    listed = {one["grant_id"]: one["state"] for one in resident.wallet("consent", "list").answer["consents"]}
    assert listed[grant_id] == "given"
    assert city.read(grant_id, story.ATTRIBUTE)["state"] == "released"
    story.withdraw(resident, grant_id)
    town.processes.kill(service)
    town.processes.again(service)
    assert story.refused_read(city, grant_id).answer["reasons"] == ["withdrawn"]
    kinds = [item["kind"] for item in resident.wallet("timeline").answer["events"] if item["grant_id"] == grant_id]
    assert kinds == ["grant", "use", "use", "withdraw"]
    assert audit(city)[0] == 0


def test_another_browser_cannot_finish_a_login(city: City, resident: Resident) -> None:
    """The link is opened by one person, the answer's address by another (OpenID4VP 1.0 section 14.2)."""
    began, other = Browser(), Browser()
    link, _ = began.open(f"{city['portal']}/login").wallet_link()
    back = resident.wallet("present", link, "--yes").answer["redirect_uri"]
    stolen = other.open(back)
    assert stolen.status == 403 and not stolen.definitions()
    # Whoever begins anew in a browser of their own is let in.
    assert story.log_in(city, resident, Browser()).page.definitions()


def test_what_is_known_of_the_resident_lies_only_where_it_must(
    town: Town, city: City, resident: Resident, place: Path
) -> None:
    """Raw, base64, hex, UTF-16; over the data folder, the services' output, and the wallet's store."""
    secrets = dict(demo_facts(town.folder)) | {"passphrase": PASSPHRASE}
    for credential in resident.wallet("list").answer["credentials"]:
        if credential["type"] == "urn:atorga:pairwise:1":
            shown = resident.wallet("show", credential["id"]).answer
            secrets |= {f"pairwise id {party}": value for party, value in shown["claims"]["ids"].items()}
    assert len([name for name in secrets if name.startswith("pairwise")]) >= 4
    search = SecretSearch(secrets)
    found = search.in_files(place.rglob("*"), below=place)
    allowed = {"city/registers/padron.sqlite", "city/registers/register.sqlite", "city/card/card.pin"}
    assert {one.where for one in found} - allowed == {"wallet/passphrase"}
    assert not [one for one in found if one.where == "wallet/passphrase" and one.name != "passphrase"]
    # The search can find: the registers hold names, number and birth date as texts, the PIN file the PIN.
    in_registers = {one.name for one in found if one.where.startswith("city/registers")}
    assert in_registers == {"DNI number", "given name", "first surname", "second surname", "birth date"}
    assert {one.name for one in found if one.where == "city/card/card.pin"} == {"PIN"}
    on_screen = search.in_bytes("\n".join(resident.captured).encode(), "screen")
    assert not [one for one in on_screen if one.name in ("PIN", "passphrase", "income")]
