"""A changed purpose text: what needs a new consent, and how the change is shown."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.procedure.declaration import PurposeDeclaration
from consent.procedure.difference import Change, Piece, agreed_otherwise, difference, text_difference

AGREED = PurposeDeclaration(
    "urn:atorga:party:social-services", "rent", 1, "rent-subsidy", "p", ("a", "b"), ("h1", "h2"), "consent", 100,
    {"en": "We look at your income. We keep it for 90 days.", "ca": "Mirem els ingressos."}, False,
)  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [{"datatypes": ("a",)}, {"datatypes": ("b", "a")}, {"holders": ("h2",)}, {"retention_seconds": 99},
     {"sensitive": True}, {"version": 2}],
)  # fmt: skip
def test_needing_less_is_agreed_to(changes: dict[str, Any]) -> None:
    assert agreed_otherwise(AGREED, replace(AGREED, **changes)) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("procedure", "other"),
        ("purpose", "other"),
        ("legal_basis", "public-task"),
        ("notice", {"en": AGREED.notice["en"]}),
        ("notice", {**AGREED.notice, "ca": "Mirem els ingressos!"}),
        ("datatypes", ("a", "b", "c")),
        ("datatypes", ("a", "c")),
        ("holders", ("h1", "h3")),
        ("retention_seconds", 101),
    ],
)
def test_anything_else_is_another_agreement(name: str, value: Any) -> None:
    assert agreed_otherwise(AGREED, replace(AGREED, **{name: value})) == (name,)


def test_the_change_can_be_read() -> None:
    after = replace(
        AGREED, version=2, datatypes=("a", "c"), retention_seconds=200,
        notice={**AGREED.notice, "en": "We look at your whole income. We keep it for 2 years."},
    )  # fmt: skip
    found = difference(AGREED, after)
    assert found.members == ("datatypes", "retention_seconds", "notice")
    assert (found.attributes_added, found.attributes_removed) == (("c",), ("b",))
    assert found.retention_seconds == (100, 200)
    assert found.notice == {
        "en": (
            Piece(Change.SAME, "We look at your "),
            Piece(Change.ADDED, "whole "),
            Piece(Change.SAME, "income. We keep it for "),
            Piece(Change.REMOVED, "90 days."),
            Piece(Change.ADDED, "2 years."),
        )
    }


def test_nothing_changed() -> None:
    found = difference(AGREED, replace(AGREED, version=2))
    assert (found.members, found.notice) == ((), {})


def test_a_language_that_came_or_went() -> None:
    found = difference(AGREED, replace(AGREED, notice={"ca": "Mirem els ingressos.", "es": "Hola."}))
    assert found.notice == {
        "en": (Piece(Change.REMOVED, AGREED.notice["en"]),),
        "es": (Piece(Change.ADDED, "Hola."),),
    }


@given(st.text("ab \n", max_size=60), st.text("ab \n", max_size=60))
def test_both_texts_are_in_it(before: str, after: str) -> None:
    pieces = text_difference(before, after)
    assert "".join(one.text for one in pieces if one.change is not Change.ADDED) == before
    assert "".join(one.text for one in pieces if one.change is not Change.REMOVED) == after
