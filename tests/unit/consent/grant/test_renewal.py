"""A renewal is known by what it is about, never by its id."""

from dataclasses import replace
from typing import Any

import pytest

from consent.grant.lifecycle import Given, RenewedGiven
from consent.grant.renewal import Agreement, predecessor, state_of

NEW = Agreement("g9", "service", "holder", "rent-subsidy", "p", "rent@2", 900)
OLD = replace(NEW, grant_id="g1", declaration="rent@1", issued=100)


def test_the_newest_earlier_one_for_the_same_procedure() -> None:
    later = replace(OLD, grant_id="g2", issued=200)
    assert predecessor(NEW, [OLD, later]) == later
    assert isinstance(state_of(NEW, [OLD]), RenewedGiven)


def test_another_purpose_for_the_same_procedure_is_a_renewal_that_changed() -> None:
    assert predecessor(NEW, [replace(OLD, purpose="other")]) is not None


@pytest.mark.parametrize(
    "changes", [{"service": "x"}, {"holder": "x"}, {"procedure": "x"}, {"issued": 900}, {"grant_id": "g9"}]
)
def test_what_is_about_something_else_is_none(changes: dict[str, Any]) -> None:
    assert predecessor(NEW, [replace(OLD, **changes)]) is None
    assert type(state_of(NEW, [replace(OLD, **changes)])) is Given
