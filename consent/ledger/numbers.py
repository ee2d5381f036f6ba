"""The numbers by which leaves name services, purposes and groups (WIRE C6, C13: ``GET /services``).

The log commits to numbers; what they mean is published beside it and could be changed there without a
trace. So an auditor keeps what it read: a number that means somebody else at a later visit is a finding.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import MessageError
from consent.ledger.findings import Invariant, Tally
from consent.signed_message import reading
from identity.codec import members, strict_json

MAX_NUMBERS_BYTES = 4_194_304
"""Some ten thousand parties and purposes."""

_WHAT = "published numbers"


@dataclass(frozen=True, slots=True)
class PublishedNumbers:
    """What is published now, and what each number meant at earlier visits."""

    services: Mapping[int, str]
    purposes: Mapping[int, str]
    groups: Mapping[int, str]
    """Group → its members, in one spelling."""
    before: "PublishedNumbers | None" = None

    def check(self, tally: Tally, named: Mapping[tuple[bool, int, int], int]) -> None:
        """Holds the numbers that leaves bear against the published ones, and those against the earlier ones."""
        for (grouped, service, purpose), index in named.items():
            services, purposes = (self.groups, self.groups) if grouped else (self.services, self.purposes)
            known = (not service or service in services) and (not purpose or purpose in purposes)
            tally.check(Invariant.NUMBERS, known, "number-not-published", index, f"{service}/{purpose}", "a number")
        if self.before is None:
            return
        for now, then in ((self.services, self.before.services), (self.purposes, self.before.purposes)):
            for number, meant in then.items():
                means = now.get(number, "")
                tally.check(Invariant.NUMBERS, means == meant, "number-renamed", None, f"{number}: {means}", meant)

    def remembering(self, before: "PublishedNumbers") -> "PublishedNumbers":
        """With the first meaning of every number."""
        return PublishedNumbers({**self.services, **before.services}, {**self.purposes, **before.purposes}, self.groups)

    def to_json(self) -> dict[str, Any]:
        return {
            "services": [{"id": name, "number": number} for number, name in self.services.items()],
            "purposes": [{"iri": name, "number": number} for number, name in self.purposes.items()],
            "groups": [
                {"number": number, **strict_json.parse_object(text, what=_WHAT, max_bytes=MAX_NUMBERS_BYTES)}
                for number, text in self.groups.items()
            ],
        }


def parse_numbers(content: bytes, before: PublishedNumbers | None = None) -> PublishedNumbers:
    """The answer of ``GET /services``. Raises MessageError."""
    with reading(_WHAT):
        value = strict_json.parse_object(content, what=_WHAT, max_bytes=MAX_NUMBERS_BYTES)
        members.exact_members(
            value, what=_WHAT, required=frozenset({"services", "purposes"}), optional=frozenset({"groups"})
        )
        return PublishedNumbers(
            _table(value["services"], "id"), _table(value["purposes"], "iri"), _groups(value.get("groups", [])), before
        )


def _table(rows: Any, name: str) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for row in _rows(rows):
        number = members.integer(row, "number", what=_WHAT, minimum=1)
        if number in found:
            raise MessageError(f"{_WHAT}: number {number} stands twice")
        found[number] = members.text(row, name, what=_WHAT, max_length=512)
    return found


def _groups(rows: Any) -> Mapping[int, str]:
    found: dict[int, str] = {}
    for row in _rows(rows):
        number = members.integer(row, "number", what=_WHAT, minimum=1)
        rest = {key: value for key, value in row.items() if key != "number"}
        found[number] = strict_json.compact(rest).decode()
    return found


def _rows(rows: Any) -> list[dict[str, Any]]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise MessageError(f"{_WHAT}: lists of objects are expected")
    return rows
