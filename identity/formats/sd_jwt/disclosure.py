"""A disclosure: salt, claim name (of an object property only) and value (RFC 9901 section 4.2)."""

from typing import Any, NamedTuple

from identity.codec import base64url, strict_json
from identity.errors import EncodingError, SdJwtError
from identity.formats.sd_jwt.spec import HASHES, MAX_BYTES, MAX_DEPTH


class Disclosure(NamedTuple):
    """One disclosure as received; its digest is not yet known to be in any payload."""

    encoded: str
    name: str | None
    """None where it discloses an array element."""
    value: Any
    """May itself hold digests (section 4.2.6)."""


def encode_property(salt: str, name: str, value: Any) -> str:
    """Section 4.2.1."""
    return base64url.encode(strict_json.compact([salt, name, value]))


def encode_element(salt: str, value: Any) -> str:
    """Section 4.2.2."""
    return base64url.encode(strict_json.compact([salt, value]))


def decode(encoded: str) -> Disclosure:
    """Raises SdJwtError. Any JSON spelling is taken: the digest is over ``encoded`` as it stands."""
    try:
        text = base64url.decode(encoded, what="disclosure")
        parts = strict_json.parse(text, what="disclosure", max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
    except EncodingError as fault:
        raise SdJwtError(f"SD-JWT: {fault}") from None
    if not isinstance(parts, list) or len(parts) not in (2, 3):
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
