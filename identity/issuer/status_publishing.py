"""The status lists as they are served: signed when something changed, or before their time is over.

A list is built from its rows at each signing; what is served is kept in the database, so that all
workers serve one text and a restart signs nothing.
"""

from identity.clock import Clock
from identity.issuer.store.status_lists import ListState, StatusListStore
from identity.issuer.tenant import Tenant
from identity.status import spec
from identity.status.status_list import StatusList
from identity.status.token import sign_status_list

LIST_SECONDS = 86_400
"""How long a signed list is good. A day, so that verifiers get through a night in which we are down."""

RENEWAL_SECONDS = LIST_SECONDS // 2


class StatusPublishing:
    def __init__(self, tenant: Tenant, store: StatusListStore, *, clock: Clock) -> None:
        self._tenant = tenant
        self._store = store
        self._clock = clock

    def served(self, number: int) -> str | None:
        """The list as it is now; None where there is none of this number."""
        state = self._store.get(number)
        if state is None:
            return None
        if state.token is not None and state.is_current and state.signed_expires - self._clock() > RENEWAL_SECONDS:
            return state.token
        return self._sign(state)

    def addresses(self) -> list[str]:
        """All lists, for who fetches them all (draft-ietf-oauth-status-list-21 section 9.3)."""
        return [self._tenant.at.status(number) for number in self._store.numbers()]

    def publish(self) -> None:
        """Signs whatever is due."""
        for number in self._store.numbers():
            self.served(number)

    def number_of(self, uri: str) -> int | None:
        """The list at an address of ours."""
        prefix = self._tenant.at.status(0).removesuffix("0")
        number = uri.removeprefix(prefix)
        if not uri.startswith(prefix) or not number.isascii() or not number.isdigit() or len(number) > 9:
            return None
        return int(number)

    def _sign(self, state: ListState) -> str:
        changes, revoked = self._store.revoked(state.number)
        statuses = StatusList(1, state.size)
        for position in revoked:
            statuses.set(position, spec.INVALID)
        now = int(self._clock())
        token = sign_status_list(
            statuses,
            uri=self._tenant.at.status(state.number),
            signer=self._tenant.status_key.signer,
            x5c=self._tenant.status_key.x5c,
            iat=now,
            exp=now + LIST_SECONDS,
            ttl=self._tenant.status_ttl_seconds,
        )
        self._store.save(state.number, token, changes=changes, expires=now + LIST_SECONDS)
        return token
