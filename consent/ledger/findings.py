"""What an audit looks for, how often it looked, and what it found."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MAX_FINDINGS = 200
"""Kept word by word; beyond them a log is as wrong as it can be, and the rest is only counted."""


class Invariant(StrEnum):
    """DESIGN §8, WIRE C6: what the public log can show."""

    TREE = "tree"
    """Every entry stands in its tile, every tile under the signed root."""
    CONTINUATION = "continuation"
    """Every checkpoint seen earlier is the beginning of this log."""
    PERIODS = "periods"
    """A log begins with the end of the period before it."""
    FORM = "form"
    """A leaf has 80 bytes, a known kind and no bit without a meaning."""
    EMPTY_FIELDS = "empty-fields"
    """What has no meaning for a kind is zero."""
    MINUTES = "minutes"
    """Minutes never fall, and are not ahead of the auditor's clock."""
    WITNESS_TIMES = "witness-times"
    """A minute lies between the times at which the checkpoints before and behind it were seen."""
    BEGINNING = "beginning"
    """The first record of a grant is its giving, and there is one."""
    COUNTER = "counter"
    """A grant's records are numbered without gaps; others are not numbered."""
    SAME_PARTIES = "same-parties"
    """A grant's records name its service and its purpose."""
    ENDING = "ending"
    """After withdrawal, revocation or expiry nothing but refusals and erasure."""
    PAUSE = "pause"
    """No use between a pause and the next resume."""
    ATTRIBUTES = "attributes"
    """A use takes something, and nothing that was not permitted at that moment."""
    NARROWING = "narrowing"
    """A change of a grant never widens it."""
    MAX_USES = "max-uses"
    """No more uses than were permitted."""
    END_DAY = "end-day"
    """No use after the last day."""
    DENIES = "denies"
    """Of a grant's refusals at most one an hour is a leaf."""
    NUMBERS = "numbers"
    """A number that a leaf bears is published, and never comes to mean somebody else."""
    PROMISES = "promises"
    """By its time, what a log promise names is in the log."""
    WITNESSES = "witnesses"
    """The checkpoint carries the cosignatures that the auditor asked for."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation. ``code`` names the sentence that tells it; ``found`` and ``expected`` are its values."""

    invariant: Invariant
    code: str
    origin: str
    leaf_index: int | None
    found: int | str
    expected: int | str


@dataclass(slots=True)
class Tally:
    """Counts of one audit; ``origin`` is the log being read."""

    origin: str = ""
    checked: Counter[Invariant] = field(default_factory=Counter)
    violations: Counter[Invariant] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)

    def check(
        self,
        invariant: Invariant,
        holds: bool,
        code: str,
        leaf_index: int | None,
        found: int | str,
        expected: int | str,
    ) -> bool:
        """Counts one check, notes a violation, and returns whether it holds."""
        self.checked[invariant] += 1
        if not holds:
            self.fail(invariant, code, leaf_index, found, expected)
        return holds

    def fail(
        self, invariant: Invariant, code: str, leaf_index: int | None, found: int | str, expected: int | str
    ) -> None:
        """Notes a violation; that it was looked for is counted elsewhere."""
        self.violations[invariant] += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(invariant, code, self.origin, leaf_index, found, expected))

    def counts(self) -> Mapping[Invariant, tuple[int, int]]:
        """Per invariant: checks, violations."""
        return {invariant: (self.checked[invariant], self.violations[invariant]) for invariant in Invariant}
