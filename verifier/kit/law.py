"""Reading under a law (ADR 0009, D1): the declaration that a third party approved, and one signed request.

As with a consent, an answer counts if the data holder signed it for exactly this request and the
pinned log holds its notice. The one answer without a proof is an urgent one: the service has said that
it is urgent, gets a type of its own for it, and keeps the data holder's signed word that it will be logged.
"""

from collections.abc import Callable, Mapping
from typing import Any

from consent.caller.client import Client
from consent.errors import ConsentError, LogError, MessageError
from consent.grant.notice import BasisRequest, sign_basis_request
from consent.grant.spooled_notice import verify_spooled
from consent.grant.use import MAX_PROOF, REQUEST_SECONDS, UseRequest, open_data_answer, seal_subject
from consent.ledger.leaf import Kind
from consent.ledger.proof import period_vkey, verify_leaf_proof
from consent.procedure.declaration import PurposeDeclaration
from consent.procedure.published import Published
from consent.signed_message import exact, reading
from identity.clock import Clock
from identity.codec import base64url, members
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import Party, VerifiedRegistry
from verifier.kit.outcome import Refused, ReleasedByLaw, Urgent
from verifier.kit.post import ANSWER_NOT_PROVEN, HOLDER_UNAVAILABLE, MAX_ANSWER_BYTES, data_holder, post, refused
from verifier.kit.receipts import DecisionReceipt, ReceiptStore

_WHAT = "answer to an access by law"
HOLDER_ROLE = "holder"


class ByLaw:
    """Accesses of one service that rest on law."""

    def __init__(
        self,
        party: str,
        signer: Signer,
        *,
        registry: Callable[[], VerifiedRegistry],
        consent: Callable[[], Party],
        client: Client,
        published: Published,
        store: ReceiptStore,
        log_vkey: str,
        clock: Clock,
        random: Random,
    ) -> None:
        self._party = party
        self._signer = signer
        self._registry = registry
        self._consent = consent
        self._client = client
        self._published = published
        self._store = store
        self._log_vkey = log_vkey
        self._clock = clock
        self._random = random

    def read(
        self,
        declaration: PurposeDeclaration,
        holder_id: str,
        attributes: tuple[str, ...],
        subject: Mapping[str, str],
        *,
        urgent: bool,
        visible_from: int | None,
    ) -> ReleasedByLaw | Urgent | Refused:
        """``subject``: the declared claim's path → value. Everything that is not proven is a refusal.

        1. The data holder, its address and key, from the list; its HPKE key from its declaration.
        2. A request under a fresh reply key.
        3. The answer, checked; see ``_released``.
        """
        name = base64url.encode(self._random(16))
        try:
            # 1
            holder = data_holder(self._registry(), holder_id, now=self._clock())
            # 2
            reply = AgreementPrivateKey.from_raw(self._random(32))
            request = self._request(name, declaration, holder_id, attributes, subject, urgent, visible_from, reply)
            compact = sign_basis_request(request, self._signer)
            answer = post(self._client, holder, compact)
        except (ConsentError, IdentityError) as fault:
            return Refused(name, (HOLDER_UNAVAILABLE,), str(fault))
        # 3
        if answer.status != 200:
            return refused(name, answer)
        try:
            return self._released(answer.object(), request, compact, reply, holder)
        except (ConsentError, IdentityError) as fault:
            return Refused(name, (ANSWER_NOT_PROVEN,), str(fault))

    def _request(
        self,
        name: str,
        declaration: PurposeDeclaration,
        holder: str,
        attributes: tuple[str, ...],
        subject: Mapping[str, str],
        urgent: bool,
        visible_from: int | None,
        reply: AgreementPrivateKey,
    ) -> BasisRequest:
        now, registry = int(self._clock()), self._registry()
        declared = self._published.data_declaration(
            holder, attributes, lambda party: registry.key_of(party, HOLDER_ROLE, now=now)
        )
        return BasisRequest(
            service=self._party,
            holder=holder,
            id=name,
            issued=now,
            expires=now + REQUEST_SECONDS,
            declaration=declaration.identifier,
            procedure=declaration.procedure,
            purpose=declaration.purpose,
            attributes=attributes,
            subject=seal_subject(declared.hpke, service=self._party, request_id=name, subject=subject),
            urgent=urgent,
            visible_from=visible_from,
            reply_key=reply.public,
        )

    def _released(
        self, value: dict[str, Any], request: BasisRequest, compact: str, reply: AgreementPrivateKey, holder: Party
    ) -> ReleasedByLaw | Urgent:
        """Raises MessageError, LogError.

        1. Form; one id for use, grant and notice, and no counter.
        2. What it rests on: a leaf in the log of the pinned key that is a notice with this id; or, where we
           said urgent, the data holder's own signed statement about this very request.
        3. The answer: sealed to our reply key, signed by the data holder, to this very request.
        4. The leaf has not proven another answer before.
        """
        # 1
        rests_on = "spooled" if request.urgent and "spooled" in value else "proof"
        exact(value, _WHAT, frozenset({"use_id", "grant_id", "counter", "sealed", rests_on}))
        with reading(_WHAT):
            notice_id = members.identifier(value, "use_id", what=_WHAT)
            sealed = members.text(value, "sealed", what=_WHAT, max_length=MAX_ANSWER_BYTES)
            proof = members.text(value, rests_on, what=_WHAT, max_length=MAX_PROOF)
        if value["grant_id"] != notice_id or value["counter"] != 0 or value["counter"] is False:
            raise MessageError(f"{_WHAT}: use, grant and notice have one id, and no counter")
        # 2
        digest, leaf_index = jws.digest(compact), None
        if rests_on == "proof":
            leaf_index = self._leaf(proof, notice_id)
        else:
            self._require_spooled(proof, notice_id, request, digest, holder)
        # 3
        answer = open_data_answer(
            reply,
            sealed,
            holder_key=holder.public_key,
            holder=holder.id,
            use_id=notice_id,
            request=_as_use(request, notice_id),
            request_hash=digest,
        )
        # 4
        receipt = DecisionReceipt(
            grant_id=notice_id,
            counter=0,
            use_id=notice_id,
            leaf_index=leaf_index,
            at=int(self._clock()),
            holder=holder.id,
            purpose=request.purpose,
            attributes=request.attributes,
            request=compact,
            proof=proof,
        )
        if not self._store.record(receipt, None):
            raise LogError(f"{_WHAT}: its leaf has proven another answer before")
        if leaf_index is None:
            return Urgent(notice_id, dict(answer.attributes), proof)
        return ReleasedByLaw(notice_id, leaf_index, dict(answer.attributes))

    def _leaf(self, proof: str, notice_id: str) -> int:
        proven = verify_leaf_proof(proof, period_vkey(proof, self._log_vkey))
        leaf = proven.leaf
        if leaf.kind is not Kind.NOTICE or base64url.encode(leaf.id) != notice_id or leaf.counter != 0:
            raise LogError(f"{_WHAT}: the leaf is of another kind or id")
        return proven.index

    def _require_spooled(
        self, statement: str, notice_id: str, request: BasisRequest, digest: str, holder: Party
    ) -> None:
        if notice_id != request.id:
            raise MessageError(f"{_WHAT}: what is not logged yet has the request's id")
        said = verify_spooled(
            statement, key_of=lambda _: holder.public_key, consent=self._consent().id, holder=holder.id
        )
        if said.basis_request_hash != digest:
            raise MessageError(f"{_WHAT}: the statement is about another request")


def _as_use(request: BasisRequest, notice_id: str) -> UseRequest:
    """What a data answer is compared with: its seal and claims name the notice in the grant's place."""
    return UseRequest(
        service=request.service,
        holder=request.holder,
        id=request.id,
        issued=request.issued,
        expires=request.expires,
        grant_id=notice_id,
        purpose=request.purpose,
        procedure=request.procedure,
        attributes=request.attributes,
        expected_subject=request.subject,
        reply_key=request.reply_key,
    )
