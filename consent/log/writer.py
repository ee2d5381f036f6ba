"""The one writer of a log's files.

Order, which is the whole point (DESIGN §8): entries and tiles are written and synced, files and
directories; only then a checkpoint over them is signed and synced; only then it becomes the
current one by rename. A crash between any two steps leaves a log whose current checkpoint is
covered by what lies below it. Files are immutable: a file that exists is compared, never changed.

The database is the source of truth for entries. On start the caller opens the writer, which finds
the newest checkpoint on disk; entries beyond it are appended again, and a database that has fewer
entries than the checkpoint signs nothing (StoreBehindLog).

Not done here: asking witnesses (``consent.log.witness_client``), which cosign a checkpoint
afterwards; their lines are put on it by ``add_cosignatures``.
"""

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace as changed
from itertools import pairwise
from pathlib import Path

from consent.errors import LogError, StoreBehindLog
from consent.log import checkpoint, edge, merkle, note, tile
from consent.log.checkpoint import Checkpoint
from consent.log.durable import lock, make_folders, replace, sync
from consent.log.merkle import EMPTY_ROOT
from consent.log.note import NoteKey, Signature
from consent.log.view import CHECKPOINT, COSIGNED, Head, LogView
from identity.keys.ed25519 import Ed25519Signer

__all__ = ("CHECKPOINT", "LogWriter")

LOCK = "writer.lock"

KEPT_PARTIALS = 2
"""Full tiles whose partial ones stay: whoever reads the newest checkpoint may still ask for them."""

KEPT_CHECKPOINTS = 1_024
"""Newest checkpoints that are all kept: witnesses and proofs are seconds behind, not minutes."""


class LogWriter(LogView):
    """Appends to a log in ``folder`` while it holds its lock.

    With ``take=False`` it follows what another process writes (``LogView.look``) until ``take``
    gives it the lock. Raises LogInUse where another process writes, LogError where the newest
    checkpoint is not ours or its tiles are damaged.
    """

    def __init__(self, folder: Path, origin: str, signer: Ed25519Signer, *, take: bool = True) -> None:
        super().__init__(folder, NoteKey(origin, note.ED25519, signer.public))
        self._origin = origin
        self._signer = signer
        self._turn = threading.Lock()
        """Held by whoever changes the head; readers take the head once and need no turn."""
        self._in_doubt = False
        self._pruned: dict[int, int] = {}
        """Tile level → how many of its tiles have lost their partial ones."""
        self._lock: int | None = None
        made: set[Path] = set()
        make_folders(folder, made)
        for above in made:
            sync(above)
        if take:
            self.take()

    @property
    def writes(self) -> bool:
        """Whether this process holds the log's lock."""
        return self._lock is not None

    def take(self) -> None:
        """Takes the lock, and the newest checkpoint on disk. Raises LogInUse, LogError."""
        with self._turn:
            if self._lock is not None:
                return
            self._lock = lock(self._folder / LOCK, what="writes this log")
            try:
                self._open()
                self._in_doubt = False
            except BaseException:
                self.close()
                raise

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def append(self, entries: Sequence[bytes]) -> int:
        """Makes entries durable under a new signed checkpoint; returns the index of the first.

        After an error it is not known whether the checkpoint reached the disk: nothing more is
        appended until ``reopen`` has looked, else a second history could be signed over it.
        """
        with self._turn:
            self._require_lock()
            if self._in_doubt:
                raise LogError("log: the last append failed; reopen it before the next")
            if not entries:
                return self._head.size
            self._in_doubt = True
            try:
                head = self._appended(self._head, entries)
            except BaseException:
                self._forget()
                raise
            self._head, self._in_doubt = head, False
            return head.size - len(entries)

    def reopen(self) -> None:
        """Takes the newest checkpoint on disk as the log's head, as on start: the size may have grown.

        The caller compares its database with it (``recover``). Raises LogError as the constructor does.
        """
        with self._turn:
            self._require_lock()
            self._forget()
            self._open()
            self._in_doubt = False

    def add_cosignatures(self, size: int, cosignatures: Sequence[Signature]) -> None:
        """Puts cosignatures, which the caller verified, on the checkpoint of ``size``, kept and current."""
        with self._turn:
            self._require_lock()
            kept = self._folder / f"{CHECKPOINT}.{size}"
            parsed = note.parse(kept.read_text(encoding="utf-8"))
            named = {(one.name, one.key_id) for one in cosignatures}
            others = tuple(one for one in parsed.signatures if (one.name, one.key_id) not in named)
            signed = note.UnverifiedNote(parsed.text, (*others, *cosignatures)).format()
            checkpoint.verify(signed, self.key)
            replace(kept, signed.encode())
            if size == self._head.size:
                replace(self._folder / CHECKPOINT, signed.encode())
                self._head = changed(self._head, signed=signed)

    def prune(self) -> None:
        """Removes what nobody needs any more, but the newest: partial tiles that a full one has replaced (tlog-tiles,
        Partial Tiles), and of kept checkpoints all but the last below each full tile.

        A busy log would have some files a batch otherwise, for ever. Nothing that is appended
        meanwhile waits for it. Raises LogError, OSError.
        """
        self._require_lock()
        full, level = self._head.size // tile.WIDTH, 0
        while full > KEPT_PARTIALS:
            for number in range(self._pruned.get(level, 0), full - KEPT_PARTIALS):
                paths = [tile.tile_path(level, number), *([tile.bundle_path(number)] if level == 0 else [])]
                for path in paths:
                    shutil.rmtree(self._folder / f"{path}.p", ignore_errors=True)
            self._pruned[level] = full - KEPT_PARTIALS
            full, level = full // tile.WIDTH, level + 1
        sizes = self._kept_sizes()
        for size, following in pairwise(sizes[:-KEPT_CHECKPOINTS]):
            if size // tile.WIDTH == following // tile.WIDTH:
                (self._folder / f"{CHECKPOINT}.{size}").unlink(missing_ok=True)

    def note_cosigned(self, size: int) -> None:
        """Tells who follows which checkpoint met the quorum. Raises OSError."""
        replace(self._folder / COSIGNED, b"%d" % size)

    def _appended(self, head: Head, entries: Sequence[bytes]) -> Head:
        edges = [list(row) for row in head.edges]
        first = head.size
        pending: list[tuple[str, bytes]] = []
        run = [*head.last_entries, *entries]
        pending.extend(edge.bundles(first // tile.WIDTH, run))
        for entry in entries:
            edge.push(edges, merkle.leaf_hash(entry), pending)
        size = first + len(entries)
        pending.extend(edge.partial_tiles(edges, size))
        self._write_all(pending)
        unsigned = Head(size, edge.frozen(edges), tuple(run[len(run) - size % tile.WIDTH :]), "")
        signed = self._sign(Checkpoint(self._origin, size, self._root_of(unsigned)))
        self._publish(signed, size)
        return changed(unsigned, signed=signed)

    def recover(self, entries_from: Callable[[int], Sequence[bytes]], stored: int) -> int:
        """Brings the files up to the ``stored`` entries of the database; returns how many it appended.

        ``entries_from(index)`` gives a run of entries beginning there. Raises StoreBehindLog where
        the database has fewer entries than the newest signed checkpoint, or another last entry.
        """
        if stored < self.size:
            raise StoreBehindLog(f"the store has {stored} entries, the newest signed checkpoint {self.size}")
        if self.size and bytes(entries_from(self.size - 1)[0]) != self.entry(self.size - 1):
            raise StoreBehindLog(f"entry {self.size - 1} of the store is not the one in the log")
        before = self.size
        while self.size < stored:
            run = entries_from(self.size)
            if not run:
                raise StoreBehindLog(f"the store ends at entry {self.size}, it claims {stored}")
            self.append([bytes(entry) for entry in run])
        return self.size - before

    def _require_lock(self) -> None:
        if self._lock is None:
            raise LogError("log: another process writes it, or it is closed")

    # ── opening ──────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        signed = self._newest_checkpoint()
        if signed is None:
            self._publish_empty()
            return
        self._head = self._head_at(signed, checkpoint.verify(signed, self.key))
        replace(self._folder / CHECKPOINT, signed.encode())

    def _newest_checkpoint(self) -> str | None:
        """The kept checkpoint of the largest size: a crash may have come before it became current."""
        sizes = self._kept_sizes()
        newest = sizes[-1] if sizes else -1
        with suppress(FileNotFoundError):
            current = (self._folder / CHECKPOINT).read_text(encoding="utf-8")
            if checkpoint.verify(current, self.key).size > newest:
                raise LogError("log: a current checkpoint without its kept copy")
        return (self._folder / f"{CHECKPOINT}.{newest}").read_text(encoding="utf-8") if sizes else None

    def _kept_sizes(self) -> list[int]:
        found = (path.suffix[1:] for path in self._folder.glob(f"{CHECKPOINT}.*"))
        return sorted(int(size) for size in found if size.isdecimal())

    def _publish_empty(self) -> None:
        signed = self._sign(Checkpoint(self._origin, 0, EMPTY_ROOT))
        self._publish(signed, 0)
        self._head = Head(0, (), (), signed)

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def _write_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        folders: set[Path] = set()
        for path, content in files:
            _write_once(self._folder / path, content, folders)
        for folder in sorted(folders):
            sync(folder)

    def _sign(self, unsigned: Checkpoint) -> str:
        text = unsigned.format()
        signature = note.sign(text, self._origin, self._signer.public, self._signer)
        return note.UnverifiedNote(text, (signature,)).format()

    def _publish(self, signed: str, size: int) -> None:
        # What was once the current checkpoint must never be forgotten: its kept copy is durable first.
        self._write_all([(f"{CHECKPOINT}.{size}", signed.encode())])
        # After a power cut it may be the one before: the kept copies tell which is the newest.
        replace(self._folder / CHECKPOINT, signed.encode(), sync_folder=False)


def _write_once(path: Path, content: bytes, folders: set[Path]) -> None:
    """Writes and syncs a file that never changes; notes the folders to sync. Raises LogError.

    A file of this name left by a crash before its checkpoint was signed may hold other entries:
    no signature covers it, so it is replaced. A *kept checkpoint* with other content is a fork.
    """
    with suppress(FileNotFoundError):
        if path.read_bytes() == content:
            return
        if path.name.startswith(CHECKPOINT):
            raise LogError(f"log: {path.name} exists with other content; nothing was signed anew")
    make_folders(path.parent, folders)
    replace(path, content, sync_folder=False)
    folders.add(path.parent)
