"""The feed of a service (ADR 0009, D7): its next page, signed; and the rounds that number what has happened."""

from consent.errors import NotAllowed
from consent.grant.feed import MAX_ITEMS, Feed, FeedItem, sign_feed
from consent.grant.lifecycle import State
from consent.ledger.feed import KEPT_SECONDS, FeedStore, StoredItem
from consent.service.catalogue import Catalogue
from consent.service.operator import Operator
from consent.service.status_lists import StatusLists
from identity.codec import base64url
from identity.trust import spec as registry_spec
from identity.trust.registry import Party

ID_BYTES = 16


class Feeding:
    def __init__(self, operator: Operator, *, store: FeedStore, lists: StatusLists, catalogue: Catalogue) -> None:
        self._operator = operator
        self._catalogue = catalogue
        self._store = store
        self._lists = lists
        self._leads = False

    def page_for(self, caller: Party, *, after: int) -> str:
        """What a service asks for again. Raises NotAllowed for whoever is none."""
        if registry_spec.SERVICE not in caller.roles:
            raise NotAllowed("not_a_service", "feed: only a service has one")
        # Who has declared nothing has no number, and no items.
        return self.page(caller.id, self._catalogue.parties().get(caller.id, 0), after=after)[0]

    def page(self, service: str, number: int, *, after: int) -> tuple[str, int]:
        """The JWS for this service with what comes behind ``after``, and the last sequence in it."""
        found = _in_a_row(self._store.items(number, after=after, at_most=MAX_ITEMS))
        first = found[0].sequence if found else self._store.next_sequence(number)
        feed = Feed(
            consent=self._operator.id,
            service=service,
            id=base64url.encode(self._operator.random(ID_BYTES)),
            issued=self._operator.now,
            first=first,
            items=tuple(map(self._item, found)),
        )
        return sign_feed(feed, self._operator.signer), found[-1].sequence if found else after

    def round(self, leads: bool, *, sign: bool = True) -> bool:
        """Numbers what has happened and, where it is time to ``sign``, brings the status lists up to it.

        False = there was nothing new.
        """
        if leads and not self._leads:
            self._lists.begin()
        self._leads = leads
        if not leads:
            return False
        numbered = self._store.number()
        self._lists.take_in((one.status_index, one.state) for one in numbered)
        if sign:
            self._lists.sign()
        return bool(numbered)

    def tidy(self) -> None:
        """Bookkeeping: forgets what nobody may ask for any more, signs lists again that nobody changed."""
        self._lists.renew()
        self._store.forget(before=self._operator.milliseconds - KEPT_SECONDS * 1_000)

    def _item(self, stored: StoredItem) -> FeedItem:
        return FeedItem(
            sequence=stored.sequence,
            grant_id=base64url.encode(stored.grant_id),
            state=State(stored.state).word,
            counter=stored.counter,
            at=stored.at // 1_000,
            status_uri=self._lists.uri(stored.status_index),
            status_index=self._lists.index(stored.status_index),
        )


def _in_a_row(items: list[StoredItem]) -> list[StoredItem]:
    """Those before the first gap (a restore leaves one): a page has none within it."""
    return [item for place, item in enumerate(items) if item.sequence == items[0].sequence + place]
