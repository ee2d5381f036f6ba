"""Known answers of C7: the nonce that a card signs."""

import json
from pathlib import Path

import pytest

from identity.card.challenge import Challenge, format_challenge, nonce, parse_challenge

CASES = [
    case
    for case in json.loads((Path(__file__).parent / "wire" / "nonces.json").read_text())["cases"]
    if case["message"] == "C7"
]
FIELDS = ("random", "binding", "issuer", "purpose", "session")


def test_there_are_cases() -> None:
    assert {case["purpose"] for case in CASES} == {"issue", "issue+pkce", "recover", "add-card", "kill"}


@pytest.mark.parametrize("case", CASES)
def test_nonce(case: dict[str, str]) -> None:
    fields = {name: case[name] for name in FIELDS}
    assert nonce(**fields) == case["nonce"]
    assert parse_challenge(format_challenge(Challenge(**fields))).nonce == case["nonce"]
