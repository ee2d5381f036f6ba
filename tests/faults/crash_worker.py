"""A worker of the consent service for the crash sweep: one process under strace, which forks a child for each fault.

    python -m tests.faults.crash_worker kill DATABASE FOLDER THREAD SHIFT
    python -m tests.faults.crash_worker err DATABASE FOLDER ROUNDS

``strace -e inject=CALL:…:when=SHIFT`` counts the calls of each thread. A child whose thread THREAD
(``main`` writes the log, ``writer`` the store) makes SHIFT - k calls on a scratch file first is
therefore hit at the k-th call of its work; its other thread is never. Children go on where the one
before was killed: every start is a recovery, and is swept as well.

What is acknowledged is written to FOLDER/acknowledged, by one write each: ``GRANT COUNTER KIND`` once the store has
committed, and with an index at its end once the log has it.
"""

import logging
import os
import secrets
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from consent.errors import ConsentError, LogError
from consent.ledger.events import EventStore
from consent.ledger.giving import Giving, give
from consent.ledger.grant_row import Entry, GrantBody, HotRow, MakeEntry
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.placing import Placing
from consent.ledger.schema import open_engine
from consent.ledger.writer import Writer
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from tests.faults.log_worker import ORIGIN, SEED

_ASK = text("INSERT INTO request (request_id, service, jws, expires, state) VALUES (:request_id, 1, '', :expires, 0)")

MOST_CALLS = 200
"""Beyond the calls of one child: a sweep that does not end by then is a fault of the test."""

NOW = 1_795_315_010
PATIENCE_SECONDS = 60.0


class Worker:
    """Store and log of one process, without the threads that would make the count of calls vary."""

    def __init__(self, url: str, folder: Path) -> None:
        self.engine: Engine = open_engine(url)
        self.writer = Writer(self.engine)
        self.grants = GrantStore(self.engine, self.writer)
        self.events = EventStore(self.engine)
        self.placing = Placing(self.engine, secrets.token_bytes)
        self._told = os.open(folder / "acknowledged", os.O_WRONLY | os.O_APPEND)
        self._folder = folder
        self.log: LogWriter | None = None

    def open_log(self) -> LogWriter:
        if self.log is None:
            self.log = LogWriter(self._folder / "log", ORIGIN, Ed25519Signer(SEED))
        return self.log

    def recover(self) -> None:
        log = self.open_log()
        self.placing.begin()
        log.reopen()
        log.recover(self.events.leaves_from, self.events.size())

    def work(self) -> Iterator[str]:
        """A grant, two uses and its end: each committed, then logged; tells each step that is done."""
        grant_id = secrets.token_bytes(16)
        row = HotRow(grant_id, 1, 1, 2, 3, 1, 1, 0, NOW + 1000, 1, 0, 0, 0, 0, 0, 0, 0, 0)
        body = GrantBody("jws", "locator", grant_id.hex(), bytes(32), "{}", None, None)

        giving = Giving.of(row, body, entry(Kind.GRANT)(row), request_id=grant_id, now=NOW, proof=None)

        def ask_and_give(connection: Any) -> None:
            connection.execute(_ASK, {"request_id": grant_id, "expires": NOW + 600})
            give(connection, giving)

        self.writer.run(ask_and_give, key=grant_id)
        self.tell(grant_id, 1, Kind.GRANT)
        yield "given"
        for counter in (2, 3):
            self.use(grant_id)
            self.tell(grant_id, counter, Kind.USE)
            yield "used"
        self.publish()
        yield "logged"
        ended = self.grants.withdraw(
            grant_id, thumbprint=grant_id.hex(), mask=None, at_milliseconds=NOW * 1000, make_entry=entry(Kind.WITHDRAW)
        )
        assert ended is not None and ended.counter == 4
        self.tell(grant_id, 4, Kind.WITHDRAW)
        yield "withdrawn"
        assert self.use(grant_id) is None
        self.publish()
        yield "logged"

    def use(self, grant_id: bytes) -> HotRow | None:
        return self.grants.use(
            grant_id,
            service=1,
            holder=2,
            purpose=3,
            mask=1,
            now=NOW,
            jti=secrets.token_bytes(16),
            request_hash=bytes(32),
            expires=NOW + 60,
            make_entry=entry(Kind.USE),
        )

    def publish(self) -> None:
        log = self.open_log()
        placed = self.placing.place(now=NOW * 1000)
        first = log.append(self.events.leaves_from(log.size))
        for index, raw in enumerate(placed.leaves, first):
            leaf = Leaf.from_bytes(raw)
            self.tell(leaf.id, leaf.counter, leaf.kind, index)

    def tell(self, grant_id: bytes, counter: int, kind: Kind, index: int | None = None) -> None:
        line = f"{grant_id.hex()} {counter} {int(kind)}" + ("" if index is None else f" {index}")
        os.write(self._told, f"{line}\n".encode())


def entry(kind: Kind) -> MakeEntry:
    def make(row: HotRow) -> Entry:
        counted = row.counter
        state = kind is Kind.GRANT
        leaf = Leaf(
            kind, 0, row.grant_id, counted, 1, 3, 0, 1 if kind in (Kind.GRANT, Kind.USE) else 0, 9_999 if state else 0,
            0, secrets.token_bytes(32),
        )  # fmt: skip
        return Entry(kind, leaf.to_bytes(), None)

    return make


def shift(call: str, times: int, scratch: Path) -> None:
    """So many calls that change nothing."""
    handle = os.open(scratch, os.O_RDWR | os.O_CREAT)
    calls: dict[str, Callable[[], object]] = {
        "pwrite64": lambda: os.pwrite(handle, b"", 0),
        "fdatasync": lambda: os.fdatasync(handle),
        "fsync": lambda: os.fsync(handle),
        "write": lambda: os.write(handle, b""),
        "rename": lambda: _nothing(os.rename, scratch.with_name("none"), scratch.with_name("nowhere")),
        "sendto": lambda: _nothing(_socket.sendto, b"", "/nowhere"),
    }
    for _ in range(times):
        calls[call]()
    os.close(handle)


def _nothing(call: Callable[..., object], *arguments: object) -> None:
    try:
        call(*arguments)
    except OSError:
        return


def child(url: str, folder: Path, call: str, thread: str, before: int) -> None:
    worker = Worker(url, folder)
    scratch = folder / "scratch"
    if thread == "writer":
        worker.writer.run(lambda _: shift(call, before, scratch))
    else:
        shift(call, before, scratch)
    worker.recover()
    for _ in worker.work():
        pass


def kill(url: str, folder: Path, call: str, thread: str, most: int) -> int:
    """Forks until a child comes to its end; returns how many did not."""
    for number in range(1, most):
        pid = os.fork()
        if not pid:
            try:
                child(url, folder, call, thread, most - number)
                os._exit(0)
            finally:
                # Whatever it was, this child goes no further than here.
                traceback.print_exc()
                os._exit(1)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            continue
        return number - 1 if os.waitstatus_to_exitcode(status) == 0 else -number
    return -most


def err(url: str, folder: Path, steps: int) -> int:
    """Goes on after every error, until so many steps are done; returns how many attempts failed."""
    worker = Worker(url, folder)
    failed, done, until = 0, 0, time.monotonic() + PATIENCE_SECONDS
    fresh = False
    while done < steps:
        if time.monotonic() > until:
            return -failed
        try:
            if not fresh:
                worker.recover()
                fresh = True
            for _ in worker.work():
                done += 1
        except LogError as fault:
            # What contradicts is never an error of the disk.
            if "reopen" not in str(fault):
                raise
            fresh, failed = False, failed + 1
        except (OSError, SQLAlchemyError, ConsentError):
            fresh, failed = False, failed + 1
    return failed


if __name__ == "__main__":
    import socket

    logging.disable()
    _socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    how, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    if how == "kill":
        outcome = kill(url, folder, sys.argv[4], sys.argv[5], MOST_CALLS)
    else:
        outcome = err(url, folder, int(sys.argv[4]))
    print(outcome)
    sys.exit(0 if outcome >= 0 else 1)
