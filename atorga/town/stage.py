"""What the acts of the demo share: the city, its resident, who tells it, and where files go."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atorga.town.actors import City, StoryFailed
from atorga.town.go_auditor import GoAuditor
from atorga.town.narration import Narration
from atorga.town.parties import witness_vkey
from atorga.town.town import Town

AUDIT_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Audited:
    passed: bool
    report: dict[str, Any]
    first_finding: str
    """In the auditor's own words; empty where everything held."""


@dataclass(slots=True)
class Stage:
    root: Path
    town: Town
    city: City
    narration: Narration
    passphrase: str
    go: GoAuditor

    @property
    def auditor(self) -> Path:
        """The auditor's memory: the checkpoints seen so far."""
        return self.root / "auditor"

    def audit(self, url: str, *, remembering: bool = True) -> Audited:
        """``atorga audit`` in a process of its own, with the key that the auditor got elsewhere.

        Not ``remembering``: as an auditor who comes with what was seen so far, and keeps nothing of
        this, since the story shows several forgeries of one moment.
        """
        memory = self.auditor
        if not remembering:
            memory = self.root / "auditor-now"
            shutil.rmtree(memory, ignore_errors=True)
            shutil.copytree(self.auditor, memory)
        code, printed = self._ask(url, memory, "--json")
        try:
            report = json.loads(printed.strip().splitlines()[-1])
        except (IndexError, ValueError):
            raise StoryFailed(f"audit: {code}\n{printed}") from None
        return Audited(code == 0, report, "" if code == 0 else self._words(url, memory))

    def _words(self, url: str, memory: Path) -> str:
        """The findings are the last that is indented; where the log was not even read, the last sentence says why."""
        _, printed = self._ask(url, memory, "--lang", self.narration.language)
        lines = [line for line in printed.splitlines() if line.strip()]
        indented = [line.strip() for line in lines if line.startswith("  ")]
        return indented[-1] if indented else lines[-1]

    def _ask(self, url: str, memory: Path, *more: str) -> tuple[int, str]:
        command = [
            sys.executable, "-m", "atorga", "audit", url, "--vkey", self.city["log_vkey"], "--state", str(memory),
            "--witness", witness_vkey(self.town.folder), *more,
        ]  # fmt: skip
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=AUDIT_SECONDS)
        return ran.returncode, ran.stdout or ran.stderr
