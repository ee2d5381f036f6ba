"""What the documents say about the tree is true: addresses, files, tests, packages, links."""

import re
import secrets
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from atorga.serve.process import SERVICES
from atorga.serve.settings import load
from atorga.town import narration
from atorga.town.folder import TENANT
from atorga.town.town import Town
from tests.architecture.named_tests import ROOT, missing, named_in

TOPS = ("identity", "consent", "wallet_cli", "verifier", "atorga", "tests", "docs", "specs", "bench")
NAMED_FILE = re.compile(rf"`((?:{'|'.join(TOPS)})/[\w./-]+)`")
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
MAX_ADR_LINES = 40


def documents() -> list[Path]:
    return [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")),
            *sorted((ROOT / "specs").rglob("*.md"))]  # fmt: skip


def table_rows(text: str) -> Iterator[list[str]]:
    """The cells of every line of every table, but for heads and rules."""
    lines = text.splitlines()
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line.startswith("|") and not after.startswith("|---") and not line.startswith("|---"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


# ── every document ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_files_tests_and_links_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not [name for name in NAMED_FILE.findall(text) if not (ROOT / name).exists()]
    assert not missing(named_in(text))
    links = [link for link in LINK.findall(text) if "://" not in link]
    assert not [link for link in links if not (document.parent / link).exists()]


def test_planted_faults_are_found() -> None:
    assert NAMED_FILE.findall("see `identity/none.py`, `DATA/consent/log` and `tests/x/`") == [
        "identity/none.py",
        "tests/x/",
    ]
    assert missing(named_in("`tests/architecture/test_docs.py::test_of_no_kind`"))
    assert LINK.findall("[a](docs/none.md#there), [b](other.md)") == ["docs/none.md", "other.md"]


def test_decisions_are_numbered_and_short() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(path.name[:4]) for path in decisions] == list(range(1, len(decisions) + 1))
    for path in decisions:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert lines[0].startswith(f"# {path.name[:4]} ") and len(lines) <= MAX_ADR_LINES, path


def test_the_wire_repeats_what_was_decided_of_open_messages() -> None:
    """specs/wire.md section D is ADR 0009, word by word."""
    decided = (ROOT / "docs/adr/0009-messages-that-were-open.md").read_text(encoding="utf-8")
    wire = (ROOT / "specs/wire.md").read_text(encoding="utf-8")
    items = decided[decided.index("- **D1") : decided.index("\n**Why.**")].strip()
    section = wire[wire.index("\n## D. ") : wire.index("\n## Not served yet")]
    assert section[section.index("- **D1") :].strip() == items


# ── docs/map.md ──────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, order=True)
class Address:
    service: str
    method: str
    path: str


def mapped(text: str) -> dict[Address, list[str]]:
    """Address → the files that the map names for it."""
    found: dict[Address, list[str]] = {}
    for chapter in text.split("\n## ")[1:]:
        service = chapter.partition("\n")[0]
        for cells in table_rows(chapter):
            if len(cells) == 5:
                address = Address(service, cells[0], cells[1].strip("`"))
                assert address not in found, address
                found[address] = [file for cell in cells[3:] for file in NAMED_FILE.findall(cell)]
    return found


def routes_of(app: Any) -> Iterator[tuple[str, str]]:
    """Method and path, also of routers that FastAPI keeps as they were included."""
    for route in app.routes:
        if inner := getattr(route, "original_router", None):
            yield from routes_of(inner)
            continue
        for method in route.methods - {"HEAD"}:
            yield method, route.path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> set[Address]:
    """What the services of a sandbox city mount; built from its own configurations, none is started."""
    town = Town(tmp_path_factory.mktemp("city"), port_base=30_000)
    found = set()
    try:
        for service in SERVICES:
            module = import_module(f"atorga.serve.{service}")
            head, rest = load(town.folder.config(service), profile="sandbox")
            settings = module.settings(head, rest)
            app = module.build(settings, profile="sandbox", clock=time.time, random=secrets.token_bytes)
            paths = set(routes_of(app))
            documented = app.openapi()["paths"] if hasattr(app, "openapi") else {}
            assert documented.keys() <= {path for _, path in paths}, "a route was not found by walking the routers"
            found |= {Address(service, method, _general(path, town.folder.period)) for method, path in paths}
    finally:
        town.stop()
    return found


def _general(path: str, period: str) -> str:
    path = path.replace(f"/{TENANT}/", "/{tenant}/").replace(f"/log/{period}/", "/log/{period}/")
    return path.replace(":path}", "}")


def test_the_map_has_every_address_and_no_other(served: set[Address]) -> None:
    assert len(served) > 60
    assert sorted(mapped((ROOT / "docs" / "map.md").read_text(encoding="utf-8"))) == sorted(served)


def test_every_address_has_who_reads_and_who_answers() -> None:
    found = mapped((ROOT / "docs" / "map.md").read_text(encoding="utf-8"))
    assert not [address for address, files in found.items() if len(files) != 2]


# ── docs/threat-model.md ─────────────────────────────────────────────────────────────────────

GOALS = ("Read without consent", "Forge a grant", "Hide a use", "Fork the log", "Link two logins", "Open a dump")


def threats() -> list[tuple[str, list[str]]]:
    text = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
    chapters = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    return [(goal, cells) for goal in GOALS for cells in table_rows(chapters[goal])]


def test_every_goal_has_its_lines() -> None:
    assert {goal for goal, _ in threats()} == set(GOALS)


@pytest.mark.parametrize(("goal", "cells"), threats(), ids=lambda value: str(value)[:60])
def test_every_line_names_its_test_or_says_that_nothing_can_show_it(goal: str, cells: list[str]) -> None:
    _, answer, why, tests = cells
    if answer == "**yes**":
        assert "nothing can show it" in tests and not named_in(tests)
    else:
        assert answer in ("no", "noticed") and why and named_in(tests), cells


# ── README.md ────────────────────────────────────────────────────────────────────────────────


def told_by_the_demo(line: str, texts: dict[str, str]) -> bool:
    """``line`` is one of the demo's sentences with some values in its places."""
    return any(re.fullmatch(re.sub(r"\\\{\w+\\\}", ".+", re.escape(text)), line) for text in texts.values())


def test_the_transcript_is_what_the_demo_says() -> None:
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("```")[1]
    lines: list[str] = []
    for line in block.strip().splitlines():
        # What is indented and begins no fact goes on with the line before.
        if line.startswith("     ") and not line.startswith("      →"):
            lines[-1] += f" {line.strip()}"
        elif line.strip():
            lines.append(line.strip())
    assert lines[0] == "$ make demo"
    texts = narration.load("en")
    sentences = [re.sub(r"^(?:→ |\d\.\d+  )", "", line) for line in lines[1:] if line != "[…]"]
    assert len(sentences) > 30
    assert not [sentence for sentence in sentences if not told_by_the_demo(sentence, texts)]
    assert not told_by_the_demo("The city keeps its word.", texts)


def test_the_table_of_packages_is_what_is_declared() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Packages\n")[1].split("\n## ")[0]
    told = sorted(name.strip() for cells in table_rows(text) for name in cells[0].split(","))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert told == sorted(re.split(r"[ <>=;\[!~]", line, maxsplit=1)[0] for line in project["dependencies"])


def test_a_package_is_used_where_the_table_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("\n## Packages\n")[1].split("\n## ")[0]
    modules = {
        "pynacl": "nacl",
        "pyhanko-certvalidator": "pyhanko_certvalidator",
        "uvloop": "uvicorn",
        "httptools": "uvicorn",
    }
    for cells in table_rows(text):
        if "ADR" in cells[1]:
            continue
        files = [(ROOT / name).read_text(encoding="utf-8") for name in NAMED_FILE.findall(cells[1])]
        assert files, cells
        for package in (name.strip() for name in cells[0].split(",")):
            module = modules.get(package, package)
            used = re.compile(rf"^\s*(?:import|from) {module}\b", re.MULTILINE)
            assert any(used.search(source) for source in files), package
