"""Deletion receipts (ADR 0009, D8): the service's signed word that what it read is gone.

The kit holds no values, so it deletes none: whoever has them does, and says so here. The word is kept
until the consent service has taken it.
"""

from collections.abc import Callable

from consent import spec
from consent.caller.client import Client
from consent.errors import MessageError, NotKnown, PeerUnavailable
from consent.grant.deletion_receipt import DeletionReceipt, sign_deletion_receipt
from consent.procedure.published import address
from identity.clock import Clock
from identity.codec import base64url
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import Party
from verifier.kit.receipts import Duty, ReceiptStore


class Deleting:
    def __init__(
        self,
        party: str,
        signer: Signer,
        *,
        consent: Callable[[], Party],
        client: Client,
        store: ReceiptStore,
        clock: Clock,
        random: Random,
    ) -> None:
        self._party = party
        self._signer = signer
        self._consent = consent
        self._client = client
        self._store = store
        self._clock = clock
        self._random = random

    def duties(self) -> list[Duty]:
        return self._store.duties(now=int(self._clock()))

    def deleted(self, grant_id: str) -> None:
        """Everything read under this grant is gone, as of now. Kept first, then sent.

        Raises NotKnown where nothing was read under it; PeerUnavailable, after which ``send`` tries again.
        """
        now = int(self._clock())
        duty = self._store.duty(grant_id, now=now)
        if duty is None:
            raise NotKnown("unknown_grant")
        receipt = DeletionReceipt(
            service=self._party,
            consent=self._consent().id,
            id=base64url.encode(self._random(16)),
            issued=now,
            grant_id=grant_id,
            attributes=duty.attributes,
            deleted_at=now,
        )
        self._store.delete(grant_id, sign_deletion_receipt(receipt, self._signer))
        self.send()

    def send(self) -> int:
        """Sends what was not taken yet; how many were. Raises PeerUnavailable, MessageError where one is refused."""
        unsent = self._store.unsent()
        for grant_id, receipt in unsent:
            answer = self._client.post_proven_body(
                f"{address(self._consent())}/grants/{grant_id}/deletion-receipts",
                receipt.encode("ascii"),
                media_type=spec.MEDIA_JWT,
            )
            if answer.status in (400, 404, 409):
                raise MessageError(f"deletion receipt: the consent service refuses it ({answer.error()})")
            if answer.status not in (200, 201):
                raise PeerUnavailable(f"consent service: it answered {answer.status} to a deletion receipt")
            self._store.taken(grant_id, receipt)
        return len(unsent)
