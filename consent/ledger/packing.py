"""A signed grant in a quarter of its length.

A grant contains the request that it answers, so most of it is base64url of base64url of JSON: 3.5 kB
for four attributes, in which no database's own compression finds much. Here its parts are kept as
the bytes they stand for, the request's too, beside the detail in force, which says the same once
more; zlib does the rest. What comes out is what went in, byte for byte: packing unpacks to be sure,
and keeps as it is what would come out otherwise.
"""

import re
import zlib
from functools import lru_cache

from identity.codec import base64url
from identity.errors import EncodingError

PACKED = 1
"""First byte of what is packed; a compact JWS begins with a letter."""

MAX_UNPACKED = 1 << 20
"""Bytes; a grant has at most 64 KiB. A damaged row must not fill the memory."""

KEPT = 512
"""Grants kept unpacked, some 3 MiB: those used again and again."""

_WINDOW, _MEMORY = 13, 6
"""zlib's: as tight for what fits 8 KiB, in half the time, since there is less memory to clear."""

_LENGTH_BYTES = 4
_PARTS = 7
_REQUEST = re.compile(rb'"request":"([A-Za-z0-9_-]+[.][A-Za-z0-9_-]+[.][A-Za-z0-9_-]+)"')
_NO_REQUEST = b'"request":""'


def pack(grant_jws: str, details: str) -> tuple[bytes, str]:
    """What stands for the grant, and what of the details has to stand beside it ("": they are inside)."""
    try:
        packed = _pack(grant_jws, details)
        if _unpack(packed) == (grant_jws, details):
            return packed, ""
    except (EncodingError, ValueError):
        pass
    return grant_jws.encode(), details


@lru_cache(maxsize=KEPT)
def unpack(stored: bytes) -> tuple[str, str]:
    """The grant, and the details inside ("": they stand beside it). Raises ValueError on a damaged row."""
    return _unpack(stored) if stored[:1] == bytes([PACKED]) else (stored.decode(), "")


def _pack(grant_jws: str, details: str) -> bytes:
    header, payload, signature = _decoded(grant_jws)
    found = _REQUEST.search(payload)
    if found is None:
        raise ValueError("packing: no request in it")
    rest = payload[: found.start()] + _NO_REQUEST + payload[found.end() :]
    parts = (header, rest, signature, *_decoded(found[1].decode()), details.encode())
    framed = b"".join(len(part).to_bytes(_LENGTH_BYTES, "big") + part for part in parts)
    deflate = zlib.compressobj(wbits=_WINDOW, memLevel=_MEMORY)
    return bytes([PACKED]) + deflate.compress(framed) + deflate.flush()


def _unpack(stored: bytes) -> tuple[str, str]:
    inflate = zlib.decompressobj()
    try:
        framed = inflate.decompress(stored[1:], MAX_UNPACKED)
    except zlib.error:
        raise ValueError("packing: the row is damaged") from None
    parts, at = [], 0
    while at < len(framed):
        end = at + _LENGTH_BYTES + int.from_bytes(framed[at : at + _LENGTH_BYTES], "big")
        parts.append(framed[at + _LENGTH_BYTES : end])
        at = end
    if len(parts) != _PARTS or not inflate.eof:
        raise ValueError("packing: the row is damaged")
    header, rest, signature, *request, details = parts
    payload = rest.replace(_NO_REQUEST, b'"request":"' + _encoded(*request).encode() + b'"', 1)
    return _encoded(header, payload, signature), details.decode()


def _decoded(compact: str) -> list[bytes]:
    return [base64url.decode(part) for part in compact.split(".")]


def _encoded(*parts: bytes) -> str:
    return ".".join(base64url.encode(part) for part in parts)
