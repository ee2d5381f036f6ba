"""The race of withdrawals against uses, in small, over HTTP and at the store; and it catches what it must catch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.planted import faults, is_caught
from bench.race_judge import Use, Withdrawal, begun_after, counted_after, logged_after, misnumbered, unlogged
from bench.race_stores import ALL
from consent.ledger.leaf import Kind, Leaf

ROOT = Path(__file__).parents[2]
A, B = bytes(16), bytes(15) + b"\1"
STORES = ("sqlite", "postgresql")


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> str:
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_server")
    return str(request.param)


def run(module: str, *arguments: str) -> tuple[int, dict[str, int | str]]:
    command = [sys.executable, "-m", module, *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)
    assert ran.stdout.count("\n") == 1, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_over_http_no_use_after_its_withdrawal(store: str) -> None:
    """Two services on one data folder, killed in mid-run, with an old copy of the database put back."""
    code, outcome = run(
        "bench.race", "--store", store, "--uses", "200", "--withdrawals", "45", "--clients", "3",
        "--backup-seconds", "1",
    )  # fmt: skip
    assert list(outcome) == ["store", "uses", "withdrawals", "refused", "after_withdrawal"]
    assert outcome["store"] == store and outcome["after_withdrawal"] == 0 and code == 0
    # It was a race: uses came before the withdrawals, and were refused after them.
    assert int(outcome["uses"]) >= 200 and int(outcome["withdrawals"]) >= 45 and int(outcome["refused"]) > 20


def test_at_the_store_no_use_after_its_withdrawal(store: str) -> None:
    code, outcome = run("bench.store_race", "--store", store, "--form", "sorted", "--withdrawals", "60")
    assert (code, outcome["after_withdrawal"], outcome["failed_batches"]) == (0, 0, 0)
    assert int(outcome["uses"]) > 60 and int(outcome["refused"]) > 30


def test_planted_faults_are_caught(store: str) -> None:
    for form in faults(store):
        assert is_caught(store, form), form


def leaf(kind: Kind, mask: int, counter: int = 0, grant_id: bytes = A) -> Leaf:
    return Leaf(kind, 0, grant_id, counter, 1, 1, 0, mask, 0, 0, bytes(32))


def test_the_order_of_the_log_is_judged() -> None:
    leaves = [
        leaf(Kind.GRANT, ALL),
        leaf(Kind.GRANT, ALL, grant_id=B),
        leaf(Kind.USE, 0b001, 2),
        leaf(Kind.AMEND, 0b110, 3),
        leaf(Kind.USE, 0b001, 4),
        leaf(Kind.USE, 0b010, 5),
        leaf(Kind.WITHDRAW, 0, 6),
        leaf(Kind.USE, 0b010, 7),
        leaf(Kind.USE, 0b001, 2, grant_id=B),
    ]
    assert logged_after(leaves) == {(A, 4), (A, 7)}


def test_the_order_of_the_clock_is_judged() -> None:
    ended = [Withdrawal(A, 0b001, acknowledged=100), Withdrawal(B, ALL, acknowledged=50)]
    uses = [
        Use(A, 2, 0b001, began=99),
        Use(A, 3, 0b001, began=101),
        Use(A, 4, 0b010, began=101),
        Use(B, 2, 0b010, began=51),
        Use(bytes(8), 2, 0b001, began=999),
    ]
    assert begun_after(uses, ended) == {(A, 3), (B, 2)}


def test_the_order_of_the_counters_is_judged() -> None:
    ended = [Withdrawal(A, 0b001, 0, counter=5), Withdrawal(A, ALL, 0, counter=9), Withdrawal(B, ALL, 0)]
    uses = [Use(A, 4, 0b001, 0), Use(A, 6, 0b001, 0), Use(A, 7, 0b010, 0), Use(A, 10, 0b010, 0), Use(B, 3, 0b001, 0)]
    assert counted_after(uses, ended) == {(A, 6), (A, 10)}


def test_a_use_between_pause_and_resume_is_late() -> None:
    kinds = [(Kind.GRANT, ALL), (Kind.PAUSE, 0), (Kind.USE, 1), (Kind.RESUME, 0), (Kind.USE, 1)]
    assert logged_after(leaf(kind, mask, counter) for counter, (kind, mask) in enumerate(kinds, 1)) == {(A, 3)}


def test_a_withdrawal_with_a_strangers_counter_is_found() -> None:
    leaves = [leaf(Kind.GRANT, ALL, 1), leaf(Kind.USE, 1, 2), leaf(Kind.WITHDRAW, 0, 3)]
    right, wrong, waiting = (Withdrawal(A, ALL, 0, counter) for counter in (3, 2, 4))
    assert misnumbered([right, wrong, waiting], leaves) == [wrong]


def test_a_use_that_is_not_in_the_log_is_found() -> None:
    assert unlogged([Use(A, 2, 1, 0), Use(A, 3, 1, 0)], [leaf(Kind.USE, 1, 2)]) == {(A, 3)}
