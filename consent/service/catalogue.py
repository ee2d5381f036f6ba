"""What was declared (WIRE C13), kept at hand: every request, grant and use is held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock

from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail
from consent.grant.narrowing import Resolutions
from consent.grant.need import check_needed, covering
from consent.ledger.codes import Codes
from consent.ledger.declarations import DeclarationStore, StoredDeclaration
from consent.ledger.groups import PublishedGroup
from consent.procedure.declaration import DataDeclaration, PurposeDeclaration, read_stored
from consent.procedure.difference import agreed_otherwise
from consent.procedure.procedures import CheckProcedure
from consent.service.leaf_groups import LeafGroups
from consent.service.unlinked import UNNAMED
from identity.clock import Clock
from identity.envelope import jws

REFRESH_SECONDS = 1.0
"""Another process may have taken a declaration; it counts here as soon as its wallets and holders can see it."""


@dataclass(frozen=True, slots=True)
class _Snapshot:
    last: int = 0
    compact: tuple[str, ...] = ()
    purpose_declarations: Mapping[tuple[str, str], PurposeDeclaration] = field(default_factory=dict)
    """(service, id@version) → declaration."""
    digests: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """(service, id@version) → hash of its JWS."""
    newest: Mapping[tuple[str, str], PurposeDeclaration] = field(default_factory=dict)
    """(service, id) → the newest version."""
    needs: Mapping[tuple[str, str], PurposeDeclaration] = field(default_factory=dict)
    """(service, id@version) → the newest version, where who agreed to the one has agreed to the other, and the
    catalogue of procedures still has it."""
    data: tuple[DataDeclaration, ...] = ()
    parties: Mapping[str, int] = field(default_factory=dict)
    purposes: Mapping[str, int] = field(default_factory=dict)
    party_ids: Mapping[int, str] = field(default_factory=dict)


class Catalogue:
    """Threads share one; a snapshot is replaced, never changed."""

    def __init__(
        self,
        store: DeclarationStore,
        clock: Clock,
        *,
        check_procedure: CheckProcedure,
        groups: LeafGroups | None = None,
    ) -> None:
        self._store = store
        self._groups = groups
        self._check_procedure = check_procedure
        self._clock = clock
        self._turn = Lock()
        self._snapshot = _Snapshot()
        self._read_at = float("-inf")

    def is_due(self) -> bool:
        """Whether the next question asks the database: who must not wait asks in a thread first."""
        return self._clock() >= self._read_at + REFRESH_SECONDS

    def refresh(self) -> None:
        """Reads what was added, at once."""
        with self._turn:
            self._read()

    def declarations(self) -> tuple[str, ...]:
        return self._current().compact

    def parties(self) -> Mapping[str, int]:
        """Registry party id → the number that leaves carry."""
        return self._current().parties

    def purposes(self) -> Mapping[str, int]:
        """Purpose IRI → the number that leaves carry."""
        return self._current().purposes

    def groups(self) -> tuple[PublishedGroup, ...]:
        return () if self._groups is None else self._groups.published()

    def codes(self, service: str, purpose: str) -> Codes:
        """Under which numbers a new grant's leaves, or a notice's, name this pair (DESIGN §8)."""
        numbers = self.parties()[service], self.purposes()[purpose]
        return Codes(*numbers) if self._groups is None else self._groups.codes(*numbers)

    def group_codes(self, service: str | None, purpose: str | None) -> Codes:
        """Of a leaf that never names its pair: the group's, if there is one."""
        number = self.parties().get(service or "")
        purpose_number = None if purpose is None else self.purposes().get(purpose, 0)
        if self._groups is None or number is None:
            return UNNAMED
        return self._groups.grouped(number, purpose_number)

    def party_id(self, number: int) -> str:
        """The party behind a number of ours."""
        if number not in self._current().party_ids:
            self.refresh()
        return self._snapshot.party_ids[number]

    def check_needed(self, service: str, detail: AuthorizationDetail) -> DataDeclaration:
        """The data declaration behind what is asked. Raises MessageError where it is more than declared.

        1. By the purpose declaration that it names, and by the newest version of it: a procedure
           that needs less than before gets less, and one that says something else is asked for anew.
        2. By the data holder.
        """
        snapshot = self._current()
        # 1
        named = snapshot.purpose_declarations.get((service, detail.identifier))
        if named is None:
            raise MessageError("consent request: names a declaration that this service has not registered")
        check_needed(detail, named)
        newest = snapshot.needs.get((service, detail.identifier))
        if newest is None:
            raise MessageError("consent request: its declaration has changed since, or its procedure has")
        check_needed(detail, newest)
        # 2
        return covering(detail, snapshot.data)

    def agreed_declaration(self, service: str, detail: AuthorizationDetail) -> PurposeDeclaration:
        """The version that the request named. Only for what was granted: that it is there was checked then."""
        return self._current().purpose_declarations[service, detail.identifier]

    def newest_need(self, service: str, detail: AuthorizationDetail) -> PurposeDeclaration | None:
        """The newest version of the declaration that a grant rests on; None where the resident did not agree to it."""
        return self._current().needs.get((service, detail.identifier))

    def registered(self, service: str, identifier: str) -> tuple[PurposeDeclaration, str] | None:
        """The declaration ``id@version`` of a service, and the hash of its JWS."""
        snapshot = self._current()
        found = snapshot.purpose_declarations.get((service, identifier))
        return None if found is None else (found, snapshot.digests[service, identifier])

    def is_sensitive(self, service: str, detail: AuthorizationDetail) -> bool:
        """Whether the declaration says so, in the version that was agreed to or in the newest."""
        snapshot = self._current()
        named = snapshot.purpose_declarations.get((service, detail.identifier))
        return named is None or named.sensitive or snapshot.newest[service, named.id].sensitive

    def resolutions(self, detail: AuthorizationDetail) -> Resolutions:
        return covering(detail, self._current().data).resolutions

    def _current(self) -> _Snapshot:
        if self._clock() >= self._read_at + REFRESH_SECONDS:
            with self._turn:
                if self._clock() >= self._read_at + REFRESH_SECONDS:
                    self._read()
        return self._snapshot

    def _read(self) -> None:
        began = self._clock()
        self._take(self._store.all(after=self._snapshot.last))
        # Only now: whoever comes while it is read must wait, and not be told of what was true when somebody
        # last asked here, which may be long ago.
        self._read_at = began

    def _take(self, added: Sequence[StoredDeclaration]) -> None:
        before = self._snapshot
        if not added:
            return
        named, newest, data = dict(before.purpose_declarations), dict(before.newest), list(before.data)
        digests = dict(before.digests)
        for stored in added:
            declared = read_stored(stored.jws)
            if isinstance(declared, DataDeclaration):
                data.append(declared)
            else:
                named[declared.iss, declared.identifier] = declared
                digests[declared.iss, declared.identifier] = jws.digest(stored.jws)
                # Versions rise in the order of registration.
                newest[declared.iss, declared.id] = declared
        parties = self._store.parties()
        self._snapshot = _Snapshot(
            last=added[-1].number,
            compact=(*before.compact, *(stored.jws for stored in added)),
            purpose_declarations=named,
            digests=digests,
            newest=newest,
            needs=self._needs(named, newest),
            data=tuple(data),
            parties=parties,
            purposes=self._store.purposes(),
            party_ids={number: party_id for party_id, number in parties.items()},
        )

    def _needs(
        self, named: Mapping[tuple[str, str], PurposeDeclaration], newest: Mapping[tuple[str, str], PurposeDeclaration]
    ) -> dict[tuple[str, str], PurposeDeclaration]:
        found = {}
        for key, agreed in named.items():
            present = newest[agreed.iss, agreed.id]
            if not agreed_otherwise(agreed, present) and self._is_in_catalogue(present):
                found[key] = present
        return found

    def _is_in_catalogue(self, declared: PurposeDeclaration) -> bool:
        """Also of what was registered when the catalogue said otherwise."""
        try:
            self._check_procedure(declared)
        except MessageError:
            return False
        return True
