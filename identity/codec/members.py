"""Reading the members of a parsed JSON object, strictly.

The strict parsers of messages are made of these: a member is of its type or the message is
refused. ``what`` names the message in the EncodingError.
"""

from collections.abc import Mapping, Set
from typing import Any

from identity.codec import base64url
from identity.errors import EncodingError

MAX_TEXT = 4_096
"""Characters. Longer texts (embedded JWS, proofs) name their own limit."""

MAX_INTEGER = 2**53 - 1
"""The largest integer every JSON reader agrees on (RFC 8259 section 6)."""

IDENTIFIER_BYTES = 16


def exact_members(obj: Mapping[str, Any], *, what: str, required: Set[str], optional: Set[str] = frozenset()) -> None:
    """Refuses a missing and an unknown member."""
    names = obj.keys()
    if missing := sorted(required - names):
        raise EncodingError(f"{what}: member {missing[0]!r} is missing")
    if unknown := names - required - optional:
        raise EncodingError(f"{what}: {len(unknown)} unknown member(s)")


def text(obj: Mapping[str, Any], name: str, *, what: str, max_length: int = MAX_TEXT) -> str:
    value = obj.get(name)
    if not isinstance(value, str) or not value:
        raise EncodingError(f"{what}: {name!r} must be a text")
    if len(value) > max_length:
        raise EncodingError(f"{what}: {name!r} has {len(value)} characters, at most {max_length} are read")
    return value


def integer(obj: Mapping[str, Any], name: str, *, what: str, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
    value = obj.get(name)
    # bool is an int in Python, not in JSON
    if not isinstance(value, int) or isinstance(value, bool):
        raise EncodingError(f"{what}: {name!r} must be an integer")
    if not minimum <= value <= maximum:
        raise EncodingError(f"{what}: {name!r} is outside {minimum}…{maximum}")
    return value


def boolean(obj: Mapping[str, Any], name: str, *, what: str) -> bool:
    value = obj.get(name)
    if not isinstance(value, bool):
        raise EncodingError(f"{what}: {name!r} must be true or false")
    return value


def identifier(obj: Mapping[str, Any], name: str, *, what: str) -> str:
    """An id: 16 bytes as b64. Returned as it stands, since its spelling is unique."""
    value = text(obj, name, what=what, max_length=22)
    if len(base64url.decode(value, what=f"{what}: {name!r}")) != IDENTIFIER_BYTES:
        raise EncodingError(f"{what}: {name!r} must be 16 bytes in base64url")
    return value


def digest(obj: Mapping[str, Any], name: str, *, what: str) -> str:
    """A SHA-256 value as b64."""
    value = text(obj, name, what=what, max_length=43)
    if len(base64url.decode(value, what=f"{what}: {name!r}")) != 32:
        raise EncodingError(f"{what}: {name!r} must be 32 bytes in base64url")
    return value


def mapping(obj: Mapping[str, Any], name: str, *, what: str) -> dict[str, Any]:
    value = obj.get(name)
    if not isinstance(value, dict):
        raise EncodingError(f"{what}: {name!r} must be an object")
    return value


def texts(
    obj: Mapping[str, Any], name: str, *, what: str, max_count: int, max_length: int = MAX_TEXT, min_count: int = 1
) -> tuple[str, ...]:
    """A list of texts, no one twice."""
    value = obj.get(name)
    if not isinstance(value, list) or not min_count <= len(value) <= max_count:
        raise EncodingError(f"{what}: {name!r} must be a list of {min_count} to {max_count} texts")
    for item in value:
        if not isinstance(item, str) or not item or len(item) > max_length:
            raise EncodingError(f"{what}: {name!r} must hold texts of 1 to {max_length} characters")
    if len(set(value)) != len(value):
        raise EncodingError(f"{what}: {name!r} names something twice")
    return tuple(value)
