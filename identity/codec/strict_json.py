"""JSON (RFC 8259), read strictly.

Two parsers that disagree about one text are a hole: duplicate members, NaN, numbers beyond a
double, lone surrogates, trailing text and deep nesting are refused.
"""

import json
from math import isinf
from typing import Any, NoReturn

from identity.errors import EncodingError

MAX_BYTES = 65_536
"""WIRE: bodies are at most 64 KiB unless a message says otherwise."""

MAX_DEPTH = 32
"""Deeper than any message of the specifications we speak; far from Python's recursion limit."""


def parse(data: bytes | str, *, what: str, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """The value of one JSON text.

    ``what`` names the text in errors. Raises EncodingError, whose message never quotes the text.
    """
    if len(data) > max_bytes:
        raise EncodingError(f"{what}: {len(data)} bytes, at most {max_bytes} are read")
    try:
        # A str may hold half of a surrogate pair, which no UTF-8 text can carry on.
        text = data.decode("utf-8") if isinstance(data, bytes) else data.encode("utf-8").decode("utf-8")
        text = text.strip(_WHITE_SPACE)
        value, end = _DECODER.raw_decode(text)
        if end != len(text):
            raise EncodingError("text after the value")
        # Where there are fewer brackets than levels allowed, nothing can be nested too deeply.
        if text.count("[") + text.count("{") > max_depth:
            _check_depth(value, max_depth)
        if "\\u" in text:
            # An escape can spell half of a pair as well.
            _ENCODER.encode(value).encode("utf-8")
    except EncodingError as fault:
        raise EncodingError(f"{what}: {fault}") from None
    except (ValueError, RecursionError):
        # ValueError: JSONDecodeError, UnicodeError, and integers of more than 4,300 digits
        raise EncodingError(f"{what}: not one JSON text in UTF-8") from None
    return value


def parse_object(
    data: bytes | str, *, what: str, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH
) -> dict[str, Any]:
    value = parse(data, what=what, max_bytes=max_bytes, max_depth=max_depth)
    if not isinstance(value, dict):
        raise EncodingError(f"{what}: a JSON object was expected")
    return value


def compact(value: Any) -> bytes:
    """JSON without spaces in UTF-8, members in the order given. Not canonical: see ``jcs``."""
    return _ENCODER.encode(value).encode("utf-8")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EncodingError("an object has a member twice")
    return members


def _constant(_: str) -> NoReturn:
    raise EncodingError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise EncodingError("a number is beyond the range of a double")
    return number


def _check_depth(value: Any, remaining: int) -> None:
    if isinstance(value, dict):
        children: Any = value.values()
    elif isinstance(value, list):
        children = value
    else:
        return
    if remaining == 0:
        raise EncodingError("nested too deeply")
    for child in children:
        if isinstance(child, dict | list):
            _check_depth(child, remaining - 1)


_WHITE_SPACE = " \t\n\r"
"""RFC 8259 section 2; Python would strip more."""

# Made once: making them costs more than reading a disclosure.
_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_constant, parse_float=_finite)
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
