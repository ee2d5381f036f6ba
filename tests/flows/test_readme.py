"""The README's doors: each block is run as it stands there, in its order, against a running city."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flows.city import free_port_base

ROOT = Path(__file__).parents[2]
MAX_LINES = 10
DOOR_SECONDS = 120

SAYS = {
    "resident": ["You have received: Residency", "10 fresh copies left"],
    "service": ['"state":"given"', '"state":"released"', "READ YOUR DATA", '"state":"refused","reasons":["withdrawn"]'],
    "data holder": [
        "is right: it would serve",
        "what is asked for income.band: no such table: incomes",
        "found before anything is served",
    ],
    "town hall": ['"copies": 10', "credential_revoked", "refused"],
    "auditor": ["no use after withdrawal", "Everything that the log can show holds", "The receipt is right", "is none"],
}
"""Of each door, what it must print: what the README says of it."""


def doors() -> dict[str, str]:
    """Name of the door → its block. The block before the first door starts the city."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    chapter = text.split("\n## Five doors\n")[1].split("\n## ")[0]
    found: dict[str, str] = {}
    for part in re.split(r"^### ", chapter, flags=re.MULTILINE):
        name = part.partition("\n")[0].lower() if found else "city"
        blocks = re.findall(r"^```sh\n(.*?)^```$", part, flags=re.MULTILINE | re.DOTALL)
        assert len(blocks) == 1, name
        found[name] = blocks[0]
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the checkout to whoever copies a line."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".venv").symlink_to(sys.prefix)
    (folder / "docs").symlink_to(ROOT / "docs")
    return folder


def run(block: str, place: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("WALLET", "LC_"))}
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        cwd=place, env=environment | {"LANG": "en.UTF-8"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=DOOR_SECONDS,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    return ran.stdout


@pytest.fixture(scope="module")
def city(place: Path) -> Iterator[Path]:
    """Started by the README's own lines, on ports that nobody else has."""
    block = doors()["city"]
    assert re.search(r"^start_city\b", block, re.MULTILINE)
    command = re.sub(r"^start_city\b", f"start_city --port-base {free_port_base()}", block, flags=re.MULTILINE)
    with (place / "city.log").open("wb") as log:
        shell = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", command + "\nwait"],
            cwd=place, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
        try:
            ready = ". docs/city.sh; until [ -s data/town.json ]; do sleep 0.2; done; city portal"
            run(ready, place)
            yield place
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(timeout=60)


@pytest.fixture(scope="module")
def printed(city: Path) -> dict[str, str]:
    """What each door printed. All in their order, whoever asks: a later one needs what an earlier one made."""
    return {door: run(". docs/city.sh\n" + doors()[door], city) for door in SAYS}


@pytest.mark.parametrize("door", SAYS)
def test_door(printed: dict[str, str], door: str) -> None:
    missing = [text for text in SAYS[door] if text not in printed[door]]
    assert not missing, printed[door]


def test_there_are_five_and_each_is_short() -> None:
    found = doors()
    assert list(found) == ["city", *SAYS]
    for door, block in found.items():
        assert len(block.splitlines()) <= MAX_LINES, door
