"""Reading attributes at a data holder (WIRE C4): one signed use request, one answer with its proof.

The service believes neither the data holder nor the consent service: an answer counts if the data
holder signed it for exactly this request and the pinned log holds the leaf of exactly this use.
"""

from collections.abc import Callable, Mapping
from typing import Any

from consent.caller.client import Client
from consent.errors import ConsentError, LogError, MessageError
from consent.grant.use import (
    MAX_PROOF,
    REQUEST_SECONDS,
    UseRequest,
    open_data_answer,
    seal_subject,
    sign_use_request,
)
from consent.ledger.leaf import Kind, mask_of
from consent.ledger.proof import VerifiedLeaf, period_vkey, verify_leaf_proof
from consent.procedure.published import Published
from consent.signed_message import exact
from consent.signed_message import reading as reading_message
from identity.clock import Clock
from identity.codec import base64url, members
from identity.envelope import jws
from identity.errors import IdentityError
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import Party, VerifiedRegistry
from verifier.kit.asking import HOLDER_ROLE
from verifier.kit.feed import FeedStore
from verifier.kit.outcome import HeldGrant, Refused, Released
from verifier.kit.post import ANSWER_NOT_PROVEN, HOLDER_UNAVAILABLE, MAX_ANSWER_BYTES, data_holder, post, refused
from verifier.kit.receipts import DecisionReceipt, Life, ReceiptStore
from verifier.kit.store import KitStore

Accreditation = Callable[[str, str], str]
"""(audience, nonce) → a presentation of the service's accreditation."""

_WHAT = "answer to a use"

UNKNOWN_GRANT = "unknown_grant"
WITHDRAWN = "withdrawn"


class Reading:
    """Uses of one service."""

    def __init__(
        self,
        party: str,
        signer: Signer,
        *,
        registry: Callable[[], VerifiedRegistry],
        client: Client,
        published: Published,
        store: KitStore,
        receipts: ReceiptStore,
        feed: FeedStore,
        log_vkey: str,
        clock: Clock,
        random: Random,
        accreditation: Accreditation | None = None,
    ) -> None:
        """``accreditation`` presents the service's own, for a grant that names whoever is accredited (D13)."""
        self._party = party
        self._signer = signer
        self._registry = registry
        self._client = client
        self._published = published
        self._store = store
        self._log_vkey = log_vkey
        self._clock = clock
        self._random = random
        self._receipts = receipts
        self._feed = feed
        self._accreditation = accreditation

    def read(
        self, grant_id: str, attributes: tuple[str, ...] | None, expected_subject: Mapping[str, str] | None
    ) -> Released | Refused:
        """``attributes`` None = all that is left of the grant.

        1. A grant held here, of which these attributes were not withdrawn at our own door, and that has not
           ended by what the feed says.
        2. The data holder, its address and key, from the list.
        3. A use request under a fresh reply key.
        4. The answer, checked; see ``_released``.
        """
        # 1
        if self._store.withdrawn(grant_id, attributes or ()):
            return Refused(grant_id, (WITHDRAWN,), "withdrawn at this service's own door")
        if (told := self._feed.state(grant_id)) is not None and told.is_over:
            return Refused(grant_id, (told.state,), "the consent service's feed says so")
        grant = self._store.grant(grant_id)
        if grant is None:
            return Refused(grant_id, (UNKNOWN_GRANT,), "no such grant is held here")
        names = attributes or grant.attributes
        try:
            # 2
            holder = data_holder(self._registry(), grant.detail.holder, now=self._clock())
            # 3
            reply = AgreementPrivateKey.from_raw(self._random(32))
            request = self._request(grant, names, expected_subject, reply)
            compact = sign_use_request(request, self._signer)
            answer = post(self._client, holder, compact)
        except (ConsentError, IdentityError) as fault:
            return Refused(grant_id, (HOLDER_UNAVAILABLE,), str(fault))
        # 4
        if answer.status != 200:
            return refused(grant_id, answer)
        try:
            return self._released(answer.object(), grant, request, compact, reply, holder)
        except (ConsentError, IdentityError) as fault:
            return Refused(grant_id, (ANSWER_NOT_PROVEN,), str(fault))

    def _request(
        self, grant: HeldGrant, names: tuple[str, ...], subject: Mapping[str, str] | None, reply: AgreementPrivateKey
    ) -> UseRequest:
        now, request_id = int(self._clock()), base64url.encode(self._random(16))
        sealed = None
        if subject is not None:
            registry = self._registry()
            declared = self._published.data_declaration(
                grant.detail.holder,
                grant.detail.datatypes,
                lambda party: registry.key_of(party, HOLDER_ROLE, now=now),
            )
            sealed = seal_subject(declared.hpke, service=self._party, request_id=request_id, subject=subject)
        return UseRequest(
            service=self._party,
            holder=grant.detail.holder,
            id=request_id,
            issued=now,
            expires=now + REQUEST_SECONDS,
            grant_id=grant.grant_id,
            purpose=grant.detail.purpose,
            procedure=grant.detail.procedure,
            attributes=names,
            expected_subject=sealed,
            reply_key=reply.public,
            accreditation=self._shown(grant, request_id),
        )

    def _shown(self, grant: HeldGrant, request_id: str) -> str | None:
        """What makes another service than the one that asked the resident a grantee."""
        if grant.service == self._party or self._accreditation is None:
            return None
        return self._accreditation(grant.detail.holder, request_id)

    def _released(
        self,
        value: dict[str, Any],
        grant: HeldGrant,
        request: UseRequest,
        compact: str,
        reply: AgreementPrivateKey,
        holder: Party,
    ) -> Released:
        """Raises MessageError, LogError.

        1. Form, and about this grant.
        2. The proof: a leaf in the log of the pinned key (C6).
        3. The leaf is a use, with this grant's id, this counter and these attributes.
        4. The answer: sealed to our reply key, signed by the data holder, to this very request.
        5. The leaf has not proven another answer before; the receipt is kept.
        """
        # 1
        exact(value, _WHAT, frozenset({"use_id", "grant_id", "counter", "sealed", "proof"}))
        with reading_message(_WHAT):
            use_id = members.identifier(value, "use_id", what=_WHAT)
            counter = members.integer(value, "counter", what=_WHAT, minimum=2)
            sealed = members.text(value, "sealed", what=_WHAT, max_length=MAX_ANSWER_BYTES)
            proof = members.text(value, "proof", what=_WHAT, max_length=MAX_PROOF)
        if value["grant_id"] != grant.grant_id:
            raise MessageError(f"{_WHAT}: about another grant")
        # 2, 3
        proven = self._proven(proof, grant, counter, request.attributes)
        # 4
        answer = open_data_answer(
            reply,
            sealed,
            holder_key=holder.public_key,
            holder=holder.id,
            use_id=use_id,
            request=request,
            request_hash=jws.digest(compact),
        )
        # 5
        receipt = DecisionReceipt(
            grant_id=grant.grant_id,
            counter=counter,
            use_id=use_id,
            leaf_index=proven.index,
            at=int(self._clock()),
            holder=holder.id,
            purpose=request.purpose,
            attributes=request.attributes,
            request=compact,
            proof=proof,
        )
        if not self._receipts.record(receipt, Life(grant.detail.data_life_seconds, grant.detail.not_after)):
            raise LogError(f"{_WHAT}: its leaf has proven another answer before")
        return Released(grant.grant_id, use_id, counter, proven.index, dict(answer.attributes))

    def _proven(self, proof: str, grant: HeldGrant, counter: int, names: tuple[str, ...]) -> VerifiedLeaf:
        proven = verify_leaf_proof(proof, period_vkey(proof, self._log_vkey))
        leaf = proven.leaf
        if leaf.kind is not Kind.USE or base64url.encode(leaf.id) != grant.grant_id or leaf.counter != counter:
            raise LogError(f"{_WHAT}: the leaf is of another kind, grant or counter")
        if leaf.mask != mask_of(grant.detail.datatypes, names):
            raise LogError(f"{_WHAT}: the leaf names other attributes")
        return proven
