"""JSON Canonicalization Scheme (RFC 8785)."""

from typing import Any

import rfc8785

from identity.errors import EncodingError


def canonicalize(value: Any) -> bytes:
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as fault:
        raise EncodingError(f"JCS: {fault}") from None
