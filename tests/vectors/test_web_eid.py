"""Tokens that Web eID's own validators are tested with: we read and verify the same, and refuse the same."""

import json
from pathlib import Path

import pytest

from identity.card import path, web_eid
from identity.errors import CardError

TOKENS = json.loads((Path(__file__).parent / "web_eid" / "tokens.json").read_text())


def verify(token: dict[str, str], *, origin: str = TOKENS["origin"], nonce: str = TOKENS["nonce"]) -> None:
    parsed = web_eid.parse_token(token)
    key = path.read_leaf(parsed.unverified_certificate).key
    web_eid.verify_signature(parsed, key, origin=origin, nonce=nonce)


def test_a_token_of_a_real_program() -> None:
    token = TOKENS["valid"]
    verify(token)
    with pytest.raises(CardError):
        verify(token, origin="https://invalid.org")
    with pytest.raises(CardError):
        verify(token, nonce="12345678123456781234567812345678912356789124")


def test_another_certificate_in_it() -> None:
    with pytest.raises(CardError, match="not by this key"):
        verify(TOKENS["wrong_certificate"])
