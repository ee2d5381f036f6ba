"""Who calls (WIRE C1): residents by their account key, services and data holders by their registry key."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from consent.caller.nonces import Nonces
from consent.caller.proof import VerifiedCaller, verify_proof
from consent.errors import CallerUnproven, MessageError, OutOfService, ProofNonceNeeded
from consent.ledger.accounts import AccountStore, StoredAccount
from consent.ledger.mandates import StoredMandate
from consent.ledger.proofs import PROOF_SECONDS, SPENT_BEFORE, ProofStore
from consent.ledger.uses import SpentProof
from consent.service.operator import Operator
from consent.service.parties import Listed, Parties
from identity.codec import strict_json
from identity.keys.public_key import PublicKey
from identity.trust.registry import Party


@dataclass(frozen=True, slots=True)
class Call:
    """What a proof is about. ``path`` as it was asked for, without query."""

    method: str
    path: str
    body: bytes
    proof: str | None


@dataclass(frozen=True, slots=True)
class ProvenParty:
    """A listed party whose key proves the call. The proof is still to be spent, with what it is for."""

    party: Party
    proof: SpentProof


@dataclass(frozen=True, slots=True)
class ProvenResident:
    """An account whose key proves the call. The proof is still to be spent, with what it is for."""

    account: StoredAccount
    proof: SpentProof


class Callers:
    """Each method raises CallerUnproven, and ProofNonceNeeded where only the nonce is missing or old."""

    def __init__(
        self, operator: Operator, *, nonces: Nonces, proofs: ProofStore, accounts: AccountStore, parties: Parties
    ) -> None:
        self._operator = operator
        self._nonces = nonces
        self._proofs = proofs
        self._accounts = accounts
        self._parties = parties

    def fresh_nonce(self) -> str:
        return self._nonces.fresh(self._operator.now)

    def resident(self, call: Call) -> StoredAccount:
        """The account whose key proves the call."""
        return self._resident(call, self._spend)

    def unspent_resident(self, call: Call) -> ProvenResident:
        """The same, for whoever spends the proof in the transaction of the act, and ``refusing`` else."""
        spent: list[SpentProof] = []
        return ProvenResident(self._resident(call, self._keeps(spent)), spent[0])

    def _resident(self, call: Call, spend: Callable[[str, str], bool]) -> StoredAccount:
        found: list[StoredAccount] = []

        def key_for(thumbprint: str) -> PublicKey | None:
            account = self._accounts.by_key(thumbprint)
            if account is None:
                return None
            found.append(account)
            return PublicKey.from_jwk(strict_json.parse_object(account.account_jwk, what="account key"))

        self._verify(call, key_for, spend)
        return found[0]

    def party(self, call: Call) -> Party:
        """The listed party whose key proves the call; its roles are the caller's to check."""
        found: list[Party] = []

        def key_for(thumbprint: str) -> PublicKey | None:
            party = self._parties.by_thumbprint(thumbprint)
            if party is None:
                return None
            found.append(party)
            return party.public_key

        self._verify(call, key_for)
        return found[0]

    def unspent_party(self, call: Call, listed: Listed) -> ProvenParty:
        """The same, for whoever spends the proof in the transaction of the act. Asks no database."""
        found: list[Party] = []
        spent: list[SpentProof] = []

        def key_for(thumbprint: str) -> PublicKey | None:
            party = listed.by_thumbprint(thumbprint)
            if party is None:
                return None
            found.append(party)
            return party.public_key

        self._verify(call, key_for, self._keeps(spent))
        return ProvenParty(found[0], spent[0])

    def delegate(self, call: Call, by_key: Callable[[str], StoredMandate | None]) -> StoredMandate | None:
        """The mandate whose key proves the call; None where there is none of this key."""
        found: list[StoredMandate] = []

        def key_for(thumbprint: str) -> PublicKey | None:
            mandate = by_key(thumbprint)
            if mandate is None:
                return None
            found.append(mandate)
            return PublicKey.from_jwk(strict_json.parse_object(mandate.jwk, what="mandate key"))

        try:
            self._verify(call, key_for)
        except CallerUnproven:
            if not found:
                return None
            raise
        return found[0]

    def holder_of(self, call: Call, key_for: Callable[[str], PublicKey | None]) -> PublicKey:
        """The key that proves the call, one that ``key_for`` knows by its thumbprint."""
        return self._verify(call, key_for).key

    def newcomer(self, call: Call) -> PublicKey:
        """Whoever holds the key in the proof's own header: at enrolment only."""
        return self._verify(call, None).key

    def spend(self, proof: SpentProof) -> None:
        """A proof that nothing else will spend."""
        if not self._proofs.spend(proof.thumbprint, proof.jti, now=self._operator.now):
            raise CallerUnproven(SPENT_BEFORE)

    @contextmanager
    def refusing(self, proof: SpentProof) -> Iterator[None]:
        """Spends the proof where what it is for is refused; what could not be decided spends none.

        Of a repeated call this makes the refusal that a repetition gets.
        """
        try:
            yield
        except (CallerUnproven, OutOfService, SQLAlchemyError):
            raise
        except Exception:
            self.spend(proof)
            raise

    def _keeps(self, spent: list[SpentProof]) -> Callable[[str, str], bool]:
        """Spends nothing yet."""
        expires = self._operator.now + PROOF_SECONDS

        def keep(thumbprint: str, jti: str) -> bool:
            spent.append(SpentProof(thumbprint, jti, expires))
            return True

        return keep

    def _spend(self, thumbprint: str, jti: str) -> bool:
        return self._proofs.spend(thumbprint, jti, now=self._operator.now)

    def _verify(
        self,
        call: Call,
        key_for: Callable[[str], PublicKey | None] | None,
        spend: Callable[[str, str], bool] | None = None,
    ) -> VerifiedCaller:
        now = self._operator.now
        try:
            return verify_proof(
                call.proof,
                method=call.method,
                url=self._operator.url + call.path,
                body=call.body,
                now=now,
                accepts_nonce=lambda nonce: self._nonces.accepts(nonce, now),
                spend=spend or self._spend,
                key_for=key_for,
            )
        except ProofNonceNeeded:
            raise
        except MessageError as fault:
            raise CallerUnproven(str(fault)) from None
