"""What a newer version of a purpose declaration says otherwise (DESIGN §7: a changed text needs a new consent).

Needing less is covered by what was agreed to: fewer attributes, a shorter time. Anything else is
another agreement, and a grant for the older version is none for the newer one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from enum import StrEnum
from itertools import groupby

from consent.procedure.declaration import MAX_NOTICE, PurposeDeclaration

MAX_PIECES = MAX_NOTICE
"""Words and spaces of one text that are compared: a text has no more letters."""


class Change(StrEnum):
    SAME = "same"
    ADDED = "added"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of words, with the space behind each. All that are not REMOVED make the new text, all not ADDED the old."""

    change: Change
    text: str


@dataclass(frozen=True, slots=True)
class Difference:
    """Between two versions, as a resident reads it. Empty where nothing changed."""

    members: tuple[str, ...]
    """Names of what differs: ``procedure``, ``purpose``, ``datatypes``, …, in the order of the declaration."""
    attributes_added: tuple[str, ...]
    attributes_removed: tuple[str, ...]
    retention_seconds: tuple[int, int] | None
    notice: dict[str, tuple[Piece, ...]]
    """Language → the text with what was added and removed; only languages that changed."""


_COMPARED = ("procedure", "purpose", "datatypes", "holders", "legal_basis", "retention_seconds", "notice", "sensitive")


def agreed_otherwise(agreed: PurposeDeclaration, newest: PurposeDeclaration) -> tuple[str, ...]:
    """What of the newest version the resident did not agree to; empty = the consent carries it too."""
    found = []
    for name in ("procedure", "purpose", "legal_basis", "notice"):
        if getattr(agreed, name) != getattr(newest, name):
            found.append(name)
    for name in ("datatypes", "holders"):
        if set(getattr(newest, name)) - set(getattr(agreed, name)):
            found.append(name)
    if newest.retention_seconds > agreed.retention_seconds:
        found.append("retention_seconds")
    return tuple(found)


def difference(before: PurposeDeclaration, after: PurposeDeclaration) -> Difference:
    """For the screen: everything that differs, also what only became less."""
    languages = sorted(before.notice.keys() | after.notice.keys())
    texts = {one: (before.notice.get(one, ""), after.notice.get(one, "")) for one in languages}
    return Difference(
        members=tuple(name for name in _COMPARED if getattr(before, name) != getattr(after, name)),
        attributes_added=tuple(one for one in after.datatypes if one not in before.datatypes),
        attributes_removed=tuple(one for one in before.datatypes if one not in after.datatypes),
        retention_seconds=None
        if before.retention_seconds == after.retention_seconds
        else (before.retention_seconds, after.retention_seconds),
        notice={one: text_difference(old, new) for one, (old, new) in texts.items() if old != new},
    )


def text_difference(before: str, after: str) -> tuple[Piece, ...]:
    """Word by word; what was removed stands before what was added in its place."""
    old, new = _words(before), _words(after)
    # Without heuristics about frequent words: a notice is short, and "not" is frequent.
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    pieces: list[Piece] = []
    for tag, i, j, k, m in matcher.get_opcodes():
        if tag == "equal":
            pieces.append(Piece(Change.SAME, "".join(old[i:j])))
            continue
        if i < j:
            pieces.append(Piece(Change.REMOVED, "".join(old[i:j])))
        if k < m:
            pieces.append(Piece(Change.ADDED, "".join(new[k:m])))
    return tuple(_joined(pieces))


def _joined(pieces: list[Piece]) -> Iterator[Piece]:
    for change, run in groupby(pieces, key=lambda piece: piece.change):
        yield Piece(change, "".join(piece.text for piece in run))


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*|\s+", text)[:MAX_PIECES]
