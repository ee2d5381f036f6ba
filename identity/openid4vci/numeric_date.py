"""NumericDate (RFC 7519 section 2): seconds since 1970, and not always whole ones."""

from collections.abc import Mapping
from typing import Any

from identity.codec.members import MAX_INTEGER
from identity.errors import EncodingError


def read(claims: Mapping[str, Any], name: str, *, what: str) -> float:
    """Raises EncodingError."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise EncodingError(f"{what}: {name!r} must be a NumericDate")
    # Before any arithmetic: an integer of a thousand digits is no float.
    if not 0 <= value <= MAX_INTEGER:
        raise EncodingError(f"{what}: {name!r} is no time of ours")
    return float(value)
