"""``atorga reconcile URL``: data holders' signed daily figures against the public log.

The log is read under the pinned key, the statements under the registry keys of the signed list, which
is read under an anchor of the auditor's own. Exit code 0: everything fits.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from atorga import audit_sources
from atorga.audit import Progress
from atorga.audit_sources import Below, KeptLog
from atorga.audit_words import Words
from atorga.http_log import HttpLog
from consent.errors import ConsentError, LogError, MessageError
from consent.ledger.audit import PeriodLog
from consent.ledger.journal_root import (
    MAX_RECORDS_BYTES,
    MAX_ROOTS_BYTES,
    JournalRoot,
    parse_records,
    parse_roots,
    verify_journal_root,
)
from consent.ledger.reconcile import Fault, Reconciliation, ReleaseLeaves, reconcile
from consent.log.note import NoteKey
from consent.log.reader import Tree
from identity.errors import IdentityError, TrustError
from identity.fetch import AllowListFetcher, require_permitted
from identity.keys.public_key import PublicKey
from identity.trust.chain import anchors_from_pem
from identity.trust.registry import MAX_BYTES as MAX_REGISTRY_BYTES
from identity.trust.registry import VerifiedRegistry, verify_registry
from identity.trust.spec import MEDIA_TYPE
from wallet_cli.texts import language_of

SHOWN_FAULTS = 20

_EPOCH = date(1970, 1, 1).toordinal()


def run(given: argparse.Namespace) -> int:
    words = Words(given.lang or language_of(os.environ))
    try:
        url = given.url.rstrip("/")
        require_permitted(url, allow_loopback_http=True)
        key = NoteKey.parse(given.vkey)
        days = [_day(text) for text in given.day]
        records = [parse_records(_read(path, MAX_RECORDS_BYTES)) for path in given.records]
        registry = _registry(given.registry, given.anchor)
    except (ConsentError, IdentityError) as fault:
        print(words("usage", fault=fault), file=sys.stderr)
        return 2
    kept = KeptLog(given.mirror, key) if given.mirror else None
    progress = Progress(words, sys.stderr)
    try:
        with HttpLog(url) as log, kept.held() if kept is not None else nullcontext():
            leaves = read_leaves(key, log.below, kept, days, progress)
            content = (
                _read(given.roots, MAX_ROOTS_BYTES) if given.roots else log.below("")("journal-roots", MAX_ROOTS_BYTES)
            )
        if content is None:
            raise LogError("journal-roots: the consent service has none")
        statements = [_verified(one, registry) for one in parse_roots(content)]
    except (ConsentError, IdentityError) as fault:
        if given.json:
            print(json.dumps({"state": "failed", "error": "refused", "error_description": str(fault)}))
        else:
            print(words("reconcile.refused", fault=fault))
        return 1
    result = reconcile(leaves, statements, records, today=int(time.time()) // 86_400, days=days)
    print(json.dumps(as_json(result), ensure_ascii=False) if given.json else "\n".join(lines(result, words)))
    return 0 if result.passed else 1


def read_leaves(
    key: NoteKey, below: Below, kept: KeptLog | None, days: list[int], progress: Callable[[int, int], None]
) -> ReleaseLeaves:
    """All leaves of uses and notices, once they were found to lead to the signed roots. Raises LogError."""
    if kept is not None:
        below = kept.below(below)
    newest = audit_sources.current(key, below)
    known = [newest.checkpoint.checkpoint.origin.rpartition("/")[0] + f"/{name}" for name in _kept_periods(kept)]
    logs = [*audit_sources.earlier(key, newest, below, known, audit_sources.listing(below)), newest]
    if kept is not None:
        logs, _ = kept.follow(logs, below, now=int(time.time()), progress=progress)
    leaves = ReleaseLeaves(days)
    for log in logs:
        _gather(log, leaves, progress)
    return leaves


def _gather(log: PeriodLog, leaves: ReleaseLeaves, progress: Callable[[int, int], None]) -> None:
    signed = log.checkpoint.checkpoint
    if signed.size and not log.reader.has_entries(signed):
        # Deleted after its retention: its days can no longer be reconciled by who did not keep them.
        return
    for run_ in log.reader.runs(signed, Tree()):
        for index, entry in enumerate(run_.entries, run_.index):
            leaves.see(signed.origin, index, entry)
        progress(run_.index, signed.size)


def as_json(result: Reconciliation) -> dict[str, Any]:
    return {
        "state": _state(result),
        "statements": result.statements,
        "corrected": result.corrected,
        "days": result.days,
        "leaves": result.leaves,
        "records": result.records,
        "days_with_all_records": result.days_with_all_records,
        "counts": dict(result.counts),
        "faults": [_fault_json(one) for one in result.faults],
    }


def _fault_json(one: Fault) -> dict[str, Any]:
    log, index = one.place if one.place is not None else (None, None)
    return {
        "code": one.code,
        "day": day_text(one.day),
        "holder": one.holder,
        "log": log,
        "leaf_index": index,
        "found": one.found,
        "expected": one.expected,
    }


def lines(result: Reconciliation, words: Words) -> list[str]:
    found = [
        words(
            "reconcile.read", statements=words.number(result.statements), corrected=words.number(result.corrected),
            days=words.number(result.days), leaves=words.number(result.leaves), records=words.number(result.records),
        )
    ]  # fmt: skip
    if result.days_with_all_records < result.days:
        found.append(words("reconcile.partly", days=words.number(result.days_with_all_records)))
    for one in result.faults[:SHOWN_FAULTS]:
        sentence = words(f"reconcile.{one.code}", found=one.found, expected=one.expected, holder=one.holder or "–")
        at = words("reconcile.at", index=words.number(one.place[1])) if one.place is not None else ""
        found.append(f"✗ {day_text(one.day)}{at}: {sentence}")
    hidden = result.counts.total() - SHOWN_FAULTS
    if hidden > 0:
        found.append(words("more", n=words.number(hidden)))
    return [*found, "", words(f"reconcile.{_state(result)}")]


def _state(result: Reconciliation) -> str:
    """``empty``: no day is over yet, so that nothing was held against anything."""
    return "failed" if not result.passed else "passed" if result.days else "empty"


def day_text(day: int) -> str:
    return f"{datetime.fromtimestamp(day * 86_400, UTC):%Y-%m-%d}"


def _verified(compact: str, registry: VerifiedRegistry) -> JournalRoot:
    """A data holder that is listed no more signed while it was: its key is asked for at the time it names."""

    def key_of(holder: str) -> PublicKey:
        return registry.key_of(holder, "holder", now=registry.issued)

    return verify_journal_root(compact, key_of=key_of)


def _registry(address: str, anchor: Path) -> VerifiedRegistry:
    """Raises TrustError, FetchError, LogError."""
    anchors = anchors_from_pem(_read(anchor, MAX_REGISTRY_BYTES))
    if "://" in address:
        fetcher = AllowListFetcher(lambda url: url == address, allow_loopback_http=True)
        compact = fetcher.get(address, accept=MEDIA_TYPE, max_bytes=MAX_REGISTRY_BYTES)
    else:
        compact = _read(Path(address), MAX_REGISTRY_BYTES)
    try:
        text = compact.decode("ascii").strip()
    except UnicodeDecodeError:
        raise TrustError("registry: not a compact JWS") from None
    return verify_registry(text, anchors=anchors, now=int(time.time()))


def _kept_periods(kept: KeptLog | None) -> list[str]:
    return kept.mirror.periods() if kept is not None else []


def _day(text: str) -> int:
    try:
        return date.fromisoformat(text).toordinal() - _EPOCH
    except ValueError:
        raise MessageError(f"--day {text}: not of the form YYYY-MM-DD") from None


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(most + 1)
    except OSError as fault:
        raise LogError(f"{path}: {fault.strerror}") from None
    if len(content) > most:
        raise LogError(f"{path}: more than {most} bytes")
    return content
