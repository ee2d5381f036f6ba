"""Why a use is refused; and the explanation agrees with the row's own condition."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.grant.decision import GrantState, State, refusals
from consent.ledger import grants
from consent.ledger.grants import Entry, GrantBody, GrantStore, HotRow
from consent.ledger.requests import RequestStore
from consent.ledger.schema import open_engine, upgrade

NOW = 1_795_315_110
EMPTY = Entry(3, bytes(80), None)


def state(**changes: Any) -> GrantState:
    values: dict[str, Any] = {
        "state": State.GIVEN, "purpose": "p", "active": frozenset({"a", "b"}), "not_before": NOW - 10,
        "not_after": NOW + 10, "uses": 0, "max_uses": 0, "window_start": 0, "window_uses": 0, "window_max": 0,
        "window_seconds": 0,
    }  # fmt: skip
    return GrantState(**values | changes)


def codes(grant: GrantState, *, purpose: str = "p", attributes: tuple[str, ...] = ("a",), now: int = NOW) -> list[str]:
    return [reason.code for reason in refusals(grant, purpose=purpose, attributes=attributes, now=now)]


def test_nothing_against_it() -> None:
    assert codes(state()) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"state": State.PAUSED}, ["paused"]),
        ({"state": State.WITHDRAWN, "active": frozenset()}, ["withdrawn"]),
        ({"state": State.REVOKED, "active": frozenset()}, ["revoked"]),
        ({"state": State.EXPIRED, "not_after": NOW}, ["expired"]),
        ({"state": State.INVALIDATED}, ["invalidated"]),
        ({"state": State.ERASED}, ["withdrawn"]),
        ({"not_before": NOW + 1}, ["not_yet_valid"]),
        ({"not_before": NOW}, []),
        ({"not_after": NOW}, ["expired"]),
        ({"not_after": NOW + 1}, []),
        ({"purpose": "other"}, ["other_purpose"]),
        ({"active": frozenset({"b"})}, ["attribute_not_granted"]),
        ({"max_uses": 2, "uses": 1}, []),
        ({"max_uses": 2, "uses": 2}, ["max_uses"]),
        ({"window_max": 1, "window_seconds": 10, "window_uses": 1, "window_start": NOW - 9}, ["frequency"]),
        ({"window_max": 1, "window_seconds": 10, "window_uses": 1, "window_start": NOW - 10}, []),
        ({"state": State.PAUSED, "not_after": NOW, "purpose": "x"}, ["paused", "expired", "other_purpose"]),
    ],
)
def test_reasons(changes: dict[str, Any], expected: list[str]) -> None:
    assert codes(state(**changes)) == expected


def test_each_refused_attribute_is_named() -> None:
    found = refusals(state(), purpose="p", attributes=("a", "x", "y"), now=NOW)
    assert [(reason.code, reason.attribute) for reason in found] == [
        ("attribute_not_granted", "x"),
        ("attribute_not_granted", "y"),
    ]


@settings(max_examples=200, deadline=None)
@given(
    status=st.sampled_from(list(State)),
    active=st.integers(0, 3),
    asked=st.integers(1, 3),
    not_before=st.integers(NOW - 2, NOW + 1),
    not_after=st.integers(NOW, NOW + 2),
    purpose=st.sampled_from([1, 2]),
    limits=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    window=st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(1, 5), st.integers(NOW - 5, NOW)),
)
def test_it_agrees_with_the_row(
    status: State, active: int, asked: int, not_before: int, not_after: int, purpose: int,
    limits: tuple[int, int], window: tuple[int, int, int, int],
) -> None:  # fmt: skip
    """The conditional UPDATE and the pure function give one answer for any state."""
    uses, max_uses = limits
    window_uses, window_max, window_seconds, window_start = window
    names = ("a", "b")
    row = HotRow(
        bytes(16), 1, 1, 1, purpose, int(status), active, not_before, not_after, 1, 0, uses, max_uses,
        window_start - grants.WINDOW_EPOCH, window_uses, window_max, window_seconds, 0,
    )  # fmt: skip
    explained = refusals(
        GrantState(
            status, str(purpose), frozenset(name for bit, name in enumerate(names) if active >> bit & 1), not_before,
            not_after, uses, max_uses, window_start, window_uses, window_max, window_seconds,
        ),
        purpose="1",
        attributes=[name for bit, name in enumerate(names) if asked >> bit & 1],
        now=NOW,
    )  # fmt: skip
    with TemporaryDirectory() as folder:
        engine = open_engine(f"sqlite:///{Path(folder) / 'db'}")
        upgrade(engine)
        RequestStore(engine).add(bytes(16), service=1, jws="", expires=NOW + 1, mailbox=None, entry=EMPTY)
        store = GrantStore(engine)
        body = GrantBody("", "", "", bytes(32), "{}", None, None)
        store.give(row, body, request_id=bytes(16), now=NOW, make_entry=lambda _: EMPTY)
        used = store.use(
            bytes(16), service=1, holder=1, purpose=1, mask=asked, now=NOW, jti=bytes(16), request_hash=b"",
            expires=NOW, make_entry=lambda _: EMPTY,
        )  # fmt: skip
        engine.dispose()
    assert (used is not None) == (not explained), (row, explained)
