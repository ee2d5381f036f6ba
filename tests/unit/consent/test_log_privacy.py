"""DESIGN §9: whoever reads the log cannot tell which grants one resident froze or ended together.

200 residents, one of whom acts on twelve grants within a second, while the others act on one grant now
and then. The reader knows everything the log shows, and where each batch ends; it pairs leaves that
stand in one batch, in one minute, or near each other. It finds no more pairs of one resident
than it would if residents were drawn at random. The planted forms, in which nothing waits, it finds.
"""

from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import Engine, event

from consent.ledger.grant_row import Entry, GrantBody, HotRow, add_event, to_spread
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import Placing
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.spreading import HOUR, due
from tests.stored_grant import insert_grant

NOW = 1_795_314_000_000
RESIDENTS, FROZEN, ACTS_EACH = 200, 12, 2
STEP = 5_000
NEAR = 3
DRAWS = 400

Due = Callable[[int, Random], int | None]


def waiting(at: int, random: Random) -> int | None:
    return due(at, random.randbytes)


def closing(at: int, random: Random) -> int | None:
    return to_spread(at)


def planted(at: int, random: Random) -> int | None:
    return None


class Log:
    """What a reader sees: leaf by leaf its batch, its minute, its grant; and, for judging, whose it is."""

    def __init__(self, engine: Engine, seed: int) -> None:
        self.engine = engine
        self.random = Random(seed)
        self.placing = Placing(engine, self.random.randbytes)
        self.owner: dict[bytes, int] = {}
        self.leaves: list[tuple[int, int, bytes]] = []

    def give(self, resident: int) -> bytes:
        grant_id = self.random.randbytes(16)
        row = HotRow(grant_id, resident, 1, 2, 3, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        with self.engine.begin() as connection:
            insert_grant(connection, row, GrantBody("jws", "locator", grant_id.hex(), bytes(32), "{}", None, None))
        self.owner[grant_id] = resident
        return grant_id

    def act(self, grants: list[bytes], kind: Kind, at: int, when: Due) -> None:
        with self.engine.begin() as connection:
            for grant_id in grants:
                leaf = Leaf(kind, 0, grant_id, 2, 1, 3, 0, 0, 0, 0, self.random.randbytes(32))
                entry = Entry(kind, leaf.to_bytes(), None, due=when(at, self.random))
                add_event(connection, entry, grant_id, 2)

    def place(self, now: int, batch: int) -> None:
        for raw in self.placing.place(now=now).leaves:
            leaf = Leaf.from_bytes(raw)
            self.leaves.append((batch, leaf.minute, leaf.id))

    def run(self, kind: Kind, when: Due, others: Due) -> None:
        acts = [
            (NOW + self.random.randrange(HOUR), [self.give(resident)], others)
            for resident in range(1, RESIDENTS)
            for _ in range(ACTS_EACH)
        ]
        acts.append((NOW + STEP, [self.give(0) for _ in range(FROZEN)], when))
        acts.sort(key=lambda act: act[0])
        for batch, now in enumerate(range(NOW, NOW + 2 * HOUR + STEP, STEP)):
            while acts and acts[0][0] <= now:
                at, grants, rule = acts.pop(0)
                self.act(grants, kind, at, rule)
            self.place(now, batch)

    def pairs(self) -> dict[str, list[tuple[int, int]]]:
        """Positions that a reader would put together, by each of its rules."""
        found: dict[str, list[tuple[int, int]]] = {"batch": [], "minute": [], "neighbourhood": []}
        for one, other in combinations(range(len(self.leaves)), 2):
            (batch, minute, _), (other_batch, other_minute, _) = self.leaves[one], self.leaves[other]
            if batch == other_batch:
                found["batch"].append((one, other))
            if minute == other_minute:
                found["minute"].append((one, other))
            if other - one <= NEAR:
                found["neighbourhood"].append((one, other))
        return found

    def excess(self) -> dict[str, tuple[int, int]]:
        """Per rule: pairs of one resident, and how many 99 of 100 random drawings of residents stay below."""
        owners = [self.owner[grant_id] for _, _, grant_id in self.leaves]
        result = {}
        for rule, pairs in self.pairs().items():
            hits = sum(owners[one] == owners[other] for one, other in pairs)
            drawn = []
            for _ in range(DRAWS):
                shuffled = self.random.sample(owners, len(owners))
                drawn.append(sum(shuffled[one] == shuffled[other] for one, other in pairs))
            result[rule] = (hits, sorted(drawn)[DRAWS * 99 // 100])
        return result


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    # Nobody cuts the power here.
    event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA synchronous=OFF"))
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.mark.parametrize(
    ("kind", "when", "others"),
    [(Kind.PAUSE, waiting, planted), (Kind.WITHDRAW, closing, closing)],
    ids=["freeze", "everything withdrawn"],
)
def test_what_one_resident_does_at_once_is_not_told_from_chance(
    engine: Engine, kind: Kind, when: Due, others: Due
) -> None:
    log = Log(engine, seed=2026)
    log.run(kind, when, others)
    assert len(log.leaves) == (RESIDENTS - 1) * ACTS_EACH + FROZEN
    batches = [batch for batch, _, grant_id in log.leaves if log.owner[grant_id] == 0]
    assert len(set(batches)) == FROZEN, "two of one account in one batch"
    for rule, (hits, chance) in log.excess().items():
        assert hits <= chance, f"{rule}: {hits} pairs of one resident, {chance} by chance"


def test_leaves_that_do_not_wait_are_found(engine: Engine) -> None:
    log = Log(engine, seed=2026)
    log.run(Kind.PAUSE, planted, planted)
    for rule, (hits, chance) in log.excess().items():
        assert hits >= FROZEN > 0 and hits > 3 * chance, f"{rule}: {hits} pairs of one resident, {chance} by chance"


def test_delays_that_one_draw_decides_are_found(engine: Engine) -> None:
    """The twelve wait as long as each other: the time says nothing, their company everything."""
    log = Log(engine, seed=2026)
    together = NOW + HOUR // 3
    log.run(Kind.PAUSE, lambda at, random: together, planted)
    found = log.excess()
    # No two come in one batch; they still come in the minute after their time, one behind the other.
    assert found["minute"][0] > found["minute"][1] or found["neighbourhood"][0] > found["neighbourhood"][1]
