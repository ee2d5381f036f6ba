"""The consent service over HTTP, real processes on either store: grant, use, withdrawal; and the decision alone.

What is measured is the CPU time of the service's processes for one operation, with its database's
where that is a server; the client's is not in it. Operations come from many connections at once,
since that is what group commit is for. The rate by the clock is shown beside it: a shared machine
shares it with its neighbours, and client, service and database share the machine.
"""

import asyncio
import atexit
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar

from bench.connection import Connection
from bench.consent_peers import decide_by_cedar, decide_by_row, decide_raw, decision_route, give_by_session, no_op
from bench.measure import cpu_us
from bench.race_city import POSTGRESQL, SQLITE, Account, RaceCity, open_city
from bench.race_client import Client, Given, Parties
from bench.row import AtMost, Row, Target, WithinFloor
from consent.service.catalogue import REFRESH_SECONDS
from tests.consent_city import HOLDER, SERVICE
from tests.postgresql import PostgreSQLMissing, find_programs

WAYS = 64
USES, GRANTS, ACCOUNTS, WITHDRAWALS = 2_000, 800, 400, 40
SETTLE_SECONDS = 0.3
"""Answers go out before their leaves are in the log: that is waited for, and counted."""
SECOND_US = 1e6

TICKS = os.sysconf("SC_CLK_TCK")

T = TypeVar("T")
U = TypeVar("U")


class Measured:
    """A city that is started when the first row needs it, and ends with the program."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._city: RaceCity | None = None
        self._accounts: list[Account] = []
        self._grants: list[Given] = []

    def ask(self) -> float:
        """CPU microseconds of one consent request, durable and logged."""
        city = self._open()
        client = self._client(city)
        asking = [client.make_asking() for _ in range(GRANTS)]
        spent = self._spent(city, lambda: asyncio.run(_each(client, client.ask, asking)))
        return spent / GRANTS * 1e6

    def grant(self) -> float:
        """CPU microseconds of one grant, durable and logged. Its request lies there already."""
        city = self._open()
        client = self._client(city)
        asking = [client.make_asking() for _ in range(GRANTS)]
        asyncio.run(_each(client, client.ask, asking))
        giving = [client.make_giving(one, secrets.choice(self._accounts)) for one in asking]
        spent = self._spent(city, lambda: self._grants.extend(asyncio.run(_each(client, client.hand_in, giving))))
        return spent / GRANTS * 1e6

    def use(self) -> float:
        """CPU microseconds of one use, from its decision to the proof that it is in the log."""
        city, client = self._open(), None
        client = self._client(city)
        before = self._cpu(city)
        asyncio.run(_use_all(client, self._grants, USES, WAYS))
        return (self._cpu(city) - before) / USES * 1e6

    def use_by_clock(self) -> float:
        city = self._open()
        client, began = self._client(city), time.perf_counter()
        asyncio.run(_use_all(client, self._grants, USES, WAYS))
        return (time.perf_counter() - began) / USES * 1e6

    def refused_after(self) -> float:
        """Microseconds from sending a withdrawal to the other process's refusal, at the 99th percentile, under load."""
        city = self._open()
        client = self._client(city)
        asyncio.run(_withdraw_some(client, [self._grants.pop() for _ in range(WITHDRAWALS)], self._grants))
        spans = sorted(sent for sent, _ in client.counts.until_refused)
        return spans[int(len(spans) * 0.99)] * 1e6

    def _open(self) -> RaceCity:
        if self._city is None:
            stack = ExitStack()
            atexit.register(stack.close)
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="atorga-bench-consent-"))
            self._city = stack.enter_context(open_city(Path(folder), self._store))
            self._accounts = self._city.prepare(ACCOUNTS)
            self._city.start_all()
            driver = self._city.driver()
            driver.declare_all()
            driver.close()
            time.sleep(2 * REFRESH_SECONDS)
            self.grant()  # what is slow the first time
        return self._city

    def _client(self, city: RaceCity) -> Client:
        keys = city.keys
        parties = Parties(
            city.url,
            city.ports,
            keys.signers[SERVICE].to_pem(),
            keys.signers[HOLDER].to_pem(),
            keys.hpke.public.raw,
        )
        return Client(parties, 1)

    def _spent(self, city: RaceCity, work: Callable[[], object]) -> float:
        """CPU seconds of the services for ``work`` and for what they do after they have answered."""
        time.sleep(SETTLE_SECONDS)
        before = self._cpu(city)
        work()
        time.sleep(SETTLE_SECONDS)
        return self._cpu(city) - before

    def _cpu(self, city: RaceCity) -> float:
        """Seconds of both services, and of the database's server with all its processes."""
        pids = city.pids()
        return sum(map(_seconds, pids)) + (0.0 if city.server is None else _tree_seconds(city.server.pid))


def rows() -> list[Row]:
    stores = [SQLITE]
    try:
        find_programs()
        stores.append(POSTGRESQL)
    except PostgreSQLMissing:
        pass
    return [*(row for store in stores for row in _rows(store)), *_decisions()]


def _rows(store: str) -> Sequence[Row]:
    city = Measured(store)
    signatures = WithinFloor("3 verifications alone", lambda unit: 3 * unit.verify_us, gate=None, goal=None)
    # Verified: the caller's proof, the grant, the request in it. Made: the opening pair, and two values sealed to
    # a key of X25519 (the event, the resident's copy of the opening key); a sealing makes a pair and agrees.
    keys = WithinFloor(
        "its public-key operations: 3 verifications, 3 key pairs, 2 agreements",
        lambda unit: 3 * unit.verify_us + 3 * unit.pair_us + 2 * unit.agree_us,
        gate=4.5,
        goal=3.2,
    )
    asked = WithinFloor("its signature: 1 verification", lambda unit: unit.verify_us, gate=None, goal=None)
    used = WithinFloor(
        "its signatures: 2 verifications, 1 signature",
        lambda unit: 2 * unit.verify_us + unit.sign_us,
        gate=None,
        goal=None,
    )
    session = AtMost("the same on a Session, no HTTP", gate=None, goal=None)
    return (
        _row(f"consent request, durable, HTTP, {store}", city.ask, asked),
        _row(f"grant, durable, HTTP, {store}", city.grant, keys, signatures, session, peer=give_by_session),
        _row(f"use, decision to integrated, HTTP, {store}", city.use, used),
        _row(f"use by the clock, HTTP, {store}", city.use_by_clock, _rate(1_000, 3_000)),
        _row(
            f"withdrawal → refused at the other process, p99, {store}",
            city.refused_after,
            WithinFloor("a second", lambda _: SECOND_US, gate=1.0, goal=0.1),
        ),
    )


def _decisions() -> Sequence[Row]:
    """The decision by itself: the row by its key, and the reasons against a use."""
    return (
        Row(
            "access decision, in process",
            decide_by_row(),
            {"raw sqlite3": decide_raw(), "cedarpy": decide_by_cedar()},
            (
                WithinFloor("10 µs", lambda _: 10.0, gate=None, goal=1.0),
                AtMost("raw sqlite3", gate=None, goal=None),
                AtMost("cedarpy", gate=None, goal=None),
            ),
            cpu_us,
        ),
        Row(
            "access decision, a route",
            decision_route(),
            {"bare ASGI no-op": no_op()},
            (AtMost("bare ASGI no-op", gate=4.0, goal=3.0),),
            _itself,
        ),
    )


def _row(name: str, ours: Callable[[], float], *targets: Target, peer: Callable[[], float] | None = None) -> Row:
    peers = {} if peer is None else {"the same on a Session, no HTTP": peer}
    return Row(name, ours, peers, targets, _itself)


def _rate(gate: int, goal: int) -> Target:
    """So many a second, of microseconds for one."""
    return WithinFloor(f"{gate:,} a second", lambda _: SECOND_US / gate, gate=1.0, goal=gate / goal)


def _itself(operation: Callable[[], object]) -> float:
    """Of operations that measure what they do."""
    found = operation()
    assert isinstance(found, float)
    return found


async def _each(client: Client, call: Callable[[Connection, T], Awaitable[U]], values: Sequence[T]) -> list[U]:
    """The same call for each, over many connections at once."""
    left, answers = iter(values), list[U]()

    async def some() -> None:
        way = client.connection()
        for value in left:
            answers.append(await call(way, value))
        way.close()

    await asyncio.gather(*(some() for _ in range(WAYS)))
    return answers


async def _use_all(client: Client, grants: Sequence[Given], count: int, ways: int) -> None:
    left = iter(range(count))

    async def some() -> None:
        way = client.connection()
        for at in left:
            await client.use(way, grants[at % len(grants)])
        way.close()

    await asyncio.gather(*(some() for _ in range(ways)))
    assert len(client.counts.uses) == count, client.counts.odd or f"{client.counts.unavailable} times 503"


async def _withdraw_some(client: Client, ended: Sequence[Given], used: Sequence[Given]) -> None:
    """While other grants are used."""
    done = False

    async def load() -> None:
        way, at = client.connection(), 0
        while not done:
            at += 1
            await client.use(way, used[at % len(used)])
        way.close()

    async def end() -> None:
        nonlocal done
        way = client.connection()
        for given in ended:
            await client.withdraw(way, given, None)
        done = True

    await asyncio.gather(end(), *(load() for _ in range(8)))


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _tree_seconds(pid: int) -> float:
    """A process, its children that live, and those that have ended."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    ended = (int(fields[13]) + int(fields[14])) / TICKS
    return _seconds(pid) + ended + sum(_seconds(int(child)) for child in children)
