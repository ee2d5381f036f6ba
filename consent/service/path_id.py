"""Ids in addresses: 16 bytes in their one spelling, or nothing we know."""

from identity.codec import base64url
from identity.codec.members import IDENTIFIER_BYTES
from identity.errors import EncodingError


def path_id(text: str) -> bytes | None:
    """The id's bytes; None for a text that is no id, which names nothing here."""
    try:
        value = base64url.decode(text)
    except EncodingError:
        return None
    return value if len(value) == IDENTIFIER_BYTES else None
