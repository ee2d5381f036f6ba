"""What cities ask for (specs/rows.toml): every row is there, and what it calls shown is shown by tests that exist."""

import tomllib
from typing import Any

import pytest

from tests.architecture.named_tests import ROOT, missing, named_in

GROUPS = {"C": 4, "M": 5, "B": 11, "P": 5, "K": 9, "D": 8}
"""Rows of each group of systems; D are the defects of DECODE's code."""


def rows() -> dict[str, dict[str, Any]]:
    return tomllib.loads((ROOT / "specs" / "rows.toml").read_text(encoding="utf-8"))


def fault(row: dict[str, Any]) -> str | None:
    """Why a row is wrong, or None."""
    match row:
        case {"asks": str(), "state": "shown", "tests": [_, *_] as tests, **more} if not more:
            wrong = [one for one in tests if named_in(one) != [one]] or missing(tests)
            return f"names no test: {wrong[0]}" if wrong else None
        case {"asks": str(), "state": "later", "missing": str(), **more} if not more:
            return None
    return "is neither shown by tests nor later with what is missing"


def test_every_row_is_there() -> None:
    assert list(rows()) == [f"{group}{number}" for group, count in GROUPS.items() for number in range(1, count + 1)]


@pytest.mark.parametrize("name", rows())
def test_row(name: str) -> None:
    assert fault(rows()[name]) is None


HERE = "tests/architecture/test_rows.py"


@pytest.mark.parametrize(
    "row",
    [
        {"asks": "x", "state": "shown", "tests": [f"{HERE}::test_of_no_kind"]},
        {"asks": "x", "state": "shown", "tests": [f"{HERE}::rows"]},
        {"asks": "x", "state": "shown", "tests": ["tests/architecture/test_none.py::test_row"]},
        {"asks": "x", "state": "shown", "tests": [f"{HERE}::test_row", HERE]},
        {"asks": "x", "state": "shown", "tests": []},
        {"asks": "x", "state": "shown"},
        {"asks": "x", "state": "later", "missing": "y", "tests": [f"{HERE}::test_row"]},
        {"asks": "x", "state": "later"},
        {"asks": "x", "state": "soon", "missing": "y"},
    ],
)
def test_planted_fault_is_found(row: dict[str, Any]) -> None:
    assert fault(row) is not None


def test_a_right_row_passes() -> None:
    assert fault({"asks": "x", "state": "shown", "tests": [f"{HERE}::test_row"]}) is None
