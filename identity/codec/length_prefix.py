"""Length-prefixed concatenation: no two lists of parts give the same bytes (WIRE, first section)."""

from identity.errors import EncodingError

MAX_PART_BYTES = 0xFFFF
"""What the 2-byte prefix can say."""


def prefixed(*parts: str | bytes) -> bytes:
    """Each part behind its length in 2 bytes, big-endian. Text counts as its UTF-8 bytes."""
    out = bytearray()
    for part in parts:
        raw = part.encode("utf-8") if isinstance(part, str) else part
        if len(raw) > MAX_PART_BYTES:
            raise EncodingError(f"length prefix: a part has {len(raw)} bytes, at most {MAX_PART_BYTES} fit")
        out += len(raw).to_bytes(2, "big") + raw
    return bytes(out)
