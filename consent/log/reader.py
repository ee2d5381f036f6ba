"""Reading a log from its checkpoint, tiles and entry bundles alone (C2SP tlog-tiles), believing none of them.

The log's own words are never taken for its content: each entry's hash must stand in its tile, each
tile must be the one that the entries make, and their root the one that was signed. What does not
fit is named by its place, so that a flipped byte is told from a rewritten log.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from consent.errors import LogError
from consent.log import checkpoint, edge, merkle, note, period, tile
from consent.log.checkpoint import MAX_CHECKPOINT_BYTES, Checkpoint, VerifiedCheckpoint
from consent.log.note import NoteKey

Fetch = Callable[[str, int], bytes | None]
"""(path below the log's prefix, most bytes) → content; None where there is no such file.

Raises LogError where it is larger or cannot be had.
"""

CHECKPOINT = "checkpoint"
TILE_BYTES = tile.WIDTH * merkle.HASH_BYTES


@dataclass(slots=True)
class Tree:
    """The tree over the entries read so far; only its right edge is held."""

    size: int = 0
    _edges: list[list[bytes]] = field(default_factory=list)

    @property
    def root(self) -> bytes:
        return edge.root(self._edges) if self.size else merkle.EMPTY_ROOT

    def add(self, leaf_hashes: Sequence[bytes]) -> list[tuple[str, bytes]]:
        """Appends; returns path and content of the tiles that became full."""
        full: list[tuple[str, bytes]] = []
        for value in leaf_hashes:
            edge.push(self._edges, value, full)
        self.size += len(leaf_hashes)
        return full

    def partial_tiles(self) -> list[tuple[str, bytes]]:
        return list(edge.partial_tiles(self._edges, self.size))


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive entries, the first at ``index``: their hashes stand in the tiles, not yet under the root."""

    index: int
    entries: tuple[bytes, ...]


class LogReader:
    """One log behind ``fetch``, believed only under ``key``.

    ``max_entry_bytes`` bounds what an entry bundle may have: the log is another party's.
    """

    def __init__(self, fetch: Fetch, key: NoteKey, *, max_entry_bytes: int = tile.MAX_ENTRY_BYTES) -> None:
        self._fetch = fetch
        self._key = key
        self._max_bundle_bytes = tile.WIDTH * (2 + max_entry_bytes)

    def checkpoint(self) -> VerifiedCheckpoint:
        """The current checkpoint, of the key's own period or another one of the same log (WIRE C6).

        Raises LogError where there is none or the log did not sign it.
        """
        raw = self._fetch(CHECKPOINT, MAX_CHECKPOINT_BYTES)
        if raw is None:
            raise LogError("log: it has no checkpoint")
        return verify_period(raw, self._key)

    def runs(self, signed: Checkpoint, tree: Tree, *, stops: Sequence[int] = ()) -> Iterator[Run]:
        """All entries below ``signed``, in order, each run once its hashes stand in the log's tiles.

        ``tree`` is new, and is the tree behind the run last given; a run ends at each of the sizes
        in ``stops``, so that its root there can be compared. After the last run the whole is
        checked: the tiles of the right edge, and the root. Only when the iterator has ended without
        an error has anything been proven; until then a caller draws no conclusion. Raises LogError.
        """
        while tree.size < signed.size:
            number = tree.size // tile.WIDTH
            width = min(tile.WIDTH, signed.size - tree.size)
            entries = self._bundle(number, width)
            hashes = [merkle.leaf_hash(entry) for entry in entries]
            _compare(hashes, self._tile(tile.tile_path(0, number, width), width), tree.size)
            first = tree.size
            for low, high in _cut(first, width, stops):
                self._require_tiles(tree.add(hashes[low:high]))
                yield Run(first + low, tuple(entries[low:high]))
        self._require_whole(signed, tree)

    def has_entries(self, signed: Checkpoint) -> bool:
        """Whether its entries are served: those of a closed period are deleted after their retention."""
        width = min(tile.WIDTH, signed.size)
        paths = dict.fromkeys((tile.bundle_path(0, width), tile.bundle_path(0)))
        return any(self._fetch(path, self._max_bundle_bytes) is not None for path in paths)

    def hashes(self, signed: Checkpoint, tree: Tree, *, stops: Sequence[int] = ()) -> Iterator[int]:
        """As ``runs``, from the lowest hash tiles alone; gives the size of the tree at each step."""
        while tree.size < signed.size:
            number = tree.size // tile.WIDTH
            width = min(tile.WIDTH, signed.size - tree.size)
            hashes = tile.split_tile(self._tile(tile.tile_path(0, number, width), width), width)
            first = tree.size
            for low, high in _cut(first, width, stops):
                self._require_tiles(tree.add(hashes[low:high]))
                yield tree.size
        self._require_whole(signed, tree)

    def _require_whole(self, signed: Checkpoint, tree: Tree) -> None:
        self._require_tiles(tree.partial_tiles())
        if tree.root != signed.root:
            raise LogError(f"log: its {signed.size} entries do not lead to the root that was signed")

    def _bundle(self, number: int, width: int) -> list[bytes]:
        content, found = self._file(tile.bundle_path(number, width), self._max_bundle_bytes, width)
        try:
            return tile.parse_bundle(content, found)[:width]
        except LogError as fault:
            raise LogError(f"entries from {number * tile.WIDTH}: {fault}") from None

    def _tile(self, path: str, width: int) -> bytes:
        content, found = self._file(path, TILE_BYTES, width)
        if len(content) != found * merkle.HASH_BYTES:
            raise LogError(f"{path}: {len(content)} bytes, expected {found * merkle.HASH_BYTES}")
        return content[: width * merkle.HASH_BYTES]

    def _file(self, path: str, most: int, width: int) -> tuple[bytes, int]:
        """A file and its width: a partial one may be gone once the full one is there (tlog-tiles, Partial Tiles)."""
        content = self._fetch(path, most)
        if content is not None:
            return content, width
        full_path = path.partition(".p/")[0]
        content = self._fetch(full_path, most) if full_path != path else None
        if content is None:
            raise LogError(f"{path}: the log does not have it")
        return content, tile.WIDTH

    def _require_tiles(self, made: Sequence[tuple[str, bytes]]) -> None:
        """The tiles that the entries make are those that the log serves."""
        for path, content in made:
            # The lowest ones were compared hash by hash when their entries came.
            if not path.startswith("tile/0/") and self._tile(path, len(content) // merkle.HASH_BYTES) != content:
                raise LogError(f"{path}: it is not the tile that the entries make")


def _cut(first: int, width: int, stops: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The parts of one tile between those of ``stops`` that lie inside it."""
    return pairwise(sorted({0, width} | {stop - first for stop in stops if 0 < stop - first < width}))


def _compare(hashes: Sequence[bytes], stored: bytes, first: int) -> None:
    if b"".join(hashes) == stored:
        return
    for at, value in enumerate(hashes):
        if stored[at * merkle.HASH_BYTES : (at + 1) * merkle.HASH_BYTES] != value:
            raise LogError(f"entry {first + at}: it is not the one whose hash stands in the log's tile")


def from_folder(folder: Path) -> Fetch:
    """Reads a log whose files lie here."""

    def fetch(path: str, most: int) -> bytes | None:
        try:
            with (folder / path).open("rb") as stream:
                content = stream.read(most + 1)
        except FileNotFoundError:
            return None
        if len(content) > most:
            raise LogError(f"{path}: more than {most} bytes")
        return content

    return fetch


def verify_period(signed: bytes | str, key: NoteKey) -> VerifiedCheckpoint:
    """A checkpoint of the log of this key, of whichever period. Raises LogError."""
    if len(signed) > MAX_CHECKPOINT_BYTES:
        raise LogError(f"checkpoint: more than {MAX_CHECKPOINT_BYTES} bytes")
    try:
        text = signed.decode("utf-8") if isinstance(signed, bytes) else signed
    except UnicodeDecodeError:
        raise LogError("checkpoint: not UTF-8") from None
    origin = Checkpoint.parse(note.parse(text).text).origin
    if not period.same_log(origin, key.name):
        raise LogError("checkpoint: the origin is not the expected log's")
    return checkpoint.verify(text, key.renamed(origin))
