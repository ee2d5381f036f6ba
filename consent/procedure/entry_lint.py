"""What an entry of the catalogue must hold to, beyond its form (``entry.py``): as little as is enough.

1. Few attributes, and none that another one already tells: no category stands above another's.
2. A band or a yes or no wherever the figure is not needed.
3. Kept no longer than its basis lets one keep it.
4. Marked sensitive where it is about health, children or shelter, or takes data of that kind.
5. A notice that people can read, in each language.
"""

from collections.abc import Iterator

from consent.procedure import plain_language
from consent.procedure.entry import ProcedureEntry
from consent.procedure.vocabulary import PD, vocabulary

MAX_NEEDED = 8
"""A procedure that needs more is several."""

MAX_CONSENT_DAYS = 5 * 366
"""Longer than this nobody remembers what they allowed."""

COARSE_ONLY = frozenset(f"{PD}{name}" for name in ("Age", "AgeExact", "BirthDate", "Income", "Salary", "Tax"))
"""Data of which procedures need a limit, hardly ever the figure."""

SENSITIVE = frozenset(f"{PD}{name}" for name in ("Criminal", "Offspring", "School", "Sibling", "Vulnerability"))
"""Categories about children or people in need. What the GDPR calls special (health among it) counts in any case."""


def faults(entry: ProcedureEntry) -> Iterator[str]:
    """What is wrong with an entry, one sentence each."""
    yield from _more_than_enough(entry)
    # 3
    if entry.legal_basis == "consent" and entry.retention_days > MAX_CONSENT_DAYS:
        yield f"retention_days: {entry.retention_days}, with consent at most {MAX_CONSENT_DAYS}"
    # 4
    if not entry.sensitive and (entry.about or any(is_sensitive(one.category) for one in entry.attributes)):
        yield "sensitive: must be true, by what it is about or by what it takes"
    # 5
    for language, text in entry.notice.items():
        yield from (f"notice.{language}: {fault}" for fault in plain_language.faults(text, language))
    for attribute in entry.attributes:
        for language, text in attribute.reason.items():
            for fault in plain_language.faults(text, language):
                yield f"reason.{language} of {attribute.name}: {fault}"


def is_sensitive(category: str) -> bool:
    """Whether this category, or one above it, asks for more care than others."""
    found = vocabulary()
    return found.is_special(category) or bool(SENSITIVE & {category, *found.all_broader(category)})


def _more_than_enough(entry: ProcedureEntry) -> Iterator[str]:
    # 1
    if len(entry.attributes) > MAX_NEEDED:
        yield f"attributes: {len(entry.attributes)}, at most {MAX_NEEDED} are minimal"
    for one in entry.attributes:
        for other in entry.attributes:
            if other.category in vocabulary().all_broader(one.category):
                yield f"attributes: {other.name} is of a wider category than {one.name}, which it would tell as well"
    # 2
    for one in entry.attributes:
        if one.resolution == "raw" and one.category in COARSE_ONLY:
            yield f"attributes: {one.name} is asked for as it is, where a band or a yes or no is enough"
