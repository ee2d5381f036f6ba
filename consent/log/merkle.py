"""The Merkle tree of RFC 6962 section 2.1: roots, inclusion paths, consistency proofs.

A tree is read through ``Subtree``: the hash of the complete subtree of 2**level leaves at
``index``. Who has tiles, a list, or a database can give it; nothing here holds a tree.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from consent.errors import LogError

HASH_BYTES = 32

MAX_PATH = 63
"""Hashes in a path or proof: trees of 2**63 leaves; tlog-witness names the same limit."""

EMPTY_ROOT = sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""(level, index) → hash of the complete subtree over leaves [index·2**level, (index+1)·2**level)."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def complete_root(hashes: Sequence[bytes]) -> bytes:
    """The root over a power of two of sibling hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]


def root(size: int, subtree: Subtree) -> bytes:
    """MTH(D[size])."""
    return _range_root(0, size, subtree) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, subtree: Subtree, right_edge: dict[int, bytes] | None = None) -> list[bytes]:
    """PATH(index, D[size]), from the leaf's sibling to the root's child.

    ``right_edge`` keeps, for further leaves of the same tree, the hashes of what is not complete: all
    that ends with the tree's last leaf, by its first.
    """
    if not 0 <= index < size:
        raise LogError(f"inclusion proof: leaf {index} of a tree of {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_kept_range_root(middle, high, subtree, right_edge if high == size else None))
            high = middle
        else:
            path.append(subtree((middle - low).bit_length() - 1, low // (middle - low)))
            low = middle
    path.reverse()
    return path


def _kept_range_root(low: int, high: int, subtree: Subtree, kept: dict[int, bytes] | None) -> bytes:
    if kept is None:
        return _range_root(low, high, subtree)
    value = kept.get(low)
    if value is None:
        value = kept[low] = _range_root(low, high, subtree)
    return value


def consistency_proof(old: int, new: int, subtree: Subtree) -> list[bytes]:
    """PROOF(old, D[new]); empty where one of them is empty or both are the same tree."""
    if not 0 <= old <= new:
        raise LogError(f"consistency proof: from a tree of {old} to one of {new}")
    if old in (0, new):
        return []
    proof: list[bytes] = []
    low, high, whole = 0, new, True
    while high != old:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_range_root(middle, high, subtree))
            high = middle
        else:
            proof.append(_range_root(low, middle, subtree))
            low, whole = middle, False
    if not whole:
        proof.append(_range_root(low, high, subtree))
    proof.reverse()
    return proof


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes) -> None:
    """Raises LogError unless the leaf hash is at ``index`` of the tree (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        raise LogError(f"inclusion proof: leaf {index} of a tree of {size}")
    at, last, value = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise LogError("inclusion proof: too many hashes")
        if at & 1 or at == last:
            value = node_hash(sibling, value)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise LogError("inclusion proof: too few hashes")
    if value != expected_root:
        raise LogError("inclusion proof: does not lead to the root")


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises LogError unless the old tree is a prefix of the new one (RFC 9162 section 2.1.4.2)."""
    if not 0 <= old <= new:
        raise LogError(f"consistency proof: from a tree of {old} to one of {new}")
    if old in (0, new):
        if proof:
            raise LogError("consistency proof: too many hashes")
        if old == new and old_root != new_root:
            raise LogError("consistency proof: two roots of one size")
        if old == 0 and old_root != EMPTY_ROOT:
            raise LogError("consistency proof: not the root of the empty tree")
        return
    if not proof:
        raise LogError("consistency proof: too few hashes")
    hashes = list(proof)
    if old & (old - 1) == 0:
        hashes.insert(0, old_root)
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise LogError("consistency proof: too many hashes")
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    if last != 0:
        raise LogError("consistency proof: too few hashes")
    if first != old_root or second != new_root:
        raise LogError("consistency proof: does not lead to both roots")


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << (count - 1).bit_length() - 1


def _range_root(low: int, high: int, subtree: Subtree) -> bytes:
    """MTH(D[low:high]); ``low`` is a multiple of the complete subtrees it is split into."""
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return subtree(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range_root(low, middle, subtree), _range_root(middle, high, subtree))
