"""``atorga demo``: both acts of the story, told while they happen, and what each party learnt.

Exits 0 only where all of it happened: each step checks what came of it, each cheat is caught.
"""

import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import TextIO

from atorga.town import act_one, act_two, closing
from atorga.town.actors import City, StoryFailed
from atorga.town.folder import PORTS
from atorga.town.go_auditor import GoAuditor
from atorga.town.narration import LANGUAGES, Narration
from atorga.town.processes import TownError, free
from atorga.town.stage import Stage
from atorga.town.town import DEFAULT_PORT_BASE, Town

PAGE = "story.html"


def run(out: TextIO, *, data: Path | None) -> int:
    """0 where the whole story happened."""
    began = time.monotonic()
    root = data or Path(tempfile.mkdtemp(prefix="atorga-demo-"))
    narration = Narration(out, _language())
    narration.say("title")
    narration.say("intro")
    narration.act(1)
    narration.wait("city")
    town = None
    try:
        go = GoAuditor(root)
        town = Town(root / "city", port_base=_free_port_base())
        town.start()
        city = City(town.line(pid=os.getpid()))
        stage = Stage(root, town, city, narration, secrets.token_urlsafe(18), go)
        first = act_one.play(stage)
        act_two.play(stage, first)
        closing.tell(stage, first, page=root / PAGE, seconds=time.monotonic() - began)
    except (StoryFailed, TownError) as fault:
        out.write(f"\n{fault}\n")
        return 1
    finally:
        if town is not None:
            town.stop()
    return 0


def _language() -> str:
    named = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "en")
    code = named.partition(".")[0].partition("_")[0].lower()
    return code if code in LANGUAGES else "en"


def _free_port_base() -> int:
    """The usual ports, else the next range of which all are free: a demo must not fail for a busy port."""
    for base in range(DEFAULT_PORT_BASE, DEFAULT_PORT_BASE + 400, PORTS):
        if all(free(port) for port in range(base, base + PORTS)):
            return base
    raise TownError(f"no {PORTS} ports in a row are free from {DEFAULT_PORT_BASE} on")
