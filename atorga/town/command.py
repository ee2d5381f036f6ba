"""``atorga town``: the sandbox city until SIGTERM; with ``--json`` one line on stdout when it is ready."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from atorga.town.processes import TownError
from atorga.town.town import RENEWAL_SECONDS, Town

DEFAULT_FOLDER = Path("data") / "town"


def run(*, data: Path | None, port_base: int | None, as_json: bool) -> int:
    """0 after SIGTERM or Ctrl-C, 1 where the city cannot start or a service does not stay up."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    began = time.monotonic()
    town = None
    try:
        print("town: starting…", file=sys.stderr, flush=True)
        town = Town(data or DEFAULT_FOLDER, port_base=port_base)
        town.start()
        _announce(town, as_json=as_json, seconds=time.monotonic() - began)
        _until(stop, town)
    except TownError as fault:
        print(f"town: {fault}", file=sys.stderr)
        return 1
    finally:
        if town is not None:
            town.stop()
    if town.processes.failure is not None:
        print(f"town: {town.processes.failure}", file=sys.stderr)
        return 1
    return 0


def _announce(town: Town, *, as_json: bool, seconds: float) -> None:
    line = town.line(pid=os.getpid())
    print(f"town: ready after {seconds:.1f} s; Ctrl-C stops it", file=sys.stderr, flush=True)
    if as_json:
        print(json.dumps(line, separators=(",", ":")), flush=True)
        return
    for name in ("portal", "issuer", "consent", "holder", "verifier", "data"):
        print(f"  {name:<10}{line[name]}")
    print(f"  {'card':<10}{line['card']} (PIN in {line['card_pin_file']})", flush=True)


def _until(stop: threading.Event, town: Town) -> None:
    renewed = time.monotonic()
    while not stop.wait(0.2) and not town.processes.ended.is_set():
        if time.monotonic() - renewed > RENEWAL_SECONDS:
            town.renew_list()
            renewed = time.monotonic()
