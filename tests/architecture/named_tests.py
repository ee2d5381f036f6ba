"""Test ids that documents name: found in a text, and looked for in the tests' sources, which are parsed and not run."""

import ast
import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]

TEST_ID = re.compile(r"(tests/[\w/.-]+\.py)::(\w+)")


def named_in(text: str) -> list[str]:
    return ["::".join(found) for found in TEST_ID.findall(text)]


def missing(ids: list[str]) -> list[str]:
    """Those of ``ids`` that name no test."""
    return [one for one in ids if not _exists(one)]


def _exists(test_id: str) -> bool:
    file, _, name = test_id.partition("::")
    return name.startswith("test_") and name in _tests_of(file)


@cache
def _tests_of(file: str) -> frozenset[str]:
    path = ROOT / file
    if not path.is_file():
        return frozenset()
    return frozenset(node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef))
