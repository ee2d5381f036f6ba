"""Runs the test tiers one after the other and prints the seconds of each.

A tier is a folder of ``tests/``. All tiers run even if one fails; the exit code is 1 if any did.
"""

import subprocess
import sys
import time
from pathlib import Path

TESTS = Path(__file__).parent
PARALLEL = {"unit", "properties", "contracts", "vectors", "flows", "interop"}
"""Tiers whose tests share nothing on the machine; the others use the machine itself."""


def main(tiers: list[str]) -> int:
    seconds: dict[str, float] = {}
    failed: list[str] = []
    for tier in tiers:
        folder = TESTS / tier
        if not any(folder.glob("**/test_*.py")):
            continue
        print(f"── {tier}", flush=True)
        # One file stays with one worker: a file's tests share the city that they started.
        workers = ["-n", "2", "--dist", "loadfile"] if tier in PARALLEL else []
        began = time.monotonic()
        code = subprocess.run([sys.executable, "-m", "pytest", "-q", *workers, str(folder)], check=False).returncode
        seconds[tier] = time.monotonic() - began
        if code != 0:
            failed.append(tier)
    for tier, spent in seconds.items():
        print(f"{tier:<14}{spent:7.1f} s   {'FAILED' if tier in failed else 'passed'}")
    print(f"{'all':<14}{sum(seconds.values()):7.1f} s")
    return 1 if failed or not seconds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
