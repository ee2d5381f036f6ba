"""The parties of the signed list, as this service asks for them: by id and role, or by their key."""

from collections.abc import Callable
from functools import cached_property

from consent.errors import OutOfService
from identity.clock import Clock
from identity.errors import FetchError, TrustError
from identity.keys.public_key import PublicKey
from identity.trust import spec
from identity.trust.registry import Party, VerifiedRegistry


class Listed:
    """One version of the list, looked at when it is asked."""

    def __init__(self, registry: VerifiedRegistry, clock: Clock) -> None:
        self.registry = registry
        self._clock = clock

    def service_key(self, party_id: str) -> PublicKey:
        """Raises TrustError where nobody of this id is listed as a service."""
        return self.registry.key_of(party_id, spec.SERVICE, now=self._clock())

    def holder_key(self, party_id: str) -> PublicKey:
        return self.registry.key_of(party_id, spec.HOLDER, now=self._clock())

    def is_holder(self, party_id: str) -> bool:
        return any(party.id == party_id for party in self.registry.by_role(spec.HOLDER, now=self._clock()))

    def find(self, party_id: str) -> Party | None:
        """As it is listed today."""
        try:
            return self.registry.party(party_id, now=self._clock())
        except TrustError:
            return None

    def by_thumbprint(self, thumbprint: str) -> Party | None:
        """Whose key it is."""
        now = self._clock()
        return next((party for party in self._by_key.get(thumbprint, ()) if party.is_valid(now)), None)

    @cached_property
    def _by_key(self) -> dict[str, list[Party]]:
        found: dict[str, list[Party]] = {}
        for party in self.registry.parties:
            found.setdefault(party.public_key.thumbprint, []).append(party)
        return found


class Parties:
    """``registry`` gives the newest list and may ask the network for it. Where there is none, or a stale one,
    nobody is anybody: each method raises OutOfService.

    ``known`` gives what is in memory, for callers that must not wait; None where ``registry`` has to look.
    """

    def __init__(
        self,
        registry: Callable[[], VerifiedRegistry],
        clock: Clock,
        *,
        known: Callable[[], VerifiedRegistry | None] = lambda: None,
    ) -> None:
        self._registry = registry
        self._known = known
        self._clock = clock
        self._listed: Listed | None = None

    def service_key(self, party_id: str) -> PublicKey:
        """Raises TrustError where nobody of this id is listed as a service."""
        return self.listed().service_key(party_id)

    def holder_key(self, party_id: str) -> PublicKey:
        return self.listed().holder_key(party_id)

    def is_holder(self, party_id: str) -> bool:
        return self.listed().is_holder(party_id)

    def find(self, party_id: str) -> Party | None:
        return self.listed().find(party_id)

    def by_thumbprint(self, thumbprint: str) -> Party | None:
        return self.listed().by_thumbprint(thumbprint)

    def listed(self) -> Listed:
        """The newest version."""
        try:
            registry = self._registry()
            registry.require_current(self._clock())
        except (TrustError, FetchError) as fault:
            raise OutOfService(f"registry: {fault}") from None
        return self._of(registry)

    def at_hand(self) -> Listed | None:
        """The version in memory; None where only ``listed`` can tell."""
        registry = self._known()
        return None if registry is None else self._of(registry)

    def _of(self, registry: VerifiedRegistry) -> Listed:
        listed = self._listed
        if listed is None or listed.registry is not registry:
            listed = self._listed = Listed(registry, self._clock)
        return listed
