"""The timeline as a person reads it: who, what, why, on which basis, when, how much.

The shape is that of the Data Tracker of the Estonian state (receiver, action in plain words, time),
with what it leaves out: the purpose, the basis (a consent, or a law), how often of how many times,
and where in the public log anybody finds it. Uses under law stand beside uses under consent.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from consent.ledger.leaf import Kind
from wallet_cli.consents.entry import OFFICERS, Entry
from wallet_cli.consents.fitting import detail_of
from wallet_cli.consents.journal import Release
from wallet_cli.store.consents import HeldGrant

Basis = Literal["consent", "law", "officers"]

_KINDS = (Kind.USE, Kind.DENY, Kind.NOTICE)


@dataclass(frozen=True, slots=True)
class Usage:
    """One time that somebody read, or wanted to read."""

    entry: Entry
    basis: Basis
    reference: str
    """Of a consent, the grant's id; of a law, the declaration that names it."""
    law: Mapping[str, str]
    """The provision, by language; empty where it rests on consent, or nobody could tell."""
    purpose: str | None
    procedure: str | None
    released: bool | None
    """None where no journal speaks of it."""
    number: int | None
    """This was the n-th use of its grant."""
    limit: int | None

    @property
    def service(self) -> str:
        return self.entry.service

    @property
    def refused(self) -> bool:
        return self.entry.kind is Kind.DENY

    def to_json(self, name: Callable[[str], str]) -> dict[str, Any]:
        entry = self.entry
        return {
            "logtime": entry.time,
            "action": "refused" if self.refused else "read",
            "receiver": {"id": self.service, "name": name(self.service)},
            "what": list(entry.attributes),
            "why": {"purpose": self.purpose, "procedure": self.procedure},
            "basis": {"kind": self.basis, "reference": self.reference, "law": dict(self.law)},
            "how_much": {"attributes": len(entry.attributes), "use": self.number, "of": self.limit},
            "released": self.released,
            "late_seconds": entry.late_seconds,
            "id": entry.grant_id,
            "counter": entry.counter,
            "leaf_index": entry.leaf_index,
        }


@dataclass(frozen=True, slots=True)
class Total:
    """One service in one month of the person's own calendar."""

    month: str
    service: str
    by_consent: int
    by_law: int
    refused: int
    attributes: int

    def to_json(self) -> dict[str, Any]:
        return {
            "month": self.month,
            "service": self.service,
            "by_consent": self.by_consent,
            "by_law": self.by_law,
            "refused": self.refused,
            "attributes": self.attributes,
        }


def usages(
    entries: Sequence[Entry],
    grants: Mapping[str, HeldGrant],
    releases: Iterable[Release],
    laws: Mapping[str, Mapping[str, str]],
) -> list[Usage]:
    """Oldest first."""
    written = {(one.grant_id, one.counter): one for one in releases}
    counted: dict[str, int] = {}
    found = []
    for entry in sorted(entries, key=lambda one: one.order):
        if entry.kind not in _KINDS:
            continue
        grant = grants.get(entry.grant_id)
        detail = None if grant is None else detail_of(grant)
        number = None
        if entry.kind is Kind.USE:
            number = counted[entry.grant_id] = counted.get(entry.grant_id, 0) + 1
        release = written.get((entry.grant_id, entry.counter)) if entry.kind is not Kind.DENY else None
        declaration = str(entry.event.get("declaration", ""))
        by_law: Basis = "officers" if declaration == OFFICERS else "law"
        found.append(
            Usage(
                entry=entry,
                basis=by_law if entry.kind is Kind.NOTICE else "consent",
                reference=declaration if entry.kind is Kind.NOTICE else entry.grant_id,
                law=laws.get(entry.grant_id, {}),
                purpose=entry.event.get("purpose") or (None if detail is None else detail.purpose),
                procedure=None if detail is None else detail.procedure,
                released=None if release is None else bool(release.attributes),
                number=number,
                limit=None if detail is None or entry.kind is not Kind.USE else detail.use_limit,
            )
        )
    return found


def totals(found: Iterable[Usage]) -> list[Total]:
    """By month, then service."""
    table: dict[tuple[str, str], list[int]] = {}
    for one in found:
        month = time.strftime("%Y-%m", time.localtime(one.entry.time))
        row = table.setdefault((month, one.service), [0, 0, 0, 0])
        if one.refused:
            # Under one line the log counts as many refusals as there were in its hour.
            row[2] += int(one.entry.event.get("count", 1))
            continue
        row[0 if one.basis == "consent" else 1] += 1
        row[3] += len(one.entry.attributes)
    return [Total(month, service, *row) for (month, service), row in sorted(table.items())]
