"""Tiles and entry bundles (C2SP tlog-tiles): where a log's files lie and what is in them.

A tile of level L holds up to 256 hashes, each the root of 256**L leaves. A bundle holds the up to
256 entries under a level-0 tile, each behind its length in 2 bytes.
"""

import re
from collections.abc import Iterator, Sequence

from consent.errors import LogError
from consent.log.merkle import HASH_BYTES

WIDTH = 256
HEIGHT = 8
MAX_LEVEL = 5
"""tlog-tiles allows 63; 256**6 leaves are more than any city writes."""

MAX_ENTRY_BYTES = 0xFFFF
MAX_BUNDLE_BYTES = WIDTH * (2 + MAX_ENTRY_BYTES)

_PATH = re.compile(r"(entries|\d)/((?:x\d{3}/){0,6}\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)
"""Seven groups hold every number of 63 bits; a longer path would only be an error of the file system."""


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Path under the log's prefix: ``tile/<L>/<N>[.p/<W>]``."""
    return f"tile/{level}/{_number(index)}{_partial(width)}"


def bundle_path(index: int, width: int = WIDTH) -> str:
    """Path under the log's prefix: ``tile/entries/<N>[.p/<W>]``."""
    return f"tile/entries/{_number(index)}{_partial(width)}"


def is_tile_path(path: str) -> bool:
    """Whether this is the canonical path of a tile or bundle, without the leading ``tile/``."""
    match = _PATH.fullmatch(path)
    if match is None:
        return False
    kind, number, width = match.groups()
    index = int(number.replace("x", "").replace("/", ""))
    return _number(index) == number and (width is None or int(width) < WIDTH) and kind in _KINDS


_KINDS = {"entries", *map(str, range(MAX_LEVEL + 1))}


def split_tile(tile: bytes, width: int) -> list[bytes]:
    """The hashes of a tile. Raises LogError unless it has exactly ``width`` of them."""
    if len(tile) != width * HASH_BYTES:
        raise LogError(f"tile: {len(tile)} bytes, expected {width * HASH_BYTES}")
    return [tile[at : at + HASH_BYTES] for at in range(0, len(tile), HASH_BYTES)]


def format_bundle(entries: Sequence[bytes]) -> bytes:
    lengths = set(map(len, entries))
    if lengths and max(lengths) > MAX_ENTRY_BYTES:
        raise LogError(f"entry: {max(lengths)} bytes, at most {MAX_ENTRY_BYTES}")
    prefixes = {length: length.to_bytes(2, "big") for length in lengths}
    if len(prefixes) == 1:
        [prefix] = prefixes.values()
        return prefix + prefix.join(entries)
    return b"".join(part for entry in entries for part in (prefixes[len(entry)], entry))


def parse_bundle(bundle: bytes, width: int) -> list[bytes]:
    """The entries of a bundle. Raises LogError unless it has exactly ``width`` of them."""
    entries = _of_one_length(bundle, width)
    if entries is not None:
        return entries
    entries = list(_entries(bundle))
    if len(entries) != width:
        raise LogError(f"entry bundle: {len(entries)} entries, expected {width}")
    return entries


def _of_one_length(bundle: bytes, width: int) -> list[bytes] | None:
    """The entries where all are as long as the first, as leaves are; None where they are not."""
    step = 2 + int.from_bytes(bundle[:2], "big")
    if width < 1 or len(bundle) != width * step:
        return None
    if bundle[0::step] != bundle[:1] * width or bundle[1::step] != bundle[1:2] * width:
        return None
    return [bundle[at : at + step - 2] for at in range(2, len(bundle) + 2, step)]


def _entries(bundle: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(bundle):
        length = int.from_bytes(bundle[at : at + 2], "big")
        end = at + 2 + length
        if end > len(bundle):
            raise LogError("entry bundle: ends in the middle of an entry")
        yield bundle[at + 2 : end]
        at = end


def _number(index: int) -> str:
    """Groups of three digits, all but the last behind an x: 1234067 is x001/x234/067."""
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))


def _partial(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
