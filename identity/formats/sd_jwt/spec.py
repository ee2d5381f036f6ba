"""RFC 9901: the literal names of the wire, spelled once.

https://www.rfc-editor.org/rfc/rfc9901
"""

from collections.abc import Callable
from hashlib import sha256, sha384, sha512
from typing import Any

SEPARATOR = "~"
"""Section 4."""

SD = "_sd"
"""Section 4.2.4.1: digests of an object's properties."""

ELLIPSIS = "..."
"""Section 4.2.4.2: digest of an array element."""

SD_ALG = "_sd_alg"
"""Section 4.1.1."""

RESERVED = frozenset({SD, ELLIPSIS, SD_ALG})

DEFAULT_SD_ALG = "sha-256"

HASHES: dict[str, Callable[[bytes], Any]] = {"sha-256": sha256, "sha-384": sha384, "sha-512": sha512}
"""Section 9.4: the hash functions deemed secure. What is not in this table is refused; the IANA
registry also holds truncated ones that are unfit."""

KB_JWT_TYP = "kb+jwt"
"""Section 4.3."""

MAX_BYTES = 65_536
"""The largest body that we read (WIRE); an SD-JWT with 200 disclosures has about 35,000."""

MAX_DISCLOSURES = 256
"""The widest credential, a shard of pairwise identifiers, has 200."""

MAX_DEPTH = 32
"""Levels of the processed payload: recursive disclosures must not nest past what one JSON text may."""
