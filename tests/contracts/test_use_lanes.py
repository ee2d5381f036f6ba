"""What every lane of uses promises: one suite, each database. What is written is written once, or not at all."""

import asyncio
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from consent.errors import OutOfService
from consent.ledger import uses
from consent.ledger.grant_row import PAUSED, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.proofs import PROOF_SECONDS, ProofStore
from consent.ledger.requests import RequestStore
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.use_stores import open_lane
from consent.ledger.uses import SEEN_SECONDS, LaneFull, Outcome, Refused, SpentProof, UseLane, Wanted

NOW = 1_795_315_110
A, B = bytes(16), bytes(15) + b"\1"
SERVICE, HOLDER, PURPOSE = 1, 2, 3
EMPTY = Entry(3, bytes(80), None)


@dataclass
class Asked:
    """An order that asks for what it is told to."""

    grant_id: bytes = A
    proof: SpentProof | None = None
    now: int = NOW
    jti: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    request_hash: bytes = bytes(32)
    expires: int = NOW + 60
    wanted: Wanted | None = field(default_factory=lambda: Wanted(SERVICE, HOLDER, PURPOSE, 0b1, 0))
    fails: bool = False
    seen: tuple[HotRow | None, GrantBody | None] | None = None
    outcome: asyncio.Future[Outcome] | None = None

    def judge(self, row: HotRow | None, body: GrantBody | None) -> Wanted | None:
        self.seen = row, body
        return self.wanted if row is not None else None

    def entry(self, row: HotRow) -> Entry:
        if self.fails:
            raise RuntimeError("an entry that cannot be made")
        return Entry(7, row.counter.to_bytes(80, "big"), "sealed")

    def done(self, outcome: Outcome) -> None:
        assert self.outcome is not None
        self.outcome.get_loop().call_soon_threadsafe(self.outcome.set_result, outcome)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    postgresql = request.param == "postgresql"
    url = request.getfixturevalue("postgresql_url") if postgresql else f"sqlite:///{tmp_path / 'consent.db'}"
    engine = open_engine(url)
    upgrade(engine)
    for grant_id in (A, B):
        RequestStore(engine).add(grant_id, service=1, jws="", expires=NOW + 1, mailbox=None, entry=EMPTY)
        row = HotRow(
            grant_id=grant_id, account=1, service=SERVICE, holder=HOLDER, purpose=PURPOSE, state=1, mask=0b11,
            not_before=NOW - 10, not_after=NOW + 1_000, counter=1, act=0, uses=0, max_uses=0, window_start=0,
            window_uses=0, window_max=0, window_seconds=0, status_index=0,
        )  # fmt: skip
        body = GrantBody("grant", "locator", "key", bytes(32), "{}", None, None)
        GrantStore(engine).give(row, body, request_id=grant_id, now=NOW, make_entry=lambda _: EMPTY)
    yield engine
    engine.dispose()


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def lane(engine: Engine, runner: asyncio.Runner) -> Iterator[UseLane]:
    lane = open_lane(engine, written=lambda: None)
    lane.start()
    yield lane
    lane.stop()
    runner.run(asyncio.sleep(0))


def run(runner: asyncio.Runner, lane: UseLane, *asked: Asked) -> list[Outcome]:
    """All at once: what comes while the first is written is one batch."""

    async def together() -> list[Outcome]:
        for one in asked:
            one.outcome = asyncio.get_running_loop().create_future()
            lane.submit(one)
        return await asyncio.gather(*(one.outcome for one in asked if one.outcome is not None))

    return runner.run(together())


def counters(outcomes: Sequence[Outcome]) -> list[int | Outcome]:
    return [one.counter if isinstance(one, HotRow) else one for one in outcomes]


def logged(engine: Engine) -> list[tuple[bytes, int]]:
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT grant_id, counter FROM event WHERE kind = 7 ORDER BY sequence"))
        return [(bytes(row[0]), row[1]) for row in rows]


def test_many_of_two_grants_each_with_its_counter_and_event(
    engine: Engine, lane: UseLane, runner: asyncio.Runner
) -> None:
    outcomes = run(runner, lane, *(Asked(grant_id=(A, B)[at % 2]) for at in range(40)))
    for place, grant_id in enumerate((A, B)):
        assert sorted(counters(outcomes[place::2])) == list(range(2, 22))  # type: ignore[type-var]
        # The log's order is that of the counters.
        assert [counter for found, counter in logged(engine) if found == grant_id] == list(range(2, 22))
    row = GrantStore(engine).row(A)
    assert row is not None and (row.counter, row.uses) == (21, 20)


def test_it_judges_what_is_there(lane: UseLane, runner: asyncio.Runner) -> None:
    known, unknown = Asked(), Asked(grant_id=bytes(14) + b"\1\1")
    assert counters(run(runner, lane, known, unknown)) == [2, Refused.NOT_ASKED]
    assert unknown.seen == (None, None)
    assert known.seen is not None and known.seen[0] is not None and known.seen[1] is not None
    assert (known.seen[0].grant_id, known.seen[1].locator) == (A, "locator")


@pytest.mark.parametrize(
    "changes",
    [{"service": 9}, {"holder": 9}, {"purpose": 9}, {"mask": 0b100}, {"mask": 0b101}, {"act": 1}],
)
def test_the_row_decides(engine: Engine, lane: UseLane, runner: asyncio.Runner, changes: dict[str, int]) -> None:
    order = Asked(wanted=replace(Wanted(SERVICE, HOLDER, PURPOSE, 0b1, 0), **changes))
    assert run(runner, lane, order) == [Refused.NOT_NOW]
    assert logged(engine) == []
    # A refused use spends no request: it may come again, and is judged again.
    assert counters(run(runner, lane, replace(order, wanted=Wanted(SERVICE, HOLDER, PURPOSE, 0b1, 0)))) == [2]


def test_a_paused_grant_and_one_out_of_its_time(engine: Engine, lane: UseLane, runner: asyncio.Runner) -> None:
    assert run(runner, lane, Asked(now=NOW - 11), Asked(now=NOW + 1_000)) == [Refused.NOT_NOW] * 2
    with engine.begin() as connection:
        connection.execute(text("UPDATE grant_row SET state = :paused"), {"paused": PAUSED})
    assert run(runner, lane, Asked()) == [Refused.NOT_NOW]


def test_a_request_is_used_once_also_within_a_batch(engine: Engine, lane: UseLane, runner: asyncio.Runner) -> None:
    jti = secrets.token_bytes(16)
    outcomes = run(runner, lane, *(Asked(jti=jti) for _ in range(8)))
    assert sorted(map(str, counters(outcomes))) == sorted(["2", *[str(Refused.REPLAYED)] * 7])
    assert run(runner, lane, Asked(jti=jti, grant_id=B)) == [Refused.REPLAYED]
    assert logged(engine) == [(A, 2)]


def test_a_proof_is_spent_once_also_where_nothing_else_is(
    engine: Engine, lane: UseLane, runner: asyncio.Runner
) -> None:
    proof, other = (SpentProof("key", jti, NOW + PROOF_SECONDS) for jti in ("one", "two"))
    outcomes = run(runner, lane, *(Asked(proof=proof) for _ in range(8)))
    assert sorted(map(str, counters(outcomes))) == sorted(["2", *[str(Refused.PROOF_SPENT)] * 7])
    assert run(runner, lane, Asked(proof=other, wanted=None)) == [Refused.NOT_ASKED]
    assert run(runner, lane, Asked(proof=other)) == [Refused.PROOF_SPENT]
    # The other way of spending it knows of it, and the other way round.
    assert not ProofStore(engine).spend("key", "two", now=NOW)
    assert ProofStore(engine).spend("key", "three", now=NOW)
    assert run(runner, lane, Asked(proof=SpentProof("key", "three", NOW))) == [Refused.PROOF_SPENT]


def test_what_fails_takes_nobody_with_it(engine: Engine, lane: UseLane, runner: asyncio.Runner) -> None:
    outcomes = run(runner, lane, *(Asked(fails=at == 3) for at in range(8)))
    assert isinstance(outcomes[3], RuntimeError)
    assert len([one for one in outcomes if isinstance(one, HotRow)]) == 7
    assert [counter for _, counter in logged(engine)] == list(range(2, 9))


def test_what_has_expired_is_forgotten(engine: Engine, lane: UseLane, runner: asyncio.Runner) -> None:
    run(runner, lane, Asked(proof=SpentProof("key", "old", NOW + PROOF_SECONDS), expires=NOW + 60))
    later = NOW + 60 + SEEN_SECONDS + PROOF_SECONDS
    # What is due is deleted after a batch: the next one comes after that.
    run(runner, lane, Asked(now=later - 100_000, wanted=None))
    run(runner, lane, Asked(now=later, wanted=None))
    run(runner, lane, Asked(now=later, wanted=None))
    with engine.begin() as connection:
        kept = [connection.execute(text(f"SELECT count(*) FROM {name}")).scalar() for name in ("spent_proof",)]
        seen = connection.execute(text("SELECT count(*) FROM use_request_seen")).scalar()
    assert (kept, seen) == ([0], 0)


def test_there_is_an_end_to_waiting(lane: UseLane, runner: asyncio.Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uses, "MAX_WAITING", 0)

    async def submit() -> None:
        lane.submit(Asked())

    with pytest.raises(LaneFull):
        runner.run(submit())


def test_a_database_that_is_not_there(runner: asyncio.Runner, tmp_path: Path) -> None:
    lane = open_lane(open_engine(f"postgresql://nobody@/none?host={tmp_path}"), written=lambda: None)
    outcomes = run(runner, lane, Asked(), Asked())
    assert all(isinstance(one, OutOfService) for one in outcomes)
