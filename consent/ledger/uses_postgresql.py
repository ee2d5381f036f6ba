"""Uses in PostgreSQL: a lane in the event loop, statements of a batch sent at once (asyncpg).

Whoever waits for a server does not need a thread to wait in; and what the loop reads meanwhile is the
next batch. Grants are read and changed by statements of their own, each for one partition; proofs,
use requests and events go in as one statement a batch.

Stage by stage, each in one order in all processes, so that none waits for another in a circle:
proofs by key, then what is read, then use requests by key, then rows by grant id. A row that
another transaction holds is waited for and then judged as it is (READ COMMITTED).
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg  # type: ignore[import-untyped]  # it ships no types
from sqlalchemy import URL

from consent.errors import OutOfService
from consent.ledger.address import asyncpg_arguments
from consent.ledger.grant_row import ROW_WIDTH, GrantBody, HotRow, read_body, read_row
from consent.ledger.use_statements import READ, UPDATE, Statement, update_values
from consent.ledger.uses import SEEN_SECONDS, Forgetting, Order, Outcome, Refused, Waiting, Wanted, note_failure

STATEMENT_SECONDS = 5.0
"""A database that takes longer is as good as gone: an allow would have expired by then."""

_PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
"""Every statement here names its rows by their key: planning it anew for each use, over all partitions, would cost
the server as much as the use itself. A plan that was made while a table was small must suit it when it has grown."""

# ``tag`` comes back with the row: answers of many statements sent at once find their question.
_READ = Statement.of(READ.replace("SELECT ", "SELECT :tag::int, ", 1), "$")
_UPDATE = Statement.of(UPDATE.replace("RETURNING ", "RETURNING :tag::int, "), "$")
_SPEND_PROOFS = (
    "INSERT INTO spent_proof (thumbprint, jti, expires) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[]) "
    "ON CONFLICT DO NOTHING RETURNING thumbprint, jti"
)
_SPEND_REQUESTS = (
    "INSERT INTO use_request_seen (service, jti, request_hash, expires) "
    "SELECT * FROM unnest($1::int[], $2::bytea[], $3::bytea[], $4::bigint[]) ON CONFLICT DO NOTHING "
    "RETURNING service, jti"
)
_ADD_EVENTS = (
    "INSERT INTO event (kind, grant_id, counter, leaf, sealed) "
    "SELECT * FROM unnest($1::int[], $2::bytea[], $3::int[], $4::bytea[], $5::text[])"
)
_FREE_REQUESTS = "DELETE FROM use_request_seen WHERE (service, jti) IN (SELECT * FROM unnest($1::int[], $2::bytea[]))"
# Rows that another process is deleting already are left to it.
_FORGET_PROOFS = (
    "DELETE FROM spent_proof WHERE (thumbprint, jti) IN "
    "(SELECT thumbprint, jti FROM spent_proof WHERE expires < $1 LIMIT 10000 FOR UPDATE SKIP LOCKED)"
)
_FORGET_REQUESTS = (
    "DELETE FROM use_request_seen WHERE (service, jti) IN "
    "(SELECT service, jti FROM use_request_seen WHERE expires <= $1 LIMIT 10000 FOR UPDATE SKIP LOCKED)"
)

_log = logging.getLogger("atorga.consent")

K = TypeVar("K", tuple[str, str], tuple[int, bytes])


class LoopLane:
    """One connection, opened when it is needed and again after it broke; submit from one event loop at a time."""

    def __init__(self, url: URL, *, written: Callable[[], None]) -> None:
        """``written`` is called after each batch: there may be something to log."""
        self._arguments = asyncpg_arguments(url)
        self._written = written
        self._waiting = Waiting()
        self._forgetting = Forgetting()
        self._draining: asyncio.Task[None] | None = None
        self._connection: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Its work begins with the first use."""

    def stop(self) -> None:
        """The server has answered whom it served: what is still under way has nobody to wait for it."""
        loop, connection = self._loop, self._connection
        self._connection = None
        if connection is not None and loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(connection.terminate)

    def submit(self, order: Order) -> None:
        loop = asyncio.get_running_loop()
        self._waiting.add(order)
        if self._draining is None or self._draining.done() or self._loop is not loop:
            if self._loop is not loop:
                # A connection belongs to the loop in which it was opened.
                self._loop, self._connection = loop, None
            self._draining = loop.create_task(self._drain())

    async def _drain(self) -> None:
        """Batch after batch, while there are any: what came during the one before."""
        # Those that come with the first have their signatures checked meanwhile.
        await asyncio.sleep(0)
        while batch := self._waiting.take():
            await self._write(batch)
            if self._forgetting.is_due(batch[0].now):
                await self._forget(batch[0].now)

    async def _write(self, batch: Sequence[Order]) -> None:
        outcomes: Sequence[Outcome]
        try:
            outcomes = await self._transaction(batch)
        except OutOfService as fault:
            # Nobody answers, for any of them.
            note_failure(batch, fault)
            outcomes = [fault] * len(batch)
        except Exception as fault:  # noqa: BLE001  # whatever it is, it is one use's own or nobody's
            note_failure(batch, fault)
            outcomes = [fault] if len(batch) == 1 else [await self._alone(order) for order in batch]
        self._written()
        for order, outcome in zip(batch, outcomes, strict=True):
            order.done(outcome)

    async def _alone(self, order: Order) -> Outcome:
        try:
            return (await self._transaction([order]))[0]
        except Exception as fault:  # noqa: BLE001  # its caller is told; the lane goes on
            return fault

    async def _transaction(self, orders: Sequence[Order]) -> list[Outcome]:
        """Raises OutOfService where the database is gone; then it is not known whether a commit was done."""
        try:
            connection = await self._open()
            await connection.execute("BEGIN")
            outcomes = await _Batch(connection, orders).run()
            await connection.execute("COMMIT")
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresConnectionError) as fault:
            self._drop()
            raise OutOfService(f"database: {type(fault).__name__}") from None
        except asyncpg.OperatorInterventionError as fault:
            # It is shutting down, or starting.
            self._drop()
            raise OutOfService(f"database: {type(fault).__name__}") from None
        except BaseException:
            # Nothing is known of the connection's transaction any more.
            self._drop()
            raise
        return outcomes

    async def _forget(self, now: int) -> None:
        try:
            connection = await self._open()
            await connection.execute(_FORGET_PROOFS, now)
            await connection.execute(_FORGET_REQUESTS, now - SEEN_SECONDS)
        except (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.PostgresError) as fault:
            self._drop()
            _log.warning("uses: what has expired is kept for now (%s)", type(fault).__name__)

    async def _open(self) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await asyncpg.connect(
                **self._arguments,
                timeout=STATEMENT_SECONDS,
                command_timeout=STATEMENT_SECONDS,
                server_settings=_PLANNED_ONCE,
            )
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()


class _Batch:
    """Orders by their place in the batch, their ``tag``."""

    def __init__(self, connection: Any, orders: Sequence[Order]) -> None:
        self._connection = connection
        self._orders = orders
        self._outcomes: list[Outcome] = [Refused.NOT_ASKED] * len(orders)

    async def run(self) -> list[Outcome]:
        proven = await self._spend_proofs()
        wanted = self._judged(proven, await self._read(proven))
        fresh = await self._spend_requests(wanted)
        used = await self._update(wanted, fresh)
        await self._add_events(used)
        refused = [tag for tag in fresh if tag not in used]
        for tag in refused:
            self._outcomes[tag] = Refused.NOT_NOW
        if refused:
            services, jtis = [wanted[tag].service for tag in refused], [self._orders[tag].jti for tag in refused]
            await self._connection.execute(_FREE_REQUESTS, services, jtis)
        return self._outcomes

    async def _spend_proofs(self) -> list[int]:
        """Those whose proof was good; those that have none to spend are among them."""
        proofs = {tag: order.proof for tag, order in enumerate(self._orders) if order.proof is not None}
        by_key = _by_key((tag, (proof.thumbprint, proof.jti)) for tag, proof in proofs.items())
        expires = [proofs[tags[0]].expires for tags in by_key.values()]
        keys = list(by_key)
        spent = (
            await self._connection.fetch(_SPEND_PROOFS, [key[0] for key in keys], [key[1] for key in keys], expires)
            if keys
            else ()
        )
        good = {by_key[row[0], row[1]][0] for row in spent}
        for tag in proofs.keys() - good:
            self._outcomes[tag] = Refused.PROOF_SPENT
        return [tag for tag in range(len(self._orders)) if tag not in proofs or tag in good]

    async def _read(self, tags: Sequence[int]) -> dict[int, tuple[HotRow, GrantBody]]:
        values = [_READ.values({"tag": tag, "grant_id": self._orders[tag].grant_id}) for tag in tags]
        return {
            row[0]: (read_row(row[1 : 1 + ROW_WIDTH]), read_body(row[1 + ROW_WIDTH :]))
            for row in await self._ask(_READ, values)
        }

    def _judged(self, tags: Sequence[int], found: dict[int, tuple[HotRow, GrantBody]]) -> dict[int, Wanted]:
        judged = {tag: self._orders[tag].judge(*found.get(tag, (None, None))) for tag in tags}
        return {tag: wanted for tag, wanted in judged.items() if wanted is not None}

    async def _spend_requests(self, wanted: dict[int, Wanted]) -> list[int]:
        """Those that no transaction has used before, in the order of the batch."""
        by_key = _by_key((tag, (one.service, self._orders[tag].jti)) for tag, one in wanted.items())
        first = [self._orders[tags[0]] for tags in by_key.values()]
        fresh = (
            await self._connection.fetch(
                _SPEND_REQUESTS,
                [service for service, _ in by_key],
                [jti for _, jti in by_key],
                [order.request_hash for order in first],
                [order.expires for order in first],
            )
            if by_key
            else ()
        )
        good = {by_key[row[0], row[1]][0] for row in fresh}
        for tag in wanted.keys() - good:
            self._outcomes[tag] = Refused.REPLAYED
        return sorted(good)

    async def _update(self, wanted: dict[int, Wanted], tags: Sequence[int]) -> dict[int, HotRow]:
        values = [_UPDATE.values(update_values(self._orders[tag], wanted[tag]) | {"tag": tag}) for tag in tags]
        return {row[0]: read_row(row[1:]) for row in await self._ask(_UPDATE, values)}

    async def _add_events(self, used: dict[int, HotRow]) -> None:
        """In the order of the updates: of one grant, counter by counter."""
        if not used:
            return
        events = []
        for tag, row in used.items():
            entry = self._orders[tag].entry(row)
            events.append((int(entry.kind), row.grant_id, row.counter, entry.leaf, entry.sealed))
            self._outcomes[tag] = row
        await self._connection.execute(_ADD_EVENTS, *map(list, zip(*events, strict=True)))

    async def _ask(self, statement: Statement, values: Sequence[tuple[object, ...]]) -> list[Any]:
        return list(await self._connection.fetchmany(statement.sql, values)) if values else []


def _by_key(tagged: Iterable[tuple[int, K]]) -> dict[K, list[int]]:
    """Tags of each key, keys in their order; of one key that comes twice, the first has it."""
    found: dict[K, list[int]] = defaultdict(list)
    for tag, key in tagged:
        found[key].append(tag)
    return {key: found[key] for key in sorted(found)}
