"""How processes that share a log wake each other: a FIFO each, and a byte in it says "look".

The byte says nothing else, so nothing is believed of it: whoever wakes reads the checkpoint, or the
database, for itself. A FIFO costs nothing while nobody rings, and waking by it takes some 50 µs.
The writer's has a fixed name; it is answered as long as a process holds the log's lock and can log.
"""

import os
import select
import stat
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Lock

WRITER = "writer"

_DRAINED_BYTES = 4_096
_numbers = count()


class Bells:
    """This process's bell in ``folder``, and the others'. One thread waits; any may ring."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._name = f"{os.getpid()}.{next(_numbers)}"
        made = folder / f".{self._name}"
        made.unlink(missing_ok=True)
        os.mkfifo(made, 0o600)
        self._own = os.open(made, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        # Only a bell that is heard has its name: one that nobody hears is taken away by whoever rings it.
        os.rename(made, folder / self._name)
        self._as_writer: int | None = None
        self._others: dict[str, int] = {}
        self._to_writer: int | None = None
        self._rung = self._closed = False
        self._turn = Lock()
        """Held while a handle is used or closed: a number that was closed may be another file's."""
        self._poll = select.poll()
        self._poll.register(self._own, select.POLLIN)

    def close(self) -> None:
        """Takes the bell away; whoever waits is to have ended."""
        with self._turn:
            if self._closed:
                return
            self._closed = True
        self.stop_answering()
        (self._folder / self._name).unlink(missing_ok=True)
        for handle in (self._own, *self._others.values(), *(() if self._to_writer is None else (self._to_writer,))):
            os.close(handle)
        self._others, self._to_writer = {}, None

    def wait(self, seconds: float) -> bool:
        """Until somebody rings, or for so long; whether somebody did."""
        ready = self._poll.poll(seconds * 1000)
        for handle, _ in ready:
            with suppress(BlockingIOError):
                os.read(handle, _DRAINED_BYTES)
        self._rung = False
        return bool(ready)

    def ring_own(self) -> None:
        """Wakes this process's waiter."""
        if self._rung:
            return
        with self._turn:
            if not self._closed:
                self._rung = True
                _ring(self._own)

    # ── who follows rings the writer ─────────────────────────────────────────────────────────

    def answer_as_writer(self) -> None:
        """This process hears the writer's bell from now on."""
        if self._as_writer is None:
            path = self._folder / WRITER
            with suppress(FileExistsError):
                os.mkfifo(path, 0o600)
            self._as_writer = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            self._poll.register(self._as_writer, select.POLLIN)

    def stop_answering(self) -> None:
        if self._as_writer is not None:
            handle, self._as_writer = self._as_writer, None
            self._poll.unregister(handle)
            os.close(handle)

    def ring_writer(self) -> bool:
        """Whether a writer hears it."""
        with self._turn:
            if self._closed:
                return False
            if self._to_writer is None:
                self._to_writer = _open(self._folder / WRITER)
            if self._to_writer is not None and not _ring(self._to_writer):
                os.close(self._to_writer)
                self._to_writer = None
            return self._to_writer is not None

    def writer_answers(self) -> bool:
        """Whether anybody hears the writer's bell; without ringing it."""
        handle = _open(self._folder / WRITER)
        if handle is None:
            return False
        os.close(handle)
        return True

    # ── the writer rings all others ──────────────────────────────────────────────────────────

    def ring_others(self) -> None:
        with self._turn:
            if self._closed:
                return
            names = {name for name in os.listdir(self._folder) if name not in (WRITER, self._name) and name[0] != "."}
            for gone in self._others.keys() - names:
                os.close(self._others.pop(gone))
            for name in names:
                self._ring_other(name)

    def _ring_other(self, name: str) -> None:
        if name not in self._others:
            opened = _open(self._folder / name)
            if opened is None:
                (self._folder / name).unlink(missing_ok=True)
                return
            self._others[name] = opened
        if not _ring(self._others[name]):
            os.close(self._others.pop(name))


def _open(path: Path) -> int | None:
    """A bell to ring; None where nobody hears it."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(handle).st_mode):
        return handle
    os.close(handle)
    return None


def _ring(handle: int) -> bool:
    """Whether somebody hears it: a full FIFO wakes its reader anyway."""
    try:
        os.write(handle, b"!")
    except BlockingIOError:
        pass
    except BrokenPipeError:
        return False
    return True
