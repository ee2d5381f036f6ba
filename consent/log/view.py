"""A log as its files show it at the newest signed checkpoint: proofs and entries, nothing written.

Whoever follows a log that another process writes looks at the current checkpoint again (``look``)
and has everything below it: a checkpoint is there only after its tiles (``consent.log.writer``).
"""

from dataclasses import dataclass, field
from dataclasses import replace as changed
from functools import lru_cache
from pathlib import Path

from consent.errors import LogError
from consent.log import checkpoint, edge, merkle, proof, tile
from consent.log.merkle import EMPTY_ROOT
from consent.log.note import NoteKey

CHECKPOINT = "checkpoint"
COSIGNED = "cosigned"

KEPT_TILES = 256
"""Finished tiles kept in memory for proofs: 2 MiB."""

KEPT_ROOTS = 16_384
"""Roots of complete subtrees kept for proofs, some 3 MiB: a batch's leaves share nearly all of their paths."""

KEPT_BUNDLES = 32
"""Finished bundles kept in memory: who waited for a leaf asks for it when its bundle may just have become full."""

NEAR_ENTRIES = 4_096
"""So many new entries are added to the tree at hand; beyond them reading its right edge is less work."""


@dataclass(frozen=True, slots=True)
class Head:
    """The log at one checkpoint, so that who proves sees one size, its hashes and its signature together."""

    size: int
    edges: tuple[tuple[bytes, ...], ...]
    """Per tile level, the hashes of the tile that is not yet full."""
    last_entries: tuple[bytes, ...]
    """Entries of the bundle that is not yet full."""
    signed: str
    right_edge: dict[int, bytes] = field(default_factory=dict, compare=False, repr=False)
    """What proofs of this size have in common (``merkle.inclusion_path``)."""


class LogView:
    """The log of ``key`` in ``folder``. Empty until it has looked."""

    def __init__(self, folder: Path, key: NoteKey) -> None:
        self._folder = folder
        self.key = key
        self._head = Head(0, (), (), "")
        self._finished_tile = lru_cache(maxsize=KEPT_TILES)(self._read_finished_tile)
        self._finished_bundle = lru_cache(maxsize=KEPT_BUNDLES)(self._read_finished_bundle)
        self._roots: dict[tuple[int, int], bytes] = {}
        """(level, index) of a complete subtree → its root, which no later leaf changes."""

    @property
    def size(self) -> int:
        return self._head.size

    @property
    def signed_checkpoint(self) -> str:
        """The current one, with the cosignatures that have come."""
        return self._head.signed

    def look(self, *, with_entries: bool = True) -> bool:
        """Reads the current checkpoint; whether it is another one than before.

        Without entries, from the hash tiles alone: those of a closed period may be deleted.

        Raises LogError where it is not ours, has become smaller, or its tiles do not lead to it;
        OSError (FileNotFoundError) where there is none.
        """
        signed = (self._folder / CHECKPOINT).read_text(encoding="utf-8")
        head = self._head
        if signed == head.signed:
            return False
        verified = checkpoint.verify(signed, self.key)
        if verified.size < head.size:
            raise LogError(f"log: its checkpoint fell from {head.size} entries to {verified.size}")
        if head.signed and verified.size == head.size:
            if verified.note.text != checkpoint.verify(head.signed, self.key).note.text:
                raise LogError(f"log: two checkpoints of {head.size} entries")
            self._head = changed(head, signed=signed)
        elif head.signed and verified.size - head.size <= NEAR_ENTRIES:
            self._head = self._head_after(head, signed, verified)
        else:
            self._head = self._head_at(signed, verified, with_entries=with_entries)
        return True

    def prove(self, index: int, size: int | None = None, *, entry: bytes | None = None) -> str:
        """The proof that entry ``index`` is under the current checkpoint (tlog-proof text), or under the
        kept one of ``size``, which may have cosignatures that the current one still lacks.

        ``entry`` is for a log whose entry bundles were deleted; the proof is right only if it is.
        """
        head = self._head
        signed = head.signed
        if size is not None and size != head.size:
            signed = self.checkpoint_of(size)
        right_edge = head.right_edge if size in (None, head.size) else None
        path = merkle.inclusion_path(index, head.size if size is None else size, self._subtree_of(head), right_edge)
        return proof.make(self._entry(head, index) if entry is None else entry, index, path, signed)

    def prove_consistency(self, old: int, new: int | None = None) -> list[bytes]:
        """From the tree of ``old`` leaves to the one of ``new``, or to the current one."""
        head = self._head
        size = head.size if new is None else new
        if size > head.size:
            raise LogError(f"log: no tree of {size} in a log of {head.size}")
        return merkle.consistency_proof(old, size, self._subtree_of(head))

    def checkpoint_of(self, size: int) -> str:
        """The kept checkpoint of this size, with the cosignatures that have come. Raises OSError."""
        return (self._folder / f"{CHECKPOINT}.{size}").read_text(encoding="utf-8")

    def cosigned_size(self) -> int:
        """The size of the newest checkpoint that its writer found to meet its quorum; 0 where none is known."""
        try:
            return int((self._folder / COSIGNED).read_text(encoding="ascii"))
        except (OSError, ValueError):
            return 0

    def entry(self, index: int) -> bytes:
        return self._entry(self._head, index)

    def _entry(self, head: Head, index: int) -> bytes:
        if not 0 <= index < head.size:
            raise LogError(f"log: no entry {index} in a log of {head.size}")
        bundle, position = divmod(index, tile.WIDTH)
        return self._bundle(head, bundle)[position]

    def entries(self, first: int, end: int) -> list[bytes]:
        """Entries ``first`` to ``end``, itself excluded."""
        head = self._head
        if not 0 <= first <= end <= head.size:
            raise LogError(f"log: no entries {first} to {end} in a log of {head.size}")
        found: list[bytes] = []
        while first < end:
            bundle, position = divmod(first, tile.WIDTH)
            found += self._bundle(head, bundle)[position : position + end - first]
            first = (bundle + 1) * tile.WIDTH
        return found

    def _bundle(self, head: Head, bundle: int) -> tuple[bytes, ...] | list[bytes]:
        if bundle == head.size // tile.WIDTH:
            return head.last_entries
        return self._finished_bundle(bundle)

    def _read_finished_bundle(self, bundle: int) -> list[bytes]:
        return tile.parse_bundle((self._folder / tile.bundle_path(bundle)).read_bytes(), tile.WIDTH)

    # ── opening ──────────────────────────────────────────────────────────────────────────────

    def _head_at(self, signed: str, verified: checkpoint.VerifiedCheckpoint, *, with_entries: bool = True) -> Head:
        """What lies below a checkpoint. Raises LogError where it does not lead to it."""
        size = verified.size
        edges = self._edges_of(size)
        if (edge.root(edges) if size else EMPTY_ROOT) != verified.root:
            raise LogError("log: the tiles do not lead to the root of the newest checkpoint")
        bundle, width = divmod(size, tile.WIDTH)
        last_entries: list[bytes] = []
        if width and with_entries:
            stored = (self._folder / tile.bundle_path(bundle, width)).read_bytes()
            last_entries = tile.parse_bundle(stored, width)
            if [merkle.leaf_hash(entry) for entry in last_entries] != edges[0]:
                raise LogError("log: the last entries do not lead to the newest checkpoint")
        return Head(size, edge.frozen(edges), tuple(last_entries), signed)

    def _head_after(self, head: Head, signed: str, verified: checkpoint.VerifiedCheckpoint) -> Head:
        """The same for a log that has grown a little: only what is new is read and hashed."""
        edges, run = [list(row) for row in head.edges], list(head.last_entries)
        for bundle in range(head.size // tile.WIDTH, -(-verified.size // tile.WIDTH)):
            width = min(tile.WIDTH, verified.size - bundle * tile.WIDTH)
            stored = tile.parse_bundle((self._folder / tile.bundle_path(bundle, width)).read_bytes(), width)
            run = [*run, *stored[len(run) % tile.WIDTH :]]
        for entry in run[head.size % tile.WIDTH :]:
            edge.push(edges, merkle.leaf_hash(entry), [])
        last_entries = tuple(run[len(run) - verified.size % tile.WIDTH :])
        after = Head(verified.size, edge.frozen(edges), last_entries, signed)
        if self._root_of(after) != verified.root:
            self._forget()
            raise LogError("log: the new entries do not lead to the root of the newest checkpoint")
        return after

    def _forget(self) -> None:
        """What is kept of trees that were never signed, and perhaps never will be."""
        self._roots = {}
        self._finished_tile.cache_clear()
        self._finished_bundle.cache_clear()

    def _root_of(self, head: Head) -> bytes:
        """From what is kept of smaller trees, and the leaves that are new."""
        return merkle.root(head.size, self._subtree_of(head))

    def _edges_of(self, size: int) -> list[list[bytes]]:
        edges = []
        level, count = 0, size
        while count:
            number, width = divmod(count, tile.WIDTH)
            stored = (self._folder / tile.tile_path(level, number, width)).read_bytes() if width else b""
            edges.append(tile.split_tile(stored, width))
            level, count = level + 1, number
        return edges

    def _subtree_of(self, head: Head) -> merkle.Subtree:
        roots = self._roots

        def subtree(level: int, index: int) -> bytes:
            kept = roots.get((level, index))
            if kept is not None:
                return kept
            if len(roots) >= KEPT_ROOTS:
                roots.clear()
            value = roots[level, index] = compute(level, index)
            return value

        def compute(level: int, index: int) -> bytes:
            tile_level, height = divmod(level, tile.HEIGHT)
            if height:
                # Each hash is made once, and then kept for its neighbours' proofs.
                return merkle.node_hash(subtree(level - 1, 2 * index), subtree(level - 1, 2 * index + 1))
            number, offset = divmod(index, tile.WIDTH)
            finished = head.size // tile.WIDTH ** (tile_level + 1)
            hashes = head.edges[tile_level] if number == finished else self._finished_tile(tile_level, number)
            return hashes[offset]

        return subtree

    def _read_finished_tile(self, level: int, number: int) -> list[bytes]:
        return tile.split_tile((self._folder / tile.tile_path(level, number)).read_bytes(), tile.WIDTH)
