"""Deletion (ADR 0009, D8): until when a service may keep what it read, and its word that it did not keep it longer."""

import logging
from typing import Any

from consent.errors import MessageError, NotKnown
from consent.grant.deletion_receipt import verify_deletion_receipt
from consent.ledger.accounts import StoredAccount
from consent.ledger.codes import Codes
from consent.ledger.deletions import DUE, OVERDUE, RECEIVED, DeletionStore, StoredDeletion
from consent.ledger.grant_row import GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import DAY_ONLY, DAY_SECONDS
from consent.service.catalogue import Catalogue
from consent.service.in_force import stored_detail
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.path_id import path_id
from identity.codec import base64url
from identity.trust.registry import Party

AFTER_END_SECONDS = 30 * 86_400
"""Whatever was agreed: nothing is kept longer after the end of its grant."""

MINUTE_SECONDS = 60

_WORDS = {DUE: "due", OVERDUE: "overdue", RECEIVED: "received"}

_log = logging.getLogger("atorga.consent")


class Deletions:
    def __init__(
        self,
        operator: Operator,
        *,
        store: DeletionStore,
        grants: GrantStore,
        catalogue: Catalogue,
        parties: Parties,
    ) -> None:
        self._operator = operator
        self._store = store
        self._grants = grants
        self._catalogue = catalogue
        self._parties = parties
        self.alarms = 0
        """Deletions that became overdue since this process started."""

    def receive(self, caller: Party, grant_id: str, compact: str) -> None:
        """Raises MessageError, NotKnown.

        1. For the grant's own service every grant of its own is known, to others none.
        2. Signed by that service, for us, about this grant, not from the future.
        3. Nothing was read since.
        """
        # 1
        raw = path_id(grant_id)
        row = None if raw is None else self._grants.row(raw)
        number = self._catalogue.parties().get(caller.id)
        if raw is None or row is None or number != row.service:
            raise NotKnown("unknown_grant")
        # 2
        receipt = verify_deletion_receipt(
            compact,
            key_of=self._parties.service_key,
            consent=self._operator.id,
            grant_id=grant_id,
            now=self._operator.now,
        )
        if receipt.service != caller.id:
            raise MessageError("deletion receipt: of another service")
        # 3
        self.round()
        if self._store.find(raw) is None:
            raise MessageError("deletion receipt: nothing was read under this grant")
        if not self._store.receive(raw, compact, deleted_at=receipt.deleted_at):
            raise MessageError("deletion receipt: it does not cover the last use")

    def of(self, account: StoredAccount) -> dict[str, Any]:
        """For the resident. What is overdue says so before anybody counted it."""
        now = self._operator.now
        return {"deletions": [_shown(one, now) for one in self._store.of_account(account.number)]}

    def overdue(self) -> list[dict[str, Any]]:
        """For everybody: which services are late."""
        return [
            {"service": self._catalogue.party_id(service), "count": count} for service, count in self._store.overdue()
        ]

    def round(self) -> int:
        """Bookkeeping: reads the log on, raises alarms. How many leaves were read."""
        read = self._store.read_log(_due)
        for service, count in self._store.alarm(now=self._operator.now).items():
            self.alarms += count
            _log.warning("deletions: %d of %s became overdue", count, self._catalogue.party_id(service))
        return read


def _due(row: HotRow, body: GrantBody, last_use: int, end: int | None) -> int:
    """Last use and the life that was agreed, and never later than 30 days after the end."""
    # A leaf may tell the day of a use only: then the service has until the end of that day's time.
    codes = None if body.leaf_codes is None else Codes.from_bytes(body.leaf_codes)
    told_to = DAY_SECONDS if codes is not None and codes.flags & DAY_ONLY else MINUTE_SECONDS
    agreed = last_use + told_to + stored_detail(body).data_life_seconds
    return min(agreed, (row.not_after if end is None else end) + AFTER_END_SECONDS)


def _shown(one: StoredDeletion, now: int) -> dict[str, Any]:
    state = OVERDUE if one.state == DUE and one.due <= now else one.state
    return {
        "grant_id": base64url.encode(one.grant_id),
        "due": one.due,
        "state": _WORDS[state],
        "receipt": one.receipt,
    }
