"""The credential endpoint and its two companions (OpenID4VCI 1.0 sections 8, 9 and 11).

A credential request, in this order:

  1. It names one credential that the token is for: by dataset identifier where the token answer
     gave some, else by configuration (section 8.2).
  2. Its key proofs are right (`identity.openid4vci.proof`).
  3. What goes in comes from the sources, now; this person can have it.
  4. In one transaction: the nonces are spent, the credential is not revoked, each copy has its place
     in a status list.
  5. The copies are signed: each with its own key, salts and place, all with the same coarse times.

Nothing is signed before 4 is on the disk, so that there is no copy which cannot be revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from identity.clock import Clock
from identity.codec import strict_json
from identity.errors import ProtocolError
from identity.formats.sd_jwt_vc import issue
from identity.issuer import sealing
from identity.issuer.access import Granted
from identity.issuer.claims import Content, Sources
from identity.issuer.credential_type import CredentialType
from identity.issuer.store.credentials import Batch, BatchRefusal, CredentialStore, Place
from identity.issuer.store.deferred import Decision, DeferredStore, NewWaiting, Waiting, WaitingRefusal
from identity.issuer.tenant import BATCH_SIZE, Tenant
from identity.issuer.tokens import parse_dataset_identifier
from identity.keys.public_key import PublicKey
from identity.openid4vci import credential_request, proof
from identity.openid4vci.credential_request import CredentialRequest
from identity.openid4vci.nonces import Nonces
from identity.openid4vci.spec import (
    CREDENTIAL_REQUEST_DENIED,
    INVALID_CREDENTIAL_REQUEST,
    INVALID_NONCE,
    INVALID_NOTIFICATION_ID,
    INVALID_TRANSACTION_ID,
    UNKNOWN_CREDENTIAL_CONFIGURATION,
    UNKNOWN_CREDENTIAL_IDENTIFIER,
)
from identity.randomness import Random

DEFERRED_SECONDS = 30 * 86_400
"""How long a request waits for the operator."""

DEFERRED_INTERVAL_SECONDS = 5
NOTIFICATION_SECONDS = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Issued:
    """Copies, and the id under which the wallet may say how it went."""

    credentials: tuple[str, ...] = field(repr=False)
    notification_id: str = field(repr=False)

    def body(self) -> dict[str, Any]:
        return {
            "credentials": [{"credential": one} for one in self.credentials],
            "notification_id": self.notification_id,
        }


@dataclass(frozen=True, slots=True)
class Deferred:
    """Not yet: the wallet asks again with this."""

    transaction_id: str = field(repr=False)

    def body(self) -> dict[str, Any]:
        return {"transaction_id": self.transaction_id, "interval": DEFERRED_INTERVAL_SECONDS}


class Issuing:
    def __init__(
        self,
        tenant: Tenant,
        store: CredentialStore,
        deferred: DeferredStore,
        sources: Sources,
        nonces: Nonces,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._deferred = deferred
        self._sources = sources
        self._nonces = nonces
        self._clock = clock
        self._random = random

    def credential(self, granted: Granted, data: bytes) -> Issued | Deferred:
        """Raises ProtocolError, and what the sources raise."""
        request = credential_request.parse(data, batch_size=BATCH_SIZE)
        # 1
        kind, dataset = self._named(request, granted)
        # 2
        proofs = proof.verify(
            request.proofs,
            issuer=self._tenant.issuer,
            client_id=granted.issuance.client_id,
            now=self._clock(),
            nonces=self._nonces,
        )
        nonce_hashes = tuple(sealing.name(nonce) for nonce in sorted(proofs.nonces))
        # 3
        person = self._sources.person(granted.subject)
        content = self._sources.content(kind, person, dataset)
        person_hash = self._sources.person_hash(person)
        number = granted.issuance.number
        if kind.configuration in self._tenant.deferred and not self._store.known(number, kind.configuration, dataset):
            return self._wait(number, kind, dataset, proofs.keys, person_hash, nonce_hashes)
        # 4, 5
        return self._issue(number, kind, dataset, content, proofs.keys, person_hash, nonce_hashes, None)

    def deferred(self, granted: Granted, data: bytes) -> Issued | Deferred:
        """Section 9: what the operator has decided; the claims are today's. Raises as ``credential``."""
        transaction_id = credential_request.parse_deferred(data)
        found = self._deferred.get(sealing.name(transaction_id), granted.issuance.number, now=self._now)
        if found is None or found.configuration not in granted.configurations:
            raise ProtocolError(INVALID_TRANSACTION_ID, "deferred credential: unknown, or obtained already")
        if found.decision is Decision.REFUSED:
            raise ProtocolError(CREDENTIAL_REQUEST_DENIED, "deferred credential: the issuer has refused it")
        if found.decision is Decision.WAITING:
            return Deferred(transaction_id)
        kind = self._tenant.types[found.configuration]
        person = self._sources.person(granted.subject)
        content = self._sources.content(kind, person, found.dataset)
        return self._issue(
            found.issuance, kind, found.dataset, content, _keys(found), found.person_hash, (), found.number
        )

    def notification(self, granted: Granted, data: bytes) -> None:
        """Section 11. Raises ProtocolError."""
        told = credential_request.parse_notification(data)
        if not self._store.notified(
            sealing.name(told.notification_id), granted.issuance.number, told.event, now=self._now
        ):
            raise ProtocolError(INVALID_NOTIFICATION_ID, "notification: no such id was given with this token")

    @property
    def _now(self) -> int:
        return int(self._clock())

    def _named(self, request: CredentialRequest, granted: Granted) -> tuple[CredentialType, int]:
        types = self._tenant.types
        if request.identifier is not None:
            found = parse_dataset_identifier(request.identifier)
            if found is None or found[0] not in granted.configurations or found[0] not in types:
                raise ProtocolError(UNKNOWN_CREDENTIAL_IDENTIFIER, "credential request: not one that the token is for")
            kind = types[found[0]]
            if not self._has_identifiers(granted) or found[1] >= self._sources.datasets(kind):
                raise ProtocolError(UNKNOWN_CREDENTIAL_IDENTIFIER, "credential request: not one that the token is for")
            return kind, found[1]
        if request.configuration not in granted.configurations or request.configuration not in types:
            raise ProtocolError(
                UNKNOWN_CREDENTIAL_CONFIGURATION, "credential request: not a configuration that the token is for"
            )
        if self._has_identifiers(granted):
            raise ProtocolError(
                INVALID_CREDENTIAL_REQUEST, "credential request: must use a credential_identifier of the token answer"
            )
        return types[request.configuration], 0

    def _has_identifiers(self, granted: Granted) -> bool:
        """Whether the token answer gave identifiers, by the same rule as it did."""
        return granted.issuance.by_details or any(
            self._sources.datasets(self._tenant.types[name]) > 1 for name in granted.configurations
        )

    def _wait(
        self,
        issuance: int,
        kind: CredentialType,
        dataset: int,
        keys: Sequence[PublicKey],
        person_hash: bytes,
        nonce_hashes: tuple[bytes, ...],
    ) -> Deferred:
        transaction_id = sealing.fresh(self._random)
        new = NewWaiting(
            transaction_hash=sealing.name(transaction_id),
            issuance=issuance,
            configuration=kind.configuration,
            dataset=dataset,
            keys=strict_json.compact([key.jwk() for key in keys]).decode("ascii"),
            person_hash=person_hash,
            requested=self._now,
            expires=self._now + DEFERRED_SECONDS,
        )
        refusal = self._deferred.add(new, nonce_hashes=nonce_hashes, nonces_expire=self._nonces_expire)
        if refusal is WaitingRefusal.NONCE_SPENT:
            raise _nonce_spent()
        return Deferred(transaction_id)

    def _issue(
        self,
        issuance: int,
        kind: CredentialType,
        dataset: int,
        content: Content,
        keys: Sequence[PublicKey],
        person_hash: bytes,
        nonce_hashes: tuple[bytes, ...],
        waiting: int | None,
    ) -> Issued:
        # Coarse: everybody of the hour, or the day, has the same times.
        issued_at = self._now - self._now % kind.rounding_seconds
        expires = issued_at + kind.lifetime_seconds
        notification_id = sealing.fresh(self._random)
        # 4
        recorded = self._store.record(
            Batch(
                issuance=issuance,
                configuration=kind.configuration,
                dataset=dataset,
                person_hash=person_hash,
                count=len(keys),
                has_status=kind.has_status,
                expires=expires,
                nonce_hashes=nonce_hashes,
                nonces_expire=self._nonces_expire,
                notification_hash=sealing.name(notification_id),
                notification_expires=self._now + NOTIFICATION_SECONDS,
                deferred=waiting,
            )
        )
        if recorded is BatchRefusal.NONCE_SPENT:
            raise _nonce_spent()
        if recorded is BatchRefusal.GONE:
            raise ProtocolError(INVALID_TRANSACTION_ID, "deferred credential: unknown, or obtained already")
        if isinstance(recorded, BatchRefusal):
            raise ProtocolError(CREDENTIAL_REQUEST_DENIED, "credential request: this credential is revoked")
        # 5
        places: Sequence[Place | None] = recorded.places or [None] * len(keys)
        copies = [
            self._sign(kind, content, key, place, issued_at, expires) for key, place in zip(keys, places, strict=True)
        ]
        return Issued(tuple(copies), notification_id)

    def _sign(
        self, kind: CredentialType, content: Content, key: PublicKey, place: Place | None, iat: int, exp: int
    ) -> str:
        signing = self._tenant.credential_key
        status = None
        if place is not None:
            status = {"status_list": {"idx": place.position, "uri": self._tenant.at.status(place.list)}}
        return issue.issue(
            claims=content.claims,
            disclosable=content.disclosable,
            vct=kind.vct,
            issuer=self._tenant.issuer,
            signer=signing.signer,
            x5c=signing.x5c,
            kid=signing.signer.public_key.thumbprint,
            holder_key=key,
            iat=iat,
            exp=exp,
            status=status,
            random=self._random,
        )

    @property
    def _nonces_expire(self) -> int:
        return self._now + 2 * self._nonces.seconds


def _keys(found: Waiting) -> list[PublicKey]:
    return [PublicKey.from_jwk(jwk) for jwk in strict_json.parse(found.keys, what="waiting keys")]


def _nonce_spent() -> ProtocolError:
    return ProtocolError(INVALID_NONCE, "key proof: the nonce was used before")
