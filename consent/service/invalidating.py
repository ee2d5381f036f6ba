"""Grants of a party whose listing was ended (DESIGN §7): they end, by the authority that keeps the list.

Only an entry that is there and whose time is over counts. A list that cannot be had, or a party that
is not in it, ends nothing: that may be a fault, and what has ended does not come back.
"""

from consent.ledger import spreading
from consent.ledger.grants import GrantStore
from consent.ledger.invalidated import InvalidatedGrants
from consent.ledger.leaf import Kind
from consent.service.catalogue import Catalogue
from consent.service.of_grant import GrantEntries
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from identity.trust import spec

SCANNED_AT_ONCE = 2_000
"""Grants looked at in one round."""


class Invalidating:
    def __init__(
        self,
        operator: Operator,
        *,
        store: InvalidatedGrants,
        grants: GrantStore,
        catalogue: Catalogue,
        parties: Parties,
        entries: GrantEntries,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._store = store
        self._grants = grants
        self._catalogue = catalogue
        self._parties = parties
        self._entries = entries
        self._sequencer = sequencer
        self._done: frozenset[int] = frozenset()
        """Parties of which no live grant is left: nobody can give them new ones."""
        self._after = b""
        self._none_yet = True
        """In this pass over all grants."""

    def round(self) -> int:
        """How many grants were ended. Raises OutOfService."""
        registry = self._parties.listed().registry
        over = self._over()
        if not over - self._done:
            return 0
        at = self._operator.milliseconds
        page = self._store.live_with(over, after=self._after, at_most=SCANNED_AT_ONCE)
        self._none_yet = not page.grant_ids and (self._none_yet or not self._after)
        ended = 0
        for grant_id in page.grant_ids:
            found = self._grants.get(grant_id)
            if found is None:
                continue
            due = spreading.due(at, self._operator.random)
            make = self._entries.maker(Kind.REVOKE, *found, at=at, due=due, by=registry.issuer)
            ended += self._store.invalidate(grant_id, make, at_milliseconds=at) is not None
        self._after = page.last or b""
        if page.last is None and self._none_yet:
            self._done = over
        if ended:
            self._sequencer.wake()
        return ended

    def _over(self) -> frozenset[int]:
        """The numbers of services and data holders whose entry says that their time is over."""
        numbers, now = self._catalogue.parties(), self._operator.now
        return frozenset(
            numbers[party.id]
            for party in self._parties.listed().registry.parties
            if party.id in numbers and party.roles & {spec.SERVICE, spec.HOLDER} and party.valid_to <= now
        )
