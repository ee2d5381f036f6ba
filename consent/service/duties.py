"""What the consent service owes beside grants and uses: notices, oppositions, freezes, the feed, deletions."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from consent.ledger.notices import NoticeStore
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.noticing import Noticing
from consent.service.operator import Operator
from consent.service.opposing import Opposing
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from identity.errors import TrustError
from identity.trust.bases import VerifiedBases


@dataclass(frozen=True, slots=True)
class Duties:
    notices: NoticeStore
    noticing: Noticing
    opposing: Opposing

    def start(self) -> None:
        """Starts the threads behind the verbs."""

    def stop(self) -> None:
        """Ends them after what is in hand."""


def open_duties(
    operator: Operator,
    *,
    engine: Engine,
    catalogue: Catalogue,
    parties: Parties,
    sequencer: Sequencer,
    cosigning: Cosigning,
    bases: Callable[[], VerifiedBases],
) -> Duties:
    notices = NoticeStore(engine)
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
        opposing=Opposing(operator, store=notices, parties=parties, sequencer=sequencer),
    )


def no_bases() -> VerifiedBases:
    """Where nobody configured a list: nothing rests on law here."""
    raise TrustError("bases: no list is configured")
