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
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from bench.race_city import POSTGRESQL, SQLITE, Account, RaceCity, open_city
from bench.race_client import NEAR, POISONED, SINGLE, Client, Counts, Given, Parties, give_all
from bench.race_judge import begun_after, counted_after, logged_after, unlogged
from consent.service.catalogue import REFRESH_SECONDS
from tests.consent_city import HOLDER, SERVICE

CLIENTS = 8
WAYS = 4
"""Connections of one client that use; one more withdraws."""

KEPT = 64
"""Grants that nobody withdraws: uses of them go on to the end."""

BACKUP_AT, RESTORE_AT = 0.25, 0.6
"""Parts of the withdrawals."""

PATIENCE_SECONDS = 1_200.0


@dataclass(frozen=True, slots=True)
class Plan:
    uses: int
    withdrawals: int
    clients: int
    backup_seconds: float
    """How old the copy is that is put back; 0 = none is."""


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


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


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
    clients = [_Worker(city, plan, number) for number in range(plan.clients)]
    try:
        began = time.monotonic()
        grants = _give(clients, accounts)
        say(f"{len(grants)} grants given in {time.monotonic() - began:.0f} s, by {plan.clients} clients, on {store}")
        counts = _run(city, clients, grants, ended, plan)
    finally:
        for client in clients:
            client.end()
    outcome, faults = judge(city, store, counts)
    say(_told(counts, outcome))
    found = city.audit()
    say("atorga audit: everything held" if found is None else f"atorga audit: {found}")
    return outcome, faults + ([] if found is None else ["atorga audit refuses the log of the race"])


def judge(city: RaceCity, store: str, counts: Sequence[Counts]) -> tuple[Outcome, list[str]]:
    uses = [use for one in counts for use in one.uses]
    ended = [one for client in counts for one in client.withdrawals]
    leaves = city.leaves()
    found = {
        "by the clock": begun_after(uses, ended),
        "by the counter": counted_after(uses, ended),
        "by the log": logged_after(leaves),
    }
    for how, late_ones in found.items():
        if late_ones:
            say(f"{len(late_ones)} uses after their withdrawal {how}")
    late = set().union(*found.values())
    faults = []
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
    return Outcome(store, len(uses), len(ended), sum(one.refused for one in counts), len(late)), faults


def _told(counts: Sequence[Counts], outcome: Outcome) -> str:
    times = sorted(seconds for one in counts for seconds in one.latencies)
    middle, late = (times[len(times) // 2], times[int(len(times) * 0.99)]) if times else (0.0, 0.0)

    def total(name: str) -> int:
        return sum(getattr(one, name) for one in counts)

    return (
        f"{outcome.uses} uses allowed, {outcome.refused} refused; {outcome.withdrawals} withdrawals; "
        f"{total('poisoned')} poisoned uses, {total('replayed_resumes')} old resumes; "
        f"{total('unavailable')} times 503, "
        f"{total('unanswered')} times no answer; answers p50 {middle * 1e3:.0f} ms, p99 {late * 1e3:.0f} ms; "
        f"after their withdrawal: {outcome.after_withdrawal}"
    )


# ── the course of the race ───────────────────────────────────────────────────────────────────


class _Worker:
    """A client process: gives, then races, and sends what it saw."""

    def __init__(self, city: RaceCity, plan: Plan, number: int) -> None:
        context = get_context("spawn")
        self._pipe, other = context.Pipe()
        self.withdrawn = context.Value("i", 0)
        self.allowed = context.Value("i", 0)
        self.may_end = context.Event()
        keys = city.keys
        parties = Parties(
            city.url,
            city.ports,
            keys.signers[SERVICE].to_pem(),
            keys.signers[HOLDER].to_pem(),
            keys.hpke.public.raw,
        )
        self._process: SpawnProcess = context.Process(
            target=_client,
            args=(parties, plan, number, other, self.withdrawn, self.allowed, self.may_end),
            daemon=True,
        )
        self._process.start()

    def send(self, value: Any) -> None:
        self._pipe.send(value)

    def receive(self) -> Any:
        if not self._pipe.poll(PATIENCE_SECONDS):
            raise TimeoutError("a client does not answer")
        return self._pipe.recv()

    def end(self) -> None:
        if self._process.is_alive():
            self._process.terminate()
        self._process.join()


def _give(clients: Sequence[_Worker], accounts: Sequence[Account]) -> list[Given]:
    for place, client in enumerate(clients):
        client.send(accounts[place :: len(clients)])
    return [given for client in clients for given in client.receive()]


def _run(city: RaceCity, clients: Sequence[_Worker], grants: Sequence[Given], ended: int, plan: Plan) -> list[Counts]:
    began = time.monotonic()
    for client in clients:
        client.send((grants, ended))
    if plan.backup_seconds:
        _until(clients, BACKUP_AT * plan.withdrawals)
        city.take_backup()
        taken = time.monotonic()
        say(f"a copy of the database was taken after {taken - began:.0f} s")
        _until(clients, RESTORE_AT * plan.withdrawals)
        time.sleep(max(0.0, taken + plan.backup_seconds - time.monotonic()))
        city.kill_all()
        city.restore_backup()
        city.start_all()
        say(f"both services were killed, a copy {time.monotonic() - taken:.0f} s old was put back, both were started")
    for client in clients:
        client.may_end.set()
    return [client.receive() for client in clients]


def _until(clients: Sequence[_Worker], withdrawals: float) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while sum(client.withdrawn.value for client in clients) < withdrawals:
        if time.monotonic() > deadline:
            raise TimeoutError("the race does not get on")
        time.sleep(0.02)


# ── in the client's process ──────────────────────────────────────────────────────────────────


def _client(parties: Parties, plan: Plan, number: int, pipe: Pipe, withdrawn: Any, allowed: Any, may_end: Any) -> None:
    client = Client(parties, number)

    async def both() -> None:
        pipe.send(await give_all(client, pipe.recv(), WAYS))
        grants, ended = await asyncio.to_thread(pipe.recv)
        await _Race(client, plan, number, grants, ended, withdrawn, allowed, may_end).run()
        pipe.send(client.counts)

    asyncio.run(both())


class _Race:
    def __init__(
        self,
        client: Client,
        plan: Plan,
        number: int,
        grants: Sequence[Given],
        ended: int,
        withdrawn: Any,
        allowed: Any,
        may_end: Any,
    ) -> None:
        self._client = client
        self._grants = grants
        self._mine = range(number, ended, plan.clients)
        """Grants that this client ends, in their order; all clients are about as far."""
        self._ended = ended
        self._quota = -(-plan.uses // plan.clients)
        self._each = self._quota / max(1, plan.withdrawals // plan.clients)
        """Uses between two withdrawals."""
        self._withdrawn = withdrawn
        self._allowed = allowed
        self._may_end = may_end
        self._near = 0
        self._done = False

    async def run(self) -> None:
        client = self._client
        using = [asyncio.create_task(self._use_all(client.connection())) for _ in range(WAYS)]
        await self._replay(client.connection())
        await self._withdraw_all(client.connection())
        while len(client.counts.uses) < self._quota or not self._may_end.is_set():
            await asyncio.sleep(0.02)
        self._done = True
        await asyncio.gather(*using)

    async def _replay(self, way: Any) -> None:
        """On a grant that nobody ends: one a client."""
        kept = self._grants[self._ended + (self._mine.start % (len(self._grants) - self._ended))]
        await self._client.replay_resume(way, kept)

    async def _withdraw_all(self, way: Any) -> None:
        counts, mine = self._client.counts, list(self._mine)
        singles = self._client.choose(mine, SINGLE)
        for place, index in enumerate(mine):
            self._near = index
            # A part of them waits for the old copy to be put back: it must not bring anything back to life.
            while place > RESTORE_AT * len(mine) + 1 and not self._may_end.is_set():
                await asyncio.sleep(0.05)
            for attribute in ("household.size", None) if index in singles else (None,):
                goal = len(counts.withdrawals) * self._each
                while len(counts.uses) < goal:
                    await asyncio.sleep(0.002)
                await self._client.withdraw(way, self._grants[index], attribute)
                self._withdrawn.value = len(counts.withdrawals)
        self._near = self._ended

    async def _use_all(self, way: Any) -> None:
        client = self._client
        while not self._done:
            if len(client.counts.uses) >= self._quota and not self._may_end.is_set():
                # Enough for now; what is left is for after the restore.
                await asyncio.sleep(0.1)
            burst = client.poisons(POISONED)
            await client.use(
                way, self._grants[client.pick(self._near, self._ended, len(self._grants), NEAR)], poisoned=burst
            )
            self._allowed.value = len(client.counts.uses)


if __name__ == "__main__":
    sys.exit(main())
