"""``atorga audit case FILE --vkey K``: one case, opened by its resident or by two officers, checked offline.

Nothing is asked of anybody. Exit code 0: all of it is in the log of the pinned key, complete up to the
last act in the file.
"""

import argparse
import json
import sys
from typing import Any

from atorga.audit_words import Words
from consent.errors import ConsentError
from consent.ledger.case import MAX_CASE_BYTES, VerifiedCase, VerifiedEvent, parse_case, verify_case
from consent.ledger.leaf import DAY_ONLY
from identity.errors import IdentityError


def run(given: argparse.Namespace, words: Words) -> int:
    if given.file is None:
        print(words("usage", fault="audit case: FILE"), file=sys.stderr)
        return 2
    try:
        with given.file.open("rb") as stream:
            content = stream.read(MAX_CASE_BYTES + 1)
    except OSError as fault:
        print(words("usage", fault=f"{given.file}: {fault.strerror}"), file=sys.stderr)
        return 2
    try:
        case = verify_case(parse_case(content), log_vkey=given.vkey)
    except (ConsentError, IdentityError) as fault:
        if given.json:
            print(json.dumps({"state": "failed", "error": "case_refused", "error_description": str(fault)}))
        else:
            print(words("case.refused", fault=fault))
        return 1
    print(json.dumps(as_json(case), ensure_ascii=False) if given.json else "\n".join(lines(case, words)))
    return 0


def as_json(case: VerifiedCase) -> dict[str, Any]:
    return {
        "state": "valid",
        "grant_id": case.grant_id,
        "opened_by": "officers" if case.opened_at is not None else "resident",
        "opening_leaf": case.opened_at.index if case.opened_at is not None else None,
        "service": case.events[0].event.get("service") if case.events else None,
        "purpose": case.events[0].event.get("purpose") if case.events else None,
        "events": [
            {
                "kind": one.logged.leaf.kind.word,
                "counter": one.logged.leaf.counter,
                "log": one.logged.checkpoint.checkpoint.origin,
                "leaf_index": one.logged.index,
                "time": one.event["time"],
                "attributes": one.event.get("attributes"),
                "logged_after_ms": _logged_after(one),
            }
            for one in case.events
        ],
        "refused_after_ms": case.refused_after,
    }


def lines(case: VerifiedCase, words: Words) -> list[str]:
    found = [words("case.valid", grant=case.grant_id)]
    if case.opened_at is not None:
        found.append(words("case.officers", index=words.number(case.opened_at.index)))
    else:
        found.append(words("case.resident"))
    if case.events:
        first = case.events[0].event
        found.append(words("case.parties", service=first.get("service", "–"), purpose=first.get("purpose", "–")))
    for one in case.events:
        found.append(
            words(
                "case.event",
                time=one.event["time"],
                kind=words(f"kind.{one.logged.leaf.kind.word}"),
                index=words.number(one.logged.index),
                attributes=", ".join(one.event.get("attributes") or ()),
            ).rstrip(" :")
        )
    if case.refused_after is not None:
        found.append(words("case.refused_after", ms=words.number(case.refused_after)))
    return found


def _logged_after(one: VerifiedEvent) -> int | None:
    """Least milliseconds from the event to its leaf's minute; None where the leaf tells only the day."""
    leaf = one.logged.leaf
    return None if leaf.flags & DAY_ONLY else max(leaf.minute * 60_000 - one.at, 0)
