"""The one writer of a log's files.

Order, which is the whole point (DESIGN §8): entries and tiles are written and synced, files and
directories; only then a checkpoint over them is signed and synced; only then it becomes the
current one by rename. A crash between any two steps leaves a log whose current checkpoint is
covered by what lies below it. Files are immutable: a file that exists is compared, never changed.

The database is the source of truth for entries. On start the caller opens the writer, which finds
the newest checkpoint on disk; entries beyond it are appended again, and a database that has fewer
entries than the checkpoint signs nothing (StoreBehindLog).

Not done here: witnesses (``consent.log.witness``), which cosign the checkpoint afterwards.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path

from consent.errors import LogError, LogInUse, StoreBehindLog
from consent.log import checkpoint, merkle, note, proof, tile
from consent.log.checkpoint import Checkpoint
from consent.log.merkle import EMPTY_ROOT
from consent.log.note import NoteKey
from identity.keys.ed25519 import Ed25519Signer

CHECKPOINT = "checkpoint"
LOCK = "writer.lock"

KEPT_TILES = 256
"""Finished tiles kept in memory for proofs: 2 MiB."""


class LogWriter:
    """Appends to a log in ``folder``; holds its lock until closed.

    Raises LogInUse where another process writes it, LogError where the newest checkpoint is not
    ours or its tiles are damaged.
    """

    def __init__(self, folder: Path, origin: str, signer: Ed25519Signer) -> None:
        self._folder = folder
        self._origin = origin
        self._signer = signer
        self.key = NoteKey(origin, note.ED25519, signer.public)
        self._edges: list[list[bytes]] = []
        """Per tile level, the hashes of the tile that is not yet full."""
        self._last_entries: list[bytes] = []
        """Entries of the bundle that is not yet full."""
        self.size = 0
        self.signed_checkpoint = ""
        self._finished_tile = lru_cache(maxsize=KEPT_TILES)(self._read_finished_tile)
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(folder / LOCK)
        try:
            self._open()
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

        On an error nothing of them is in the log, and appending again is safe.
        """
        if not entries:
            return self.size
        edges = [list(edge) for edge in self._edges]
        first = self.size
        pending: list[tuple[str, bytes]] = []
        self._bundle_files(first, entries, pending)
        for entry in entries:
            _push(edges, merkle.leaf_hash(entry), pending)
        size = first + len(entries)
        pending.extend(_partial_tiles(edges, size))
        self._write_all(pending)
        signed = self._sign(Checkpoint(self._origin, size, _edge_root(edges)))
        self._publish(signed, size)
        self._edges, self.size, self.signed_checkpoint = edges, size, signed
        last = size // tile.WIDTH * tile.WIDTH
        self._last_entries = list(entries[max(0, last - first) :]) if first < last else [*self._last_entries, *entries]
        return first

    def prove(self, index: int) -> str:
        """The proof that entry ``index`` is under the current checkpoint (tlog-proof text)."""
        path = merkle.inclusion_path(index, self.size, self._subtree)
        return proof.make(self.entry(index), index, path, self.signed_checkpoint)

    def prove_consistency(self, old: int) -> list[bytes]:
        """From the tree of ``old`` leaves to the current one."""
        return merkle.consistency_proof(old, self.size, self._subtree)

    def entry(self, index: int) -> bytes:
        if not 0 <= index < self.size:
            raise LogError(f"log: no entry {index} in a log of {self.size}")
        bundle, position = divmod(index, tile.WIDTH)
        if bundle == self.size // tile.WIDTH:
            return self._last_entries[position]
        return tile.parse_bundle((self._folder / tile.bundle_path(bundle)).read_bytes(), tile.WIDTH)[position]

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

    # ── opening ──────────────────────────────────────────────────────────────────────────────

    def _open(self) -> None:
        signed = self._newest_checkpoint()
        if signed is None:
            self._publish_empty()
            return
        verified = checkpoint.verify(signed, self.key)
        size = verified.size
        self._edges = self._edges_of(size)
        if (_edge_root(self._edges) if size else EMPTY_ROOT) != verified.root:
            raise LogError("log: the tiles do not lead to the root of the newest checkpoint")
        bundle, width = divmod(size, tile.WIDTH)
        if width:
            stored = (self._folder / tile.bundle_path(bundle, width)).read_bytes()
            self._last_entries = tile.parse_bundle(stored, width)
            if [merkle.leaf_hash(entry) for entry in self._last_entries] != self._edges[0]:
                raise LogError("log: the last entries do not lead to the newest checkpoint")
        self.size, self.signed_checkpoint = size, signed
        replace(self._folder / CHECKPOINT, signed.encode())

    def _newest_checkpoint(self) -> str | None:
        """The kept checkpoint of the largest size: a crash may have come before it became current."""
        sizes = [int(path.suffix[1:]) for path in self._folder.glob(f"{CHECKPOINT}.*") if path.suffix[1:].isdecimal()]
        if sizes:
            return (self._folder / f"{CHECKPOINT}.{max(sizes)}").read_text(encoding="utf-8")
        if (self._folder / CHECKPOINT).exists():
            raise LogError("log: a current checkpoint without its kept copy")
        return None

    def _publish_empty(self) -> None:
        signed = self._sign(Checkpoint(self._origin, 0, EMPTY_ROOT))
        self._publish(signed, 0)
        self.signed_checkpoint = signed

    def _edges_of(self, size: int) -> list[list[bytes]]:
        edges = []
        level, count = 0, size
        while count:
            number, width = divmod(count, tile.WIDTH)
            stored = (self._folder / tile.tile_path(level, number, width)).read_bytes() if width else b""
            edges.append(tile.split_tile(stored, width))
            level, count = level + 1, number
        return edges

    # ── writing ──────────────────────────────────────────────────────────────────────────────

    def _bundle_files(self, first: int, entries: Sequence[bytes], pending: list[tuple[str, bytes]]) -> None:
        bundle = first // tile.WIDTH
        run = [*self._last_entries, *entries]
        for at in range(0, len(run), tile.WIDTH):
            part = run[at : at + tile.WIDTH]
            pending.append((tile.bundle_path(bundle, len(part)), tile.format_bundle(part)))
            bundle += 1

    def _write_all(self, files: Sequence[tuple[str, bytes]]) -> None:
        folders: set[Path] = set()
        for path, content in files:
            _write_once(self._folder / path, content, folders)
        for folder in sorted(folders):
            _sync_folder(folder)

    def _sign(self, unsigned: Checkpoint) -> str:
        text = unsigned.format()
        signature = note.sign(text, self._origin, self._signer.public, self._signer)
        return note.UnverifiedNote(text, (signature,)).format()

    def _publish(self, signed: str, size: int) -> None:
        folders: set[Path] = set()
        kept = self._folder / f"{CHECKPOINT}.{size}"
        _write_once(kept, signed.encode(), folders)
        replace(self._folder / CHECKPOINT, signed.encode())

    # ── reading ──────────────────────────────────────────────────────────────────────────────

    def _subtree(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, tile.HEIGHT)
        number, offset = divmod(index << height, tile.WIDTH)
        edge = self._edges[tile_level] if tile_level < len(self._edges) else []
        finished = self.size // tile.WIDTH ** (tile_level + 1)
        hashes = edge if number == finished else self._finished_tile(tile_level, number)
        return merkle.complete_root(hashes[offset : offset + (1 << height)])

    def _read_finished_tile(self, level: int, number: int) -> list[bytes]:
        return tile.split_tile((self._folder / tile.tile_path(level, number)).read_bytes(), tile.WIDTH)


def _push(edges: list[list[bytes]], value: bytes, pending: list[tuple[str, bytes]]) -> None:
    """Adds a leaf hash at the right edge; a tile that becomes full is a file and moves up as one hash."""
    level = 0
    while True:
        if level == len(edges):
            edges.append([])
        edge = edges[level]
        edge.append(value)
        if len(edge) < tile.WIDTH:
            return
        number = 0
        for above in reversed(edges[level + 1 :]):
            number = number * tile.WIDTH + len(above)
        pending.append((tile.tile_path(level, number), b"".join(edge)))
        value = merkle.complete_root(edge)
        edges[level] = []
        level += 1


def _partial_tiles(edges: Sequence[Sequence[bytes]], size: int) -> Iterator[tuple[str, bytes]]:
    """tlog-tiles: the partial tiles of every checkpoint are published."""
    count = size
    for level, edge in enumerate(edges):
        if edge:
            yield tile.tile_path(level, count // tile.WIDTH, len(edge)), b"".join(edge)
        count //= tile.WIDTH


def _edge_root(edges: Sequence[Sequence[bytes]]) -> bytes:
    """The root from the right edge: complete subtrees, largest first, folded from the right."""
    peaks: list[bytes] = []
    for edge in reversed(edges):
        at = 0
        for height in reversed(range(tile.HEIGHT)):
            if len(edge) >> height & 1:
                peaks.append(merkle.complete_root(edge[at : at + (1 << height)]))
                at += 1 << height
    value = peaks.pop()
    while peaks:
        value = merkle.node_hash(peaks.pop(), value)
    return value


def _lock(path: Path) -> int | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise LogInUse("another process writes this log") from None
    return handle


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
    _make_folders(path.parent, folders)
    replace(path, content, sync_folder=False)
    folders.add(path.parent)


def _make_folders(folder: Path, folders: set[Path]) -> None:
    if folder.is_dir():
        return
    _make_folders(folder.parent, folders)
    folder.mkdir(exist_ok=True)
    folders.add(folder.parent)


def replace(path: Path, content: bytes, *, sync_folder: bool = True) -> None:
    """Puts a durable file in place in one step: whoever reads sees the old or the new content."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    try:
        with _closing(handle):
            view = memoryview(content)
            while view:
                view = view[os.write(handle, view) :]
            os.fsync(handle)
        os.replace(temporary, path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        _sync_folder(path.parent)


@contextmanager
def _closing(handle: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(handle)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _closing(handle):
        os.fsync(handle)
