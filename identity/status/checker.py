"""Whether a credential is still good, from copies of all lists that were fetched beforehand.

Lists are fetched on a schedule, all lists of a prefix together, and never because somebody presented
a credential: else the issuer would learn from the request which service is looking at one of its
residents, and when. A list that is not there is "unavailable", and that refuses.

A prefix of the list of parties that ends in ``/`` answers with the aggregation of its lists
(draft-ietf-oauth-status-list-21 section 9.3; section 9.1 lets a trust list point to it). One that does
not is itself the address of a list.

Freshness: a copy is renewed after half its ``ttl`` and refused after the whole; so an outage of half a
``ttl`` is not noticed, and a revocation is known everywhere within one. At each read the signer is
checked again against today's list of parties: a signer dropped since is not believed any longer.

The one exception is the sandbox verifier's admin request: a list under a prefix which that request
names (``when_needed``) is fetched at the check, each time.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

from identity.clock import Clock
from identity.codec import strict_json
from identity.codec.members import MAX_TEXT, texts
from identity.errors import CredentialRevoked, EncodingError, FetchError, StatusUnavailable, TrustError
from identity.fetch import Fetcher
from identity.keys.public_key import PublicKey
from identity.status import spec
from identity.status.signers import SignerRule, lies_under
from identity.status.token import MAX_TOKEN_BYTES, VerifiedStatusList, verify_status_list
from identity.trust.chain import VerifiedChain, read_x5c, verify_chain
from identity.trust.registry import VerifiedRegistry

DEFAULT_TTL_SECONDS = 3_600.0
"""Where the signer names none."""

MIN_TTL_SECONDS = 2.0
MAX_TTL_SECONDS = 43_200.0
"""Section 11.5 asks for bounds: a shorter ``ttl`` would have us ask all the time, a longer one would
make a revocation wait for days."""

RETRY_SECONDS = 5.0
"""After a failure: soon, but a provider that is down is not asked all the time."""

MAX_LISTS = 256
"""Under one prefix. 2^28 credentials in our shards."""

MAX_AGGREGATION_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class _Copy:
    statuses: VerifiedStatusList
    chain: VerifiedChain
    fetched: float

    @property
    def ttl(self) -> float:
        named = self.statuses.ttl
        return DEFAULT_TTL_SECONDS if named is None else min(max(named, MIN_TTL_SECONDS), MAX_TTL_SECONDS)


class StatusChecker:
    """Threads may share one; `schedule.StatusSchedule` keeps it fresh.

    ``registry`` None and ``when_needed`` prefixes: the sandbox's admin request, where ``anchors``
    stand in for entries of the list under these prefixes.
    """

    def __init__(
        self,
        registry: Callable[[], VerifiedRegistry] | None,
        anchors: Sequence[bytes],
        fetcher: Fetcher,
        clock: Clock,
        *,
        when_needed: Sequence[str] = (),
    ) -> None:
        self._rule = SignerRule(registry, stand_in=when_needed)
        self._anchors = tuple(anchors)
        self._fetcher = fetcher
        self._clock = clock
        self._when_needed = tuple(when_needed)
        self._copies: dict[str, _Copy] = {}
        self._newest: dict[str, int] = {}
        """Address → the newest ``iat`` seen: an older list would hide what was revoked since."""
        self._due: dict[str, float] = {}
        self._refreshing = Lock()

    def check(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None:
        """Returns where the credential is good. Raises StatusUnavailable, CredentialRevoked.

        ``status`` is what a *verified* credential says (section 8.3: first everything else); None for
        one that carries none, which is its issuer's decision and no fault. ``issuer`` names it in errors.
        """
        if status is None:
            return
        uri, index = status
        if any(lies_under(uri, prefix) for prefix in self._when_needed):
            copy = self._fetch(uri, now)
        else:
            copy = self._kept(uri, now)
        match copy.statuses.get(index):
            case spec.VALID:
                return
            case spec.INVALID:
                raise CredentialRevoked(f"status: {issuer} has revoked the credential")
            case spec.SUSPENDED:
                raise CredentialRevoked(f"status: {issuer} has suspended the credential")
            case _:
                raise StatusUnavailable("status: a status type that is not understood")

    def refresh_due(self) -> float:
        """Renews what is due. Returns the seconds until something will be. Raises nothing."""
        if not self._refreshing.acquire(blocking=False):
            return RETRY_SECONDS
        try:
            now = self._clock()
            try:
                prefixes = {one for party in self._rule.parties(now=int(now)) for one in party.status_prefixes}
            except TrustError:
                return RETRY_SECONDS
            for gone in self._due.keys() - prefixes:
                del self._due[gone]
            for prefix in sorted(prefixes):
                due = self._due.get(prefix)
                # A clock that was set back must not silence the refresh.
                if due is None or not due - MAX_TTL_SECONDS <= now < due:
                    wait = self._refresh(prefix, int(now))
                    self._due[prefix] = self._clock() + wait
            self._forget(now)
            return max(0.1, min(self._due.values(), default=now + RETRY_SECONDS) - self._clock())
        finally:
            self._refreshing.release()

    def _refresh(self, prefix: str, now: int) -> float:
        """All lists of one prefix; returns the seconds until the next round."""
        try:
            uris = self._aggregation(prefix) if prefix.endswith("/") else (prefix,)
        except (EncodingError, FetchError):
            return RETRY_SECONDS
        wait, failed = MAX_TTL_SECONDS, False
        for uri in uris:
            try:
                copy = self._fetch(uri, now)
            except StatusUnavailable:
                # Section 9: the others are still processed.
                failed = True
                continue
            self._copies[uri] = copy
            self._newest[uri] = copy.statuses.iat
            wait = min(wait, copy.ttl)
        return min(wait / 2, RETRY_SECONDS) if failed else wait / 2

    def _aggregation(self, prefix: str) -> tuple[str, ...]:
        """The addresses it names that lie under its own prefix. Raises EncodingError, FetchError."""
        body = self._fetcher.get(prefix, accept=spec.AGGREGATION_MEDIA_TYPE, max_bytes=MAX_AGGREGATION_BYTES)
        what = "status list aggregation"
        answer = strict_json.parse_object(body, what=what, max_bytes=MAX_AGGREGATION_BYTES)
        named = texts(answer, spec.STATUS_LISTS, what=what, max_count=MAX_LISTS, max_length=MAX_TEXT, min_count=0)
        return tuple(uri for uri in named if uri != prefix and lies_under(uri, prefix))

    def _fetch(self, uri: str, now: int) -> _Copy:
        """Raises StatusUnavailable."""
        chains: list[VerifiedChain] = []

        def key_for(header: Mapping[str, Any], address: str) -> PublicKey:
            chain = verify_chain(read_x5c(header), self._anchors, at=now)
            self._rule.require(chain, address, now=now)
            chains.append(chain)
            return chain.key

        try:
            body = self._fetcher.get(uri, accept=spec.MEDIA_TYPE, max_bytes=MAX_TOKEN_BYTES)
            token = body.decode("ascii")
        except FetchError as fault:
            raise StatusUnavailable(f"status list: {fault}") from None
        except UnicodeDecodeError:
            raise StatusUnavailable("status list: not ASCII") from None
        fresh = verify_status_list(token, uri=uri, key_for=key_for, now=now)
        if fresh.iat < self._newest.get(uri, 0):
            raise StatusUnavailable("status list: is older than one that was seen before")
        return _Copy(fresh, chains[0], self._clock())

    def _kept(self, uri: str, now: int) -> _Copy:
        """Raises StatusUnavailable."""
        copy = self._copies.get(uri)
        if copy is None:
            raise StatusUnavailable("status list: no copy of it is known")
        if not copy.fetched - RETRY_SECONDS <= now <= copy.fetched + copy.ttl:
            raise StatusUnavailable("status list: the copy of it is stale")
        copy.statuses.require_current(now)
        try:
            self._rule.require(copy.chain, uri, now=now)
        except TrustError as fault:
            raise StatusUnavailable(f"status list: {fault}") from None
        return copy

    def _forget(self, now: float) -> None:
        """Copies that no check would take any longer."""
        for uri in [uri for uri, copy in self._copies.items() if now > copy.fetched + copy.ttl]:
            del self._copies[uri]
