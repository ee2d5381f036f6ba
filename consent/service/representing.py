"""Acting for somebody by a mandate (ADR 0009, D14): registered once by a credential, judged anew at each act."""

from collections.abc import Callable, Mapping
from typing import Any

from consent.errors import MessageError, NotAllowed, NotKnown, OutOfService
from consent.grant.accreditation import StatusCheck
from consent.grant.mandate import read_mandate, read_registration
from consent.ledger.accounts import AccountStore, StoredAccount
from consent.ledger.mandates import MandateStore, StoredMandate
from consent.service.enrolling import SCOPE
from consent.service.mandate_presentation import PresentedMandate
from consent.service.operator import Operator
from consent.service.parties import Parties
from consent.service.path_id import path_id
from consent.spec import VCT_MANDATE
from identity.codec import base64url, strict_json
from identity.errors import CredentialRevoked, FetchError, IdentityError, KeyUnavailable, StatusUnavailable, TrustError
from identity.keys.keyed_hash import KeyedHash
from identity.keys.public_key import PublicKey
from identity.trust import spec

ID_BYTES = 16
MANDATE = "mandate"
"""The code of what a mandate does not let its holder do."""

CheckMandate = Callable[[Mapping[str, Any], str], PresentedMandate]
"""(vp_token, nonce) → what was presented. Raises IdentityError."""


class Representing:
    def __init__(
        self,
        operator: Operator,
        *,
        store: MandateStore,
        accounts: AccountStore,
        parties: Parties,
        claim_hash: KeyedHash,
        check_mandate: CheckMandate,
        check_status: StatusCheck,
    ) -> None:
        self._operator = operator
        self._store = store
        self._accounts = accounts
        self._parties = parties
        self._claim_hash = claim_hash
        self._check_mandate = check_mandate
        self._check_status = check_status

    def register(self, key: PublicKey, body: Mapping[str, Any]) -> dict[str, Any]:
        """Raises MessageError, NotKnown, LedgerConflict (``taken``, ``too_many``, ``ended``), OutOfService.

        1. A nonce offered to exactly the key that proved this call; it is spent, whatever follows.
        2. The presentation of a mandate, made for that nonce and for us.
        3. Of verbs and purposes that exist, and with an end within twelve months.
        4. Whom it is about has an account here.
        """
        if "ES256" not in key.algorithms:
            raise MessageError("mandate: its key must be for ES256")
        vp_token = read_registration(body)
        # 1
        now = self._operator.now
        nonce = self._accounts.take_nonce(key.thumbprint, now=now)
        if nonce is None:
            raise MessageError("mandate: no request was made for this key, or it is used or too old")
        # 2
        shown = self._presented(vp_token, nonce)
        # 3
        mandate = read_mandate(shown.claims, now=now)
        # 4
        account = self._store.account_of(self._hash(shown.represented))
        if account is None:
            raise NotKnown("unknown_account")
        raw = self._operator.random(ID_BYTES)
        jwk = strict_json.compact(key.jwk()).decode()
        self._store.add(
            StoredMandate(raw, account, key.thumbprint, jwk, mandate, shown.issuer, shown.status), now=now
        )  # fmt: skip
        told = mandate.to_json()
        return {"mandate_id": base64url.encode(raw), **{name: told[name] for name in ("verbs", "purposes", "until")}}

    def by_key(self, thumbprint: str) -> StoredMandate | None:
        return self._store.by_key(thumbprint)

    def account_for(self, mandate: StoredMandate, verb: str) -> StoredAccount:
        """The represented account. Raises NotAllowed (``mandate``), OutOfService.

        1. It has not ended, and has this verb.
        2. Who issued it is still listed for mandates.
        3. It is not revoked.
        """
        # 1
        self._require(self._operator.now < mandate.mandate.until, "it has ended")
        self._require(verb in mandate.mandate.verbs, f"it does not allow to {verb}")
        # 2
        try:
            issuer = self._parties.listed().registry.by_issuer(mandate.issuer, now=self._operator.now)
        except TrustError:
            raise NotAllowed(MANDATE, "mandate: its issuer is not listed any more") from None
        self._require(spec.ISSUER in issuer.roles and VCT_MANDATE in issuer.vcts, "its issuer may issue none any more")
        # 3
        try:
            self._check_status(mandate.status, issuer=mandate.issuer, now=self._operator.now)
        except CredentialRevoked:
            raise NotAllowed(MANDATE, "mandate: it was revoked") from None
        except IdentityError as fault:
            raise OutOfService(f"mandate: {fault}") from None
        account = self._accounts.by_number(mandate.account)
        if account is None:
            raise NotKnown("unknown_account")
        return account

    def of_account(self, account: StoredAccount) -> dict[str, Any]:
        return {"mandates": [_shown(one, own=False) for one in self._store.of_account(account.number)]}

    def own(self, mandate: StoredMandate) -> dict[str, Any]:
        return {"mandates": [_shown(mandate, own=True)]}

    def end_own(self, mandate: StoredMandate, mandate_id: str) -> dict[str, Any]:
        """By the key it gave; another's is none. Raises NotKnown."""
        if base64url.encode(mandate.mandate_id) != mandate_id:
            raise NotKnown("unknown_mandate")
        return self._end(mandate.account, mandate_id, for_good=False)

    def end(self, account: int, mandate_id: str) -> dict[str, Any]:
        """By one act, at once, and for good: its credential lives on and must not give another key. Raises NotKnown."""
        return self._end(account, mandate_id, for_good=True)

    def _end(self, account: int, mandate_id: str, *, for_good: bool) -> dict[str, Any]:
        raw = path_id(mandate_id)
        if raw is None or not self._store.end(raw, account=account, for_good=for_good):
            raise NotKnown("unknown_mandate")
        return {"mandate_id": mandate_id, "state": "ended"}

    def _require(self, holds: bool, otherwise: str) -> None:
        if not holds:
            raise NotAllowed(MANDATE, f"mandate: {otherwise}")

    def _presented(self, vp_token: Mapping[str, Any], nonce: str) -> PresentedMandate:
        try:
            return self._check_mandate(vp_token, nonce)
        except (FetchError, StatusUnavailable) as fault:
            raise OutOfService(f"mandate: {fault}") from None
        except IdentityError as fault:
            raise MessageError(f"mandate: {fault}") from None

    def _hash(self, claim: str) -> bytes:
        try:
            return self._claim_hash.hashes(SCOPE, [claim.encode()])[0]
        except KeyUnavailable as fault:
            raise OutOfService(str(fault)) from None


def _shown(one: StoredMandate, *, own: bool) -> dict[str, Any]:
    return {"mandate_id": base64url.encode(one.mandate_id), **one.mandate.to_json(), "own": own}
