"""What is written as TOML is read back as it was."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atorga.town import toml_text

NAMES = st.text(min_size=1, max_size=12, alphabet=st.characters(exclude_categories=["Cs", "Cc"]))
PLAIN = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.text(alphabet=st.characters(exclude_categories=["Cs"]))
)
VALUES = st.recursive(
    st.dictionaries(NAMES, st.one_of(PLAIN, st.lists(PLAIN, max_size=4)), max_size=4),
    lambda inner: st.dictionaries(NAMES, st.one_of(PLAIN, inner), max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_round_trip(values: dict[str, Any]) -> None:
    assert tomllib.loads(toml_text.format(values)) == values


def test_none_is_left_out_and_the_unknown_refused() -> None:
    assert tomllib.loads(toml_text.format({"a": None, "b": 1})) == {"b": 1}
    with pytest.raises(TypeError, match="set"):
        toml_text.format({"a": {1, 2}})
