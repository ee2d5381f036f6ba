"""Any order of acts on grants, on every store, against a small model (``ledger_model``).

Restarts and crashes come in between, clocks jump, some uses are replayed. After each step row and
leaves are the model's: so no use stands behind the withdrawal of what it took, and no counter is
missing. A failure prints its seed; ``ATORGA_SEED`` runs it again.
"""

import asyncio
import os
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, note, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine, text

from consent.errors import LedgerConflict, OutOfService
from consent.ledger.ended_grants import EndedGrants, Erasable
from consent.ledger.grant_row import ERASED, GIVEN, PAUSED, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.requests import RequestStore
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.statements import Statements
from consent.ledger.use_stores import open_lane
from consent.ledger.uses import Outcome, Refused, SpentProof, UseLane, Wanted
from consent.ledger.writer import Writer
from tests.postgresql import LedgerDatabases
from tests.properties.ledger_model import ForbiddenError, ModelGrant

SEED = int(os.environ.get("ATORGA_SEED") or secrets.randbits(32))
STEPS = 25
EXAMPLES = {"sqlite": 20, "postgresql": 8}
"""A restart costs PostgreSQL new connections: fewer examples in the same time."""

NOW = 1_795_315_110
SERVICE, HOLDER, PURPOSE, ACCOUNT = 1, 2, 3, 4
KEY = "grant-key-thumbprint"
ALL = 0b111
SECONDS = 10.0

MASKS = st.integers(1, ALL)
CHOICES = st.integers(0, 99)


def entry(kind: Kind, grant_id: bytes, counter: int, mask: int = 0) -> Entry:
    leaf = Leaf(kind, 0, grant_id, counter, 0, 0, 0, mask, 0, 0, bytes(32))
    return Entry(kind, leaf.to_bytes(), "sealed")


@dataclass
class LaneOrder:
    """A use as the consent service hands it to the lane."""

    grant_id: bytes
    mask: int
    now: int
    jti: bytes
    outcome: "asyncio.Future[Outcome]"
    request_hash: bytes = bytes(32)
    proof: SpentProof | None = None

    @property
    def expires(self) -> int:
        return self.now + 60

    def judge(self, row: HotRow | None, body: GrantBody | None) -> Wanted | None:
        return None if row is None or body is None else Wanted(SERVICE, HOLDER, PURPOSE, self.mask, row.act)

    def entry(self, row: HotRow) -> Entry:
        return entry(Kind.USE, row.grant_id, row.counter, self.mask)

    def done(self, outcome: Outcome) -> None:
        self.outcome.get_loop().call_soon_threadsafe(self.outcome.set_result, outcome)


class Opened:
    """One process's doors to the database."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = open_engine(url)
        self.writer = Writer(self.engine)
        self.grants = GrantStore(self.engine, self.writer)
        self.requests = RequestStore(self.engine, self.writer)
        self.ended = EndedGrants(self.engine)
        self.loop = asyncio.new_event_loop()
        self.lane: UseLane = open_lane(self.engine, written=lambda: None)
        self.lane.start()

    def close(self) -> None:
        self.lane.stop()
        self.writer.stop()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()
        self.engine.dispose()

    def use_by_lane(self, grant_id: bytes, mask: int, now: int, jti: bytes) -> Outcome:
        async def use() -> Outcome:
            order = LaneOrder(grant_id, mask, now, jti, asyncio.get_running_loop().create_future())
            self.lane.submit(order)
            return await asyncio.wait_for(order.outcome, SECONDS)

        return self.loop.run_until_complete(use())


class Machine(RuleBasedStateMachine):
    url: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        note(f"seed {SEED}")
        self.now = NOW
        self.store = Opened(self.url)
        self.model: dict[bytes, ModelGrant] = {}
        self.spent: dict[bytes, int] = {}

    def teardown(self) -> None:
        self.store.close()

    @initialize(mask=MASKS, max_uses=st.integers(0, 4), window_max=st.integers(0, 2))
    def first(self, mask: int, max_uses: int, window_max: int) -> None:
        self.give(mask, max_uses, window_max, 500)

    @rule(mask=MASKS, max_uses=st.integers(0, 4), window_max=st.integers(0, 2), life=st.integers(50, 2_000))
    def give(self, mask: int, max_uses: int, window_max: int, life: int) -> None:
        grant_id, seconds = len(self.model).to_bytes(16, "big"), 100 if window_max else 0
        asked = entry(Kind.REQUEST, secrets.token_bytes(16), 0)
        self.store.requests.add(grant_id, service=SERVICE, jws="jws", expires=self.now + 600, mailbox=None, entry=asked)
        grant = ModelGrant(mask, self.now, self.now + life, max_uses, window_max, seconds)
        row = HotRow(
            grant_id=grant_id, account=ACCOUNT, service=SERVICE, holder=HOLDER, purpose=PURPOSE, state=GIVEN,
            mask=mask, not_before=grant.not_before, not_after=grant.not_after, counter=1, act=0, uses=0,
            max_uses=max_uses, window_start=0, window_uses=0, window_max=window_max, window_seconds=seconds,
            status_index=0,
        )  # fmt: skip
        body = GrantBody("grant", "locator", KEY, bytes(32), "{}", None, None)
        self.store.grants.give(
            row, body, request_id=grant_id, now=self.now,
            make_entry=lambda row: entry(Kind.GRANT, row.grant_id, row.counter, row.mask),
        )  # fmt: skip
        grant.give()
        self.model[grant_id] = grant

    @rule(which=CHOICES, mask=MASKS, by_lane=st.booleans())
    def use(self, which: int, mask: int, by_lane: bool) -> None:
        grant_id, grant = self._one(which)
        jti = secrets.token_bytes(16)
        row = self._use(grant_id, mask, jti, by_lane)
        assert (row is not None) == grant.use(mask, self.now)
        if row is not None:
            self.spent[jti] = self.now

    @precondition(lambda self: self.spent)
    @rule(which=CHOICES, mask=MASKS, by_lane=st.booleans())
    def replay(self, which: int, mask: int, by_lane: bool) -> None:
        grant_id, _ = self._one(which)
        jti, spent_at = list(self.spent.items())[which % len(self.spent)]
        if abs(self.now - spent_at) <= 60:
            assert self._use(grant_id, mask, jti, by_lane) is None

    @rule(which=CHOICES, mask=st.none() | MASKS)
    def withdraw(self, which: int, mask: int | None) -> None:
        grant_id, grant = self._one(which)

        def make_entry(row: HotRow) -> Entry:
            return entry(Kind.AMEND if row.mask else Kind.WITHDRAW, row.grant_id, row.counter, row.mask)

        ended = self.store.grants.withdraw(
            grant_id, thumbprint=KEY, mask=mask, at_milliseconds=self.now * 1000, make_entry=make_entry
        )
        assert (ended is None) == (grant.state == ERASED)
        grant.withdraw(mask)

    @rule(
        which=CHOICES, kind=st.sampled_from([Kind.PAUSE, Kind.RESUME, Kind.AMEND]), mask=MASKS, life=st.integers(0, 300)
    )
    def act(self, which: int, kind: Kind, mask: int, life: int) -> None:
        grant_id, grant = self._one(which)
        not_after = self.now + life

        def change(row: HotRow, body: GrantBody) -> tuple[HotRow, str]:
            wanted = {Kind.PAUSE: GIVEN, Kind.RESUME: PAUSED}.get(kind, row.state)
            if row.state != wanted or not row.mask & mask:
                raise LedgerConflict("state")
            if kind is Kind.AMEND:
                return replace(row, mask=row.mask & mask, not_after=min(row.not_after, not_after)), "{}"
            return replace(row, state=PAUSED if kind is Kind.PAUSE else GIVEN), "{}"

        def make_entry(row: HotRow) -> Entry:
            return entry(kind, row.grant_id, row.counter, row.mask if kind is Kind.AMEND else 0)

        def do() -> None:
            self.store.grants.act(
                grant_id, act=grant.act + 1, act_hash=secrets.token_hex(8), change=change, make_entry=make_entry,
                closing=kind is Kind.PAUSE,
            )  # fmt: skip

        before = grant.act
        try:
            expected = replace(grant, log=list(grant.log))
            expected.do(kind, mask=mask, not_after=not_after)
        except ForbiddenError:
            with pytest.raises(LedgerConflict):
                do()
        else:
            do()
            self.model[grant_id] = expected
            assert expected.act == before + 1

    @rule(which=CHOICES)
    def expire(self, which: int) -> None:
        grant_id, grant = self._one(which)
        self.store.ended.expire(grant_id, _ended(Kind.EXPIRE), now=self.now)
        grant.expire(self.now)

    @rule(which=CHOICES)
    def erase(self, which: int) -> None:
        grant_id, grant = self._one(which)
        erasable = Erasable(grant_id, None, _ended(Kind.EXPIRE), _ended(Kind.ERASE))
        try:
            grant.erase(self.now)
        except ForbiddenError:
            with pytest.raises(LedgerConflict):
                self.store.ended.erase(ACCOUNT, [erasable], now=self.now, whole_account=False)
        else:
            self.store.ended.erase(ACCOUNT, [erasable], now=self.now, whole_account=False)

    @rule(which=CHOICES)
    def pause_or_resume(self, which: int) -> None:
        _, grant = self._one(which)
        self.act(which, Kind.RESUME if grant.state == PAUSED else Kind.PAUSE, ALL, 0)

    @rule(which=CHOICES, mask=MASKS, by_lane=st.booleans())
    def use_in_a_pause(self, which: int, mask: int, by_lane: bool) -> None:
        _, grant = self._one(which)
        if grant.state == GIVEN:
            self.pause_or_resume(which)
        self.use(which, mask & grant.mask or mask, by_lane)

    @rule(seconds=st.integers(-90, 200))
    def clock(self, seconds: int) -> None:
        self.now += seconds

    @rule(which=CHOICES, before=st.booleans(), by_lane=st.booleans())
    def use_at_the_end(self, which: int, before: bool, by_lane: bool) -> None:
        """In the last second of a grant, or in the first after it."""
        _, grant = self._one(which)
        self.now = grant.not_after - before
        self.use(which, grant.mask or ALL, by_lane)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Opened(self.url)

    @rule(which=CHOICES)
    def crash(self, which: int) -> None:
        """The writer dies between an act's statements: nothing of it is there afterwards."""
        grant_id, _ = self._one(which)

        def half(connection: Statements) -> None:
            connection.execute(_HALF, {"grant_id": grant_id})
            raise SystemExit

        with pytest.raises(OutOfService):
            self.store.writer.run(half, key=grant_id)
        self.restart()

    @invariant()
    def rows_are_the_models(self) -> None:
        for grant_id, grant in self.model.items():
            row = self.store.grants.row(grant_id)
            assert row is not None
            found = (row.state, row.mask, row.counter, row.act, row.uses, row.window_uses, row.not_after)
            assert found == (
                grant.state, grant.mask, grant.counter, grant.act, grant.uses, grant.window_uses, grant.not_after
            )  # fmt: skip

    @invariant()
    def leaves_are_the_models(self) -> None:
        with self.store.engine.begin() as connection:
            stored = connection.execute(text("SELECT leaf FROM event ORDER BY sequence")).scalars().all()
        leaves = [Leaf.from_bytes(bytes(leaf)) for leaf in stored]
        for grant_id, grant in self.model.items():
            told = [(leaf.kind, leaf.counter, leaf.mask) for leaf in leaves if leaf.id == grant_id]
            assert told == grant.log
            left = 0
            for kind, _, mask in told:
                assert kind is not Kind.USE or mask & ~left == 0, "a use of what was withdrawn"
                left = mask if kind in (Kind.GRANT, Kind.AMEND, Kind.WITHDRAW) else left

    def _one(self, which: int) -> tuple[bytes, ModelGrant]:
        return list(self.model.items())[which % len(self.model)]

    def _use(self, grant_id: bytes, mask: int, jti: bytes, by_lane: bool) -> HotRow | None:
        if by_lane:
            outcome = self.store.use_by_lane(grant_id, mask, self.now, jti)
            assert isinstance(outcome, HotRow | Refused), outcome
            return outcome if isinstance(outcome, HotRow) else None
        try:
            return self.store.grants.use(
                grant_id, service=SERVICE, holder=HOLDER, purpose=PURPOSE, mask=mask, now=self.now, jti=jti,
                request_hash=bytes(32), expires=self.now + 60,
                make_entry=lambda row: entry(Kind.USE, row.grant_id, row.counter, mask),
            )  # fmt: skip
        except LedgerConflict:
            return None


_HALF = text("UPDATE grant_row SET counter = counter + 1, state = 1 WHERE grant_id = :grant_id")


def _ended(kind: Kind) -> Any:
    return lambda row: entry(kind, row.grant_id, row.counter)


def run(new_url: Iterator[str], examples: int) -> None:
    class OnItsOwn(Machine):
        def __init__(self) -> None:
            type(self).url = next(new_url)
            super().__init__()

    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
    limits = settings(
        max_examples=examples, stateful_step_count=STEPS, deadline=None, suppress_health_check=checks, print_blob=True
    )
    run_state_machine_as_test(seed(SEED)(OnItsOwn), settings=limits)


def test_sqlite(tmp_path: Path) -> None:
    made = tmp_path / "made.db"
    engine = open_engine(f"sqlite:///{made}")
    upgrade(engine)
    engine.dispose()

    def urls() -> Iterator[str]:
        while True:
            path = Path(mkdtemp(dir=tmp_path)) / "consent.db"
            shutil.copy(made, path)
            yield f"sqlite:///{path}"

    run(urls(), EXAMPLES["sqlite"])


def test_postgresql(ledger_databases: LedgerDatabases) -> None:
    def urls() -> Iterator[str]:
        while True:
            yield ledger_databases.take()
            ledger_databases.give_back()

    run(urls(), EXAMPLES["postgresql"])
