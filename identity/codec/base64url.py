"""base64url without padding (RFC 4648 section 5, RFC 7515 section 2), canonical only.

Python's decoder takes padding, foreign characters and non-zero unused bits; then one value has
several spellings, and an identifier compared as text is no identifier. Here one value has one.
"""

from binascii import Error, a2b_base64, b2a_base64

from identity.errors import EncodingError

_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")
"""What only the other alphabet has, and padding, become what no alphabet has."""

_PADDING = (b"", None, b"==", b"=")
_LAST = (None, None, frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))
"""By length modulo 4: the padding, and the last characters whose unused bits are zero."""


def encode(value: bytes) -> str:
    return b2a_base64(value, newline=False).rstrip(b"=").translate(_TO_URL).decode("ascii")


def decode(text: str, *, what: str = "value") -> bytes:
    """The bytes of ``text``; ``what`` names it in the EncodingError."""
    rest = len(text) % 4
    padding, last = _PADDING[rest], _LAST[rest]
    try:
        if padding is None:
            raise Error
        raw = text.encode("ascii")
        value = a2b_base64(raw.translate(_FROM_URL) + padding, strict_mode=True)
    except (UnicodeEncodeError, Error):
        raise EncodingError(f"{what}: not base64url") from None
    if last is not None and raw[-1] not in last:
        raise EncodingError(f"{what}: base64url is not canonical")
    return value
