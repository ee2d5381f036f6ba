"""Enrolment (WIRE C10): a pairwise identifier becomes an account key, and is forgotten.

The claim is presented like any other; its keyed hash finds the account again after a lost wallet.
The presentation, its key and its status index are dropped.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent.errors import MessageError, OutOfService
from consent.grant.account import NONCE_SECONDS, RANDOM_BYTES, account_nonce, parse_enrolment
from consent.ledger.accounts import AccountStore, StoredAccount
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.grants import GIVEN, PAUSED, GrantStore
from consent.service.openings import OpeningFolder
from consent.service.operator import Operator
from identity.codec import base64url, strict_json
from identity.errors import EncodingError, FetchError, IdentityError, KeyUnavailable, StatusUnavailable
from identity.keys.agreement import AgreementPublicKey
from identity.keys.keyed_hash import KeyedHash
from identity.keys.public_key import PublicKey

SCOPE = "account"
"""Of the keyed hash: no other scope's hashes say anything about these."""

MAX_CLAIM = 64
"""Characters; a pairwise identifier (DESIGN §5)."""

THUMBPRINT_BYTES = 32
RECOVERY_ID_BYTES = 16

MakeJar = Callable[[str], str]
"""nonce → the signed authorization request that asks for ``ids.{consent id}``."""

CheckPresentation = Callable[[Mapping[str, Any], str], str]
"""(vp_token, nonce) → the claim's value, once everything about the presentation was checked.
Raises IdentityError."""


@dataclass(frozen=True, slots=True)
class Enrolled:
    account: StoredAccount
    recovered: bool


class Enrolling:
    def __init__(
        self,
        operator: Operator,
        *,
        accounts: AccountStore,
        grants: GrantStore,
        ended: EndedGrants,
        openings: OpeningFolder,
        claim_hash: KeyedHash,
        make_jar: MakeJar,
        check_presentation: CheckPresentation,
    ) -> None:
        self._operator = operator
        self._accounts = accounts
        self._grants = grants
        self._ended = ended
        self._openings = openings
        self._claim_hash = claim_hash
        self._make_jar = make_jar
        self._check_presentation = check_presentation

    def offer(self, thumbprint: str, make_jar: MakeJar | None = None) -> dict[str, str]:
        """The request to present, for one account key, or for a mandate's (``make_jar``). Raises MessageError."""
        try:
            known = len(base64url.decode(thumbprint)) == THUMBPRINT_BYTES
        except EncodingError:
            known = False
        if not known:
            raise MessageError("enrolment: jkt must be a thumbprint")
        random, now = self._operator.random(RANDOM_BYTES), self._operator.now
        nonce = account_nonce(self._operator.id, thumbprint, random)
        self._accounts.offer_nonce(nonce, thumbprint, now=now, expires=now + NONCE_SECONDS)
        return {"request": (make_jar or self._make_jar)(nonce), "random": base64url.encode(random)}

    def enrol(self, key: PublicKey, body: Mapping[str, Any]) -> Enrolled:
        """Raises MessageError, LedgerConflict (``taken``, ``cancelled``, ``too_many``), OutOfService.

        1. Two members, a view key.
        2. A nonce offered to exactly the key that proved this call; it is spent, whatever follows.
        3. The presentation, made for that nonce and for us.
        4. A keyed hash of the claim finds the account, or makes it.
        5. What the live grants of a known account log from now on is sealed to its present view key.
        """
        # 1
        enrolment = parse_enrolment(body)
        if "ES256" not in key.algorithms:
            raise MessageError("enrolment: the account key must be for ES256")
        # 2
        now = self._operator.now
        nonce = self._accounts.take_nonce(key.thumbprint, now=now)
        if nonce is None:
            raise MessageError("enrolment: no request was made for this key, or it is used or too old")
        # 3
        claim = self._claim(enrolment.vp_token, nonce)
        # 4
        account, known = self._accounts.enrol(
            claim_hash=self._hash(claim),
            thumbprint=key.thumbprint,
            account_jwk=strict_json.compact(key.jwk()).decode(),
            view_jwk=strict_json.compact(enrolment.view_key.jwk()).decode(),
            now=now,
            recovery_id=self._operator.random(RECOVERY_ID_BYTES),
        )
        # 5
        if known:
            self.seal_anew(account)
        return Enrolled(account, recovered=known)

    def _claim(self, vp_token: Mapping[str, Any], nonce: str) -> str:
        try:
            claim = self._check_presentation(vp_token, nonce)
        except (FetchError, StatusUnavailable) as fault:
            raise OutOfService(f"enrolment: {fault}") from None
        except IdentityError as fault:
            raise MessageError(f"enrolment: {fault}") from None
        if not 0 < len(claim) <= MAX_CLAIM:
            raise MessageError("enrolment: the identifier has another length than identifiers have")
        return claim

    def _hash(self, claim: str) -> bytes:
        try:
            return self._claim_hash.hashes(SCOPE, [claim.encode()])[0]
        except KeyUnavailable as fault:
            raise OutOfService(str(fault)) from None

    def seal_anew(self, account: StoredAccount) -> None:
        """Only what is sealed to another view key: the same wallet keeps what it can read."""
        view_key = view_key_of(account)
        for row in self._grants.of_account(account.number):
            body = self._grants.body(row.grant_id)
            if row.state not in (GIVEN, PAUSED) or body is None or self._openings.is_for(view_key, body.opening_key):
                continue
            self._ended.keep_former_opening(row.grant_id, body.opening_key)
            public = self._openings.make(base64url.encode(row.grant_id), view_key)
            self._grants.replace_opening_key(row.grant_id, account=account.number, opening_key=public.raw)


def view_key_of(account: StoredAccount) -> AgreementPublicKey:
    return AgreementPublicKey.from_jwk(strict_json.parse_object(account.view_jwk, what="view key"))
