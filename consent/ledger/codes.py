"""Under which numbers a grant's leaves name its service and purpose (WIRE C6): their own, or their group's."""

import struct
from dataclasses import dataclass

_LAYOUT = struct.Struct(">IIB")


@dataclass(frozen=True, slots=True)
class Codes:
    """Service and purpose as in the grant's kind-3 leaf, and its flags; all its later leaves repeat them."""

    service: int
    purpose: int
    flags: int = 0

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Codes":
        return cls(*_LAYOUT.unpack(raw))

    def to_bytes(self) -> bytes:
        return _LAYOUT.pack(self.service, self.purpose, self.flags)
