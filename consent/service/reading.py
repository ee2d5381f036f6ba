"""What residents and services read about grants: states, timelines, receipts. It changes nothing."""

from collections.abc import Sequence
from typing import Any

from consent.errors import NotKnown
from consent.grant.detail import AuthorizationDetail
from consent.grant.receipt import Controller, Notice, ReceiptHead, ServedReceipt
from consent.ledger.accounts import StoredAccount
from consent.ledger.events import EventStore, TimelineItem
from consent.ledger.grant_row import GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.ledger.notices import NoticeStore
from consent.service.catalogue import Catalogue
from consent.service.in_force import detail_in_force, state_at, stored_detail
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.path_id import path_id
from consent.service.sequencer import Sequencer
from consent.service.withdrawing import Withdrawing
from identity.codec import base64url
from identity.trust.registry import Party

TIMELINE_PAGE = 200
"""Items in one answer: about 150 kB of sealed events."""


class Reading:
    def __init__(
        self,
        operator: Operator,
        *,
        grants: GrantStore,
        events: EventStore,
        openings: OpeningFolder,
        catalogue: Catalogue,
        parties: Parties,
        sequencer: Sequencer,
        withdrawing: Withdrawing,
        notices: NoticeStore,
    ) -> None:
        self._operator = operator
        self._grants = grants
        self._events = events
        self._openings = openings
        self._catalogue = catalogue
        self._parties = parties
        self._sequencer = sequencer
        self._withdrawing = withdrawing
        self._notices = notices

    def grants_of(self, account: StoredAccount) -> dict[str, Any]:
        return {"grants": [self._summary(row) for row in self._grants.of_account(account.number)]}

    def grant_of(self, account: StoredAccount, grant_id: str) -> dict[str, Any]:
        """Raises NotKnown, also for another account's grant."""
        row, body = self._find(grant_id)
        if row.account != account.number:
            raise NotKnown("unknown_grant")
        detail = detail_in_force(row, body)
        receipts = [
            {"counter": one.counter, "kind": Kind(one.kind).word, "id": base64url.encode(one.receipt_id)}
            for one in self._events.receipts_of(row.grant_id)
            if one.receipt_id is not None
        ]
        return {
            **self._summary(row),
            "grant": body.grant_jws,
            "terms": _terms(detail),
            "max_uses": row.max_uses or None,
            "not_after": row.not_after,
            "opening": self._openings.sealed(body.opening_key),
            "receipts": receipts,
        }

    def grant_for(self, party: Party, grant_id: str) -> dict[str, Any]:
        """For the grant's own service. Raises NotKnown."""
        row, body = self._find(grant_id)
        if self._catalogue.parties().get(party.id) != row.service:
            raise NotKnown("unknown_grant")
        return {
            "grant_id": grant_id,
            "state": state_at(row, self._operator.now).word,
            "counter": row.counter,
            "terms": _terms(detail_in_force(row, body)),
            "grant": body.grant_jws,
        }

    def timeline(self, account: StoredAccount, *, after: int) -> dict[str, Any]:
        """Oldest first, promised ones last; ``next`` is the ``after`` of the next page, null on the last.

        Of accesses that rest on law, those that are visible by now. One that became visible behind
        ``after`` stands at the end of the last page.
        """
        number, now = account.number, self._operator.now
        items = self._events.timeline(number, after=after, at_most=TIMELINE_PAGE)
        items += self._notices.timeline(number, after=after, now=now, at_most=TIMELINE_PAGE)
        items = sorted(items, key=_place)[:TIMELINE_PAGE]
        indexes = [index for item in items if (index := self._integrated(item.leaf_index)) is not None]
        following = indexes[-1] if len(items) == TIMELINE_PAGE and indexes else None
        if following is None:
            items += self._notices.became_visible(number, upto=after, now=now, at_most=TIMELINE_PAGE)
        shown = [
            {
                "grant_id": base64url.encode(item.grant_id),
                "kind": Kind(item.kind).word,
                "counter": item.counter,
                "leaf_index": self._integrated(item.leaf_index),
                "sealed": item.sealed,
            }
            for item in items
        ]
        return {"items": shown, "next": following}

    def receipt(self, account: StoredAccount, receipt_id: str, languages: Sequence[str]) -> ServedReceipt:
        """``languages``: the reader's, best first. Raises NotKnown."""
        raw = path_id(receipt_id)
        event = None if raw is None else self._events.by_receipt(raw)
        found = None if event is None or event.grant_id is None else self._grants.get(event.grant_id)
        if event is None or found is None or event.sealed is None or found[0].account != account.number:
            raise NotKnown("unknown_receipt")
        row, body = found
        logged = self._sequencer.logged(event.leaf_index)
        return ServedReceipt(
            head=self._head(receipt_id, row, body, languages),
            sealed=event.sealed,
            leaf_index=None if logged is None else event.leaf_index,
            proof=None if logged is None else logged.proof,
            promise=self._withdrawing.promise(event) if logged is None else None,
        )

    def _head(self, receipt_id: str, row: HotRow, body: GrantBody, languages: Sequence[str]) -> ReceiptHead:
        detail = stored_detail(body)
        service = self._catalogue.party_id(row.service)
        declared = self._catalogue.agreed_declaration(service, detail)
        language = next((one for one in languages if one in declared.notice), next(iter(declared.notice)))
        party = self._parties.find(service)
        return ReceiptHead(
            id=receipt_id,
            grant=body.grant_jws,
            notice=Notice(language, declared.notice[language]),
            # A service that is no longer listed still answers for what it did.
            controller=Controller(service, {}, service, service)
            if party is None
            else Controller(service, party.name, party.legal_entity, party.contact),
            withdrawal_url=f"{self._operator.url}/withdrawals",
        )

    def _integrated(self, index: int | None) -> int | None:
        """A place counts once a signed checkpoint covers it."""
        return index if self._sequencer.is_logged(index) else None

    def _summary(self, row: HotRow) -> dict[str, Any]:
        return {
            "grant_id": base64url.encode(row.grant_id),
            "state": state_at(row, self._operator.now).word,
            "counter": row.counter,
            "act": row.act,
        }

    def _find(self, grant_id: str) -> tuple[HotRow, GrantBody]:
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        if found is None:
            raise NotKnown("unknown_grant")
        return found


def _place(item: TimelineItem) -> tuple[bool, int]:
    return item.leaf_index is None, item.leaf_index or 0


def _terms(detail: AuthorizationDetail) -> dict[str, Any]:
    return dict(detail.to_json()["terms"])
