"""Export (ADR 0009, D12): all that is held about the caller, sealed parts sealed."""

from typing import Any

from consent.ledger.accounts import StoredAccount
from consent.ledger.grants import GrantStore
from consent.ledger.requests import RequestStore
from consent.service.deletions import Deletions
from consent.service.opposing import Opposing
from consent.service.reading import Reading
from identity.codec import base64url, strict_json


class Exporting:
    def __init__(
        self,
        *,
        grants: GrantStore,
        requests: RequestStore,
        reading: Reading,
        opposing: Opposing,
        deletions: Deletions,
    ) -> None:
        self._grants = grants
        self._requests = requests
        self._reading = reading
        self._opposing = opposing
        self._deletions = deletions

    def page(self, account: StoredAccount, *, after: int) -> dict[str, Any]:
        """From the beginning (``after`` -1) everything, and the first page of the timeline; then its further pages."""
        timeline = self._reading.timeline(account, after=after)
        value: dict[str, Any] = {
            "account": {
                "account_jwk": strict_json.parse_object(account.account_jwk, what="account key"),
                "view_jwk": strict_json.parse_object(account.view_jwk, what="view key"),
                "full_after": account.full_after,
            },
            "mailboxes": [],
            "grants": [],
            "timeline": timeline["items"],
            "oppositions": [],
            "deletions": [],
            "next": timeline["next"],
        }
        if after >= 0:
            return value
        mailboxes = [base64url.encode(mailbox) for mailbox in self._requests.mailboxes_of(account.number)]
        # One whose text was lost with a restored copy has nothing to export.
        ids = [row.grant_id for row in self._grants.of_account(account.number) if self._grants.body(row.grant_id)]
        return value | {
            "mailboxes": mailboxes,
            "grants": [self._reading.grant_of(account, base64url.encode(one)) for one in ids],
            **self._opposing.of(account),
            **self._deletions.of(account),
        }
