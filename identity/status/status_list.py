"""The list itself: statuses of 1, 2, 4 or 8 bits in a byte array, compressed with zlib (section 4.1)."""

import zlib

from identity.errors import EncodingError

ALLOWED_BITS = (1, 2, 4, 8)

MAX_BYTES = 4 * 2**20
"""Open, that is 2^25 entries of one bit. A list of a few kB can unfold to gigabytes."""

LEVEL = 9
"""Section 4.1 step 4: the highest compression level."""


class StatusList:
    """Statuses by index. The size is what fills whole bytes (section 13.4: a list should)."""

    def __init__(self, bits: int, size: int) -> None:
        _require_bits(bits)
        if size < 1 or size * bits % 8 or size * bits // 8 > MAX_BYTES:
            raise EncodingError(f"status list: {size} entries of {bits} bits do not fill 1 to {MAX_BYTES} whole bytes")
        self.bits = bits
        self._bytes = bytearray(size * bits // 8)

    @classmethod
    def from_bytes(cls, raw: bytes, bits: int) -> "StatusList":
        _require_bits(bits)
        made = cls(bits, len(raw) * 8 // bits)
        made._bytes[:] = raw
        return made

    @classmethod
    def from_compressed(cls, data: bytes, bits: int, max_bytes: int = MAX_BYTES) -> "StatusList":
        """The list that ``lst`` holds. Raises EncodingError, also where it would unfold beyond ``max_bytes``."""
        inflater = zlib.decompressobj()
        try:
            raw = inflater.decompress(data, max_bytes + 1)
        except zlib.error:
            raise EncodingError("status list: not in ZLIB format") from None
        if len(raw) > max_bytes:
            raise EncodingError(f"status list: unfolds to more than {max_bytes} bytes")
        # The checksum is compared at the end of the stream only.
        if not inflater.eof or inflater.unused_data:
            raise EncodingError("status list: cut off, or with bytes after its end")
        return cls.from_bytes(raw, bits)

    def __len__(self) -> int:
        return len(self._bytes) * 8 // self.bits

    def __bytes__(self) -> bytes:
        return bytes(self._bytes)

    def get(self, index: int) -> int:
        """Raises EncodingError outside the list: no statement can be made there (section 8.3)."""
        place, shift = self._place(index)
        return self._bytes[place] >> shift & self._mask

    def set(self, index: int, value: int) -> None:
        place, shift = self._place(index)
        if not 0 <= value <= self._mask:
            raise EncodingError(f"status list: {value} does not fit into {self.bits} bits")
        self._bytes[place] = self._bytes[place] & ~(self._mask << shift) | value << shift

    def compress(self) -> bytes:
        return zlib.compress(self._bytes, LEVEL)

    @property
    def _mask(self) -> int:
        return (1 << self.bits) - 1

    def _place(self, index: int) -> tuple[int, int]:
        """The byte, and how far from its least significant bit (section 4.1 step 3)."""
        if not 0 <= index < len(self):
            raise EncodingError(f"status list: the index is outside 0…{len(self) - 1}")
        place, rest = divmod(index * self.bits, 8)
        return place, rest

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StatusList) and self.bits == other.bits and self._bytes == other._bytes

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"StatusList({self.bits}, {len(self)})"


def _require_bits(bits: int) -> None:
    if bits not in ALLOWED_BITS or isinstance(bits, bool):
        raise EncodingError("status list: bits must be 1, 2, 4 or 8")
