"""Where an auditor reads a log from: the city's public files, or a mirror of them that it keeps itself."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from consent.errors import LogError, MessageError
from consent.ledger.audit import PeriodLog
from consent.ledger.leaf import LEAF_BYTES
from consent.ledger.numbers import MAX_NUMBERS_BYTES, PublishedNumbers, parse_numbers
from consent.log import durable, period
from consent.log.mirror import Mirror, Step, period_of
from consent.log.note import NoteKey
from consent.log.quorum import Quorum
from consent.log.reader import Fetch, LogReader
from consent.signed_message import reading
from identity.codec import strict_json

QUORUM_PAUSE_SECONDS = 0.5

NUMBERS_FILE = "services.json"

MAX_PERIODS_BYTES = 1_048_576

Below = Callable[[str], Fetch]
"""Prefix of the consent service → its files below that."""


def current(key: NoteKey, below: Below, *, required: Quorum | None = None, wait_seconds: float = 0) -> PeriodLog:
    """The current log; a required quorum may still be on its way to its newest checkpoint. Raises LogError."""
    reader = LogReader(below("log/"), key, max_entry_bytes=LEAF_BYTES)
    until = time.monotonic() + wait_seconds
    while True:
        found = reader.checkpoint()
        if required is None or required.met(found.note) or time.monotonic() >= until:
            return PeriodLog(reader, found)
        time.sleep(QUORUM_PAUSE_SECONDS)


def earlier(key: NoteKey, newest: PeriodLog, below: Below, known: Sequence[str], listing: "Listing") -> list[PeriodLog]:
    """The closed periods before the current one, oldest first: those that the log lists, and those ``known`` here.

    Raises LogError where one cannot be had.
    """
    current_origin = newest.checkpoint.checkpoint.origin
    prefix = current_origin.rpartition("/")[0]
    listed = [f"{prefix}/{name}" for name in listing.periods]
    origins = sorted(
        {*listed, *known, key.name} - {current_origin},
        key=lambda origin: (listed.index(origin) if origin in listed else -1, origin),
    )
    logs = []
    for origin in origins:
        reader = LogReader(below(f"log/{origin.rpartition('/')[2]}/"), key.renamed(origin), max_entry_bytes=LEAF_BYTES)
        closed = reader.checkpoint()
        if closed.checkpoint.origin != origin:
            raise LogError(f"log: under the address of {origin} lies another one")
        logs.append(PeriodLog(reader, closed))
    return logs


@dataclass(frozen=True, slots=True)
class Listing:
    """What the log says of its periods, and for how long entries of closed ones are kept."""

    periods: tuple[str, ...] = ()
    retention_seconds: int | None = None


def listing(below: Below) -> Listing:
    """``GET /log/periods``; a log that does not have it has told of no other period. Raises LogError, MessageError."""
    content = below("log/")("periods", MAX_PERIODS_BYTES)
    if content is None:
        return Listing()
    what = "periods of the log"
    with reading(what):
        value = strict_json.parse_object(content, what=what, max_bytes=MAX_PERIODS_BYTES)
    rows, retention = value.get("periods"), value.get("retention_seconds")
    found = [row.get("period") if isinstance(row, dict) else None for row in rows] if isinstance(rows, list) else [None]
    names = [name for name in found if isinstance(name, str) and period.is_period(name)]
    if len(names) != len(found) or not (retention is None or type(retention) is int):
        raise LogError(f"{what}: the answer is not of its form")
    return Listing(tuple(names), retention)


class KeptLog:
    """A mirror as the source of an audit."""

    def __init__(self, folder: Path, key: NoteKey) -> None:
        self.folder = folder
        self._key = key
        self.mirror = Mirror(folder, key, max_entry_bytes=LEAF_BYTES)

    @contextmanager
    def held(self) -> Iterator[None]:
        """No other process writes it meanwhile. Raises LogInUse."""
        handle = self.mirror.lock()
        try:
            yield
        finally:
            os.close(handle)

    def follow(
        self, logs: Sequence[PeriodLog], below: Below, *, now: int, progress: Callable[[int, int], None]
    ) -> tuple[list[PeriodLog], Step]:
        """Extends the copy of each period; returns the same logs as they lie here, and what was done in all.

        A closed period that the log no longer serves is read from here. Raises LogError; what was
        kept before is then untouched.
        """
        kept = fetched = 0
        newest = period_of(logs[-1].checkpoint)
        for log in logs:
            name = period_of(log.checkpoint)
            prefix = "log/" if name == newest else f"log/{name}/"
            step = self.mirror.extend(log.checkpoint, below(prefix), now=now, progress=progress)
            self.mirror.note_cosignatures(log.checkpoint)
            kept, fetched = kept + step.kept, fetched + step.fetched
        return [self._local(log) for log in logs], Step(kept, fetched)

    def _local(self, log: PeriodLog) -> PeriodLog:
        name = period_of(log.checkpoint)
        reader = LogReader(self.mirror.fetch(name), self._key, max_entry_bytes=LEAF_BYTES)
        return PeriodLog(reader, log.checkpoint)

    def below(self, remote: Below) -> Below:
        """The city's files, and for periods that it no longer serves those that lie here."""

        def fetch_below(prefix: str) -> Fetch:
            name = prefix.removeprefix("log/").rstrip("/")
            there = remote(prefix)
            if not name or name not in self.mirror.periods():
                return there
            here = self.mirror.fetch(name)

            def fetch(path: str, most: int) -> bytes | None:
                content = there(path, most)
                return content if content is not None else here(path, most)

            return fetch

        return fetch_below


def numbers(below: Below, memory: Path | None) -> PublishedNumbers | None:
    """What the city publishes, beside what it published at earlier visits; None where it publishes nothing.

    What a number meant first is what is remembered. Raises LogError, MessageError.
    """
    content = below("")("services", MAX_NUMBERS_BYTES)
    if content is None:
        return None
    kept = memory / NUMBERS_FILE if memory is not None else None
    before = None
    if kept is not None and kept.exists():
        try:
            before = parse_numbers(kept.read_bytes())
        except MessageError as fault:
            raise LogError(f"{kept}: not what an audit kept ({fault})") from None
    found = parse_numbers(content, before)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        first = found if before is None else found.remembering(before)
        durable.replace(kept, strict_json.compact(first.to_json()))
    return found
