"""What a recovery tells the wallet that was there before, and how that wallet sends the other away (ADR 0009, D18)."""

from typing import Any

from consent.errors import NotKnown
from consent.ledger.accounts import AccountStore
from consent.ledger.recoveries import CANCELLED, RecoveryStore, StoredRecovery
from consent.service.callers import Call, Callers
from consent.service.enrolling import Enrolling
from consent.service.operator import Operator
from consent.service.path_id import path_id
from identity.codec import base64url, strict_json
from identity.keys.public_key import PublicKey


class Recovering:
    def __init__(
        self,
        operator: Operator,
        *,
        store: RecoveryStore,
        accounts: AccountStore,
        callers: Callers,
        enrolling: Enrolling,
    ) -> None:
        self._operator = operator
        self._store = store
        self._accounts = accounts
        self._callers = callers
        self._enrolling = enrolling

    def of(self, call: Call) -> dict[str, Any]:
        """For any key that is or was the account's. Raises CallerUnproven."""
        account, key = self._caller(call)
        return {"recoveries": [self._shown(one, key) for one in self._store.of_account(account)]}

    def cancel(self, call: Call, recovery_id: str) -> dict[str, Any]:
        """The account is the caller's again, at once and in full. Raises CallerUnproven, NotKnown, LedgerConflict."""
        number, key = self._caller(call)
        raw = path_id(recovery_id)
        if raw is None:
            raise NotKnown("unknown_recovery")
        self._store.cancel(raw, account=number, thumbprint=key.thumbprint, now=self._operator.now)
        account = self._accounts.by_number(number)
        if account is not None:
            self._enrolling.seal_anew(account)
        return {"recovery_id": recovery_id, "state": "cancelled"}

    def _caller(self, call: Call) -> tuple[int, PublicKey]:
        found: list[int] = []

        def key_for(thumbprint: str) -> PublicKey | None:
            known = self._store.key(thumbprint)
            if known is None:
                return None
            found.append(known[0])
            return PublicKey.from_jwk(strict_json.parse_object(known[1], what="account key"))

        key = self._callers.holder_of(call, key_for)
        return found[0], key

    def _shown(self, one: StoredRecovery, key: PublicKey) -> dict[str, Any]:
        waiting = self._operator.now < one.full_after
        return {
            "recovery_id": base64url.encode(one.recovery_id),
            "since": one.since,
            "full_after": one.full_after,
            "state": "cancelled" if one.state == CANCELLED else "waiting" if waiting else "done",
            "own": one.thumbprint == key.thumbprint,
        }
