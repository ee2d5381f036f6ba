"""The parties of the signed list, as this service asks for them: by id and role, or by their key."""

from collections.abc import Callable

from consent.errors import OutOfService
from identity.clock import Clock
from identity.errors import FetchError, TrustError
from identity.keys.public_key import PublicKey
from identity.trust import spec
from identity.trust.registry import Party, VerifiedRegistry


class Parties:
    """``registry`` gives the newest list. Where there is none, or a stale one, nobody is anybody."""

    def __init__(self, registry: Callable[[], VerifiedRegistry], clock: Clock) -> None:
        self._registry = registry
        self._clock = clock

    def service_key(self, party_id: str) -> PublicKey:
        """Raises TrustError where nobody of this id is listed as a service, OutOfService without a list."""
        return self._current().key_of(party_id, spec.SERVICE, now=self._clock())

    def holder_key(self, party_id: str) -> PublicKey:
        return self._current().key_of(party_id, spec.HOLDER, now=self._clock())

    def is_holder(self, party_id: str) -> bool:
        return any(party.id == party_id for party in self._current().by_role(spec.HOLDER, now=self._clock()))

    def find(self, party_id: str) -> Party | None:
        """As it is listed today."""
        try:
            return self._current().party(party_id, now=self._clock())
        except TrustError:
            return None

    def by_thumbprint(self, thumbprint: str) -> Party | None:
        """Whose key it is."""
        now = self._clock()
        return next(
            (
                party
                for party in self._current().parties
                if party.public_key.thumbprint == thumbprint and party.is_valid(now)
            ),
            None,
        )

    def _current(self) -> VerifiedRegistry:
        try:
            registry = self._registry()
            registry.require_current(self._clock())
        except (TrustError, FetchError) as fault:
            raise OutOfService(f"registry: {fault}") from None
        return registry
