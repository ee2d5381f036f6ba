"""What is shipped works away from the checkout: the wheel, in an environment of its own, with all its data files."""

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import httpx
import pytest

from tests.flows.city import free_port_base

ROOT = Path(__file__).parents[2]
PACKAGES = ("identity", "consent", "wallet_cli", "verifier", "atorga")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (built,) = folder.glob("atorga-*.whl")
    return built


@pytest.fixture(scope="module")
def elsewhere(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that holds the wheel and, by a path file, the libraries already here: no network."""
    home = tmp_path_factory.mktemp("elsewhere") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(home)], check=True, timeout=60)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True, timeout=120)
    (site,) = home.glob("lib/python*/site-packages")
    # A path file inside a folder named by a path file is not read: the checkout itself stays out.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return home / "bin"


def run(program: Path, *arguments: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "WALLET"))}
    ran = subprocess.run(
        [str(program), *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_every_file_of_the_packages_is_shipped(wheel: Path) -> None:
    listed = subprocess.run(["git", "ls-files", "-z", *PACKAGES], cwd=ROOT, capture_output=True, check=True).stdout
    ours = {name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()}
    assert ours
    assert not ours - set(zipfile.ZipFile(wheel).namelist())


def test_nothing_else_is_shipped(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} <= set(PACKAGES)


def test_modules_come_from_the_wheel(elsewhere: Path, tmp_path: Path) -> None:
    found = run(elsewhere / "python", "-c", "import identity; print(identity.__file__)", folder=tmp_path)
    assert found.startswith(str(elsewhere.parent))


@pytest.mark.parametrize("command", ["wallet", "atorga"])
def test_commands_answer(elsewhere: Path, tmp_path: Path, command: str) -> None:
    assert f"usage: {command}" in run(elsewhere / command, "--help", folder=tmp_path)


def test_a_city_runs_and_shows_a_page(elsewhere: Path, tmp_path: Path) -> None:
    """Pages, templates, card profiles, credential types, migrations: all of it is in the wheel."""
    command = [str(elsewhere / "atorga"), "town", "--json", "--data", str(tmp_path / "city")]
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "WALLET"))}
    town = subprocess.Popen(
        [*command, "--port-base", str(free_port_base())],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        assert town.stdout is not None
        line = json.loads(town.stdout.readline())
        page = httpx.get(f"{line['portal']}/?lang=ca", trust_env=False, timeout=30)
        assert page.status_code == 200 and '<html lang="ca"' in page.text
    finally:
        town.terminate()
        assert town.wait(timeout=60) == 0
