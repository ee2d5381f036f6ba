"""The wallet's cold start: CPU time of a whole process, beside a Python that does nothing."""

import subprocess
import sys
import tempfile
from functools import partial

from bench.measure import child_cpu_us
from bench.row import AtMost, Row

BARE = "bare python"


def rows() -> list[Row]:
    nowhere = tempfile.gettempdir() + "/atorga-bench-no-store"
    peers = {
        BARE: partial(_run, "-c", ""),
        "python -c 'import fastapi'": partial(_run, "-c", "import fastapi"),
    }
    targets = (AtMost(BARE, gate=12, goal=6), AtMost("python -c 'import fastapi'", gate=None, goal=None))
    return [
        Row("wallet cold start: --help", partial(_run, "-m", "wallet_cli", "--help"), peers, targets, child_cpu_us),
        Row(
            # Everything a command needs is loaded before it finds that there is no store.
            "wallet cold start: list",
            partial(_run, "-m", "wallet_cli", "--store", nowhere, "list"),
            peers,
            targets,
            child_cpu_us,
        ),
    ]


def _run(*arguments: str) -> None:
    quiet = subprocess.DEVNULL
    subprocess.run([sys.executable, *arguments], stdin=quiet, stdout=quiet, stderr=quiet, check=False)
