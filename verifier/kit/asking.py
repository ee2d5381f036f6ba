"""Asking a resident (WIRE C2), and taking the answer: a grant that says what was asked, or less."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from consent import spec
from consent.caller.client import Client
from consent.errors import MessageError, PeerUnavailable
from consent.grant.detail import AuthorizationDetail
from consent.grant.grant import GIVEN, VerifiedGrant, verify_grant
from consent.grant.request import ConsentRequest, sign_request
from consent.procedure.published import Published, address
from consent.signed_message import reading
from identity.clock import Clock
from identity.codec import base64url, members
from identity.envelope import jws
from identity.errors import TrustError
from identity.keys.signer import Signer
from identity.randomness import Random
from identity.trust.registry import Party, VerifiedRegistry
from verifier.kit import store
from verifier.kit.outcome import AlreadyWithdrawn, Answer, Asked, Declined, Given, Lapsed, Pending
from verifier.kit.store import KitStore

_WHAT = "consent request"
HOLDER_ROLE, SERVICE_ROLE = "holder", "service"


class Asking:
    """Requests of one service at one consent service."""

    def __init__(
        self,
        party: str,
        signer: Signer,
        *,
        registry: Callable[[], VerifiedRegistry],
        consent: Callable[[], Party],
        client: Client,
        published: Published,
        kit_store: KitStore,
        clock: Clock,
        random: Random,
    ) -> None:
        self._party = party
        self._signer = signer
        self._registry = registry
        self._consent = consent
        self._client = client
        self._published = published
        self._store = kit_store
        self._clock = clock
        self._random = random

    def ask(self, detail: AuthorizationDetail, *, mailbox: str | None, lifetime_seconds: int) -> Asked:
        """Raises PeerUnavailable, MessageError where the consent service refuses the request."""
        now, consent = int(self._clock()), self._consent()
        request = ConsentRequest(
            service=self._party,
            consent=consent.id,
            id=base64url.encode(self._random(16)),
            issued=now,
            expires=now + lifetime_seconds,
            mailbox=mailbox,
            detail=detail,
        )
        compact = sign_request(request, self._signer)
        # Kept first: an answer to a request that we do not know would be lost.
        self._store.add_request(request.id, compact, expires=request.expires, now=now)
        answer = self._client.post(f"{address(consent)}/requests", compact.encode("ascii"), media_type=spec.MEDIA_JWT)
        if answer.status in (400, 403, 409):
            raise MessageError(f"{_WHAT}: the consent service refuses it ({answer.error()})")
        if answer.status != 201:
            raise PeerUnavailable(f"consent service: it answered {answer.status}")
        return _asked(answer.object(), request)

    def answer(self, request_id: str) -> Answer:
        """What the resident has said so far. Raises PeerUnavailable, MessageError on a grant that is none.

        1. The grant is signed by its own key, over a request of ours, and gives nothing wider.
        2. It answers this very request, and has the id that was announced.
        3. It is kept, unless a withdrawal by its key came to our door before it.
        """
        kept = self._store.request(request_id)
        if kept is None:
            return Lapsed()
        match kept.outcome:
            case store.GIVEN:
                return self._held(kept.grant_id or "")
            case store.REFUSED:
                return Declined()
            case store.EXPIRED:
                return Lapsed()
        value = self._poll(request_id)
        match value.get("state"):
            case "pending":
                return Pending()
            case "refused":
                self._store.close(request_id, store.REFUSED)
                return Declined()
            case "expired":
                self._store.close(request_id, store.EXPIRED)
                return Lapsed()
            case "given":
                return self._take(request_id, kept.jws, value)
        raise PeerUnavailable("consent service: a state that does not exist")

    def take_answers(self) -> None:
        """Asks about every request that has no answer yet, and keeps the grants. Raises PeerUnavailable."""
        for request_id in self._store.unanswered():
            # A grant that is none must not keep the others from being taken.
            with suppress(MessageError):
                self.answer(request_id)

    def _held(self, grant_id: str) -> Answer:
        grant = self._store.grant(grant_id)
        return Given(grant) if grant else AlreadyWithdrawn(grant_id)

    def _poll(self, request_id: str) -> dict[str, Any]:
        answer = self._client.get_proven(
            f"{address(self._consent())}/requests/{request_id}", max_bytes=spec.MAX_JWS * 2
        )
        if answer.status == 404:
            return {"state": "expired"}
        if answer.status != 200:
            raise PeerUnavailable(f"consent service: it answered {answer.status} to a poll")
        return answer.object()

    def _take(self, request_id: str, compact: str, value: dict[str, Any]) -> Answer:
        with reading(_WHAT):
            announced = members.identifier(value, "grant_id", what=_WHAT)
            signed = members.text(value, "grant", what=_WHAT, max_length=spec.MAX_JWS)
        # 1
        grant = self._verified(signed)
        # 2
        if grant.decision != GIVEN or grant.id != announced or grant.request.digest != jws.digest(compact):
            raise MessageError("grant: it answers another request")
        # 3
        if not self._store.keep(request_id, grant):
            return AlreadyWithdrawn(grant.id)
        return self._held(grant.id)

    def adopt(self, signed: str) -> Answer:
        """A grant that another service asked for, and that admits any accredited one (ADR 0009, D13).

        Raises MessageError where it is none, or is for its own service alone; PeerUnavailable.
        """
        grant = self._verified(signed)
        if grant.decision != GIVEN or grant.detail.grantee is None:
            raise MessageError("grant: it is for the service that asked alone")
        if not self._store.keep(None, grant):
            return AlreadyWithdrawn(grant.id)
        return self._held(grant.id)

    def _verified(self, signed: str) -> VerifiedGrant:
        """Signed by its own key over a request signed by its service, and nothing wider than that."""
        now, consent = self._clock(), self._consent().id
        try:
            registry = self._registry()
        except TrustError as fault:
            raise PeerUnavailable(str(fault)) from None
        return verify_grant(
            signed,
            key_of=lambda party: registry.key_of(party, SERVICE_ROLE, now=now),
            consent=consent,
            resolutions=lambda detail: (
                self._published.data_declaration(
                    detail.holder, detail.datatypes, lambda party: registry.key_of(party, HOLDER_ROLE, now=now)
                ).resolutions
            ),
            fresh_at=None,
        )


def _asked(value: dict[str, Any], request: ConsentRequest) -> Asked:
    with reading(_WHAT):
        if members.identifier(value, "request_id", what=_WHAT) != request.id:
            raise MessageError(f"{_WHAT}: the consent service answers about another one")
        return Asked(
            request.id,
            members.text(value, "request_uri", what=_WHAT),
            members.text(value, "link", what=_WHAT),
            request.expires,
        )
