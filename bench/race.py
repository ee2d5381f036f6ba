"""Withdrawals against uses, over HTTP: ``make race STORE=sqlite|postgresql``.

Two consent services on one data folder, client processes that are residents, a service and a data
holder. They use grants as fast as they can, mostly those whose withdrawal is near, while the
residents end them, whole or an attribute first. In mid-run both services are killed and an old copy
of the database is put in place of theirs; old resumes are sent again; a tenth of the uses is
poisoned. A use counts as *after the withdrawal* if it began when the withdrawal had been
acknowledged, if its counter is beyond the withdrawal's, or if its leaf stands behind it in the log.
There must be none. The last line is one JSON object.

The race is worth what it catches: ``bench.store_race --planted`` runs it against stores that decide
as one must not.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path

from bench.race_city import POSTGRESQL, SQLITE, RaceCity, open_city
from bench.race_client import SINGLE, Counts
from bench.race_course import KEPT, Plan, Worker, give, run_race, say
from bench.race_judge import Use, Withdrawal, begun_after, counted_after, in_force, logged_after, misnumbered, unlogged
from consent.ledger.leaf import Leaf
from consent.service.catalogue import REFRESH_SECONDS

SHOWN = 3
"""Uses too late that are told in full."""

CLIENTS = 8


@dataclass(frozen=True, slots=True)
class Outcome:
    store: str
    uses: int
    withdrawals: int
    refused: int
    after_withdrawal: int


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.race", description=__doc__)
    parser.add_argument("--store", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    parser.add_argument("--uses", type=int, default=10_000)
    parser.add_argument("--withdrawals", type=int, default=2_000)
    parser.add_argument("--clients", type=int, default=CLIENTS)
    parser.add_argument("--backup-seconds", type=float, default=300.0, help="age of the copy restored; 0 = none")
    parser.add_argument("--keep", type=Path, help="run in this folder and leave it")
    given = parser.parse_args(arguments)
    plan = Plan(given.uses, given.withdrawals, given.clients, given.backup_seconds)
    with (
        tempfile.TemporaryDirectory(prefix="atorga-race-") as temporary,
        open_city(given.keep or Path(temporary), given.store) as city,
    ):
        outcome, faults = race(city, given.store, plan)
    for fault in faults:
        say(fault)
    print(json.dumps(asdict(outcome)))
    return 1 if outcome.after_withdrawal or faults else 0


def race(city: RaceCity, store: str, plan: Plan) -> tuple[Outcome, list[str]]:
    """Runs the race and judges it; what else went wrong comes as sentences."""
    ended = ceil(plan.withdrawals / (1 + SINGLE))
    accounts = city.prepare(ended + KEPT)
    city.start_all()
    driver = city.driver()
    driver.declare_all()
    driver.close()
    # Each process looks for what another one took every so often.
    time.sleep(2 * REFRESH_SECONDS)
    clients = [Worker(city, plan, number) for number in range(plan.clients)]
    try:
        began = time.monotonic()
        grants = give(clients, accounts)
        say(f"{len(grants)} grants given in {time.monotonic() - began:.0f} s, by {plan.clients} clients, on {store}")
        counts, outage = run_race(city, clients, grants, ended, plan)
    finally:
        for client in clients:
            client.end()
    outcome, faults = judge(city, store, counts, outage)
    say(_told(counts, outcome))
    found = city.audit()
    say("atorga audit: everything held" if found is None else f"atorga audit: {found}")
    return outcome, faults + ([] if found is None else ["atorga audit refuses the log of the race"])


def judge(
    city: RaceCity, store: str, counts: Sequence[Counts], outage: tuple[int, int] | None
) -> tuple[Outcome, list[str]]:
    uses = [use for one in counts for use in one.uses]
    ended = in_force([one for client in counts for one in client.withdrawals], outage)
    leaves = city.leaves()
    wrong = misnumbered(ended, leaves)
    found = {
        "by the clock": begun_after(uses, ended),
        "by the counter": counted_after(uses, [one for one in ended if one not in wrong]),
        "by the log": logged_after(leaves),
    }
    for how, late_ones in found.items():
        if late_ones:
            say(f"{len(late_ones)} uses after their withdrawal {how}")
            for grant_id, counter in sorted(late_ones)[:SHOWN]:
                say(_story(grant_id, counter, uses, ended, leaves))
    late = set().union(*found.values())
    faults = [f"{len(wrong)} withdrawals were answered with the counter of another act"] if wrong else []
    if missing := unlogged(uses, leaves):
        faults.append(f"{len(missing)} uses were allowed and are not in the log")
    if bad := sum(one.poisoned_allowed for one in counts):
        faults.append(f"{bad} poisoned uses were allowed")
    if bad := sum(one.resumed_by_replay for one in counts):
        faults.append(f"{bad} grants were opened again by an old resume")
    odd: dict[str, int] = {}
    for one in counts:
        for word, times in one.odd.items():
            odd[word] = odd.get(word, 0) + times
    faults += [f"unexpected answer, {times} times: {word}" for word, times in odd.items()]
    different = {(one.grant_id, one.mask) for one in ended}
    return Outcome(store, len(uses), len(different), sum(one.refused for one in counts), len(late)), faults


def _story(
    grant_id: bytes, counter: int, uses: Sequence[Use], ended: Sequence[Withdrawal], leaves: Sequence[Leaf]
) -> str:
    """All that is known of a grant that was used too late: whoever reads this has to find out why."""
    lines = [f"  grant {grant_id.hex()}, use {counter}"]
    lines += [f"    {one}" for one in uses if (one.grant_id, one.counter) == (grant_id, counter)]
    lines += [f"    {one}" for one in ended if one.grant_id == grant_id]
    lines += [
        f"    entry {index}: {leaf.kind.word}, counter {leaf.counter}, mask {leaf.mask:b}"
        for index, leaf in enumerate(leaves)
        if leaf.id == grant_id
    ]
    return "\n".join(lines)


def _told(counts: Sequence[Counts], outcome: Outcome) -> str:
    def total(name: str) -> int:
        return sum(getattr(one, name) for one in counts)

    spans = [span for one in counts for span in one.until_refused]
    return (
        f"{outcome.uses} uses allowed, {outcome.refused} refused; {outcome.withdrawals} withdrawals, "
        f"{total('promised')} first by promise; {total('poisoned')} poisoned uses, {total('replayed_resumes')} old "
        f"resumes; {total('unavailable')} times 503, {total('unanswered')} times no answer\n"
        f"a use answered: {_spread([seconds for one in counts for seconds in one.latencies])}\n"
        f"withdrawal sent → refused by the other process: {_spread([sent for sent, _ in spans])}\n"
        f"withdrawal acknowledged → refused by the other process: {_spread([known for _, known in spans])}\n"
        f"after their withdrawal: {outcome.after_withdrawal}"
    )


def _spread(seconds: Sequence[float]) -> str:
    ordered = [one * 1e3 for one in sorted(seconds)] or [0.0]
    return (
        f"p50 {ordered[len(ordered) // 2]:.0f} ms, p99 {ordered[int(len(ordered) * 0.99)]:.0f} ms, "
        f"max {ordered[-1]:.0f} ms"
    )


if __name__ == "__main__":
    sys.exit(main())
