"""The log: appending a batch of 256 leaves durably, and replaying them as an auditor does.

A batch is durable when its files, their folders and the signed checkpoint over them are synced;
that part waits for the disk, which a shared machine shares. So the gate is on CPU time, and the
rate by the clock is shown beside it. The floor is the hashing that no Merkle tree can do without.
"""

import secrets
import tempfile
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

from bench.measure import cpu_us, wall_us
from bench.row import AtMost, FasterThan, PerSecond, Row
from consent.ledger.findings import Tally
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.replay import Replay
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

BATCH = 256
LEAVES = [secrets.token_bytes(80) for _ in range(BATCH)]
USES = 10_000
WALL_BATCHES = 50


def rows() -> list[Row]:
    folder = tempfile.TemporaryDirectory(prefix="atorga-bench-log-")
    log = LogWriter(Path(folder.name), "bench.example/log/1", Ed25519Signer(secrets.token_bytes(32)))

    def append() -> None:
        # The folder lives as long as somebody may still append.
        assert folder is not None
        log.append(LEAVES)

    return [
        Row(
            "log append, durable, batch 256 (CPU)",
            append,
            {"its hashing alone": _hashing, "pymerkle SqliteTree": _pymerkle()},
            (
                PerSecond(BATCH, gate=15_000, goal=60_000),
                AtMost("its hashing alone", gate=None, goal=None),
                FasterThan("pymerkle SqliteTree", gate=None, goal=None),
            ),
            cpu_us,
        ),
        Row(
            "log append, durable, batch 256 (clock)",
            append,
            {},
            (PerSecond(BATCH, gate=None, goal=None),),
            partial(wall_us, times=WALL_BATCHES),
        ),
        Row("audit, leaves replayed", _replay(), {}, (PerSecond(USES + 1, gate=None, goal=None),), cpu_us),
    ]


def _hashing() -> bytes:
    """The root over 256 leaves (RFC 6962): 256 leaf hashes and 255 above them."""
    row = [sha256(b"\0" + leaf).digest() for leaf in LEAVES]
    while len(row) > 1:
        row = [sha256(b"\1" + row[at] + row[at + 1]).digest() for at in range(0, len(row), 2)]
    return row[0]


def _pymerkle() -> Callable[[], object]:
    """The same leaves into a tree in SQLite, at once: its bulk way, one transaction, no signature and no proof."""
    from pymerkle import SqliteTree  # type: ignore[import-untyped]

    folder = tempfile.TemporaryDirectory(prefix="atorga-bench-pymerkle-")
    tree = SqliteTree(f"{folder.name}/tree.db")

    def append() -> None:
        assert folder is not None
        tree.append_entries(LEAVES)

    return append


def _replay() -> Callable[[], object]:
    grant_id = secrets.token_bytes(16)
    given = Leaf(Kind.GRANT, 0, grant_id, 1, 1, 1, 29_000_000, 1, 60_000, 0, bytes(32))
    uses = [Leaf(Kind.USE, 0, grant_id, at + 2, 1, 1, 29_000_000, 1, 0, 0, bytes(32)) for at in range(USES)]
    entries = [leaf.to_bytes() for leaf in (given, *uses)]

    def run() -> None:
        tally = Tally()
        replay = Replay(tally, now=2_000_000_000)
        for index, entry in enumerate(entries):
            replay.take(index, entry)
        assert not tally.findings

    return run
