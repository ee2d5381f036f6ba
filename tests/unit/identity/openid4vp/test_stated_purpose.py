"""What a verifier says that it asks for: strict where it is ours, passed over where it is not, never a stranger's."""

from typing import Any

import pytest

from identity.errors import EncodingError
from identity.openid4vp import stated_purpose
from identity.openid4vp.stated_purpose import FORMAT, StatedPurpose

STATED = StatedPurpose("rent-subsidy", {"es": "Para la ayuda", "en": "For the subsidy"})
DATA = {"procedure": "rent-subsidy", "purpose": {"en": "For the subsidy"}}


def info(**change: Any) -> dict[str, Any]:
    return {"verifier_info": [{"format": FORMAT, "data": DATA | change}]}


def test_round_trip() -> None:
    assert stated_purpose.parse({"verifier_info": stated_purpose.format(STATED)}) == STATED


def test_nothing_is_stated() -> None:
    assert stated_purpose.parse({}) is None


def test_entries_of_others_are_passed_over() -> None:
    other = {"format": "jwt", "data": "eyJ", "credential_ids": ["q"]}
    assert stated_purpose.parse({"verifier_info": [other]}) is None
    assert stated_purpose.parse({"verifier_info": [other, *stated_purpose.format(STATED)]}) == STATED


@pytest.mark.parametrize(
    ("claims", "why"),
    [
        ({"verifier_info": []}, "a list of 1 to 16"),
        ({"verifier_info": {}}, "a list of 1 to 16"),
        ({"verifier_info": [{"format": "jwt", "data": ""}] * 17}, "a list of 1 to 16"),
        ({"verifier_info": ["text"]}, "must be an object"),
        ({"verifier_info": [{"data": DATA}]}, "'format' must be a text"),
        ({"verifier_info": [{"format": FORMAT, "data": "text"}]}, "'data' must be an object"),
        (info(more=1), "unknown member"),
        (info(purpose={}), "1 to 16 languages"),
        (info(purpose={f"l{number}": "x" for number in range(17)}), "1 to 16 languages"),
        (info(purpose={"en": "x" * 301}), "at most 300"),
        (info(purpose={"en": 7}), "must be a text"),
        (info(procedure="x" * 65), "at most 64"),
    ],
)
def test_what_is_refused(claims: dict[str, Any], why: str) -> None:
    with pytest.raises(EncodingError, match=why):
        stated_purpose.parse(claims)
