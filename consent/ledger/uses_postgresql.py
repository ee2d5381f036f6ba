"""Uses in PostgreSQL: statements of a batch are sent at once, each still its own (asyncpg).

Stage by stage, each in one order in all processes, so that none waits for another in a circle:
proofs by key, then what is read, then use requests by key, then rows by grant id. A row that
another transaction holds is waited for and then judged as it is (READ COMMITTED).
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import URL

from consent.errors import OutOfService
from consent.ledger.address import asyncpg_arguments
from consent.ledger.grant_row import ROW_WIDTH, GrantBody, HotRow, read_body, read_row
from consent.ledger.use_statements import Statement, UseStatements
from consent.ledger.uses import SEEN_SECONDS, Order, Outcome, Refused, Wanted
from consent.ledger.uses_sqlite import update_values

STATEMENT_SECONDS = 5.0
"""A database that takes longer is as good as gone: an allow would have expired by then."""

_STATEMENTS = UseStatements.of("$", integer="::int")

# Rows that another process is deleting already are left to it.
_FORGET_PROOFS = (
    "DELETE FROM spent_proof WHERE (thumbprint, jti) IN "
    "(SELECT thumbprint, jti FROM spent_proof WHERE expires < $1 LIMIT 10000 FOR UPDATE SKIP LOCKED)"
)
_FORGET_REQUESTS = (
    "DELETE FROM use_request_seen WHERE (service, jti) IN "
    "(SELECT service, jti FROM use_request_seen WHERE expires <= $1 LIMIT 10000 FOR UPDATE SKIP LOCKED)"
)


class PostgresqlUses:
    """One connection, in the thread that calls ``write``; it is opened when it is needed, and again after it broke."""

    def __init__(self, url: URL) -> None:
        self._arguments = asyncpg_arguments(url)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._connection: Any = None

    def write(self, orders: Sequence[Order]) -> list[Outcome]:
        return self._run(self._write(orders))  # type: ignore[no-any-return]

    def forget(self, now: int) -> None:
        self._run(self._forget(now))

    def close(self) -> None:
        if self._loop is not None:
            self._drop()
            self._loop.close()
            self._loop = None

    def _run(self, work: Any) -> Any:
        if self._loop is None:
            self._loop = _new_loop()
        try:
            return self._loop.run_until_complete(work)
        except (OSError, asyncpg.InterfaceError, asyncpg.PostgresError, TimeoutError) as fault:
            # Whatever it was, nothing is known of the connection's transaction any more.
            self._drop()
            # The text of such a fault may quote a statement's values.
            raise OutOfService(f"database: {type(fault).__name__}") from None
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _open(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                **self._arguments, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS
            )
        return self._connection

    async def _forget(self, now: int) -> None:
        connection = await self._open()
        await connection.execute(_FORGET_PROOFS, now)
        await connection.execute(_FORGET_REQUESTS, now - SEEN_SECONDS)

    async def _write(self, orders: Sequence[Order]) -> list[Outcome]:
        connection = await self._open()
        await connection.execute("BEGIN")
        outcomes = await _Batch(connection, orders).run()
        await connection.execute("COMMIT")
        return outcomes


class _Batch:
    """Orders by their place in the batch: an answer names it as ``tag``."""

    def __init__(self, connection: Any, orders: Sequence[Order]) -> None:
        self._connection = connection
        self._orders = orders
        self._outcomes: list[Outcome] = [Refused.NOT_ASKED] * len(orders)

    async def run(self) -> list[Outcome]:
        made = _STATEMENTS
        open_ = await self._spend_proofs(range(len(self._orders)))
        wanted = self._judged(open_, await self._read(open_))
        fresh = await self._spend_requests(wanted)
        values = [made.use.values(update_values(self._orders[tag], wanted[tag], tag)) for tag in sorted(fresh)]
        used = {row[0]: read_row(row[1:]) for row in await self._ask(made.use, values)}
        await self._add_events(used)
        refused = fresh - used.keys()
        for tag in refused:
            self._outcomes[tag] = Refused.NOT_NOW
        if refused:
            freed = [(wanted[tag].service, self._orders[tag].jti) for tag in sorted(refused)]
            await self._connection.executemany(made.free_request.sql, freed)
        return self._outcomes

    async def _spend_proofs(self, tags: Iterable[int]) -> list[int]:
        """Those whose proof is good, or was spent before."""
        proofs = {tag: proof for tag in tags if (proof := self._orders[tag].proof) is not None}
        values = [
            (proof.thumbprint, proof.jti, proof.expires, tag)
            for tag, proof in sorted(proofs.items(), key=lambda item: (item[1].thumbprint, item[1].jti))
        ]
        spent = {row[0] for row in await self._ask(_STATEMENTS.spend_proof, values)}
        for tag in proofs.keys() - spent:
            self._outcomes[tag] = Refused.PROOF_SPENT
        return [tag for tag in tags if tag not in proofs or tag in spent]

    async def _read(self, tags: Sequence[int]) -> dict[int, tuple[HotRow, GrantBody]]:
        values = [_STATEMENTS.read.values({"tag": tag, "grant_id": self._orders[tag].grant_id}) for tag in tags]
        return {
            row[0]: (read_row(row[1 : 1 + ROW_WIDTH]), read_body(row[1 + ROW_WIDTH :]))
            for row in await self._ask(_STATEMENTS.read, values)
        }

    def _judged(self, tags: Sequence[int], found: dict[int, tuple[HotRow, GrantBody]]) -> dict[int, Wanted]:
        judged = {tag: self._orders[tag].judge(*found.get(tag, (None, None))) for tag in tags}
        return {tag: wanted for tag, wanted in judged.items() if wanted is not None}

    async def _spend_requests(self, wanted: dict[int, Wanted]) -> set[int]:
        """Those that no transaction has used before."""
        values = sorted(
            (one.service, self._orders[tag].jti, self._orders[tag].request_hash, self._orders[tag].expires, tag)
            for tag, one in wanted.items()
        )
        fresh = {row[0] for row in await self._ask(_STATEMENTS.spend_request, values)}
        for tag in wanted.keys() - fresh:
            self._outcomes[tag] = Refused.REPLAYED
        return fresh

    async def _add_events(self, used: dict[int, HotRow]) -> None:
        events = []
        for tag, row in used.items():
            entry = self._orders[tag].entry(row)
            events.append((int(entry.kind), row.grant_id, row.counter, entry.leaf, entry.sealed))
            self._outcomes[tag] = row
        if events:
            await self._connection.executemany(_STATEMENTS.add_event.sql, events)

    async def _ask(self, statement: Statement, values: Sequence[tuple[object, ...]]) -> list[Any]:
        return list(await self._connection.fetchmany(statement.sql, values)) if values else []


def _new_loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    return uvloop.new_event_loop()
