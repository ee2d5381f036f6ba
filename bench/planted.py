"""A race is worth what it catches: planted faults in place of the store, each of which must be caught.

On SQLite a batch in the wrong order harms nothing, since one writer has the whole file; there it is not planted.
"""

import argparse
import sys
from collections.abc import Sequence

from bench.store_race import Outcome, database, race

ROUNDS = 5
"""A race may go well once, also with a fault."""

WITHDRAWALS = 60


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.planted", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args(arguments)
    missed = [form for form in faults(given.store) if not is_caught(given.store, form)]
    for form in missed:
        print(f"the planted fault {form!r} was not caught in {ROUNDS} races", file=sys.stderr)
    return 1 if missed else 0


def faults(store: str) -> tuple[str, ...]:
    return ("item-table",) if store == "sqlite" else ("item-table", "unsorted")


def is_caught(store: str, form: str) -> bool:
    for _ in range(ROUNDS):
        with database(store) as (folder, url):
            outcome = race(folder, url, store, form=form, withdrawals=WITHDRAWALS)
        if found := what(outcome):
            print(f"planted fault {form!r} on {store}: caught, {found}", file=sys.stderr)
            return True
    return False


def what(outcome: Outcome) -> str:
    if outcome.after_withdrawal:
        return f"{outcome.after_withdrawal} uses after their withdrawal"
    return f"{outcome.failed_batches} batches waited for each other in a circle" if outcome.failed_batches else ""


if __name__ == "__main__":
    sys.exit(main())
