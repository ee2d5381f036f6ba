"""Checkpoints (C2SP tlog-checkpoint): what a log signs.

    ORIGIN
    SIZE
    base64(root hash)

Extension lines are not written; a checkpoint that has some is refused, since no log of ours does.
"""

import re
from base64 import b64encode
from dataclasses import dataclass

from consent.errors import LogError
from consent.log import note
from consent.log.merkle import HASH_BYTES
from consent.log.note import NoteKey, UnverifiedNote

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)

MAX_CHECKPOINT_BYTES = 16_384
"""Three lines and some signatures."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Reads a note's text. Raises LogError."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0]:
            raise LogError("checkpoint: expected three lines: origin, size, root")
        if not _SIZE.fullmatch(lines[1]):
            raise LogError("checkpoint: the size is not a decimal number")
        root = note.decode_base64(lines[2], what="checkpoint: root")
        if len(root) != HASH_BYTES:
            raise LogError(f"checkpoint: the root has {len(root)} bytes, expected {HASH_BYTES}")
        return cls(lines[0], int(lines[1]), root)

    def format(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that carries the signature of the expected log."""

    checkpoint: Checkpoint
    note: UnverifiedNote

    @property
    def size(self) -> int:
        return self.checkpoint.size

    @property
    def root(self) -> bytes:
        return self.checkpoint.root


def verify(signed: str, key: NoteKey) -> VerifiedCheckpoint:
    """Raises LogError unless the log named by ``key`` signed a checkpoint of its own.

    The origin line must be the key's name: a log's key signs other logs (periods) under theirs.
    """
    if len(signed) > MAX_CHECKPOINT_BYTES:
        raise LogError(f"checkpoint: more than {MAX_CHECKPOINT_BYTES} characters")
    parsed = note.parse(signed)
    note.verify(parsed, key)
    checkpoint = Checkpoint.parse(parsed.text)
    if checkpoint.origin != key.name:
        raise LogError("checkpoint: the origin is not the expected log's")
    return VerifiedCheckpoint(checkpoint, parsed)
