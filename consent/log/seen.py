"""Checkpoints that an auditor has seen: what makes a log that is rewritten, or shown twice, contradict itself.

One file a checkpoint in a folder of the auditor's own. Each is verified again when it is read, so
that only what the log signed is ever held against it; two of one size are both kept.
"""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from consent.errors import LogError
from consent.log import durable, note, period
from consent.log.checkpoint import Checkpoint, VerifiedCheckpoint
from consent.log.note import NoteKey
from consent.log.proof import HEADER, MAX_PROOF_BYTES, Proof
from consent.log.reader import verify_period
from identity.codec import strict_json
from identity.errors import EncodingError

MAX_SEEN_BYTES = 65_536
"""A checkpoint with some cosignatures, and two times."""


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """A checkpoint that the log signed, with the first and last time at which it was seen as the newest.

    ``first`` and ``last`` are None where nobody says when.
    """

    checkpoint: VerifiedCheckpoint
    first: int | None = None
    last: int | None = None


class SeenCheckpoints:
    """The memory of one auditor, for any number of logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, key: NoteKey) -> list[SeenCheckpoint]:
        """All of the log of this key, any period. Raises LogError where a file is damaged."""
        if not self._folder.is_dir():
            return []
        found = []
        for path in sorted(self._folder.glob("*.json")):
            signed, first, last = _read(path)
            if period.same_log(_origin(signed), key.name):
                found.append(SeenCheckpoint(verify_period(signed, key), first, last))
        return found

    def remember(self, seen: VerifiedCheckpoint, *, now: int) -> None:
        """Notes that this checkpoint was the log's newest at ``now``."""
        self._folder.mkdir(parents=True, exist_ok=True)
        origin = sha256(seen.checkpoint.origin.encode()).hexdigest()[:16]
        path = self._folder / f"{origin}-{seen.size}-{seen.root.hex()[:16]}.json"
        first = _read(path)[1] if path.exists() else now
        content = {"checkpoint": seen.note.format(), "first": min(first, now), "last": now}
        durable.replace(path, strict_json.compact(content))


def read_checkpoint(content: bytes, key: NoteKey) -> SeenCheckpoint:
    """A checkpoint that somebody else saw: a signed note, or a proof that carries one. Raises LogError."""
    if len(content) > MAX_PROOF_BYTES:
        raise LogError(f"checkpoint: more than {MAX_PROOF_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        raise LogError("checkpoint: not UTF-8") from None
    if text.startswith(HEADER):
        text = Proof.parse(text).checkpoint
    return SeenCheckpoint(verify_period(text, key))


def _origin(signed: str) -> str:
    return Checkpoint.parse(note.parse(signed).text).origin


def _read(path: Path) -> tuple[str, int, int]:
    try:
        value = strict_json.parse_object(path.read_bytes(), what="kept checkpoint", max_bytes=MAX_SEEN_BYTES)
        signed, first, last = value["checkpoint"], value["first"], value["last"]
    except (OSError, EncodingError, KeyError):
        raise LogError(f"{path}: not a checkpoint that an audit kept") from None
    if not (isinstance(signed, str) and isinstance(first, int) and isinstance(last, int)):
        raise LogError(f"{path}: not a checkpoint that an audit kept")
    return signed, first, last
