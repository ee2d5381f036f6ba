"""All parts of one consent service, put together."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from consent.caller.nonces import Nonces
from consent.grant.officers import Officers
from consent.ledger.accounts import AccountStore
from consent.ledger.declarations import DeclarationStore
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.events import EventStore
from consent.ledger.grants import GrantStore
from consent.ledger.notices import NoticeStore
from consent.ledger.proofs import ProofStore
from consent.ledger.recoveries import RecoveryStore
from consent.ledger.requests import RequestStore
from consent.ledger.status_places import StatusPlaces
from consent.ledger.use_stores import open_lane
from consent.ledger.writer import Writer
from consent.procedure.procedures import CheckProcedure, Procedures
from consent.service.acting import Acting
from consent.service.asking import Asking
from consent.service.bookkeeping import ROUND_SECONDS
from consent.service.callers import Callers
from consent.service.catalogue import Catalogue
from consent.service.cosigning import Cosigning
from consent.service.credentials import Credentials, nobody
from consent.service.deciding import Deciding
from consent.service.declaring import Declaring
from consent.service.duties import Duties, no_bases, open_duties
from consent.service.enrolling import CheckPresentation, Enrolling, MakeJar
from consent.service.entries import EntryMaker
from consent.service.granting import Granting
from consent.service.logbook import Logbook, LogSettings, open_logbook
from consent.service.of_grant import GrantEntries
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.reading import Reading
from consent.service.recovering import Recovering
from consent.service.sequencer import Sequencer
from consent.service.standing import Standing, open_standing
from consent.service.withdrawing import Withdrawing
from identity.keys.keyed_hash import KeyedHash
from identity.trust.bases import VerifiedBases
from identity.trust.registry import VerifiedRegistry


@dataclass(frozen=True, slots=True)
class Office:
    """The verbs, and the two threads behind them."""

    operator: Operator
    callers: Callers
    catalogue: Catalogue
    declaring: Declaring
    asking: Asking
    enrolling: Enrolling
    granting: Granting
    acting: Acting
    withdrawing: Withdrawing
    deciding: Deciding
    reading: Reading
    duties: Duties
    recovering: Recovering
    standing: Standing
    writer: Writer
    sequencer: Sequencer
    cosigning: Cosigning
    logbook: Logbook

    def start(self) -> None:
        self.writer.start()
        self.logbook.start()
        self.deciding.start()
        self.duties.start()

    def stop(self) -> None:
        """Ends after what is in hand; what was acknowledged is durable anyway."""
        self.duties.stop()
        self.deciding.stop()
        self.writer.stop()
        self.logbook.stop()


def open_office(
    operator: Operator,
    *,
    engine: Engine,
    registry: Callable[[], VerifiedRegistry],
    log: LogSettings,
    openings: Path,
    nonce_secret: bytes,
    claim_hash: KeyedHash,
    make_jar: MakeJar,
    check_presentation: CheckPresentation,
    bases: Callable[[], VerifiedBases] = no_bases,
    known_registry: Callable[[], VerifiedRegistry | None] = lambda: None,
    check_procedure: CheckProcedure | None = None,
    round_seconds: float = ROUND_SECONDS,
    allow_loopback_http: bool = False,
    officers: Officers | None = None,
    credentials: Credentials | None = None,
) -> Office:
    """``engine``: a database of the newest schema. Raises LogError.

    ``check_procedure`` holds declarations against the catalogue of procedures; None = the one that ships.
    ``credentials`` judges accreditations and mandates; None = none is believed.
    """
    accounts, declarations, events = AccountStore(engine), DeclarationStore(engine), EventStore(engine)
    writer = Writer(engine)
    grants, proofs, requests = GrantStore(engine, writer), ProofStore(engine, writer), RequestStore(engine, writer)
    parties = Parties(registry, operator.clock, known=known_registry)
    check_procedure = check_procedure or Procedures.shipped().check
    credentials = credentials or nobody()
    folder, entries = (
        OpeningFolder(openings, operator.random, None if officers is None else officers.key),
        EntryMaker(operator.random),
    )
    logbook = open_logbook(
        log,
        engine=engine,
        operator=operator,
        entries=entries,
        close_again=lambda kind, row, body: GrantEntries(catalogue, entries).close_again(
            kind, row, body, at=operator.milliseconds
        ),
    )
    catalogue = Catalogue(declarations, operator.clock, check_procedure=check_procedure, groups=logbook.groups)
    sequencer, cosigning = logbook.sequencer, logbook.cosigning
    withdrawing = Withdrawing(
        operator,
        grants=grants,
        events=events,
        noted=proofs,
        catalogue=catalogue,
        entries=entries,
        sequencer=sequencer,
        log_signer=log.signer,
    )
    notices = NoticeStore(engine)
    reading = Reading(
        operator,
        grants=grants,
        events=events,
        openings=folder,
        catalogue=catalogue,
        parties=parties,
        sequencer=sequencer,
        withdrawing=withdrawing,
        notices=notices,
    )
    duties = open_duties(
        operator,
        engine=engine,
        grants=grants,
        events=events,
        requests=requests,
        notices=notices,
        openings=folder,
        catalogue=catalogue,
        parties=parties,
        entries=entries,
        sequencer=sequencer,
        cosigning=cosigning,
        reading=reading,
        withdrawing=withdrawing,
        bases=bases,
        round_seconds=round_seconds,
        accounts=accounts,
        officers=officers,
        allow_loopback_http=allow_loopback_http,
    )
    callers = Callers(operator, nonces=Nonces(nonce_secret), proofs=proofs, accounts=accounts, parties=parties)
    asking = Asking(
        operator,
        store=requests,
        grants=grants,
        catalogue=catalogue,
        parties=parties,
        entries=entries,
        sequencer=sequencer,
    )
    granting = Granting(
        operator,
        grants=grants,
        requests=requests,
        catalogue=catalogue,
        parties=parties,
        openings=folder,
        entries=entries,
        sequencer=sequencer,
        places=StatusPlaces(engine, operator.random),
    )
    enrolling = Enrolling(
        operator,
        accounts=accounts,
        grants=grants,
        ended=EndedGrants(engine),
        openings=folder,
        claim_hash=claim_hash,
        make_jar=make_jar,
        check_presentation=check_presentation,
    )
    return Office(
        operator=operator,
        callers=callers,
        catalogue=catalogue,
        declaring=Declaring(
            operator,
            store=declarations,
            catalogue=catalogue,
            parties=parties,
            entries=entries,
            sequencer=sequencer,
            check_procedure=check_procedure,
        ),
        asking=asking,
        enrolling=enrolling,
        granting=granting,
        acting=Acting(
            operator,
            grants=grants,
            accounts=accounts,
            catalogue=catalogue,
            entries=entries,
            sequencer=sequencer,
        ),
        withdrawing=withdrawing,
        deciding=Deciding(
            operator,
            grants=grants,
            lane=open_lane(engine, written=sequencer.wake),
            spend=callers.spend,
            catalogue=catalogue,
            parties=parties,
            entries=entries,
            sequencer=sequencer,
            cosigning=cosigning,
            verify_accreditation=credentials.verify_accreditation,
        ),
        reading=reading,
        duties=duties,
        recovering=Recovering(
            operator, store=RecoveryStore(engine), accounts=accounts, callers=callers, enrolling=enrolling
        ),
        standing=open_standing(
            operator,
            engine=engine,
            credentials=credentials,
            accounts=accounts,
            grants=grants,
            parties=parties,
            catalogue=catalogue,
            claim_hash=claim_hash,
            reading=reading,
            asking=asking,
            granting=granting,
            withdrawing=withdrawing,
            duties=duties,
        ),
        writer=writer,
        sequencer=sequencer,
        cosigning=cosigning,
        logbook=logbook,
    )
