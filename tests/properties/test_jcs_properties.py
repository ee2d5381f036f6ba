"""Our short way to canonical JSON and the library's: the same bytes, or the same refusal."""

from typing import Any

import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from identity.codec import jcs
from identity.errors import EncodingError

TEXTS = st.text(st.characters(exclude_categories=()), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**54), 2**54) | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_both_ways_write_the_same(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        expected = None
    try:
        found = jcs.canonicalize(value)
    except EncodingError:
        found = None
    assert found == expected


@given(st.dictionaries(st.text(max_size=4), st.text() | st.integers(-(2**53) + 1, 2**53 - 1), max_size=6))
def test_names_are_in_order_of_their_code_units(value: dict[str, Any]) -> None:
    assert jcs.canonicalize(value) == rfc8785.dumps(value)
