"""The race of withdrawals against uses, in small; and the race catches the store that it must catch."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.race import Use, Withdrawal, begun_after, logged_after
from bench.race_stores import ALL
from consent.ledger.leaf import Kind, Leaf

ROOT = Path(__file__).parents[2]
WITHDRAWALS, PLANTED = 200, 40
A, B = bytes(16), bytes(15) + b"\1"


def run(withdrawals: int, *more: str) -> tuple[int, dict[str, object]]:
    command = [sys.executable, "-m", "bench.race", "--withdrawals", str(withdrawals), *more]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert ran.stdout.count("\n") == 1, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def test_no_use_after_its_withdrawal() -> None:
    code, outcome = run(WITHDRAWALS, "--store", "sqlite")
    assert code == 0
    assert list(outcome) == ["store", "uses", "withdrawals", "refused", "after_withdrawal"]
    assert outcome["store"] == "sqlite" and outcome["withdrawals"] == WITHDRAWALS and outcome["after_withdrawal"] == 0
    # It was a race: uses came before the withdrawals, and were refused after them.
    assert int(str(outcome["uses"])) > WITHDRAWALS // 2 and int(str(outcome["refused"])) > WITHDRAWALS // 2


def test_a_table_of_attributes_asked_by_exists_is_caught() -> None:
    for _ in range(3):  # a race may go well once
        code, outcome = run(PLANTED, "--planted")
        if outcome["after_withdrawal"]:
            assert code == 1
            return
    pytest.fail("the planted fault let no use through in three races")


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
