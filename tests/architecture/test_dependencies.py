"""What we import is declared; what is declared is used; a wallet command stays light."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("identity", "consent", "wallet_cli", "verifier", "atorga")

# Used without an import of ours.
LOADED_BY_OTHERS = {
    "httptools": "uvicorn's parser",
    "uvloop": "uvicorn's event loop",
    "python-multipart": "forms of FastAPI",
}

# Servers' libraries: importing one costs a command line more than everything else it does.
HEAVY = ("fastapi", "starlette", "uvicorn", "sqlmodel", "sqlalchemy", "alembic", "jinja2", "pydantic")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return {normal(re.split(r"[ <>=;\[!~]", line, maxsplit=1)[0]) for line in project["dependencies"]}


def imported_by(path: Path) -> set[str]:
    """Absolute modules that the file imports, also inside functions; not those for the type checker alone."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def source_of(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    return None


def foreign() -> dict[str, str]:
    """Top-level module → a file of ours that imports it."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for module in imported_by(path):
                top = module.split(".")[0]
                if top not in sys.stdlib_module_names and top not in PACKAGES:
                    found.setdefault(top, str(path.relative_to(ROOT)))
    return found


def test_every_import_is_declared() -> None:
    homes = packages_distributions()
    faults = [
        f"{where} imports {top}"
        for top, where in foreign().items()
        if not {normal(home) for home in homes.get(top, [])} & declared()
    ]
    assert not faults


def reachable(start: str) -> dict[str, str]:
    """Every module that a module of ours can lead to → who imports it."""
    seen: dict[str, str] = {}
    waiting = [(path, start) for path in sorted((ROOT / start).rglob("*.py"))]
    while waiting:
        path, importer = waiting.pop()
        for module in imported_by(path):
            # Importing a.b.c runs a and a.b as well.
            parts = module.split(".")
            for depth in range(1, len(parts) + 1):
                name = ".".join(parts[:depth])
                if name not in seen:
                    seen[name] = importer
                    if parts[0] in PACKAGES and (source := source_of(name)):
                        waiting.append((source, name))
    return seen


@pytest.mark.parametrize("library", HEAVY)
def test_no_wallet_command_imports_a_servers_library(library: str) -> None:
    modules = reachable("wallet_cli")
    assert library not in modules, f"{library} is imported by {modules[library]}"


def test_the_search_follows_imports() -> None:
    modules = reachable("wallet_cli")
    assert "identity.keys.signer" in modules
    assert "cryptography" in modules
