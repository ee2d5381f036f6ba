"""base64url without padding (RFC 4648 section 5, RFC 7515 section 2), canonical only.

Python's decoder takes padding, foreign characters and non-zero unused bits; then one value has
several spellings, and an identifier compared as text is no identifier. Here one value has one.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

from identity.errors import EncodingError


def encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode("ascii")


def decode(text: str, *, what: str = "value") -> bytes:
    """The bytes of ``text``; ``what`` names it in the EncodingError."""
    try:
        raw = text.encode("ascii")
        value = urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error):
        raise EncodingError(f"{what}: not base64url") from None
    # Encoding again costs little and refuses in one step padding, the other alphabet, white space
    # and unused bits that are not zero.
    if urlsafe_b64encode(value).rstrip(b"=") != raw:
        raise EncodingError(f"{what}: base64url is not canonical")
    return value
