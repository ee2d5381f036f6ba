"""The independent auditor in Go, where Go and its transparency log code are installed and the checkout is here.

It is not shipped: a program that is to judge ours must not come from the same wheel.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from atorga.town.actors import StoryFailed
from atorga.town.parties import witness_vkey

if TYPE_CHECKING:
    from atorga.town.stage import Stage

SOURCE = Path(__file__).resolve().parents[2] / "tests" / "interop" / "go"
GO_CODE = Path("/usr/share/gocode")
"""Where Debian's golang-golang-x-mod-dev lies."""

BUILD_SECONDS = 180

SEEN = "go-checkpoint"
"""The newest checkpoint that it found right."""

Fact = tuple[str, dict[str, object]]


class GoAuditor:
    """Built in the background while the city starts."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "go" / "audit"
        self._build: subprocess.Popen[bytes] | None = None
        go = shutil.which("go")
        if SOURCE.is_dir() and go and (GO_CODE / "src" / "golang.org" / "x" / "mod").is_dir():
            self._program.parent.mkdir(parents=True, exist_ok=True)
            environment = dict(os.environ, GOPATH=str(GO_CODE), GO111MODULE="off", GOCACHE=str(folder / "go" / "cache"))
            self._build = subprocess.Popen(
                [go, "build", "-o", str(self._program), "."], cwd=SOURCE, env=environment,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def agrees(self, stage: "Stage") -> Fact:
        """Asked about the honest log. Raises StoryFailed where it refuses it."""
        if not self._built():
            return "no_go", {}
        found = self._run(stage, stage.town.folder.log_dir)
        if found is not None:
            raise StoryFailed(f"the Go program refuses the log: {found}")
        return "go", {}

    def catches(self, stage: "Stage", log: Path) -> tuple[Fact, ...]:
        """Asked about a forged log, with the checkpoint that the auditor saw before. Raises StoryFailed."""
        if not self._built():
            return ()
        found = self._run(stage, log)
        if found is None:
            raise StoryFailed("the Go program finds nothing wrong with a forged log")
        return (("caught", {"who": "go", "how": found}),)

    def _built(self) -> bool:
        return self._build is not None and self._build.wait(BUILD_SECONDS) == 0

    def _run(self, stage: "Stage", log: Path) -> str | None:
        """What it says is wrong; None where everything held."""
        known = stage.root / SEEN
        command = [str(self._program), "-vkey", stage.city["log_vkey"], "-witness", witness_vkey(stage.town.folder)]
        if known.exists():
            command += ["-old", str(known)]
        ran = subprocess.run([*command, str(log)], capture_output=True, text=True, check=False, timeout=BUILD_SECONDS)
        if ran.returncode == 0:
            known.write_bytes((log / "checkpoint").read_bytes())
            return None
        try:
            found = json.loads(ran.stdout.strip().splitlines()[-1])
        except (IndexError, ValueError):
            return f"exit code {ran.returncode}"
        return str(found.get("error") or f"{found.get('uses_after_ending')} uses after their ending").replace(
            f"{stage.root}/", ""
        )
