"""An auditor's own copy of a log: what was once seen cannot be taken back.

    DIR/<period>/checkpoint, checkpoint.SIZE, tile/…   as the log serves them
    DIR/seen/*.json                                every signed checkpoint that was ever seen

A step forward, in this order, so that it may be killed anywhere:

  1. What lies here is read again and must lead to its own checkpoint; nothing is fetched before.
  2. The new checkpoint is noted as seen: also one that turns out to contradict.
  3. Entries and lowest tiles behind the old size are fetched, file by file, each durable before the next.
  4. Old and new entries together must lead to the new root, by tiles that they themselves make.
  5. Only then the new checkpoint takes the place of the old one.

What a killed step left is used by the next one, and believed as little. Where 4 fails the files
behind the old size are removed, and the copy stays what it was.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from consent.errors import LogError
from consent.log import durable, merkle, tile
from consent.log.checkpoint import MAX_CHECKPOINT_BYTES, VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.reader import CHECKPOINT, Fetch, LogReader, Tree, from_folder, verify_period
from consent.log.seen import SeenCheckpoints

SEEN = "seen"


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: entries that were here and right, entries that came."""

    kept: int
    fetched: int


class Mirror:
    """The copy of one log, with all its periods, in ``folder``. One process at a time."""

    def __init__(self, folder: Path, key: NoteKey, *, max_entry_bytes: int) -> None:
        self._folder = folder
        self._key = key
        self._max_entry_bytes = max_entry_bytes
        self.seen = SeenCheckpoints(folder / SEEN)

    def lock(self) -> int:
        """Until the returned handle is closed. Raises LogInUse."""
        _make_folders(self._folder)
        return durable.lock(self._folder / "lock", what="writes this mirror")

    def periods(self) -> list[str]:
        """Those of which something is kept."""
        if not self._folder.is_dir():
            return []
        return sorted(one.name for one in self._folder.iterdir() if (one / CHECKPOINT).is_file())

    def fetch(self, period: str) -> Fetch:
        """The files of this copy, as of a log."""
        return from_folder(self._folder / period)

    def checkpoint(self, period: str) -> VerifiedCheckpoint | None:
        """The newest one whose entries are here. Raises LogError where the log did not sign it."""
        raw = self.fetch(period)(CHECKPOINT, MAX_CHECKPOINT_BYTES)
        return verify_period(raw, self._key) if raw is not None else None

    def extend(
        self,
        signed: VerifiedCheckpoint,
        remote: Fetch,
        *,
        now: int,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Step:
        """One step forward to ``signed``, of whichever period. Raises LogError; then nothing has changed."""
        name = period_of(signed)
        folder = self._folder / name
        # 1
        known = self.checkpoint(name)
        tree = Tree()
        if known is not None:
            self._reread(name, known, tree)
        # 2
        self.seen.remember(signed, now=now)
        if signed.size < tree.size:
            raise LogError(f"log: it has {signed.size} entries, and had {tree.size}")
        if known is not None and signed.size == known.size:
            if signed.root != known.root:
                raise LogError(f"log: two roots of {signed.size} entries were signed")
            return Step(tree.size, 0)
        # 3, 4
        step = _Extension(folder, tree.size, signed, remote, self._max_entry_bytes)
        try:
            step.run(tree, progress)
        except LogError:
            if not step.asking:
                step.discard()
            raise
        # 5
        self._adopt(folder, signed)
        before = known.size if known is not None else 0
        return Step(before, signed.size - before)

    def note_cosignatures(self, signed: VerifiedCheckpoint) -> None:
        """The same tree with more witnesses: kept in place of the one with fewer."""
        known = self.checkpoint(period_of(signed))
        if known is not None and (known.size, known.root) == (signed.size, signed.root):
            self._adopt(self._folder / period_of(signed), signed)

    def _reread(self, name: str, known: VerifiedCheckpoint, tree: Tree) -> None:
        reader = LogReader(self.fetch(name), self._key, max_entry_bytes=self._max_entry_bytes)
        try:
            if reader.has_entries(known.checkpoint) or not known.size:
                for _ in reader.runs(known.checkpoint, tree):
                    pass
            else:
                for _ in reader.hashes(known.checkpoint, tree):
                    pass
        except LogError as fault:
            raise LogError(f"mirror: what is kept of {name} is damaged: {fault}") from None

    def _adopt(self, folder: Path, signed: VerifiedCheckpoint) -> None:
        content = signed.note.format().encode()
        _make_folders(folder)
        durable.replace(folder / f"{CHECKPOINT}.{signed.size}", content)
        durable.replace(folder / CHECKPOINT, content)


class _Extension:
    """Steps 3 and 4: the entries from ``size`` up to a new checkpoint."""

    def __init__(
        self, folder: Path, size: int, signed: VerifiedCheckpoint, remote: Fetch, max_entry_bytes: int
    ) -> None:
        self._folder = folder
        self._size = size
        self._signed = signed
        self._remote = remote
        self._most = tile.WIDTH * (2 + max_entry_bytes)
        self._entries: bool | None = None
        """Whether the log serves entries; not known before the first was asked for."""
        self._touched: list[Path] = []
        self.asking = False
        """Left true by a host that did not answer: that says nothing about the files that came."""

    def run(self, tree: Tree, progress: Callable[[int, int], None]) -> None:
        size, end = tree.size, self._signed.size
        while size < end:
            number, skip = divmod(size, tile.WIDTH)
            width = min(tile.WIDTH, end - number * tile.WIDTH)
            self._keep_all(tree.add(self._hashes(number, width)[skip:]))
            size += width - skip
            progress(size, end)
        self._keep_all(tree.partial_tiles())
        if tree.root != self._signed.root:
            raise LogError(
                f"log: what it serves behind entry {self._size} does not lead, with what is kept, to the root it signed"
            )

    def _hashes(self, number: int, width: int) -> list[bytes]:
        """Of the entries; of the lowest tile where a closed period's entries were deleted before anybody kept them."""
        path = tile.bundle_path(number, width)
        bundle = self._file(path, self._most) if self._entries is not False else None
        if self._entries is None:
            self._entries = bundle is not None
        if bundle is None:
            if self._entries:
                raise LogError(f"{path}: the log does not have it")
            path = tile.tile_path(0, number, width)
            lowest = self._file(path, tile.WIDTH * merkle.HASH_BYTES)
            if lowest is None:
                raise LogError(f"{path}: the log does not have it")
            return tile.split_tile(lowest, width)
        self._keep(path, bundle)
        return [merkle.leaf_hash(entry) for entry in tile.parse_bundle(bundle, width)]

    def _file(self, path: str, most: int) -> bytes | None:
        """A full file where the partial one is gone is cut to the width that was asked for."""
        local = self._folder / path
        with suppress(OSError):
            # Left by a step that was killed.
            content = local.read_bytes()
            self._touched.append(local)
            return content
        found = self._ask(path, most)
        if found is not None:
            return found
        full, _, width = path.partition(".p/")
        found = self._ask(full, most) if width else None
        if found is None:
            return None
        if "/entries/" in path:
            return tile.format_bundle(tile.parse_bundle(found, tile.WIDTH)[: int(width)])
        return found[: int(width) * merkle.HASH_BYTES]

    def _ask(self, path: str, most: int) -> bytes | None:
        self.asking = True
        found = self._remote(path, most)
        self.asking = False
        return found

    def _keep_all(self, files: Iterable[tuple[str, bytes]]) -> None:
        for path, content in files:
            self._keep(path, content)

    def _keep(self, path: str, content: bytes) -> None:
        target = self._folder / path
        if target.exists() and target.read_bytes() == content:
            return
        _make_folders(target.parent)
        durable.replace(target, content)
        self._touched.append(target)

    def discard(self) -> None:
        for path in self._touched:
            path.unlink(missing_ok=True)


def _make_folders(folder: Path) -> None:
    changed: set[Path] = set()
    durable.make_folders(folder, changed)
    for one in changed:
        durable.sync(one)


def period_of(signed: VerifiedCheckpoint) -> str:
    return signed.checkpoint.origin.rpartition("/")[2]
