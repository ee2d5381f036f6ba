"""The log against a naive model of RFC 6962, and single flipped bits against its checks."""

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import LogError
from consent.ledger.leaf import Kind, Leaf
from consent.log import checkpoint, merkle, proof, tile
from consent.log.note import NoteKey
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer

SIGNER = Ed25519Signer(bytes(32))


def naive_root(entries: list[bytes]) -> bytes:
    """MTH as RFC 6962 section 2.1 writes it down."""
    if not entries:
        return merkle.EMPTY_ROOT
    if len(entries) == 1:
        return merkle.leaf_hash(entries[0])
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return merkle.node_hash(naive_root(entries[:split]), naive_root(entries[split:]))


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.data())
@settings(max_examples=40, deadline=None)
def test_any_batches_lead_to_the_naive_tree(batches: list[int], data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        log = LogWriter(Path(folder), "o", SIGNER)
        entries: list[bytes] = []
        roots = {0: merkle.EMPTY_ROOT}
        for batch in batches:
            added = [len(entries).to_bytes(4, "big") + bytes([n % 256]) for n in range(batch)]
            log.append(added)
            entries += added
            signed = checkpoint.verify(log.signed_checkpoint, log.key)
            roots[len(entries)] = signed.root
            assert (signed.size, signed.root) == (len(entries), naive_root(entries))
        index = data.draw(st.integers(0, len(entries) - 1))
        assert proof.verify(log.prove(index), log.key).entry == entries[index]
        old = data.draw(st.sampled_from(sorted(roots)))
        steps = log.prove_consistency(old)
        merkle.verify_consistency(old, roots[old], len(entries), roots[len(entries)], steps)
        log.close()


@given(st.integers(1, 70), st.data())
@settings(max_examples=60, deadline=None)
def test_proofs_of_small_trees(size: int, data: st.DataObject) -> None:
    entries = [bytes([n]) for n in range(size)]

    @lru_cache
    def subtree(level: int, index: int) -> bytes:
        return naive_root(entries[index << level : (index + 1) << level])

    root = merkle.root(size, subtree)
    index = data.draw(st.integers(0, size - 1))
    path = merkle.inclusion_path(index, size, subtree)
    leaf = merkle.leaf_hash(entries[index])
    merkle.verify_inclusion(leaf, index, size, path, root)
    wrong_index = data.draw(st.integers(0, size + 1).filter(lambda other: other != index))
    for args in (
        (leaf, wrong_index, size, path, root),
        (leaf, index, size, [*path, root], root),
        (merkle.leaf_hash(b"other"), index, size, path, root),
        *([(leaf, index, size, path[:-1], root)] if path else []),
    ):
        with pytest.raises(LogError):
            merkle.verify_inclusion(*args)
    old = data.draw(st.integers(0, size))
    old_root = naive_root(entries[:old])
    steps = merkle.consistency_proof(old, size, subtree)
    merkle.verify_consistency(old, old_root, size, root, steps)
    with pytest.raises(LogError):
        merkle.verify_consistency(old, merkle.leaf_hash(b"fork"), size, root, steps)
    with pytest.raises(LogError):
        merkle.verify_consistency(old, old_root, size, root, [*steps, root])


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_a_flipped_bit_in_a_proof(data: st.DataObject) -> None:
    text, key = _example()
    raw = bytearray(text.encode())
    at = data.draw(st.integers(0, len(raw) * 8 - 1))
    raw[at // 8] ^= 1 << at % 8
    try:
        changed = raw.decode()
    except UnicodeDecodeError:
        return
    with pytest.raises(LogError):
        proof.verify(changed, key)


@lru_cache
def _example() -> tuple[str, NoteKey]:
    with TemporaryDirectory() as folder:
        log = LogWriter(Path(folder), "o", SIGNER)
        log.append([bytes([n]) * 80 for n in range(5)])
        log.close()
        return log.prove(3), log.key


@given(st.integers(0, 10**12), st.integers(1, 256))
def test_tile_paths_are_recognised(index: int, width: int) -> None:
    for path in (tile.tile_path(0, index, width), tile.bundle_path(index, width)):
        assert tile.is_tile_path(path.removeprefix("tile/"))


@pytest.mark.parametrize(
    "path",
    ["0/../000", "0/00", "0/0000", "0/x000/000", "0/000.p/256", "0/000.p/0", "0/000.p/01", "6/000", "entries/x01/000",
     "0/000/", "/0/000", "0/000\n", "9/000", "data/000", "0/001/x000"],
)  # fmt: skip
def test_other_paths_are_not(path: str) -> None:
    assert not tile.is_tile_path(path)


@given(st.lists(st.binary(max_size=90), max_size=20))
def test_bundles_round_trip(entries: list[bytes]) -> None:
    bundle = tile.format_bundle(entries)
    assert tile.parse_bundle(bundle, len(entries)) == entries
    with pytest.raises(LogError):
        tile.parse_bundle(bundle, len(entries) + 1)
    with pytest.raises(LogError):
        tile.parse_bundle(bundle + b"\0\1", len(entries))


_u32 = st.integers(0, 2**32 - 1)


@given(
    st.builds(
        Leaf,
        st.sampled_from(list(Kind)),
        st.integers(0, 3),
        st.binary(min_size=16, max_size=16),
        _u32, _u32, _u32, _u32,
        st.integers(0, 2**64 - 1),
        st.integers(0, 65_535),
        st.integers(0, 65_535),
        st.binary(min_size=32, max_size=32),
    )
)  # fmt: skip
def test_leaves_round_trip(leaf: Leaf) -> None:
    assert Leaf.from_bytes(leaf.to_bytes()) == leaf
