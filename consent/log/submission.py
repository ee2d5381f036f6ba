"""What a log sends a witness (C2SP tlog-witness, add-checkpoint).

old SIZE
base64(hash)          zero to 63 lines: the consistency proof from SIZE
<empty line>
the signed checkpoint
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass

from consent.errors import LogError, SubmissionMalformed
from consent.log import merkle, note
from consent.log.checkpoint import MAX_CHECKPOINT_BYTES, Checkpoint

MEDIA_SIZE = "text/x.tlog.size"
"""Media type of the answer that names another old size."""

MAX_SUBMISSION_BYTES = 20_480
"""63 hashes of 45 characters and a checkpoint of 16 KiB."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Submission:
    """A parsed submission; nothing in it is checked but its form."""

    old: int
    proof: tuple[bytes, ...]
    note: note.UnverifiedNote
    checkpoint: Checkpoint

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """Raises SubmissionMalformed.

        A checkpoint with extension lines is refused too: tlog-checkpoint recommends against them,
        and a witness that signed lines it does not understand would seem to vouch for them.
        """
        if len(body) > MAX_SUBMISSION_BYTES:
            raise SubmissionMalformed(f"submission: more than {MAX_SUBMISSION_BYTES} bytes")
        try:
            head, separator, signed = body.decode("utf-8").partition("\n\n")
        except UnicodeDecodeError:
            raise SubmissionMalformed("submission: not UTF-8") from None
        lines = head.split("\n")
        old = _OLD.fullmatch(lines[0])
        if not separator or old is None:
            raise SubmissionMalformed("submission: expected old SIZE, proof lines, an empty line and a checkpoint")
        if len(lines) - 1 > merkle.MAX_PATH:
            raise SubmissionMalformed(f"submission: more than {merkle.MAX_PATH} proof lines")
        if len(signed) > MAX_CHECKPOINT_BYTES:
            raise SubmissionMalformed(f"submission: a checkpoint of more than {MAX_CHECKPOINT_BYTES} characters")
        try:
            proof = tuple(note.decode_base64(line, what="submission: proof") for line in lines[1:])
            parsed = note.parse(signed)
            checkpoint = Checkpoint.parse(parsed.text)
        except LogError as fault:
            raise SubmissionMalformed(str(fault)) from None
        if any(len(value) != merkle.HASH_BYTES for value in proof):
            raise SubmissionMalformed("submission: a hash of the proof has not 32 bytes")
        return cls(int(old[1]), proof, parsed, checkpoint)


def format_submission(old: int, proof: Sequence[bytes], signed_checkpoint: str) -> bytes:
    lines = [f"old {old}", *(b64encode(value).decode() for value in proof), "", signed_checkpoint]
    return "\n".join(lines).encode()
