"""Reading the signed list again and again: the newest version seen, never an older one, never a stale one."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock

from identity.clock import Clock
from identity.codec import strict_json
from identity.codec.members import integer
from identity.envelope import jws
from identity.errors import FetchError, IdentityError, TrustError
from identity.fetch import Fetcher
from identity.trust import spec
from identity.trust.registry import MAX_BYTES, VerifiedRegistry, verify_registry

REFRESH_SECONDS = 60
"""How long a dropped party may still be believed, where the registry can be reached."""

RETRY_SECONDS = 2
"""After a failure: soon, but a registry that is down is not asked by every request."""


class RegistryReader:
    """Threads may share one. ``current`` asks the registry when it is time, else answers from memory.

    ``kept`` is a file for the newest version: with it a restart needs no network, and a version
    seen before the restart stays the oldest that is taken.
    """

    def __init__(
        self,
        url: str,
        *,
        fetcher: Fetcher,
        anchors: Sequence[bytes],
        clock: Clock,
        kept: Path | None = None,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._url = url
        self._fetcher = fetcher
        self._anchors = tuple(anchors)
        self._clock = clock
        self._kept = kept
        self._refresh_seconds = refresh_seconds
        self._refreshing = Lock()
        self._known: VerifiedRegistry | None = None
        self._minimum_version = 0
        self._fault = "not asked yet"
        self._next = 0.0
        self._restored = False
        self._written = ""

    def current(self) -> VerifiedRegistry:
        """The newest list we know, if it has not expired. Raises TrustError.

        While one thread asks the registry, others go on with what is known; they wait only where
        nothing is.
        """
        now = self._clock()
        known = self._known
        usable = known is not None and now < known.expires
        if self._is_due(now) and self._refreshing.acquire(blocking=not usable):
            try:
                # Another thread may have done it while this one waited.
                if self._is_due(self._clock()):
                    self._refresh()
            finally:
                self._refreshing.release()
        known = self._known
        if known is None:
            raise TrustError(f"registry: no list is known: {self._fault}")
        known.require_current(now)
        return known

    def known(self) -> VerifiedRegistry | None:
        """The list in memory, for whoever must not wait; None where it is time for ``current`` to look."""
        now, known = self._clock(), self._known
        return None if known is None or now >= known.expires or self._is_due(now) else known

    def _is_due(self, now: float) -> bool:
        """Also where the clock was set back: it must not silence the refresh for as long."""
        return not self._next - max(self._refresh_seconds, RETRY_SECONDS) <= now < self._next

    def _refresh(self) -> None:
        now = int(self._clock())
        if not self._restored:
            self._restore(now)
            self._restored = True
        wait = float(RETRY_SECONDS)
        try:
            body = self._fetcher.get(self._url, accept=spec.MEDIA_TYPE, max_bytes=MAX_BYTES)
            self._take(self._verified(body.decode("ascii"), now))
            wait = self._refresh_seconds
            self._keep()
        except UnicodeDecodeError:
            self._fault = "registry: not ASCII"
        except (FetchError, TrustError, OSError) as fault:
            self._fault = str(fault)
        self._next = self._clock() + wait

    def _verified(self, compact: str, now: int) -> VerifiedRegistry:
        fresh = verify_registry(compact, anchors=self._anchors, now=now, minimum_version=self._minimum_version)
        known = self._known
        if known is not None and fresh.version == known.version and fresh.issued < known.issued:
            raise TrustError(f"registry: version {fresh.version} was signed before the one that is known")
        return fresh

    def _take(self, registry: VerifiedRegistry) -> None:
        self._known = registry
        self._minimum_version = registry.version

    def _restore(self, now: int) -> None:
        """The file is checked like any other copy; one that has expired since still sets the oldest version."""
        if self._kept is None:
            return
        with suppress(OSError, UnicodeDecodeError, IdentityError):
            compact = self._kept.read_bytes()[: MAX_BYTES + 1].decode("ascii")
            with suppress(TrustError):
                self._take(verify_registry(compact, anchors=self._anchors, now=now))
                self._written = compact
                return
            self._minimum_version = verify_registry(compact, anchors=self._anchors, now=_issued(compact)).version

    def _keep(self) -> None:
        """Whole or not at all, also when the power fails: rename, and sync file and folder.

        Raises OSError; the list is used all the same, and written again after the next refresh.
        """
        if self._kept is None or self._known is None or self._known.compact == self._written:
            return
        temporary = self._kept.with_name(f".{self._kept.name}.{os.getpid()}")
        with temporary.open("wb") as file:
            file.write(self._known.compact.encode("ascii"))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self._kept)
        folder = os.open(self._kept.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        self._written = self._known.compact


def _issued(compact: str) -> int:
    """The unverified ``iat``, to check an expired copy as of its own time. Raises IdentityError."""
    payload = jws.parse(compact, what="registry", max_bytes=MAX_BYTES).payload
    return integer(strict_json.parse_object(payload, what="registry", max_bytes=MAX_BYTES), "iat", what="registry")
