"""The course of a race: client processes, what each of them does when, and what is done to the services in mid-run."""

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection as Pipe
from multiprocessing.context import SpawnProcess
from typing import Any

from bench.connection import Connection
from bench.race_city import Account, RaceCity
from bench.race_client import NEAR, POISONED, SINGLE, Client, Counts, Given, Parties, give_all
from tests.consent_city import HOLDER, SERVICE

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


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Worker:
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


def give(clients: Sequence[Worker], accounts: Sequence[Account]) -> list[Given]:
    for place, client in enumerate(clients):
        client.send(accounts[place :: len(clients)])
    return [given for client in clients for given in client.receive()]


def run_race(
    city: RaceCity, clients: Sequence[Worker], grants: Sequence[Given], ended: int, plan: Plan
) -> tuple[list[Counts], tuple[int, int] | None]:
    """What the clients saw, and from when to when the services were dead (monotonic nanoseconds)."""
    outage = None
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
        lost_at = time.monotonic_ns()
        city.restore_backup()
        city.start_all()
        outage = lost_at, time.monotonic_ns()
        say(f"both services were killed, a copy {time.monotonic() - taken:.0f} s old was put back, both were started")
    for client in clients:
        client.may_end.set()
    return [client.receive() for client in clients], outage


def _until(clients: Sequence[Worker], withdrawals: float) -> None:
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
        await self._say_again(client.connection())
        self._done = True
        await asyncio.gather(*using)

    async def _replay(self, way: Connection) -> None:
        """On a grant that nobody ends: one a client."""
        kept = self._grants[self._ended + (self._mine.start % (len(self._grants) - self._ended))]
        await self._client.replay_resume(way, kept)

    async def _withdraw_all(self, way: Connection) -> None:
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

    async def _say_again(self, way: Connection) -> None:
        """What was only promised: the copy that was put back may not know it."""
        client = self._client
        promised, client.promised = client.promised, []
        for given, attribute in promised:
            await client.withdraw(way, given, attribute)

    async def _use_all(self, way: Connection) -> None:
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
