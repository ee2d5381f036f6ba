"""Which witnesses must have cosigned a checkpoint (C2SP tlog-policy: one group of k out of n)."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent.errors import LogError
from consent.log import note
from consent.log.note import NoteKey, UnverifiedNote


@dataclass(frozen=True, slots=True)
class Quorum:
    """``threshold`` of these witnesses. An empty one cannot be made: "not witnessed" is no quorum."""

    witnesses: tuple[NoteKey, ...]
    threshold: int

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.witnesses):
            raise LogError(f"quorum: {self.threshold} of {len(self.witnesses)} witnesses cannot be met or says nothing")
        if any(key.key_type != note.COSIGNATURE_V1 for key in self.witnesses):
            raise LogError("quorum: a witness key is a cosignature key (type 0x04)")
        # One key under two names is one witness: Ed25519 cosignatures do not commit to the name.
        keys, names = {key.public for key in self.witnesses}, {key.name for key in self.witnesses}
        if min(len(keys), len(names)) != len(self.witnesses):
            raise LogError("quorum: a witness is named twice")

    def times(self, signed: UnverifiedNote) -> Mapping[str, int]:
        """When each of these witnesses says it saw the checkpoint; those that have not cosigned are absent.

        Raises LogError where a known witness's cosignature is wrong (signed-note: such a note is malformed).
        """
        found = {key.name: note.verify_cosignature(signed, key) for key in self.witnesses}
        return {name: time for name, time in found.items() if time}

    def met(self, signed: UnverifiedNote) -> bool:
        return len(self.times(signed)) >= self.threshold
