"""What witnesses remember of the log: who restores database and tiles together cannot restore them.

Asked before anything is signed, and again whenever a witness does not cosign (DESIGN §8). A witness
proves its memory by our own log's signature, so it cannot stop the log with a size that it made up.
One that does not answer proves nothing: the log goes on, as it goes on without its cosignature.
"""

import logging
from collections.abc import Sequence
from hashlib import sha256

from consent.errors import LogError, StoreBehindLog
from consent.log import checkpoint
from consent.log.checkpoint import MAX_CHECKPOINT_BYTES, VerifiedCheckpoint
from consent.log.merkle import verify_consistency
from consent.log.writer import LogWriter
from identity.errors import FetchError
from identity.fetch import Fetcher

_log = logging.getLogger("atorga.consent")


class Witnessed:
    """``urls`` are the witnesses' monitoring prefixes (C2SP tlog-witness)."""

    def __init__(self, urls: Sequence[str], fetcher: Fetcher) -> None:
        self._urls = tuple(url.rstrip("/") for url in urls)
        self._fetcher = fetcher

    def compare(self, writer: LogWriter) -> None:
        """Raises StoreBehindLog where a witness knows more than we have, LogError where it knows another history."""
        for url in self._urls:
            known = self._newest(url, writer)
            if known is None:
                continue
            # Taken before the comparison: a log that grows meanwhile is no contradiction.
            size = writer.size
            if known.size > size:
                raise StoreBehindLog(f"a witness has cosigned {known.size} entries, this log has {size}")
            ours = checkpoint.verify(writer.signed_checkpoint, writer.key)
            proof = writer.prove_consistency(known.size, ours.size)
            verify_consistency(known.size, known.root, ours.size, ours.root, proof)

    def _newest(self, url: str, writer: LogWriter) -> VerifiedCheckpoint | None:
        address = f"{url}/{sha256(writer.key.name.encode()).hexdigest()}/checkpoint"
        try:
            content = self._fetcher.get(address, accept="text/plain", max_bytes=MAX_CHECKPOINT_BYTES)
            return checkpoint.verify(content.decode("utf-8"), writer.key)
        except (FetchError, UnicodeDecodeError, LogError) as fault:
            _log.info("log: a witness tells nothing of it (%s)", fault)
            return None
