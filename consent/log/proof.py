"""Proofs that outlive the log's reachability (C2SP tlog-proof).

In every proof of this project the ``extra`` line is there and carries the logged entry (WIRE C6):
whoever checks the proof hashes it. Extra data is not authenticated by the format; here it is,
since the inclusion proof is checked for exactly these bytes.
"""

import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass

from consent.errors import LogError
from consent.log import checkpoint, merkle, note
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.note import NoteKey

HEADER = "c2sp.org/tlog-proof@v1"

MAX_PROOF_BYTES = 32_768
"""A path of 63 hashes, a small entry and a checkpoint with some cosignatures stay far below."""

_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed proof; nothing in it is checked."""

    entry: bytes
    index: int
    path: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, text: str) -> "Proof":
        """Raises LogError."""
        if len(text) > MAX_PROOF_BYTES:
            raise LogError(f"log proof: more than {MAX_PROOF_BYTES} characters")
        head, separator, signed = text.partition("\n\n")
        lines = head.split("\n")
        if not separator or len(lines) < 3 or lines[0] != HEADER:
            raise LogError(f"log proof: expected {HEADER} with extra, index, path and checkpoint")
        if not lines[1].startswith("extra "):
            raise LogError("log proof: the extra line with the entry is missing")
        index = _INDEX.fullmatch(lines[2])
        if index is None:
            raise LogError("log proof: the index line is not of its form")
        if len(lines) - 3 > merkle.MAX_PATH:
            raise LogError("log proof: the path is too long")
        path = tuple(note.decode_base64(line, what="log proof: path") for line in lines[3:])
        if any(len(value) != merkle.HASH_BYTES for value in path):
            raise LogError("log proof: a hash of the path has not 32 bytes")
        entry = note.decode_base64(lines[1][len("extra ") :], what="log proof: entry")
        return cls(entry, int(index[1]), path, signed)

    def format(self) -> str:
        # Each hash with the end of its line, as the encoder gives it.
        path = b"".join(map(b2a_base64, self.path)).decode("ascii")
        entry = b2a_base64(self.entry).decode("ascii")
        return f"{HEADER}\nextra {entry}index {self.index}\n{path}\n{self.checkpoint}"


@dataclass(frozen=True, slots=True)
class VerifiedEntry:
    """An entry that is in the log of the expected key, at this index, under this checkpoint."""

    entry: bytes
    index: int
    checkpoint: VerifiedCheckpoint


def verify(text: str, key: NoteKey) -> VerifiedEntry:
    """Checks a proof offline. Raises LogError.

    1. Form: one spelling, bounded size and path.
    2. The checkpoint carries the signature of the expected log, under its own name (tlog-checkpoint). A
       log of another period has another name, also where one key signs both (WIRE C6).
    3. The entry in the extra line is at the index of the tree it commits to (RFC 6962 section 2.1.1).

    Remaining for the caller: what the entry says, and a quorum of witnesses where one is needed.
    """
    # 1
    proof = Proof.parse(text)
    # 2
    signed = checkpoint.verify(proof.checkpoint, key)
    # 3
    merkle.verify_inclusion(merkle.leaf_hash(proof.entry), proof.index, signed.size, proof.path, signed.root)
    return VerifiedEntry(proof.entry, proof.index, signed)


def make(entry: bytes, index: int, path: Sequence[bytes], signed_checkpoint: str) -> str:
    return Proof(entry, index, tuple(path), signed_checkpoint).format()
