"""Rules about the tree itself."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRAWERS = {"utils", "util", "helpers", "helper", "common", "misc", "shared", "base"}
ELSEWHERE = re.compile(
    rb"files\.pythonhosted|pypi\.org/simple|registry\.npmjs|/root/|/home/[a-z]|\.pyenv/|proxy\.golang"
)


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name and (ROOT / name).is_file()]


def test_no_drawer_for_odd_things() -> None:
    found = [path for path in tracked() if DRAWERS & {part.split(".")[0] for part in path.relative_to(ROOT).parts}]
    assert not found


def test_no_registry_address_and_no_machine_path() -> None:
    found = [path for path in tracked() if path != Path(__file__) and ELSEWHERE.search(path.read_bytes())]
    assert not found


@pytest.mark.parametrize("lock", ["runtime.txt", "dev.txt"])
def test_locks_have_hashes_and_no_addresses(lock: str) -> None:
    text = (ROOT / "locks" / lock).read_text()
    pins = re.findall(r"^[a-z0-9][\w.\-\[\]]*==", text, re.MULTILINE)
    assert pins and "://" not in text and "--index" not in text
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block.splitlines()[0]
