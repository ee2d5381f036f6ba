"""The public log, read by the wallet itself from checkpoint, tiles and entries (C2SP tlog-tiles).

The wallet does not ask the consent service whether an event is logged: it looks where every auditor
looks. A log that shows the wallet another tree than the one it showed before is caught here; one
that shows the wallet another tree than the world is caught by witnesses.
"""

from collections.abc import Callable

from consent.errors import LogError
from consent.ledger.leaf import LEAF_BYTES, Leaf
from consent.ledger.promise import Promise, verify_promise
from consent.log import checkpoint, merkle, note, tile
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.period import same_log
from consent.log.proof import Proof
from consent.signed_message import reading
from identity.envelope import jws
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import Network
from wallet_cli.store import consents
from wallet_cli.store.database import Store

MAX_BUNDLE_BYTES = tile.WIDTH * (2 + LEAF_BYTES)
"""Every entry of the consent log is a leaf."""

_WHAT = "log"


def key_for(pinned: str, signed_checkpoint: str) -> NoteKey:
    """The pinned key under the name of this checkpoint's period (WIRE C6: one key, a name per period)."""
    key, origin = NoteKey.parse(pinned), signed_checkpoint.partition("\n")[0]
    return key.renamed(origin) if same_log(key.name, origin) else key


def promise_under(compact: str, pinned: str) -> Promise:
    """A promise of whichever period of the pinned log. Raises ConsentError."""
    with reading(_WHAT):
        named = jws.parse(compact, what=_WHAT).claims(what=_WHAT).get("log")
    return verify_promise(compact, key_for(pinned, str(named)).format())


class PublicLog:
    """One log at one checkpoint. What it cannot show as it should is refused as ``proof_refused``."""

    def __init__(self, network: Network, base: str, pinned: str, period: str | None = None) -> None:
        """``period``: None = the current one."""
        self._network = network
        self._prefix = f"{base}/log/" if period is None else f"{base}/log/{period}/"
        self._pinned = pinned
        self._files: dict[str, bytes] = {}
        signed = self._read("checkpoint", max_bytes=checkpoint.MAX_CHECKPOINT_BYTES).decode("utf-8", "replace")
        try:
            self.checkpoint: VerifiedCheckpoint = checkpoint.verify(signed, key_for(pinned, signed))
        except LogError as fault:
            raise ConsentRefused("proof_refused", str(fault)) from None

    @property
    def origin(self) -> str:
        return self.checkpoint.checkpoint.origin

    def continue_from_seen(self, store: Store) -> None:
        """Refuses a tree that does not continue the one seen before; remembers this one."""
        seen = consents.checkpoint(store, self.origin)
        try:
            if seen is not None:
                before = checkpoint.verify(seen[1], key_for(self._pinned, seen[1]))
                proof = merkle.consistency_proof(before.size, self.checkpoint.size, self._subtree)
                merkle.verify_consistency(before.size, before.root, self.checkpoint.size, self.checkpoint.root, proof)
        except LogError as fault:
            raise ConsentRefused("proof_refused", str(fault)) from None
        with store.transaction():
            consents.save_checkpoint(store, self.origin, self.checkpoint.size, self.checkpoint.note.format())

    def leaf(self, index: int) -> Leaf:
        """The leaf at this place of the tree that the checkpoint commits to."""
        try:
            return Leaf.from_bytes(self._included(index).entry)
        except LogError as fault:
            raise ConsentRefused("proof_refused", str(fault)) from None

    def prove(self, index: int) -> str:
        """A tlog-proof of this place, for somebody who has the log's key and nothing else."""
        try:
            return self._included(index).format()
        except LogError as fault:
            raise ConsentRefused("proof_refused", str(fault)) from None

    def _included(self, index: int) -> Proof:
        """Raises LogError unless the entry is in the tree of the checkpoint."""
        size = self.checkpoint.size
        if index >= size:
            raise LogError(f"{_WHAT}: entry {index} of a log of {size}")
        bundle = index // tile.WIDTH
        content, width = self._widest(
            lambda wide: tile.bundle_path(bundle, wide), size - bundle * tile.WIDTH, max_bytes=MAX_BUNDLE_BYTES
        )
        entry = tile.parse_bundle(content, width)[index % tile.WIDTH]
        path = merkle.inclusion_path(index, size, self._subtree)
        merkle.verify_inclusion(merkle.leaf_hash(entry), index, size, path, self.checkpoint.root)
        return Proof(entry, index, tuple(path), self.checkpoint.note.format())

    def witnessed_by(self, witnesses: dict[str, str]) -> list[str]:
        """Which of these (party id → cosignature key) say that they saw this checkpoint."""
        found = []
        for party, vkey in witnesses.items():
            try:
                if note.verify_cosignature(self.checkpoint.note, NoteKey.parse(vkey)):
                    found.append(party)
            except LogError:
                # A wrong cosignature says nothing for the log; its signature and tree are checked apart.
                continue
        return found

    def _subtree(self, level: int, index: int) -> bytes:
        tile_level, height = divmod(level, tile.HEIGHT)
        number, offset = divmod(index << height, tile.WIDTH)
        there = self.checkpoint.size // tile.WIDTH**tile_level - number * tile.WIDTH
        content, width = self._widest(
            lambda wide: tile.tile_path(tile_level, number, wide), there, max_bytes=tile.WIDTH * merkle.HASH_BYTES
        )
        hashes = tile.split_tile(content, width)[offset : offset + (1 << height)]
        return merkle.complete_root(hashes)

    def _widest(self, path: Callable[[int], str], there: int, *, max_bytes: int) -> tuple[bytes, int]:
        """A file and its width. A partial one may be gone once the full one is there (tlog-tiles, Partial Tiles)."""
        width = min(tile.WIDTH, there)
        try:
            return self._read(path(width), max_bytes=max_bytes), width
        except NetworkError:
            if width == tile.WIDTH:
                raise
            return self._read(path(tile.WIDTH), max_bytes=max_bytes), tile.WIDTH

    def _read(self, path: str, *, max_bytes: int) -> bytes:
        if path not in self._files:
            answer = self._network.send("GET", self._prefix + path, headers={"Accept": "*/*"}, max_bytes=max_bytes)
            self._files[path] = answer.expect(200, what=_WHAT).body
        return self._files[path]
