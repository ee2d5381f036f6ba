"""``atorga audit URL --vkey K``: whoever wants to know whether the city keeps its word about the log.

It asks nobody's leave: checkpoint, tiles and entries are public files below ``URL/log/``. The key is
pinned by the auditor; one that the audited host names proves nothing. Exit code 0: everything held.
"""

import argparse
import json
import os
import sys
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from atorga.audit_words import Words
from atorga.http_log import HttpLog
from consent.errors import LogError
from consent.ledger.audit import AuditReport, PeriodLog, audit
from consent.ledger.findings import Invariant
from consent.ledger.leaf import LEAF_BYTES
from consent.log import period
from consent.log.note import NoteKey
from consent.log.proof import MAX_PROOF_BYTES
from consent.log.quorum import Quorum
from consent.log.reader import Fetch, LogReader
from consent.log.seen import SeenCheckpoint, SeenCheckpoints, read_checkpoint
from identity.clock import Clock
from identity.errors import FetchError
from identity.fetch import require_permitted
from wallet_cli.texts import language_of

SHOWN_FINDINGS = 20
PROGRESS_SECONDS = 2.0
QUORUM_PAUSE_SECONDS = 0.5


def run(given: argparse.Namespace) -> int:
    words = Words(given.lang or language_of(os.environ))
    try:
        question = Question.from_arguments(given)
    except (LogError, FetchError) as fault:
        print(words("usage", fault=fault), file=sys.stderr)
        return 2
    try:
        with HttpLog(question.url) as log:
            report = answer(question, log.below, clock=time.time, progress=_Progress(words, sys.stderr))
    except LogError as fault:
        if given.json:
            print(json.dumps({"state": "failed", "error": "log_refused", "error_description": str(fault)}))
        else:
            print(words("refused", fault=fault))
        return 1
    if given.json:
        print(json.dumps(as_json(report), ensure_ascii=False))
    else:
        print_report(report, words, sys.stdout)
    return 0 if report.passed else 1


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be audited, and what the auditor knows already."""

    url: str
    key: NoteKey
    quorum: Quorum | None
    quorum_required: bool
    wait_seconds: float
    memory: SeenCheckpoints | None
    seen: tuple[SeenCheckpoint, ...]
    """Checkpoints from earlier audits, or that others were shown."""
    periods: frozenset[str]

    @classmethod
    def from_arguments(cls, given: argparse.Namespace) -> "Question":
        """Raises LogError, FetchError."""
        url = given.url.rstrip("/")
        require_permitted(url, allow_loopback_http=True)
        key = NoteKey.parse(given.vkey)
        if given.quorum is not None and not given.witness:
            raise LogError("--quorum: no --witness is named")
        for name in given.period:
            if not period.is_period(name):
                raise LogError(f"--period {name}: not the name of a period")
        witnesses = tuple(NoteKey.parse(vkey) for vkey in given.witness)
        threshold = len(witnesses) if given.quorum is None else given.quorum
        memory = SeenCheckpoints(given.state) if given.state else None
        return cls(
            url,
            key,
            Quorum(witnesses, threshold) if witnesses else None,
            given.quorum is not None,
            given.wait,
            memory,
            (
                *(read_checkpoint(_read(path), key) for path in given.checkpoint),
                *(memory.of(key) if memory is not None else ()),
            ),
            frozenset(given.period),
        )


def answer(
    question: Question, below: Callable[[str], Fetch], *, clock: Clock, progress: Callable[[int, int], None]
) -> AuditReport:
    """Reads and replays. ``below(prefix)`` fetches the files below a prefix of the service. Raises LogError."""
    current = _current(question, below("log/"))
    now = int(clock())
    if question.memory is not None:
        question.memory.remember(current.checkpoint, now=now)
    return audit(
        [*_earlier(question, current, below), current],
        seen=question.seen,
        quorum=question.quorum,
        quorum_required=question.quorum_required,
        now=now,
        progress=progress,
    )


def _current(question: Question, fetch: Fetch) -> PeriodLog:
    """The current log; a required quorum may still be on its way to its newest checkpoint."""
    reader = LogReader(fetch, question.key, max_entry_bytes=LEAF_BYTES)
    until = time.monotonic() + question.wait_seconds
    while True:
        found = reader.checkpoint()
        quorum = question.quorum if question.quorum_required else None
        if quorum is None or quorum.met(found.note) or time.monotonic() >= until:
            return PeriodLog(reader, found)
        time.sleep(QUORUM_PAUSE_SECONDS)


def _earlier(question: Question, current: PeriodLog, below: Callable[[str], Fetch]) -> list[PeriodLog]:
    """The periods before the current one that anything is known of, in the order of their names."""
    current_origin = current.checkpoint.checkpoint.origin
    prefix = current_origin.rpartition("/")[0]
    origins = {f"{prefix}/{name}" for name in question.periods} | {question.key.name}
    origins |= {one.checkpoint.checkpoint.origin for one in question.seen}
    logs = []
    for origin in sorted(origins - {current_origin}):
        reader = LogReader(
            below(f"log/{origin.rpartition('/')[2]}/"), question.key.renamed(origin), max_entry_bytes=LEAF_BYTES
        )
        closed = reader.checkpoint()
        if closed.checkpoint.origin != origin:
            raise LogError(f"log: under the address of {origin} lies another one")
        logs.append(PeriodLog(reader, closed))
    return logs


def as_json(report: AuditReport) -> dict[str, Any]:
    checkpoint = report.checkpoint.checkpoint
    return {
        "state": "passed" if report.passed else "failed",
        "log": checkpoint.origin,
        "size": checkpoint.size,
        "root": b64encode(checkpoint.root).decode(),
        "leaves_read": report.leaves_read,
        "witnessed": report.witnessed,
        "cosigned": dict(report.cosigned),
        "grants": dict(report.grants),
        "kinds": {kind.word: count for kind, count in sorted(report.kinds.items())},
        "checks": {
            invariant.value: {"checked": checked, "violations": violations}
            for invariant, (checked, violations) in report.counts.items()
        },
        "findings": [
            {
                "invariant": finding.invariant.value,
                "code": finding.code,
                "log": finding.origin,
                "leaf_index": finding.leaf_index,
                "found": finding.found,
                "expected": finding.expected,
            }
            for finding in report.findings
        ],
    }


def print_report(report: AuditReport, words: Words, out: TextIO) -> None:
    checkpoint = report.checkpoint.checkpoint
    lines = [
        words("log", origin=checkpoint.origin, size=words.number(checkpoint.size), root=checkpoint.root.hex()[:16])
    ]
    lines.append(words("witnessed" if report.witnessed else "not_witnessed"))
    lines += [words("cosigned", name=name, time=words.time(at)) for name, at in sorted(report.cosigned.items())]
    lines += [words("read", leaves=words.number(report.leaves_read), **_numbers(report, words)), ""]
    for invariant, (checked, violations) in report.counts.items():
        mark = "✗" if violations else "✓" if checked else "–"
        counted = words("violations", n=words.number(violations)) if violations else ""
        lines.append(f"{mark} {words.number(checked):>11}  {words(f'invariant.{invariant.value}')}{counted}")
    if report.findings:
        lines += ["", words("found")]
        lines += [f"  {words.finding(finding)}" for finding in report.findings[:SHOWN_FINDINGS]]
        hidden = sum(violations for _, violations in report.counts.values()) - SHOWN_FINDINGS
        if hidden > 0:
            lines.append(f"  {words('more', n=words.number(hidden))}")
    lines += ["", words(_verdict(report))]
    out.write("\n".join(lines) + "\n")


def _verdict(report: AuditReport) -> str:
    broken = {invariant for invariant, (_, violations) in report.counts.items() if violations}
    if broken == {Invariant.WITNESSES}:
        return "failed_witnesses"
    return "failed" if broken else "passed"


def _numbers(report: AuditReport, words: Words) -> dict[str, str]:
    uses = sum(count for kind, count in report.kinds.items() if kind.word == "use")
    return {name: words.number(count) for name, count in {**report.grants, "uses": uses}.items()}


class _Progress:
    """A line on stderr when reading takes longer than a moment."""

    def __init__(self, words: Words, out: TextIO) -> None:
        self._words = words
        self._out = out
        self._next = time.monotonic() + PROGRESS_SECONDS

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + PROGRESS_SECONDS
        percent = done * 100 // max(total, 1)
        print(
            self._words("progress", done=self._words.number(done), total=self._words.number(total), percent=percent),
            file=self._out,
            flush=True,
        )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_PROOF_BYTES + 1)
    except OSError as fault:
        raise LogError(f"{path}: {fault.strerror}") from None
