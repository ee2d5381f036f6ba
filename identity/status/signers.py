"""Who may sign the status list of an address.

  1. The token's certificate has a path to an anchor now (``x5c``, as HAIP 1.0 section 6.1 asks).
  2. The list of parties names this very certificate for a party in the role status, and the address
     lies under one of that party's prefixes.

Where anchors stand in (sandbox, one admin request) step 2 is that the address lies under a prefix
which that request names.
"""

from collections.abc import Callable, Sequence

from identity.clock import Clock
from identity.errors import FetchError, TrustError
from identity.fetch import split_url
from identity.trust import spec
from identity.trust.chain import VerifiedChain
from identity.trust.party import Party
from identity.trust.registry import VerifiedRegistry


def lies_under(uri: str, prefix: str) -> bool:
    """Same scheme, host and port; the prefix itself, or a path below it. No dot segments, no query, no fragment.

    A query or fragment could make an address unique to one credential, and so show who is asked
    about (draft -21 section 12.2).
    """
    try:
        asked, listed = split_url(uri), split_url(prefix)
    except FetchError:
        return False
    if (asked.scheme, asked.netloc.lower()) != (listed.scheme, listed.netloc.lower()):
        return False
    if "?" in uri or "#" in uri or "%" in asked.path or "\\" in asked.path:
        return False
    if not {".", ".."}.isdisjoint(asked.path.split("/")):
        return False
    return asked.path == listed.path or asked.path.startswith(listed.path.rstrip("/") + "/")


def status_addresses(registry: Callable[[], VerifiedRegistry], clock: Clock) -> Callable[[str], bool]:
    """For a fetcher's allow-list: addresses under a prefix that is listed today."""

    def allow(url: str) -> bool:
        try:
            parties = registry().by_role(spec.STATUS, now=clock())
        except TrustError:
            return False
        return any(lies_under(url, prefix) for party in parties for prefix in party.status_prefixes)

    return allow


class SignerRule:
    """Step 2, for one instant; asked when a list arrives and again at each read."""

    def __init__(self, registry: Callable[[], VerifiedRegistry] | None, stand_in: Sequence[str] = ()) -> None:
        self._registry = registry
        self._stand_in = tuple(stand_in)

    def require(self, chain: VerifiedChain, uri: str, *, now: int) -> None:
        """Raises TrustError unless this certificate may sign for this address now."""
        if not chain.valid_from <= now <= chain.valid_to:
            raise TrustError("status list: the certificate of its signer is not valid now")
        if any(lies_under(uri, prefix) for prefix in self._stand_in):
            return
        if self._registry is None:
            raise TrustError("status list: no list of parties is configured")
        party = self._registry().by_certificate(chain.x5t, now=now)
        if spec.STATUS not in party.roles:
            raise TrustError(f"status list: {party.id} is not listed for status")
        if not any(lies_under(uri, prefix) for prefix in party.status_prefixes):
            raise TrustError(f"status list: its address is not one of {party.id}")

    def parties(self, *, now: int) -> list[Party]:
        """Who publishes lists today. Raises TrustError."""
        return [] if self._registry is None else self._registry().by_role(spec.STATUS, now=now)
