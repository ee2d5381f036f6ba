"""An opposition names a purpose that somebody defined, or every purpose."""

from typing import Any

import pytest

from consent.errors import MessageError
from consent.grant.opposition import parse_opposition

BODY: dict[str, Any] = {"service": "urn:atorga:party:library", "purpose": None, "holder": None}


def test_every_purpose_or_one_of_dpv() -> None:
    assert parse_opposition(BODY).purpose is None
    assert parse_opposition(BODY | {"purpose": "https://w3id.org/dpv#PublicBenefit"}).purpose is not None


@pytest.mark.parametrize(
    "changes", [{"purpose": "https://w3id.org/dpv#Nothing"}, {"purpose": 1}, {"service": ""}, {"x": 1}]
)
def test_anything_else_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        parse_opposition(BODY | changes)
