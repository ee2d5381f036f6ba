"""Which witnesses must have cosigned a checkpoint (C2SP tlog-policy): k of n, or groups of such groups."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from consent.errors import LogError
from consent.log import note
from consent.log.note import NoteKey, UnverifiedNote


@dataclass(frozen=True, slots=True)
class Rule:
    """``threshold`` of its members: names of witnesses, or further rules."""

    threshold: int
    members: "tuple[str | Rule, ...]"

    def __post_init__(self) -> None:
        if not 1 <= self.threshold <= len(self.members):
            raise LogError(f"quorum: {self.threshold} of {len(self.members)} members cannot be met or says nothing")

    def met_by(self, names: Collection[str]) -> bool:
        found = (one.met_by(names) if isinstance(one, Rule) else one in names for one in self.members)
        return sum(found) >= self.threshold

    @property
    def fewest(self) -> int:
        """How many witnesses may be enough."""
        costs = sorted(one.fewest if isinstance(one, Rule) else 1 for one in self.members)
        return sum(costs[: self.threshold])

    def names(self) -> list[str]:
        """The witnesses it counts, each as often as it stands there."""
        return [name for one in self.members for name in (one.names() if isinstance(one, Rule) else [one])]


@dataclass(frozen=True, slots=True)
class Quorum:
    """``threshold`` of these witnesses, or what ``rule`` says of their key names; then ``threshold`` is the
    fewest that may be enough. An empty one cannot be made: "not witnessed" is no quorum."""

    witnesses: tuple[NoteKey, ...]
    threshold: int
    rule: Rule | None = None

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
        return self.met_by(self.times(signed))

    def met_by(self, names: Collection[str]) -> bool:
        """Whether these witnesses, by their key names, are enough."""
        if self.rule is not None:
            return self.rule.met_by(names)
        return sum(key.name in names for key in self.witnesses) >= self.threshold

    def needs_one_of(self, names: Collection[str]) -> bool:
        """Whether it cannot be met without one of these: a log's own witnesses alone say nothing (DESIGN §8)."""
        return not self.met_by({key.name for key in self.witnesses} - set(names))
