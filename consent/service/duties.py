"""What the consent service owes beside grants and uses: notices, oppositions, freezes, the feed, deletions."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from consent.grant.officers import Officers
from consent.ledger.accounts import AccountStore
from consent.ledger.deletions import DeletionStore
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.events import EventStore
from consent.ledger.feed import FeedStore
from consent.ledger.freezes import FreezeStore
from consent.ledger.grants import GrantStore
from consent.ledger.invalidated import InvalidatedGrants
from consent.ledger.journal_roots import JournalRootStore
from consent.ledger.notices import NoticeStore
from consent.ledger.opened import OpenedStore
from consent.ledger.requests import RequestStore
from consent.ledger.status_places import StatusListStore
from consent.service.bookkeeping import Bookkeeping
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.deletions import Deletions
from consent.service.entries import EntryMaker
from consent.service.erasing import Erasing
from consent.service.expiring import Expiring
from consent.service.exporting import Exporting
from consent.service.feed_delivery import LOOK_SECONDS, FeedDelivery
from consent.service.feeding import Feeding
from consent.service.freezing import Freezing
from consent.service.introspecting import Introspecting
from consent.service.invalidating import Invalidating
from consent.service.noticing import Noticing
from consent.service.of_grant import GrantEntries
from consent.service.opening_cases import OpeningCases
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.opposing import Opposing
from consent.service.parties import Parties
from consent.service.reading import Reading
from consent.service.rooting import Rooting
from consent.service.sequencer import Sequencer
from consent.service.status_lists import StatusLists
from consent.service.withdrawing import Withdrawing
from identity.errors import TrustError
from identity.trust.bases import VerifiedBases


@dataclass(frozen=True, slots=True)
class Duties:
    notices: NoticeStore
    noticing: Noticing
    opposing: Opposing
    freezing: Freezing
    erasing: Erasing
    exporting: Exporting
    deletions: Deletions
    introspecting: Introspecting
    rooting: Rooting
    cases: OpeningCases
    feeding: Feeding
    lists: StatusLists
    delivery: FeedDelivery
    bookkeeping: Bookkeeping

    def start(self) -> None:
        """Starts the threads behind the verbs."""
        self.bookkeeping.start()
        self.delivery.start()

    def stop(self) -> None:
        """Ends them after what is in hand."""
        self.delivery.stop()
        self.bookkeeping.stop()


def open_duties(
    operator: Operator,
    *,
    engine: Engine,
    grants: GrantStore,
    events: EventStore,
    requests: RequestStore,
    notices: NoticeStore,
    openings: OpeningFolder,
    catalogue: Catalogue,
    parties: Parties,
    entries: EntryMaker,
    sequencer: Sequencer,
    cosigning: Cosigning,
    reading: Reading,
    withdrawing: Withdrawing,
    bases: Callable[[], VerifiedBases],
    accounts: AccountStore,
    officers: Officers | None,
    allow_loopback_http: bool,
    round_seconds: float,
) -> Duties:
    def leads() -> bool:
        return sequencer.writes

    ended, made = EndedGrants(engine), GrantEntries(catalogue, entries)
    opposing = Opposing(operator, store=notices, catalogue=catalogue, parties=parties, sequencer=sequencer)
    deletions = Deletions(operator, store=DeletionStore(engine), grants=grants, catalogue=catalogue, parties=parties)
    freezing = Freezing(
        operator,
        store=FreezeStore(engine),
        grants=grants,
        events=events,
        entries=made,
        withdrawing=withdrawing,
        sequencer=sequencer,
    )
    expiring = Expiring(operator, ended=ended, grants=grants, entries=made, sequencer=sequencer)
    invalidating = Invalidating(
        operator,
        store=InvalidatedGrants(engine),
        grants=grants,
        catalogue=catalogue,
        parties=parties,
        entries=made,
        sequencer=sequencer,
    )
    feed = FeedStore(engine)
    lists = StatusLists(operator, StatusListStore(engine))
    feeding = Feeding(operator, store=feed, lists=lists, catalogue=catalogue)
    delivery = FeedDelivery(
        feeding=feeding,
        store=feed,
        catalogue=catalogue,
        parties=parties,
        leads=leads,
        random=operator.random,
        allow_loopback_http=allow_loopback_http,
        seconds=round_seconds * LOOK_SECONDS,
    )
    return Duties(
        notices=notices,
        noticing=Noticing(
            operator,
            store=notices,
            catalogue=catalogue,
            parties=parties,
            bases=bases,
            sequencer=sequencer,
            cosigning=cosigning,
        ),
        opposing=opposing,
        freezing=freezing,
        erasing=Erasing(operator, ended=ended, grants=grants, openings=openings, entries=made, sequencer=sequencer),
        exporting=Exporting(grants=grants, requests=requests, reading=reading, opposing=opposing, deletions=deletions),
        deletions=deletions,
        introspecting=Introspecting(operator, grants=grants, catalogue=catalogue),
        rooting=Rooting(operator, store=JournalRootStore(engine), parties=parties),
        cases=OpeningCases(
            operator,
            store=OpenedStore(engine),
            grants=grants,
            ended=ended,
            accounts=accounts,
            openings=openings,
            sequencer=sequencer,
            officers=officers,
        ),
        feeding=feeding,
        lists=lists,
        delivery=delivery,
        bookkeeping=Bookkeeping(
            (freezing.thaw, expiring.round, invalidating.round, deletions.round, feeding.tidy),
            leads=leads,
            seconds=round_seconds,
        ),
    )


def no_bases() -> VerifiedBases:
    """Where nobody configured a list: nothing rests on law here."""
    raise TrustError("bases: no list is configured")
