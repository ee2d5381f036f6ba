"""The parts of the log put together: its periods, who writes it, who cosigns it, what its leaves hide."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine

from consent.ledger.events import EventStore
from consent.ledger.grant_row import Entry
from consent.ledger.groups import Group, GroupStore, PublishedGroup
from consent.ledger.leaf import Kind
from consent.ledger.log_turn import LogTurn
from consent.ledger.periods import PeriodStore
from consent.ledger.placing import Placing
from consent.ledger.restoring import CloseAgain, Restoring
from consent.log.bells import Bells
from consent.log.quorum import Quorum
from consent.log.witness_client import WitnessClient
from consent.log.writer import LogWriter
from consent.service.catching_up import CatchingUp
from consent.service.cosigning import Cosigning
from consent.service.entries import EntryMaker
from consent.service.housekeeping import Housekeeping
from consent.service.leaf_groups import LeafGroups
from consent.service.operator import Operator
from consent.service.periods import Periods
from consent.service.sequencer import Sequencer
from identity.codec import base64url, jcs
from identity.keys.ed25519 import Ed25519Signer

_log = logging.getLogger("atorga.consent")


@dataclass(frozen=True, slots=True)
class LogSettings:
    """``origin`` is HOST/log/PERIOD (WIRE C6), and ``folder`` that of the current period."""

    folder: Path
    origin: str
    signer: Ed25519Signer
    witnesses: Sequence[WitnessClient] = ()
    quorum: Quorum | None = None
    foreign: Callable[[], Collection[str]] | None = None
    """Key names of witnesses of other legal bodies: a quorum that can do without them is none. None: not asked."""
    compare: Callable[[LogWriter], None] = lambda _: None
    """Holds the log against what witnesses know; raises LogError."""
    groups: Sequence[Group] = ()
    retention_seconds: int | None = None
    """After a period's end; None = its entries are kept."""


@dataclass(frozen=True, slots=True)
class Logbook:
    sequencer: Sequencer
    housekeeping: Housekeeping
    cosigning: Cosigning
    periods: Periods
    groups: LeafGroups
    entries: EntryMaker
    operator: Operator

    def start(self) -> None:
        self.sequencer.start()
        self.cosigning.start()
        self.housekeeping.start()
        if not self.cosigning.is_witnessed():
            _log.warning("log: not witnessed: no quorum that needs a witness of another legal body")
        if self.groups.register(self._declared):
            self.sequencer.wake()

    def stop(self) -> None:
        self.housekeeping.stop()
        self.cosigning.stop()
        self.sequencer.stop()

    def _declared(self, group: PublishedGroup) -> Entry:
        """A group's leaf: it commits to the object that ``/services`` shows."""
        digest = base64url.encode(sha256(jcs.canonicalize(group.to_json())).digest())
        return self.entries.public(
            Kind.DECLARE, at=self.operator.milliseconds, declaration_hash=digest, number=group.number
        )


def open_logbook(
    settings: LogSettings, *, engine: Engine, operator: Operator, entries: EntryMaker, close_again: CloseAgain
) -> Logbook:
    """Turns the period over where the configuration says so. Raises LogError."""
    events = EventStore(engine)
    periods = Periods(
        settings.folder,
        settings.origin,
        settings.signer,
        store=PeriodStore(engine),
        events=events,
        clock=operator.clock,
        retention_seconds=settings.retention_seconds,
    )
    first = periods.open()
    sequencer = Sequencer(
        events,
        Placing(engine, operator.random),
        LogWriter(settings.folder, settings.origin, settings.signer, take=False),
        turn=LogTurn(engine),
        bells=Bells(settings.folder.with_name(f"{settings.folder.name}-bells")),
        clock=operator.clock,
        compare=settings.compare,
        first=first,
        prove_earlier=periods.prove,
        catch_up=CatchingUp(events, periods, Restoring(engine, close_again=close_again), operator.clock),
    )
    return Logbook(
        sequencer,
        Housekeeping(sequencer, delete_due=periods.delete_due),
        Cosigning(sequencer, settings.witnesses, settings.quorum, foreign=settings.foreign),
        periods,
        LeafGroups(GroupStore(engine), settings.groups, operator.clock),
        entries,
        operator,
    )
