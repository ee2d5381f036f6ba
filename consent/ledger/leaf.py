"""The leaf of the consent log (WIRE C6): 80 bytes, big-endian.

     0 version=1 | 1 kind | 2 flags | 3 zero | 4-19 id | 20-23 counter | 24-27 service
    28-31 purpose | 32-35 minute since 1970 | 36-43 attribute mask | 44-45 end day since 2020
    46-47 max uses | 48-79 commitment

It says who (a service's number) may do or did what for which purpose and when, to the minute; it
holds no attribute value, no hash of one, and nothing of the resident but a random grant id.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from consent.errors import LogError

LEAF_BYTES = 80
VERSION = 1
MAX_ATTRIBUTES = 64

DAY_ONLY = 1
"""Flag: the minute is the day's start."""
GROUPED = 2
"""Flag: service and purpose are group codes."""

END_DAY_EPOCH = 1_577_836_800
"""2020-01-01, from which end days count."""
DAY_SECONDS = 86_400

LAYOUT = struct.Struct(">BBBB16sIIIIQHH32s")


class Kind(IntEnum):
    REQUEST = 1
    REFUSE = 2
    GRANT = 3
    AMEND = 4
    PAUSE = 5
    RESUME = 6
    USE = 7
    DENY = 8
    WITHDRAW = 9
    REVOKE = 10
    EXPIRE = 11
    NOTICE = 12
    OPPOSE = 13
    ERASE = 14
    DECLARE = 15
    PREVIOUS = 16

    @property
    def word(self) -> str:
        """The kind as events and timelines name it."""
        return self.name.lower()


COUNTED = frozenset(
    {Kind.GRANT, Kind.AMEND, Kind.PAUSE, Kind.RESUME, Kind.USE, Kind.WITHDRAW, Kind.REVOKE, Kind.EXPIRE, Kind.ERASE}
)
"""Kinds whose counter is 1 (grant) or one more than the grant's last; 0 in all others."""


@dataclass(frozen=True, slots=True)
class Leaf:
    kind: Kind
    flags: int
    id: bytes
    counter: int
    service: int
    purpose: int
    minute: int
    mask: int
    end_day: int
    max_uses: int
    commitment: bytes

    @classmethod
    def from_bytes(cls, raw: bytes) -> "Leaf":
        """Raises LogError on another size, version, kind or flag."""
        if len(raw) != LEAF_BYTES:
            raise LogError(f"leaf: {len(raw)} bytes, expected {LEAF_BYTES}")
        version, kind, flags, zero, *rest = LAYOUT.unpack(raw)
        if version != VERSION:
            raise LogError(f"leaf: version {version}, expected {VERSION}")
        if kind not in _KINDS:
            raise LogError(f"leaf: kind {kind} does not exist")
        if flags & ~(DAY_ONLY | GROUPED) or zero:
            raise LogError("leaf: a bit is set that has no meaning")
        return cls(Kind(kind), flags, *rest)

    def to_bytes(self) -> bytes:
        try:
            return LAYOUT.pack(
                VERSION, self.kind, self.flags, 0, self.id, self.counter, self.service, self.purpose,
                self.minute, self.mask, self.end_day, self.max_uses, self.commitment,
            )  # fmt: skip
        except struct.error:
            raise LogError("leaf: a number is outside its field") from None

    @property
    def grouped(self) -> bool:
        """Service and purpose are group codes; the exact ones are in the commitment only."""
        return bool(self.flags & GROUPED)

    def at_minute(self, minute: int) -> "Leaf":
        """The leaf with the sequencer's minute; the day's start where the leaf says so."""
        if self.flags & DAY_ONLY:
            minute -= minute % (24 * 60)
        return replace(self, minute=minute)


_KINDS = frozenset(Kind)


def end_day(not_after: int) -> int:
    """The day, counted from 2020, in which ``not_after`` (NumericDate) lies; itself included."""
    return (not_after - END_DAY_EPOCH) // DAY_SECONDS


def mask_of(datatypes: Sequence[str], names: Sequence[str]) -> int:
    """Bit i is set where ``datatypes[i]`` is among ``names`` (WIRE C2: their order gives the bits)."""
    if len(datatypes) > MAX_ATTRIBUTES:
        raise LogError(f"attribute mask: {len(datatypes)} attributes, at most {MAX_ATTRIBUTES}")
    places = {name: place for place, name in enumerate(datatypes)}
    mask = 0
    for name in names:
        if name not in places:
            raise LogError("attribute mask: an attribute that was not asked for")
        mask |= 1 << places[name]
    return mask


def names_of(datatypes: Sequence[str], mask: int) -> tuple[str, ...]:
    """The attributes whose bits are set, in their order."""
    return tuple(name for place, name in enumerate(datatypes) if mask >> place & 1)
