"""Runs the rows, contenders in turns, prints a table, and as its last line the path of a JSON file."""

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import consent_log, consent_service, credentials, wallet
from bench.measure import Unit, openssl_unit
from bench.row import Measured, Result, Row, judge

COLUMNS = ("operation", "against", "ours", "theirs", "ratio", "gate", "goal", "verdict")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="best of so many rounds (at least 3 to quote)")
    parser.add_argument("--only", default="", help="only rows whose name contains this text")
    parser.add_argument("--json", type=Path, help="where to write the JSON file (default: a temporary folder)")
    given = parser.parse_args(arguments)

    rows = [row for row in all_rows() if given.only.casefold() in row.name.casefold()]
    results, units = run(rows, max(given.rounds, 1))
    print_table(results, units)
    path = given.json or Path(tempfile.mkdtemp(prefix="atorga-bench-")) / "bench.json"
    path.write_text(json.dumps(as_json(results, units, given.rounds), indent=2, ensure_ascii=False) + "\n")
    print(path)
    return 1 if any(result.verdict == "FAIL" for result in results) else 0


def all_rows() -> list[Row]:
    return [*credentials.rows(), *consent_log.rows(), *consent_service.rows(), *wallet.rows()]


def run(rows: Sequence[Row], rounds: int) -> tuple[list[Result], list[Unit]]:
    """Every round measures OpenSSL, then of each row ours and each peer, one after the other."""
    units: list[Unit] = []
    measured: dict[tuple[str, str], Measured] = {}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for row in rows:
            # The unit of the same minute: rows take long enough for the machine to change its mind.
            unit = openssl_unit()
            units.append(unit)
            for name, operation in {"": row.ours, **row.peers}.items():
                measured.setdefault((row.name, name), Measured()).add(row.measure(operation), unit)
    results: list[Result] = []
    for position, row in enumerate(rows):
        peers = {name: measured[row.name, name] for name in row.peers}
        results += judge(row, measured[row.name, ""], peers, units[position :: len(rows)])
    return results, units


def print_table(results: Sequence[Result], units: Sequence[Unit]) -> None:
    lines = [COLUMNS, *(cells(result) for result in results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    best = Unit(*(min(getattr(unit, name) for unit in units) for name in Unit.__slots__))
    print(f"openssl P-256: sign {best.sign_us:.1f} µs, verify {best.verify_us:.1f} µs (best)")
    print(f"X25519: a key pair {best.pair_us:.1f} µs, an agreement {best.agree_us:.1f} µs (best)")


def cells(result: Result) -> tuple[str, ...]:
    def bound(value: float | None) -> str:
        return "-" if value is None else f"{result.sense} {value:g}"

    ratio = f"{result.ratio:,.0f}" if result.ratio >= 1000 else f"{result.ratio:.2f}"
    return (
        result.operation,
        result.against,
        result.ours,
        result.theirs,
        ratio,
        bound(result.gate),
        bound(result.goal),
        result.verdict,
    )


def as_json(results: Sequence[Result], units: Sequence[Unit], rounds: int) -> dict[str, Any]:
    return {
        "time": int(time.time()),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "rounds": rounds,
        "openssl": [asdict(unit) for unit in units],
        "results": [{**asdict(result), "verdict": result.verdict} for result in results],
    }


if __name__ == "__main__":
    sys.exit(main())
