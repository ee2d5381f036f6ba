"""JSON that two parsers could read differently is refused."""

import json

import pytest

from identity.codec import strict_json
from identity.errors import EncodingError


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":2}',
        '{"a":{"b":1,"b":1}}',
        '[{"a":1,"\\u0061":2}]',
        '{"a":NaN}',
        '{"a":-Infinity}',
        '{"a":1e999}',
        '{"a":1}{}',
        "{'a':1}",
        '{"a":"\\ud800"}',
        "",
        "1" * 5000,
        "[" * 33 + "]" * 33,
        '{"a":' * 40 + "1" + "}" * 40,
        "[" * 30_000 + "]" * 30_000,
    ],
)
def test_refused(text: str) -> None:
    for data in (text, text.encode()):
        with pytest.raises(EncodingError, match=r"^the text: "):
            strict_json.parse(data, what="the text")


def test_not_utf8() -> None:
    with pytest.raises(EncodingError):
        strict_json.parse(b'{"a":"\xff"}', what="the text")


def test_lone_surrogate_in_text() -> None:
    with pytest.raises(EncodingError):
        strict_json.parse('"\ud800"', what="the text")


def test_size_limit() -> None:
    assert strict_json.parse(b"[1]", what="x", max_bytes=3) == [1]
    with pytest.raises(EncodingError, match="at most 2"):
        strict_json.parse(b"[1]", what="x", max_bytes=2)


def test_depth_limit_is_exact() -> None:
    nested = json.loads("[" * 5 + "]" * 5)
    assert strict_json.parse("[" * 5 + "]" * 5, what="x", max_depth=5) == nested
    with pytest.raises(EncodingError, match="nested too deeply"):
        strict_json.parse("[" * 6 + "]" * 6, what="x", max_depth=5)


def test_error_does_not_quote_the_text() -> None:
    with pytest.raises(EncodingError) as caught:
        strict_json.parse('{"secret-name":1,"secret-name":2}', what="x")
    assert "secret" not in str(caught.value)


def test_surrogate_pair_and_round_trip() -> None:
    assert strict_json.parse('"\\ud83d\\ude00"', what="x") == "😀"
    assert strict_json.compact({"b": "ñ", "a": [1, None]}) == '{"b":"ñ","a":[1,null]}'.encode()


def test_object_expected() -> None:
    with pytest.raises(EncodingError, match="object"):
        strict_json.parse_object("[]", what="x")
