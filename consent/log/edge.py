"""The right edge of a log: per tile level, the hashes of the tile that is not yet full.

It is all that appending needs of a tree: its root, and what the next entries make complete.
"""

from collections.abc import Iterator, Sequence

from consent.log import merkle, tile


def frozen(edges: Sequence[Sequence[bytes]]) -> tuple[tuple[bytes, ...], ...]:
    return tuple(map(tuple, edges))


def bundles(first: int, entries: Sequence[bytes]) -> Iterator[tuple[str, bytes]]:
    """The files of entries that begin with bundle ``first``."""
    for bundle, at in enumerate(range(0, len(entries), tile.WIDTH), first):
        part = entries[at : at + tile.WIDTH]
        yield tile.bundle_path(bundle, len(part)), tile.format_bundle(part)


def push(edges: list[list[bytes]], value: bytes, pending: list[tuple[str, bytes]]) -> None:
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


def partial_tiles(edges: Sequence[Sequence[bytes]], size: int) -> Iterator[tuple[str, bytes]]:
    """tlog-tiles: the partial tiles of every checkpoint are published."""
    count = size
    for level, edge in enumerate(edges):
        if edge:
            yield tile.tile_path(level, count // tile.WIDTH, len(edge)), b"".join(edge)
        count //= tile.WIDTH


def root(edges: Sequence[Sequence[bytes]]) -> bytes:
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
