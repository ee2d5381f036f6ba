"""Withdrawals against uses, in processes that share one database: the store alone, and planted faults in its place.

Users take attributes of random grants as fast as they can, while others withdraw each grant or one
of its attributes. Afterwards the events are read in their order. A use counts as *after the
withdrawal* if its event comes behind that of the withdrawal that forbids it, or if it began after
that withdrawal had been acknowledged. There must be none. The last line is one JSON object.
"""

import argparse
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from random import Random

from sqlalchemy import text

from bench.race_judge import Use, Withdrawal, begun_after, logged_after
from bench.race_stores import ALL, ATTRIBUTES, STORES, prepare
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.schema import open_engine, upgrade
from tests.postgresql import running

USERS, WITHDRAWERS = 4, 2
"""More processes than a small machine has cores: they must meet inside the database."""

PAUSE_SECONDS = 0.02
"""Between two withdrawals of one process: uses come before, at and after each."""

BREATH_SECONDS = 0.001
"""Between two uses of one process: SQLite lets who waits starve beside who comes again at once."""

NEAR = 4
"""Grants at a time that every user asks for: the ones about to be withdrawn."""

PATIENCE_SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Outcome:
    store: str
    uses: int
    withdrawals: int
    refused: int
    after_withdrawal: int
    failed_batches: int
    """Transactions that had to be tried again use by use: batches that waited for each other in a circle."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.store_race", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--withdrawals", type=int, default=200)
    parser.add_argument(
        "--form", choices=sorted(STORES), default="row-lock", help="all but row-lock are planted faults"
    )
    given = parser.parse_args(arguments)
    print(f"{USERS} users against {WITHDRAWERS} withdrawers, {given.form}, {given.store}", file=sys.stderr)
    with database(given.store) as (folder, url):
        outcome = race(folder, url, given.store, form=given.form, withdrawals=given.withdrawals)
    print(json.dumps(asdict(outcome)))
    return 1 if outcome.after_withdrawal or outcome.failed_batches else 0


@contextmanager
def database(store: str) -> Iterator[tuple[Path, str]]:
    """A folder and the address of an empty database, both gone afterwards. Raises PostgreSQLMissing."""
    with tempfile.TemporaryDirectory(prefix="atorga-race-") as name:
        folder = Path(name)
        if store == "sqlite":
            yield folder, f"sqlite:///{folder / 'race.db'}"
            return
        with running() as server:
            yield folder, server.url(server.new_database())


def race(folder: Path, url: str, store: str, *, form: str, withdrawals: int) -> Outcome:
    """Runs the race in ``folder`` and judges it. ``form`` names a row of STORES."""
    engine = open_engine(url)
    upgrade(engine)
    grant_ids = [secrets.token_bytes(16) for _ in range(withdrawals)]
    prepare(engine, grant_ids)
    stopped = folder / "stopped"
    with ProcessPoolExecutor(USERS + WITHDRAWERS, mp_context=get_context("spawn")) as pool:
        using = [pool.submit(use_until, str(stopped), url, form, grant_ids, seed) for seed in range(USERS)]
        shares = [grant_ids[at::WITHDRAWERS] for at in range(WITHDRAWERS)]
        withdrawing = [pool.submit(withdraw_all, url, form, share, seed) for seed, share in enumerate(shares)]
        try:
            ended = [one for future in withdrawing for one in future.result(PATIENCE_SECONDS)]
        finally:
            stopped.touch()
        results = [future.result(PATIENCE_SECONDS) for future in using]
    uses = [use for allowed, _, _ in results for use in allowed]
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT leaf FROM event ORDER BY sequence")).scalars().all()
    engine.dispose()
    leaves = [Leaf.from_bytes(bytes(row)) for row in rows]
    logged = {(leaf.id, leaf.counter) for leaf in leaves if leaf.kind is Kind.USE}
    if logged != {(use.grant_id, use.counter) for use in uses}:
        raise AssertionError("what was acknowledged is not what was written")
    late = logged_after(leaves) | begun_after(uses, ended)
    refused, failed = sum(result[1] for result in results), sum(result[2] for result in results)
    return Outcome(store, len(uses), len(ended), refused, len(late), failed)


def use_until(stopped: str, url: str, form: str, grant_ids: Sequence[bytes], seed: int) -> tuple[list[Use], int, int]:
    """Uses until the file ``stopped`` is there; returns the uses, how often it was refused, and failed batches."""
    store, random, stop = STORES[form](open_engine(url)), Random(seed), Path(stopped)
    allowed: list[Use] = []
    refused = 0
    untouched = list(grant_ids)
    while not stop.exists():
        # Mostly those whose turn to be withdrawn is near; some of all, also of those long withdrawn.
        near = untouched[:NEAR] if random.random() < 0.8 else ()
        asked = [(random.choice(near or grant_ids), 1 << random.randrange(ATTRIBUTES)) for _ in range(store.together)]
        time.sleep(BREATH_SECONDS)
        began = time.monotonic_ns()
        for (grant_id, mask), counter in zip(asked, store.use_all(asked), strict=True):
            if counter is not None:
                allowed.append(Use(grant_id, counter, mask, began))
                continue
            refused += 1
            if grant_id in untouched and grant_id in near:
                untouched.remove(grant_id)
    return allowed, refused, store.failed_batches


def withdraw_all(url: str, form: str, grant_ids: Sequence[bytes], seed: int) -> list[Withdrawal]:
    """Withdraws each grant, or one of its attributes, in their order."""
    store, random = STORES[form](open_engine(url)), Random(seed)
    ended: list[Withdrawal] = []
    for grant_id in grant_ids:
        mask = random.choice((None, 1 << random.randrange(ATTRIBUTES)))
        store.withdraw(grant_id, mask)
        ended.append(Withdrawal(grant_id, ALL if mask is None else mask, time.monotonic_ns()))
        time.sleep(PAUSE_SECONDS)
    return ended


if __name__ == "__main__":
    sys.exit(main())
