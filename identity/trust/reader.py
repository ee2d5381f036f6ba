"""Reading a signed list again and again: the newest version seen, never an older one, never a stale one."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Generic, Protocol, TypeVar

from identity.clock import Clock
from identity.codec import strict_json
from identity.codec.members import integer
from identity.envelope import jws
from identity.errors import FetchError, IdentityError, TrustError
from identity.fetch import Fetcher
from identity.trust import spec
from identity.trust.bases import VerifiedBases, verify_bases
from identity.trust.registry import MAX_BYTES, VerifiedRegistry, verify_registry

REFRESH_SECONDS = 60
"""How long a dropped party may still be believed, where the registry can be reached."""

RETRY_SECONDS = 2
"""After a failure: soon, but a registry that is down is not asked by every request."""


class SignedList(Protocol):
    """A list under one of its anchors, as of the time for which it was verified."""

    @property
    def version(self) -> int: ...
    @property
    def issued(self) -> int: ...
    @property
    def expires(self) -> int: ...
    @property
    def compact(self) -> str: ...
    def require_current(self, now: float) -> None: ...


ListT = TypeVar("ListT", bound=SignedList)
ListT_co = TypeVar("ListT_co", bound=SignedList, covariant=True)


class Verify(Protocol[ListT_co]):
    def __call__(self, compact: str, *, anchors: Sequence[bytes], now: int, minimum_version: int = 0) -> ListT_co: ...


class ListReader(Generic[ListT]):
    """Threads may share one. ``current`` asks for the list when it is time, else answers from memory.

    ``kept`` is a file for the newest version: with it a restart needs no network, and a version
    seen before the restart stays the oldest that is taken.
    """

    def __init__(
        self,
        what: str,
        verify: Verify[ListT],
        url: str,
        *,
        fetcher: Fetcher,
        anchors: Sequence[bytes],
        clock: Clock,
        kept: Path | None = None,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._what = what
        self._verify = verify
        self._url = url
        self._fetcher = fetcher
        self._anchors = tuple(anchors)
        self._clock = clock
        self._kept = kept
        self._refresh_seconds = refresh_seconds
        self._refreshing = Lock()
        self._known: ListT | None = None
        self._minimum_version = 0
        self._fault = "not asked yet"
        self._next = 0.0
        self._restored = False
        self._written = ""

    def current(self) -> ListT:
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
            raise TrustError(f"{self._what}: no list is known: {self._fault}")
        known.require_current(now)
        return known

    def known(self) -> ListT | None:
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
            self._fault = f"{self._what}: not ASCII"
        except (FetchError, TrustError, OSError) as fault:
            self._fault = str(fault)
        self._next = self._clock() + wait

    def _verified(self, compact: str, now: int) -> ListT:
        fresh = self._verify(compact, anchors=self._anchors, now=now, minimum_version=self._minimum_version)
        known = self._known
        if known is not None and fresh.version == known.version and fresh.issued < known.issued:
            raise TrustError(f"{self._what}: version {fresh.version} was signed before the one that is known")
        return fresh

    def _take(self, found: ListT) -> None:
        self._known = found
        self._minimum_version = found.version

    def _restore(self, now: int) -> None:
        """The file is checked like any other copy; one that has expired since still sets the oldest version."""
        if self._kept is None:
            return
        with suppress(OSError, UnicodeDecodeError, IdentityError):
            compact = self._kept.read_bytes()[: MAX_BYTES + 1].decode("ascii")
            with suppress(TrustError):
                self._take(self._verify(compact, anchors=self._anchors, now=now))
                self._written = compact
                return
            self._minimum_version = self._verify(
                compact, anchors=self._anchors, now=_issued(compact, self._what)
            ).version

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


class RegistryReader(ListReader[VerifiedRegistry]):
    """The list of parties (WIRE C12)."""

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
        super().__init__(
            "registry", verify_registry, url,
            fetcher=fetcher, anchors=anchors, clock=clock, kept=kept, refresh_seconds=refresh_seconds,
        )  # fmt: skip


class BasesReader(ListReader[VerifiedBases]):
    """The list of approved bases (ADR 0009, D2)."""

    def __init__(
        self, url: str, *, fetcher: Fetcher, anchors: Sequence[bytes], clock: Clock, kept: Path | None = None
    ) -> None:
        super().__init__("bases", verify_bases, url, fetcher=fetcher, anchors=anchors, clock=clock, kept=kept)


def _issued(compact: str, what: str) -> int:
    """The unverified ``iat``, to check an expired copy as of its own time. Raises IdentityError."""
    payload = jws.parse(compact, what=what, max_bytes=MAX_BYTES).payload
    return integer(strict_json.parse_object(payload, what=what, max_bytes=MAX_BYTES), "iat", what=what)
