"""A disclosure: salt, claim name (of an object property only) and value (RFC 9901 section 4.2)."""

from json.encoder import encode_basestring as quote
from typing import Any, NamedTuple

from identity.codec import base64url, strict_json
from identity.errors import EncodingError, SdJwtError
from identity.formats.sd_jwt.spec import HASHES

_ARITIES = (2, 3)


class Disclosure(NamedTuple):
    """One disclosure as received; its digest is not yet known to be in any payload."""

    encoded: str
    name: str | None
    """None where it discloses an array element."""
    value: Any
    """May itself hold digests (section 4.2.6)."""


def encode_property(salt: str, name: str, value: Any) -> str:
    """Section 4.2.1. ``salt`` is base64url."""
    return base64url.encode(f'["{salt}",{quote(name)},{_json(value)}]'.encode())


def encode_element(salt: str, value: Any) -> str:
    """Section 4.2.2. ``salt`` is base64url."""
    return base64url.encode(f'["{salt}",{_json(value)}]'.encode())


def _json(value: Any) -> str:
    # Most values are texts, and a text needs no encoder: half the time of issuing.
    return quote(value) if isinstance(value, str) else strict_json.compact(value).decode("utf-8")


def decode(encoded: str) -> Disclosure:
    """Raises SdJwtError. Any JSON spelling is taken: the digest is over ``encoded`` as it stands."""
    try:
        parts = strict_json.parse(base64url.decode(encoded, what="disclosure"), what="disclosure")
    except EncodingError as fault:
        raise SdJwtError(f"SD-JWT: {fault}") from None
    if not isinstance(parts, list) or len(parts) not in _ARITIES:
        raise SdJwtError("SD-JWT: a disclosure must be an array of 2 or 3 elements")
    if not isinstance(parts[0], str):
        raise SdJwtError("SD-JWT: the salt of a disclosure must be a text")
    if len(parts) == 2:
        return Disclosure(encoded, None, parts[1])
    if not isinstance(parts[1], str):
        raise SdJwtError("SD-JWT: the claim name of a disclosure must be a text")
    return Disclosure(encoded, parts[1], parts[2])


def digest(encoded: str, sd_alg: str) -> str:
    """Section 4.2.3: over the ASCII characters of the disclosure, not over what they encode."""
    return base64url.encode(HASHES[sd_alg](encoded.encode("ascii")).digest())
