"""``atorga audit URL --vkey K``: whoever wants to know whether the city keeps its word about the log.

It asks nobody's leave: checkpoint, tiles and entries are public files below ``URL/log/``. The key is
pinned by the auditor; one that the audited host names proves nothing. Exit code 0: everything held.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TextIO

from atorga import audit_sources
from atorga.audit_arguments import CASE
from atorga.audit_report import as_json, print_report
from atorga.audit_sources import Below, KeptLog
from atorga.audit_words import Words
from atorga.http_log import HttpLog
from consent.errors import LogError, MessageError
from consent.ledger.audit import AuditReport, PeriodLog, audit
from consent.ledger.findings import Finding, Invariant
from consent.ledger.promise import Promise
from consent.ledger.promises import read_promises
from consent.log import period
from consent.log.mirror import Step
from consent.log.note import NoteKey
from consent.log.policy import MAX_POLICY_BYTES, Policy
from consent.log.proof import MAX_PROOF_BYTES
from consent.log.quorum import Quorum
from consent.log.seen import SeenCheckpoint, SeenCheckpoints, read_checkpoint
from identity.clock import Clock
from identity.errors import FetchError
from identity.fetch import require_permitted
from wallet_cli.texts import language_of

PROGRESS_SECONDS = 2.0

MAX_PROMISES_BYTES = 67_108_864

PUBLISHED = "published"
"""Beside the checkpoints that an auditor keeps: what the city published."""


def run(given: argparse.Namespace) -> int:
    words = Words(given.lang or language_of(os.environ))
    if given.url == CASE:
        from atorga import audit_case

        return audit_case.run(given, words)
    try:
        if given.file is not None:
            raise LogError(f"{given.file}: only `audit case` takes a file")
        question = Question.from_arguments(given)
    except (LogError, MessageError, FetchError) as fault:
        print(words("usage", fault=fault), file=sys.stderr)
        return 2
    progress = Progress(words, sys.stderr)
    try:
        with HttpLog(question.url) as log, question.kept.held() if question.kept is not None else nullcontext():
            found = answer(question, log.below, clock=time.time, progress=progress)
    except (LogError, MessageError) as fault:
        if given.json:
            print(json.dumps({"state": "failed", "error": "log_refused", "error_description": str(fault)}))
        else:
            print(words("refused", fault=fault))
        return 1
    if given.json:
        print(json.dumps(as_json(found.report, mirrored=found.mirrored), ensure_ascii=False))
    else:
        if found.mirror_fault is not None:
            print(words("mirror_refused", fault=found.mirror_fault))
        print_report(found.report, words, sys.stdout, mirrored=found.mirrored, latency=given.latency)
    return 0 if found.report.passed else 1


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
    promises: tuple[Promise, ...] = ()
    kept: KeptLog | None = None
    numbers_folder: Path | None = None

    @classmethod
    def from_arguments(cls, given: argparse.Namespace) -> "Question":
        """Raises LogError, MessageError, FetchError."""
        url = given.url.rstrip("/")
        require_permitted(url, allow_loopback_http=True)
        key = NoteKey.parse(given.vkey)
        if given.quorum is not None and not given.witness:
            raise LogError("--quorum: no --witness is named")
        if given.policy is not None and (given.witness or given.quorum is not None):
            raise LogError("--policy: it names the witnesses and the quorum itself")
        for name in given.period:
            if not period.is_period(name):
                raise LogError(f"--period {name}: not the name of a period")
        memory = SeenCheckpoints(given.state) if given.state else None
        kept = KeptLog(given.mirror, key) if given.mirror else None
        return cls(
            url,
            key,
            quorum_of(given.witness, given.quorum) if given.policy is None else policy_quorum(given.policy),
            given.quorum is not None or given.policy is not None,
            given.wait,
            memory,
            (
                *(read_checkpoint(_read(path, MAX_PROOF_BYTES), key) for path in given.checkpoint),
                *(memory.of(key) if memory is not None else ()),
                *(kept.mirror.seen.of(key) if kept is not None else ()),
            ),
            frozenset(given.period),
            tuple(
                promise
                for path in given.promise
                for promise in read_promises(_read(path, MAX_PROMISES_BYTES).decode("utf-8", "replace"), key)
            ),
            kept,
            given.mirror or (given.state / PUBLISHED if given.state else None),
        )

    def origins(self, newest: PeriodLog) -> list[str]:
        """Of earlier periods that are known here, whatever the log lists."""
        prefix = newest.checkpoint.checkpoint.origin.rpartition("/")[0]
        names = [*self.periods, *(self.kept.mirror.periods() if self.kept is not None else ())]
        return [f"{prefix}/{name}" for name in names] + [one.checkpoint.checkpoint.origin for one in self.seen]


@dataclass(frozen=True, slots=True)
class Answer:
    report: AuditReport
    mirrored: Step | None = None
    mirror_fault: str | None = None


def answer(question: Question, below: Below, *, clock: Clock, progress: Callable[[int, int], None]) -> Answer:
    """Reads and replays. ``below(prefix)`` fetches the files below a prefix of the service.

    Raises LogError, MessageError.
    """
    required = question.quorum if question.quorum_required else None
    if question.kept is not None:
        below = question.kept.below(below)
    newest = audit_sources.current(question.key, below, required=required, wait_seconds=question.wait_seconds)
    now = int(clock())
    if question.memory is not None:
        question.memory.remember(newest.checkpoint, now=now)
    numbers = audit_sources.numbers(below, question.numbers_folder)
    listing = audit_sources.listing(below)
    logs = [*audit_sources.earlier(question.key, newest, below, question.origins(newest), listing), newest]
    mirrored = fault = None
    if question.kept is not None:
        try:
            logs, mirrored = question.kept.follow(logs, below, now=now, progress=progress)
        except LogError as refused:
            # What the log shows now is audited all the same: it is held against every checkpoint that was seen.
            fault = str(refused)
    report = audit(
        logs,
        seen=question.seen,
        quorum=question.quorum,
        quorum_required=question.quorum_required,
        now=now,
        promises=question.promises,
        numbers=numbers,
        retention_seconds=listing.retention_seconds,
        progress=progress,
    )
    return Answer(report if fault is None else _with_mirror_fault(report, fault), mirrored, fault)


def _with_mirror_fault(report: AuditReport, fault: str) -> AuditReport:
    """A copy that could not be continued is never passed over, even where nothing else is wrong."""
    checked, violations = report.counts[Invariant.CONTINUATION]
    finding = Finding(
        Invariant.CONTINUATION,
        "mirror-not-continued",
        report.checkpoint.checkpoint.origin,
        None,
        fault,
        "its beginning",
    )
    counts = {**report.counts, Invariant.CONTINUATION: (checked + 1, violations + 1)}
    return replace(report, counts=counts, findings=(*report.findings, finding))


def quorum_of(witnesses: Sequence[str], threshold: int | None) -> Quorum | None:
    """Of the named witnesses; None where none is named. Raises LogError."""
    keys = tuple(NoteKey.parse(vkey) for vkey in witnesses)
    return Quorum(keys, len(keys) if threshold is None else threshold) if keys else None


def policy_quorum(path: Path) -> Quorum:
    """Of a policy file; one that asks for nobody is refused. Raises LogError."""
    quorum = Policy.parse(_read(path, MAX_POLICY_BYTES)).quorum
    if quorum is None:
        raise LogError(f"{path}: its quorum is none; without --policy nothing is asked for either")
    return quorum


class Progress:
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


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(most + 1)
    except OSError as fault:
        raise LogError(f"{path}: {fault.strerror}") from None
