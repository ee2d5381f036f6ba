"""Declarations (WIRE C13): signed by their owner, linted, numbered, logged. They come before everything else."""

from dataclasses import dataclass

from consent.ledger.declarations import DeclarationStore
from consent.ledger.grant_row import Entry
from consent.ledger.leaf import Kind
from consent.procedure.declaration import PurposeDeclaration, verify_declaration
from consent.procedure.lint import check_declaration
from consent.procedure.procedures import CheckProcedure
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.sequencer import Sequencer
from consent.spec import TYP_DATA_DECLARATION, TYP_PURPOSE_DECLARATION


@dataclass(frozen=True, slots=True)
class Declared:
    id: str
    version: int
    number: int


class Declaring:
    def __init__(
        self,
        operator: Operator,
        *,
        store: DeclarationStore,
        catalogue: Catalogue,
        parties: Parties,
        entries: EntryMaker,
        sequencer: Sequencer,
        check_procedure: CheckProcedure,
    ) -> None:
        self._operator = operator
        self._store = store
        self._catalogue = catalogue
        self._parties = parties
        self._entries = entries
        self._sequencer = sequencer
        self._check_procedure = check_procedure

    def declare(self, compact: str) -> Declared:
        """Raises MessageError, LedgerConflict (``taken``, ``version``), OutOfService.

        1. Signed by the registry key of a service, or of a data holder, as its kind asks.
        2. Terms that exist, parties that are listed, nothing beyond the catalogue of procedures.
        3. Stored with its number and its leaf; the same again changes nothing.
        """
        self._sequencer.require_running()
        # 1
        declared, message = verify_declaration(
            compact, service_key=self._parties.service_key, holder_key=self._parties.holder_key
        )
        # 2
        check_declaration(declared, is_holder=self._parties.is_holder)
        self._check_procedure(declared)
        # 3
        if isinstance(declared, PurposeDeclaration):
            purposes: tuple[str, ...] = (declared.purpose,)
        else:
            named = (iri for attribute in declared.attributes.values() for iri in attribute.purposes)
            purposes = tuple(dict.fromkeys(named))
        at = self._operator.milliseconds

        def make_entry(number: int) -> Entry:
            return self._entries.public(Kind.DECLARE, at=at, declaration_hash=message.digest, number=number)

        stored = self._store.add(
            declaration_id=declared.id,
            version=declared.version,
            typ=TYP_PURPOSE_DECLARATION if isinstance(declared, PurposeDeclaration) else TYP_DATA_DECLARATION,
            party_id=declared.iss,
            purposes=purposes,
            jws=compact,
            make_entry=make_entry,
        )
        self._sequencer.wake()
        self._catalogue.refresh()
        return Declared(declared.id, declared.version, stored.party)
