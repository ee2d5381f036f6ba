import pytest

from identity.codec import members
from identity.errors import EncodingError


def test_exact_members() -> None:
    members.exact_members({"a": 1, "b": 2}, what="m", required={"a"}, optional={"b"})
    with pytest.raises(EncodingError, match="'a' is missing"):
        members.exact_members({"b": 2}, what="m", required={"a"}, optional={"b"})
    with pytest.raises(EncodingError, match="unknown"):
        members.exact_members({"a": 1, "c": 2}, what="m", required={"a"}, optional={"b"})


@pytest.mark.parametrize("value", [None, True, "1", 1.0, -1, 2**53])
def test_integer_refuses(value: object) -> None:
    with pytest.raises(EncodingError):
        members.integer({"n": value}, "n", what="m")


@pytest.mark.parametrize("value", [None, "", 1, "x" * 5])
def test_text_refuses(value: object) -> None:
    with pytest.raises(EncodingError):
        members.text({"t": value}, "t", what="m", max_length=4)


@pytest.mark.parametrize("value", ["VwAgdSthQDVT519-GhRVeB", "AAAA", "VwAgdSthQDVT519-GhRVeA=="])
def test_identifier_refuses(value: str) -> None:
    with pytest.raises(EncodingError):
        members.identifier({"i": value}, "i", what="m")


def test_identifier_accepts_sixteen_bytes() -> None:
    assert members.identifier({"i": "hetJWJsSCNfOhDADSHxqnA"}, "i", what="m") == "hetJWJsSCNfOhDADSHxqnA"


@pytest.mark.parametrize("value", [None, [], ["a", "a"], ["a", 1], ["a", "b", "c"], "ab"])
def test_texts_refuses(value: object) -> None:
    with pytest.raises(EncodingError):
        members.texts({"l": value}, "l", what="m", max_count=2)
