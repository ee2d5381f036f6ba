"""Many grants in one store: bytes of each, and what reading and using one costs beside how many.

``python -m bench.scale --store sqlite --grants 1600000``. A city's grants are loaded in steps; at
each step random ones are read (as a decision reads them) and used (as a batch uses them). The log
gets a leaf for each grant, and random ones are proven. The last line is one JSON object.

Cost must grow as DESIGN §12 says: reading and using with the depth of an index, proofs with that of
the tree, memory not at all.
"""

import argparse
import asyncio
import json
import resource
import secrets
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from random import Random

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import Engine, text

from bench.scale_grants import ALL, NOW, City, bodies
from consent.ledger.address import POSTGRESQL, asyncpg_arguments, sqlite_path
from consent.ledger.grant_row import ROW_COLUMNS, WINDOW_EPOCH, HotRow, body_parameters, row_parameters
from consent.ledger.grant_statements import USE
from consent.ledger.grants import GrantStore
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.statements import Statements
from consent.ledger.writer import Writer
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.postgresql import running

STEPS = (1_000, 40_000)
"""Besides the whole: a pilot, a district."""

READS, USES, PROOFS, PER_BATCH = 4_000, 2_000, 1_000, 100
CHUNK = 20_000
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Step:
    """Microseconds are CPU time of this process; ``_clock`` by the clock, with a server's part."""

    grants: int
    hot_bytes: float
    cold_bytes: float | None
    load_per_second: float
    read_us: float
    read_clock_us: float
    use_us: float
    use_clock_us: float
    prove_us: float | None
    memory_mb: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--grants", type=int, default=STEPS[-1])
    parser.add_argument("--cold", type=int, help="how many have their signed texts too (default: all)")
    parser.add_argument("--without-log", action="store_true")
    given = parser.parse_args(arguments)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="atorga-scale-")))
        if given.store == "postgresql":
            server = stack.enter_context(running(shared_buffers="1GB", max_wal_size="8GB"))
            engine = open_engine(server.url(server.new_database()))
        else:
            engine = open_engine(f"sqlite:///{folder / 'consent.db'}")
        stack.callback(engine.dispose)
        upgrade(engine)
        log = None if given.without_log else _log(folder)
        cold = given.grants if given.cold is None else given.cold
        steps = []
        for step in measure(engine, City(given.grants), cold=cold, log=log):
            print(_line(step), file=sys.stderr)
            steps.append(asdict(step))
    print(json.dumps({"store": given.store, "steps": steps}))
    return 0


def measure(engine: Engine, city: City, *, cold: int, log: LogWriter | None) -> Iterator[Step]:
    store, writer = GrantStore(engine), Writer(engine)
    empty, loaded = sizes(engine), 0
    texts = [body_parameters(b"", body) for body in bodies()]
    random = Random(1)
    try:
        for wanted in [*(step for step in STEPS if step < city.grants), city.grants]:
            began = time.perf_counter()
            load(engine, city, texts, loaded, wanted, cold=cold)
            rate = (wanted - loaded) / (time.perf_counter() - began)
            if log is not None:
                _append(log, wanted - loaded)
            loaded, now = wanted, sizes(engine)
            with_body = min(wanted, cold)
            read = _best(partial(_reads, store, city, random, with_body), READS)
            use = _best(partial(_uses, writer, city, random, wanted), USES)
            prove = None if log is None else _best(partial(_proofs, log, random), PROOFS)[0]
            yield Step(
                grants=wanted,
                hot_bytes=(now[0] - empty[0]) / wanted,
                cold_bytes=(now[1] - empty[1]) / with_body if with_body else None,
                load_per_second=rate,
                read_us=read[0],
                read_clock_us=read[1],
                use_us=use[0],
                use_clock_us=use[1],
                prove_us=prove,
                memory_mb=_memory_mb(),
            )
    finally:
        writer.stop()


def load(engine: Engine, city: City, texts: Sequence[Mapping[str, object]], first: int, end: int, *, cold: int) -> None:
    """By each database's way for many rows; nothing else writes meanwhile."""
    rows, number = city.rows(first, end), first
    insert = _copied if engine.dialect.name == POSTGRESQL else _inserted
    while chunk := list(islice(rows, CHUNK)):
        insert(engine, "grant_row", ROW_COLUMNS, [tuple(row_parameters(row).values()) for row in chunk])
        signed = [_body(row, texts[at % len(texts)]) for at, row in enumerate(chunk, number) if at < cold]
        if signed:
            insert(engine, "grant_body", ", ".join(signed[0]), [tuple(one.values()) for one in signed])
        number += len(chunk)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _body(row: HotRow, packed: Mapping[str, object]) -> dict[str, object]:
    return {**packed, "grant_id": row.grant_id, "denies": 0}


def _inserted(engine: Engine, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    connection = sqlite3.connect(sqlite_path(engine.url), isolation_level=None)
    try:
        marks = ", ".join("?" for _ in columns.split(", "))
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _copied(engine: Engine, table: str, columns: str, rows: Sequence[tuple[object, ...]]) -> None:
    async def copy() -> None:
        connection = await asyncpg.connect(**asyncpg_arguments(engine.url))
        try:
            await connection.copy_records_to_table(table, columns=columns.split(", "), records=rows)
        finally:
            await connection.close()

    asyncio.run(copy())


def sizes(engine: Engine) -> tuple[int, int]:
    """Bytes of the hot and of the cold table, indexes included."""
    with engine.connect() as connection:
        if engine.dialect.name == POSTGRESQL:
            found = connection.execute(_POSTGRESQL_BYTES).all()
        else:
            found = connection.execute(_SQLITE_BYTES).all()
    by_name = {name: int(size or 0) for name, size in found}
    return (
        sum(size for name, size in by_name.items() if "grant_row" in name),
        sum(size for name, size in by_name.items() if "grant_body" in name),
    )


_POSTGRESQL_BYTES = text(
    "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
    "WHERE relkind = 'r' AND (relname LIKE 'grant_row%' OR relname LIKE 'grant_body%')"
)
_SQLITE_BYTES = text("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")


def _reads(store: GrantStore, city: City, random: Random, grants: int) -> Callable[[], None]:
    chosen = [city.grant_id(random.randrange(grants)) for _ in range(READS)]

    def run() -> None:
        for grant_id in chosen:
            if store.get(grant_id) is None:
                raise AssertionError("a grant that was loaded is not there")

    return run


def _uses(writer: Writer, city: City, random: Random, grants: int) -> Callable[[], None]:
    chosen = [random.randrange(grants) for _ in range(USES)]
    rows = sorted((next(city.rows(number, number + 1)) for number in chosen), key=lambda row: row.grant_id)

    def batch(connection: Statements, part: Sequence[HotRow]) -> None:
        for row in part:
            asked = {
                "grant_id": row.grant_id,
                "service": row.service,
                "holder": row.holder,
                "purpose": row.purpose,
                "mask": ALL,
                "now": NOW,
                "since": NOW - WINDOW_EPOCH,
            }
            connection.execute(USE, asked)

    def run() -> None:
        for first in range(0, USES, PER_BATCH):
            part = rows[first : first + PER_BATCH]
            writer.run(lambda connection, part=part: batch(connection, part))  # type: ignore[misc]

    return run


def _proofs(log: LogWriter, random: Random) -> Callable[[], None]:
    chosen = [random.randrange(log.size) for _ in range(PROOFS)]

    def run() -> None:
        for index in chosen:
            log.prove(index)

    return run


def _best(make: Callable[[], Callable[[], None]], times: int) -> tuple[float, float]:
    """Microseconds of one of ``times``, CPU and clock, in the best of a few rounds."""
    found = []
    for _ in range(ROUNDS):
        run = make()
        cpu, clock = time.process_time(), time.perf_counter()
        run()
        found.append((time.process_time() - cpu, time.perf_counter() - clock))
    return min(cpu for cpu, _ in found) / times * 1e6, min(clock for _, clock in found) / times * 1e6


def _log(folder: Path) -> LogWriter:
    return LogWriter(folder / "log", "bench.example/log/1", Ed25519Signer(secrets.token_bytes(32)))


def _append(log: LogWriter, leaves: int) -> None:
    for first in range(0, leaves, CHUNK):
        log.append([secrets.token_bytes(80) for _ in range(min(CHUNK, leaves - first))])


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _line(step: Step) -> str:
    cold = "" if step.cold_bytes is None else f" + {step.cold_bytes:,.0f}"
    proof = "" if step.prove_us is None else f", proof {step.prove_us:.0f} µs"
    return (
        f"{step.grants:>9,} grants: {step.hot_bytes:.0f}{cold} B, {step.load_per_second:,.0f} loaded/s, "
        f"read {step.read_us:.0f} µs ({step.read_clock_us:.0f} by the clock), "
        f"use {step.use_us:.0f} µs ({step.use_clock_us:.0f}){proof}, {step.memory_mb:.0f} MB"
    )


if __name__ == "__main__":
    sys.exit(main())
