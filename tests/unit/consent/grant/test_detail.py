"""C2's detail object, read strictly: each rule of its shape has the text that breaks it."""

import copy
from typing import Any

import pytest

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail, parse_details

VALUE: dict[str, Any] = {
    "type": "urn:atorga:attribute-consent:1",
    "locations": ["urn:atorga:party:hacienda"],
    "identifier": "rent-subsidy@1",
    "procedure": "rent-subsidy",
    "purpose": "https://w3id.org/dpv#PublicBenefit",
    "datatypes": ["income.band", "household.size"],
    "terms": {
        "income.band": {"resolution": "binned:eur-6", "optional": False},
        "household.size": {"resolution": "raw", "optional": True},
    },
    "level": "readable",
    "mode": "view",
    "fetch": "periodic",
    "frequency": {"max": 1, "seconds": 2_592_000},
    "max_uses": 3,
    "period": {"not_before": 1_795_311_816, "not_after": 1_803_087_816},
    "data_life_seconds": 7_776_000,
    "on_change": "ask",
}


def changed(path: str, to: Any) -> dict[str, Any]:
    value = copy.deepcopy(VALUE)
    *above, last = path.split("/")
    inside = value
    for name in above:
        inside = inside[name]
    inside[last] = to
    return value


def test_what_is_read_is_written_again() -> None:
    detail = AuthorizationDetail.parse(VALUE, what="detail")
    assert detail.to_json() == VALUE
    assert parse_details({"authorization_details": [VALUE]}, what="detail") == detail
    wider = VALUE | {"grantee": {"vct": "urn:atorga:accreditation:1", "accreditor": "urn:atorga:party:board"}}
    assert AuthorizationDetail.parse(wider, what="detail").to_json() == wider


@pytest.mark.parametrize(
    ("path", "to", "says"),
    [
        ("type", "urn:atorga:attribute-consent:2", "the type is not"),
        ("period/not_after", VALUE["period"]["not_before"], "ends before it begins"),
        ("period/not_after", 1, "'not_after' is outside"),
        ("grantee", {"vct": "x"}, "'accreditor' is missing"),
        ("grantee", {"vct": "x" * 257, "accreditor": "y"}, "'vct' has 257 characters"),
        ("grantee", None, "'grantee' must be an object"),
        ("level", "writable", "level must be one of"),
        ("mode", "sell", "mode must be one of"),
        ("fetch", "always", "fetch must be one of"),
        ("on_change", "ignore", "on_change must be one of"),
        ("terms", {}, "terms name no attribute"),
        ("terms", {"income.exact": {"resolution": "raw", "optional": True}}, "not among datatypes"),
        ("terms/income.band", {"resolution": "raw"}, "'optional' is missing"),
        ("locations", ["a", "b"], "list of 1 to 1"),
        ("frequency", {"max": 0, "seconds": 1}, "'max' is outside"),
        ("max_uses", 0, "'max_uses' is outside"),
        ("max_uses", 65_536, "'max_uses' is outside"),
        ("data_life_seconds", 0, "'data_life_seconds' is outside"),
    ],
)
def test_refused(path: str, to: Any, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        AuthorizationDetail.parse(changed(path, to), what="detail")


@pytest.mark.parametrize("value", [None, 7, "x", [], [VALUE]])
def test_no_object(value: Any) -> None:
    with pytest.raises(MessageError, match="is an object"):
        AuthorizationDetail.parse(value, what="detail")


@pytest.mark.parametrize("value", [None, {}, VALUE, [], [VALUE, VALUE]])
def test_exactly_one(value: Any) -> None:
    with pytest.raises(MessageError, match="exactly one object"):
        parse_details({"authorization_details": value}, what="detail")
