"""Two officers open one grant (ADR 0009, D11): ordered by both, logged, shown to the resident, then answered."""

from collections.abc import Mapping
from typing import Any

from consent import spec
from consent.errors import NotAllowed, NotKnown, OutOfService
from consent.grant.officers import Officers
from consent.grant.opening_order import OpeningOrder, VerifiedOrder, verify_orders
from consent.ledger.accounts import AccountStore
from consent.ledger.codes import Codes
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.grant_row import GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.ledger.notices import UnlinkedEntry
from consent.ledger.opened import OpenedStore
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.sequencer import Logged, Sequencer
from consent.service.unlinked import make_unlinked
from consent.signed_message import exact, reading
from identity.codec import base64url, members

DECLARATION = "officers-opening"
"""What its leaf says in the place of a declaration: the resident reads it on the timeline."""

LOG_SECONDS = 4.0

_WHAT = "opening"


class OpeningCases:
    def __init__(
        self,
        operator: Operator,
        *,
        store: OpenedStore,
        grants: GrantStore,
        ended: EndedGrants,
        accounts: AccountStore,
        openings: OpeningFolder,
        sequencer: Sequencer,
        officers: Officers | None,
    ) -> None:
        """``officers`` None: nobody opens anything here."""
        self._operator = operator
        self._store = store
        self._grants = grants
        self._ended = ended
        self._accounts = accounts
        self._openings = openings
        self._sequencer = sequencer
        self._officers = officers

    def open(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises MessageError (SenderUnproven), NotAllowed, NotKnown, LedgerConflict (``replayed``), OutOfService.

        1. Two orders, of two officers, over the same words.
        2. A grant that is there, with a copy for the officers.
        3. Stored with its leaf, which is sealed to the resident; the same order again makes no second one.
        4. Logged before anything leaves.
        """
        self._sequencer.require_running()
        # 1
        verified = self._verified(body)
        # 2
        row, grant_body = self._grant(verified.order)
        copy = self._openings.officers_copy(grant_body.opening_key)
        if copy is None:
            raise NotKnown("unknown_opening")
        # 3
        leaf_id = self._store.order(
            base64url.decode(verified.order.id),
            row.grant_id,
            base64url.decode(verified.order.digest),
            self._entry(row, verified.order),
        )
        # 4
        logged = self._sequencer.wait(leaf_id, 0, seconds=LOG_SECONDS)
        if logged is None:
            raise OutOfService("log: the opening is not in it in time")
        return self._answer(verified, row, copy, logged)

    def _verified(self, body: Mapping[str, Any]) -> VerifiedOrder:
        exact(body, _WHAT, frozenset({"orders"}))
        with reading(_WHAT):
            first, second = members.texts(body, "orders", what=_WHAT, max_count=2, max_length=spec.MAX_JWS, min_count=2)
        if self._officers is None:
            raise NotAllowed("no_officers", "opening: there are no officers here")
        return verify_orders(first, second, officers=self._officers, consent=self._operator.id, now=self._operator.now)

    def _grant(self, order: OpeningOrder) -> tuple[HotRow, GrantBody]:
        found = self._grants.get(base64url.decode(order.grant_id))
        if found is None:
            raise NotKnown("unknown_grant")
        return found

    def _entry(self, row: HotRow, order: OpeningOrder) -> UnlinkedEntry:
        account = self._accounts.by_number(row.account)
        return make_unlinked(
            Kind.NOTICE,
            at=self._operator.milliseconds,
            codes=Codes(0, 0),
            view_keys={} if account is None else {account.number: account.view_jwk},
            random=self._operator.random,
            declaration=DECLARATION,
            attributes=[],
            hash=order.digest,
        ).stored

    def _answer(self, verified: VerifiedOrder, row: HotRow, copy: str, logged: Logged) -> dict[str, Any]:
        assert self._officers is not None
        former = (self._openings.officers_copy(public) for public in self._ended.former_openings(row.grant_id))
        events = []
        for one in self._store.events(row.grant_id):
            found = self._sequencer.logged(one.place)
            # Not what came after the order: an order sent again opens no more than it did.
            if found is not None and found.index < logged.index:
                shown = {"counter": one.counter, "leaf_index": found.index, "sealed": one.sealed}
                events.append({**shown, "proof": found.proof})
        return {
            "grant_id": verified.order.grant_id,
            "opening": copy,
            "former_openings": [sealed for sealed in former if sealed is not None],
            "envelope": self._officers.envelope(verified.first, verified.second),
            "events": events,
            "proof": logged.proof,
        }
