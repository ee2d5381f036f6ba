"""A witness (C2SP tlog-witness): cosigns a log's checkpoint if its tree continues the last one it cosigned.

For each log it keeps the newest checkpoint it cosigned, and nothing else. Two histories of one log
can therefore not both be cosigned, and whoever asks for cosignatures cannot be shown a fork.

INVARIANT: the checkpoint is durable before its cosignature leaves. A witness that forgot what it
had signed would sign the other history after its restart.
"""

import os
import threading
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from consent.errors import (
    LogError,
    NotConsistent,
    NotSignedByLog,
    OldSizeDiffers,
    SubmissionMalformed,
    UnknownLog,
)
from consent.log import durable, merkle, note, period
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey, Signature
from consent.log.submission import Submission
from identity.clock import Clock
from identity.keys.ed25519 import Ed25519Signer

LogKeys = Callable[[str], NoteKey | None]
"""The key of the log with this origin line, under that name; None where the log is not followed."""

CHECKPOINT = "checkpoint"


class Witness:
    """Cosigns under ``name``; keeps its state in ``folder``, alone, until closed.

    Raises LogInUse where another process holds the folder, LogError for a name that no signature
    line can carry.
    """

    def __init__(self, folder: Path, name: str, signer: Ed25519Signer, *, log_keys: LogKeys, clock: Clock) -> None:
        self.key = NoteKey.parse(NoteKey(name, note.COSIGNATURE_V1, signer.public).format())
        self._folder = folder
        self._signer = signer
        self._log_keys = log_keys
        self._clock = clock
        self._turn = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._held: int | None = durable.lock(folder / "witness.lock", what="is this witness")

    def close(self) -> None:
        """Gives the folder back."""
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def add_checkpoint(self, body: bytes) -> Signature:
        """The cosignature of a submitted checkpoint. Raises SubmissionRefused by its kinds.

        1. Form (SubmissionMalformed).
        2. The origin is of a followed log (UnknownLog).
        3. That log signed it (NotSignedByLog).
        4. The old size is not beyond its own (SubmissionMalformed).
        5. The old size is that of the newest cosigned checkpoint, 0 if there is none (OldSizeDiffers).
        6. The tree continues that one (NotConsistent): proof, equal roots of equal sizes, and the
           root of the empty tree where it is empty.
        7. It is kept, then cosigned. 5 to 7 are one step for everyone who submits.
        """
        # 1
        submission = Submission.parse(body)
        checkpoint = submission.checkpoint
        # 2
        key = self._log_keys(checkpoint.origin)
        if key is None or key.name != checkpoint.origin:
            raise UnknownLog("witness: this log is not followed here")
        # 3
        try:
            note.verify(submission.note, key)
        except LogError:
            raise NotSignedByLog("witness: the checkpoint is not signed by the log it names") from None
        # 4
        if submission.old > checkpoint.size:
            raise SubmissionMalformed("witness: the old size is larger than the checkpoint's")
        with self._turn:
            # 5
            known = self._newest(key)
            if submission.old != known.size:
                raise OldSizeDiffers(known.size)
            # 6
            _require_continuation(known, checkpoint, submission.proof)
            # 7
            now = int(self._clock())
            cosignature = note.cosign(submission.note.text, self.key.name, self.key.public, self._signer, now=now)
            self._keep(submission.note, key, cosignature)
        return cosignature

    def newest(self, origin_hash: str) -> str | None:
        """The newest cosigned checkpoint of the log whose origin has this SHA-256 (hex), or None."""
        if not _is_hash(origin_hash):
            return None
        try:
            return (self._folder / origin_hash / CHECKPOINT).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _newest(self, log: NoteKey) -> Checkpoint:
        """What this witness itself signed last. Raises LogError where its record is damaged.

        Without a record it starts from the empty tree; a damaged record is no record of that.
        """
        kept = self.newest(_origin_hash(log.name))
        if kept is None:
            return Checkpoint(log.name, 0, merkle.EMPTY_ROOT)
        parsed = note.parse(kept)
        if note.verify_cosignature(parsed, self.key) is None:
            raise LogError("witness: the kept checkpoint is not one that this witness cosigned")
        return Checkpoint.parse(parsed.text)

    def _keep(self, signed: note.UnverifiedNote, log: NoteKey, cosignature: Signature) -> None:
        """Of the submitted signatures only the log's is kept, the one that was verified."""
        by_log = [one for one in signed.signatures if (one.name, one.key_id) == (log.name, log.key_id)][:1]
        folder = self._folder / _origin_hash(log.name)
        changed: set[Path] = set()
        durable.make_folders(folder, changed)
        for one in changed:
            durable.sync(one)
        durable.replace(folder / CHECKPOINT, note.UnverifiedNote(signed.text, (*by_log, cosignature)).format().encode())


def log_and_its_periods(key: NoteKey) -> LogKeys:
    """Follows the log of this key, ``PREFIX/PERIOD``, and its other periods, which it signs too (WIRE C6)."""

    def key_of(origin: str) -> NoteKey | None:
        return key.renamed(origin) if period.same_log(origin, key.name) else None

    return key_of


def any_of(logs: Sequence[LogKeys]) -> LogKeys:
    """Follows what one of them follows."""

    def key_of(origin: str) -> NoteKey | None:
        return next((key for log in logs if (key := log(origin)) is not None), None)

    return key_of


def _require_continuation(known: Checkpoint, new: Checkpoint, proof: tuple[bytes, ...]) -> None:
    if new.size == 0 and new.root != merkle.EMPTY_ROOT:
        raise NotConsistent("witness: not the root of the empty tree")
    try:
        merkle.verify_consistency(known.size, known.root, new.size, new.root, proof)
    except LogError as fault:
        raise NotConsistent(f"witness: {fault}") from None


def _origin_hash(origin: str) -> str:
    return sha256(origin.encode()).hexdigest()


def _is_hash(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdef" for character in text)
