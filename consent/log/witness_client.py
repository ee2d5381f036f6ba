"""Asking a witness for its cosignature (C2SP tlog-witness, the log's side).

The answer is of another legal body and is believed only as far as its signature: what comes back
is verified with the witness's pinned key before it is used.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from consent.errors import LogError, NotCosigned
from consent.log import note
from consent.log.checkpoint import Checkpoint
from consent.log.note import NoteKey, Signature
from consent.log.submission import MEDIA_SIZE, format_submission

ATTEMPTS = 3
"""A first guess, the size that the witness names, and once more where another submitter came between."""

MAX_ANSWER_BYTES = 65_536
"""Some cosignature lines; an ML-DSA-44 one has 3.3 kB."""

_SIZE = re.compile(rb"(0|[1-9][0-9]{0,18})\n")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP POST came back with; ``media_type`` without parameters."""

    status: int
    media_type: str
    body: bytes


Post = Callable[[str, bytes], Answer]
"""(address, body) → answer. Raises NotCosigned where nobody answers."""


class WitnessClient:
    """One witness: ``url`` is its submission prefix, ``key`` its pinned cosignature key.

    Remembers the size it cosigned last; use from one thread.
    """

    def __init__(self, url: str, key: NoteKey, post: Post) -> None:
        if key.key_type != note.COSIGNATURE_V1:
            raise LogError("witness key: a cosignature key (type 0x04) is expected")
        self.url = url.rstrip("/")
        self.key = key
        self._post = post
        self._last_size = 0

    def cosign(self, signed_checkpoint: str, prove_consistency: Callable[[int], Sequence[bytes]]) -> Signature:
        """The witness's cosignature of this checkpoint. Raises NotCosigned.

        ``prove_consistency(old)`` gives the proof from ``old`` leaves to the size of *this*
        checkpoint, whatever the log has appended since.
        """
        parsed = note.parse(signed_checkpoint)
        size = Checkpoint.parse(parsed.text).size
        old = min(self._last_size, size)
        for _ in range(ATTEMPTS):
            proof = prove_consistency(old)
            answer = self._post(f"{self.url}/add-checkpoint", format_submission(old, proof, signed_checkpoint))
            if answer.status == 200:
                signature = self._verified(parsed, answer.body)
                self._last_size = size
                return signature
            if answer.status != 409:
                raise NotCosigned(f"witness {self.key.name}: it answered {answer.status}, expected 200")
            old = _named_size(answer, self.key.name)
            if old > size:
                # Its tree is larger than ours: this log was restored from an old copy, or is a second one.
                raise NotCosigned(f"witness {self.key.name}: it has cosigned {old} entries, this log has {size}")
        raise NotCosigned(f"witness {self.key.name}: it named another size {ATTEMPTS} times")

    def _verified(self, signed: note.UnverifiedNote, body: bytes) -> Signature:
        """The line of the pinned key; others are ignored, as the specification asks."""
        if len(body) > MAX_ANSWER_BYTES:
            raise NotCosigned(f"witness {self.key.name}: an answer of more than {MAX_ANSWER_BYTES} bytes")
        try:
            answered = note.parse(f"{signed.text}\n{body.decode('utf-8')}")
            time = note.verify_cosignature(answered, self.key)
        except (LogError, UnicodeDecodeError):
            raise NotCosigned(f"witness {self.key.name}: its answer is not a valid cosignature") from None
        if not time:
            raise NotCosigned(f"witness {self.key.name}: no cosignature with a time by its pinned key")
        return next(one for one in answered.signatures if (one.name, one.key_id) == (self.key.name, self.key.key_id))


class HttpPost:
    """Posts over HTTP, keeping the connection. The addresses are this operator's configuration.

    A witness is asked after the act was acknowledged, so a slow one delays nobody.
    """

    def __init__(self, *, timeout_seconds: float = 10.0) -> None:
        import httpx

        self._client = httpx.Client(timeout=timeout_seconds, follow_redirects=False, trust_env=False)

    def close(self) -> None:
        self._client.close()

    def __call__(self, url: str, body: bytes) -> Answer:
        import httpx

        try:
            with self._client.stream("POST", url, content=body, headers={"Content-Type": "text/plain"}) as answer:
                received = bytearray()
                for chunk in answer.iter_bytes():
                    received += chunk
                    if len(received) > MAX_ANSWER_BYTES:
                        raise NotCosigned(f"witness: an answer of more than {MAX_ANSWER_BYTES} bytes")
                media_type = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
                return Answer(answer.status_code, media_type, bytes(received))
        except httpx.HTTPError as fault:
            raise NotCosigned(f"witness: cannot be reached ({type(fault).__name__})") from None


def _named_size(answer: Answer, name: str) -> int:
    found = _SIZE.fullmatch(answer.body)
    if found is None or answer.media_type != MEDIA_SIZE:
        raise NotCosigned(f"witness {name}: a conflict that names no size")
    return int(found[1])
