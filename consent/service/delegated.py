"""What the holder of a mandate may see and do of the represented account (ADR 0009, D14).

The same verbs as the resident's, each within the mandate's purposes. What is outside them is not
there; of sensitive purposes there is no timeline.
"""

from collections.abc import Mapping
from typing import Any

from consent.errors import MessageError, NotAllowed, NotKnown
from consent.grant.mandate import GRANT, OPPOSE, PAUSE, READ, WITHDRAW, Mandate
from consent.grant.receipt import ServedReceipt
from consent.ledger.grants import GrantStore
from consent.ledger.mandates import StoredMandate
from consent.service.asking import Asking
from consent.service.catalogue import Catalogue
from consent.service.duties import Duties
from consent.service.granting import Given, Granting
from consent.service.in_force import stored_detail
from consent.service.path_id import path_id
from consent.service.reading import Reading
from consent.service.representing import MANDATE, Representing
from consent.service.withdrawing import Withdrawing, Withdrawn
from consent.signed_message import reading
from consent.spec import MAX_JWS
from identity.codec import base64url, members
from identity.envelope import jws


class Delegated:
    """Each method raises what the resident's own verb does, and NotAllowed (``mandate``)."""

    def __init__(
        self,
        representing: Representing,
        *,
        grants: GrantStore,
        catalogue: Catalogue,
        reading: Reading,
        asking: Asking,
        granting: Granting,
        withdrawing: Withdrawing,
        duties: Duties,
    ) -> None:
        self._representing = representing
        self._grants = grants
        self._catalogue = catalogue
        self._reading = reading
        self._asking = asking
        self._granting = granting
        self._withdrawing = withdrawing
        self._duties = duties

    def grants(self, by: StoredMandate) -> dict[str, Any]:
        account = self._representing.account_for(by, READ)
        within = self._within(by)
        listed = self._reading.grants_of(account)["grants"]
        return {"grants": [one for one in listed if one["grant_id"] in within]}

    def grant(self, by: StoredMandate, grant_id: str) -> dict[str, Any]:
        account = self._representing.account_for(by, READ)
        self._require_grant(by, grant_id)
        return self._reading.grant_of(account, grant_id)

    def timeline(self, by: StoredMandate, *, after: int) -> dict[str, Any]:
        """Of grants within the mandate, and of none whose purpose is sensitive; nothing that rests on law."""
        account = self._representing.account_for(by, READ)
        page = self._reading.timeline(account, after=after)
        open_ = {grant_id for grant_id, is_sensitive in self._within(by).items() if not is_sensitive}
        return {**page, "items": [item for item in page["items"] if item["grant_id"] in open_]}

    def receipt(self, by: StoredMandate, receipt_id: str, languages: tuple[str, ...]) -> ServedReceipt:
        account = self._representing.account_for(by, READ)
        found = self._reading.receipt(account, receipt_id, languages)
        grant_id = str(_claims(found.head.grant).get("jti"))
        if self._within(by).get(grant_id, True):
            raise NotKnown("unknown_receipt")
        return found

    def requests(self, by: StoredMandate) -> dict[str, Any]:
        account = self._representing.account_for(by, READ)
        waiting = self._asking.waiting(account)["requests"]
        return {"requests": [one for one in waiting if by.mandate.covers(_purpose(one["request"]))]}

    def decide(self, by: StoredMandate, body: Mapping[str, Any]) -> Given | None:
        account = self._representing.account_for(by, GRANT)
        with reading("grant"):
            compact = members.text(body, "grant", what="grant", max_length=MAX_JWS)
        # Unverified here; ``decide`` verifies the same text, and its purpose is the one that counts.
        self._require_purpose(by.mandate, _purpose(compact))
        return self._granting.decide(account, body)

    def withdraw(self, by: StoredMandate, grant_id: str, body: Mapping[str, Any]) -> Withdrawn:
        account = self._representing.account_for(by, WITHDRAW)
        self._require_grant(by, grant_id)
        return self._withdrawing.by_account(account, grant_id, body, by=MANDATE)

    def freeze(self, by: StoredMandate, body: Mapping[str, Any]) -> dict[str, Any]:
        account = self._representing.account_for(by, PAUSE)
        if not by.mandate.covers_all:
            raise NotAllowed(MANDATE, "mandate: a freeze is of every purpose, the mandate is not")
        return self._duties.freezing.freeze(account, body)

    def oppose(self, by: StoredMandate, body: Mapping[str, Any]) -> str:
        account = self._representing.account_for(by, OPPOSE)
        purpose = body.get("purpose")
        if not isinstance(purpose, str) and not by.mandate.covers_all:
            raise NotAllowed(MANDATE, "mandate: an opposition to every purpose, the mandate is not for every one")
        if isinstance(purpose, str):
            self._require_purpose(by.mandate, purpose)
        return self._duties.opposing.oppose(account, body)

    def _within(self, by: StoredMandate) -> dict[str, bool]:
        """Grant ids within the mandate's purposes → whether the purpose is sensitive."""
        found = {}
        for row in self._grants.of_account(by.account):
            body = self._grants.body(row.grant_id)
            detail = None if body is None else stored_detail(body)
            if detail is not None and by.mandate.covers(detail.purpose):
                service = self._catalogue.party_id(row.service)
                found[base64url.encode(row.grant_id)] = self._catalogue.is_sensitive(service, detail)
        return found

    def _require_grant(self, by: StoredMandate, grant_id: str) -> None:
        """For a grant outside the mandate the answer is that of one that is not there."""
        raw = path_id(grant_id)
        found = None if raw is None else self._grants.get(raw)
        if found is None or found[0].account != by.account or not by.mandate.covers(stored_detail(found[1]).purpose):
            raise NotKnown("unknown_grant")

    def _require_purpose(self, mandate: Mandate, purpose: str) -> None:
        if not mandate.covers(purpose):
            raise NotAllowed(MANDATE, "mandate: it is not for this purpose")


def _claims(compact: str) -> dict[str, Any]:
    with reading("grant"):
        return jws.parse(compact, what="grant").claims()


def _purpose(compact: str) -> str:
    """Of a request or a grant, unverified. Raises MessageError."""
    details = _claims(compact).get("authorization_details")
    if not isinstance(details, list) or len(details) != 1 or not isinstance(details[0], dict):
        raise MessageError("grant: authorization_details must hold exactly one object")
    with reading("grant"):
        return members.text(details[0], "purpose", what="grant")
