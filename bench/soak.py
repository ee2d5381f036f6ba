"""A soak: steady uses and withdrawals over HTTP for N minutes; a line a minute, and whether anything grows.

Memory and open files of both services, the size of SQLite's write-ahead log or of PostgreSQL's, and
the 99th percentile of answers. Grants that are withdrawn are replaced by new ones, so that the
number of grants in force stays the same. The last line is one JSON object.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.race_city import POSTGRESQL, SQLITE, Account, RaceCity, open_city
from bench.race_client import Client, Given, Parties, give_all
from consent.service.catalogue import REFRESH_SECONDS
from tests.consent_city import HOLDER, SERVICE

GRANTS = 200
WAYS = 8
PAGE_BYTES = 4_096

GROWTH = 1.25
"""Last third ÷ first third of the minutes, of each figure; beyond that something grows."""


@dataclass(frozen=True, slots=True)
class Minute:
    minute: int
    uses: int
    withdrawals: int
    unavailable: int
    p50_ms: float
    p99_ms: float
    memory_mib: tuple[float, ...]
    open_files: tuple[int, ...]
    wal_mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--store", choices=(SQLITE, POSTGRESQL), default=SQLITE)
    parser.add_argument("--minutes", type=int, default=30)
    parser.add_argument("--rate", type=float, default=100.0, help="uses a second; 0 = as many as go")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="atorga-soak-") as name, open_city(Path(name), given.store) as city:
        minutes = soak(city, given.minutes, given.rate)
    grown = growth(minutes)
    told = {"store": given.store, "minutes": [asdict(one) for one in minutes], "growth": grown}
    print(json.dumps(told))
    return 1 if any(ratio > GROWTH for ratio in grown.values()) else 0


def soak(city: RaceCity, minutes: int, rate: float) -> list[Minute]:
    accounts = city.prepare(GRANTS + minutes * 60)
    city.start_all()
    driver = city.driver()
    driver.declare_all()
    driver.close()
    time.sleep(2 * REFRESH_SECONDS)
    keys = city.keys
    parties = Parties(
        city.url, city.ports, keys.signers[SERVICE].to_pem(), keys.signers[HOLDER].to_pem(), keys.hpke.public.raw
    )
    return asyncio.run(_soak(city, Client(parties, 1), accounts, minutes, rate))


async def _soak(city: RaceCity, client: Client, accounts: list[Account], minutes: int, rate: float) -> list[Minute]:
    grants = await give_all(client, [accounts.pop() for _ in range(GRANTS)], WAYS)
    ended = asyncio.Event()
    working = [asyncio.create_task(_use(client, grants, rate / WAYS, ended)) for _ in range(WAYS)]
    working.append(asyncio.create_task(_replace(client, grants, accounts, ended)))
    found: list[Minute] = []
    for number in range(1, minutes + 1):
        client.counts.latencies.clear()
        uses, withdrawals, unavailable = _counted(client)
        await asyncio.sleep(60)
        now = _counted(client)
        found.append(_minute(city, client, number, now[0] - uses, now[1] - withdrawals, now[2] - unavailable))
        print(_line(found[-1]), file=sys.stderr, flush=True)
        # What the client remembers for a race would grow here.
        client.counts.uses.clear()
        client.counts.withdrawals.clear()
        client.counts.until_refused.clear()
    ended.set()
    await asyncio.gather(*working)
    return found


def _counted(client: Client) -> tuple[int, int, int]:
    return len(client.counts.uses), len(client.counts.withdrawals), client.counts.unavailable


async def _use(client: Client, grants: list[Given], rate: float, ended: asyncio.Event) -> None:
    way, at = client.connection(), 0
    due = time.monotonic()
    while not ended.is_set():
        at += 1
        await client.use(way, grants[at % len(grants)])
        if rate:
            due = max(due + 1 / rate, time.monotonic() - 1)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
    way.close()


async def _replace(client: Client, grants: list[Given], accounts: list[Account], ended: asyncio.Event) -> None:
    """One withdrawal a second, and another grant in its place."""
    way = client.connection()
    while not ended.is_set() and accounts:
        old = grants.pop(0)
        grants.append(await client.give(way, accounts.pop()))
        await client.withdraw(way, old, None)
        await asyncio.sleep(1)
    way.close()


def _minute(city: RaceCity, client: Client, number: int, uses: int, withdrawals: int, unavailable: int) -> Minute:
    times = sorted(client.counts.latencies) or [0.0]
    pids = city.pids()
    return Minute(
        minute=number,
        uses=uses,
        withdrawals=withdrawals,
        unavailable=unavailable,
        p50_ms=round(times[len(times) // 2] * 1e3, 1),
        p99_ms=round(times[int(len(times) * 0.99)] * 1e3, 1),
        memory_mib=tuple(
            round(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES / 2**20, 1) for pid in pids
        ),
        open_files=tuple(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids),
        wal_mib=round(city.wal_bytes() / 2**20, 1),
    )


def _line(one: Minute) -> str:
    memory, files = " ".join(map(str, one.memory_mib)), " ".join(map(str, one.open_files))
    return (
        f"minute {one.minute}: {one.uses} uses, {one.withdrawals} withdrawals, {one.unavailable} times 503; "
        f"p50 {one.p50_ms} ms, p99 {one.p99_ms} ms; memory {memory} MiB; open files {files}; WAL {one.wal_mib} MiB"
    )


def growth(minutes: Sequence[Minute]) -> dict[str, float]:
    """Last third ÷ first third; the first minute, in which caches fill, is left out where there are more."""
    kept = minutes[1:] if len(minutes) > 3 else minutes
    third = max(1, len(kept) // 3)

    def ratio(figures: Sequence[float]) -> float:
        first, last = sum(figures[:third]), sum(figures[-third:])
        return round(last / first, 3) if first else 1.0

    return {
        "memory": ratio([sum(one.memory_mib) for one in kept]),
        "open_files": ratio([sum(one.open_files) for one in kept]),
        "p99": ratio([one.p99_ms for one in kept]),
    }


if __name__ == "__main__":
    sys.exit(main())
