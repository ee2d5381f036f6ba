"""Importing a module of ours does nothing: no socket, no file written, no process or thread started."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WATCH = Path(__file__).with_name("import_watch.py")
PACKAGES = ("identity", "consent", "wallet_cli", "verifier", "atorga")


def acts_of_importing(path: Path, names: list[str]) -> list[str]:
    command = [sys.executable, str(WATCH), str(path), *names]
    ran = subprocess.run(command, cwd=path, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    acts: list[str] = json.loads(ran.stdout)
    return acts


def modules() -> list[str]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            # Run as a program, or by Alembic alone.
            if parts[-1] != "__main__" and "migrations" not in parts:
                found.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return found


def test_importing_does_nothing() -> None:
    assert not acts_of_importing(ROOT, modules())


@pytest.mark.parametrize(
    "act",
    [
        "open('made', 'w').close()",
        "pathlib.Path('made').mkdir()",
        "socket.create_connection(('127.0.0.1', 9))",
        "threading.Thread(target=time.sleep, args=[1], daemon=True).start()",
        "sqlite3.connect('made')",
        "subprocess.run(['true'])",
    ],
)
def test_planted_act_is_found(act: str, tmp_path: Path) -> None:
    used = "contextlib, pathlib, socket, sqlite3, subprocess, threading, time"
    (tmp_path / "planted.py").write_text(f"import {used}\nwith contextlib.suppress(OSError):\n    {act}\n")
    assert acts_of_importing(tmp_path, ["planted"])
