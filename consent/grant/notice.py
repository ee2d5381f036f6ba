"""Access that rests on law (ADR 0009, D1): the service's basis request and the consent service's answer.

It takes the path of a use: asked for in signed words, logged before anything is released, shown to
the resident. What differs is who allows it: not a grant, but a basis that a third party approved in
the registry (``identity.trust.bases``).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError, StaleMessage
from consent.grant.use import ALLOW_SECONDS, MAX_PROOF, REQUEST_SECONDS, SKEW_SECONDS
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.keys.agreement import AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

MAX_MAILBOXES = 8
"""Links to one row that are told: more wallets than a resident has."""

MAX_HIDDEN_SECONDS = 366 * 86_400
"""How long after the request a notice may stay unseen: an inquiry ends, and then the resident reads of it."""

MAX_DECLARATION = 128

REASONS = ("opposition", "not_approved", "other_purpose", "attribute_not_granted", "replayed")

_REQUEST = "basis request"
_ANSWER = "notice answer"


@dataclass(frozen=True, slots=True)
class BasisRequest:
    service: str
    holder: str
    id: str
    issued: int
    expires: int
    declaration: str
    """id@version of the service's purpose declaration."""
    procedure: str
    purpose: str
    attributes: tuple[str, ...]
    subject: str
    """Sealed to the data holder, as C4's ``expected_subject``."""
    urgent: bool
    visible_from: int | None
    """When the resident's timeline shows it; None = at once."""
    reply_key: AgreementPublicKey

    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self.service,
            "aud": self.holder,
            "jti": self.id,
            "iat": self.issued,
            "exp": self.expires,
            "declaration": self.declaration,
            "procedure": self.procedure,
            "purpose": self.purpose,
            "attributes": list(self.attributes),
            "subject": self.subject,
            "urgent": self.urgent,
        }
        if self.visible_from is not None:
            claims["visible_from"] = self.visible_from
        return claims | {"reply_key": self.reply_key.jwk()}


@dataclass(frozen=True, slots=True)
class VerifiedBasisRequest:
    request: BasisRequest
    compact: str
    digest: str


def sign_basis_request(request: BasisRequest, signer: Signer) -> str:
    return sign_by_kid(request.claims(), signer, typ=spec.TYP_BASIS_REQUEST)


def verify_basis_request(
    compact: str, *, key_of: Callable[[str], PublicKey], holder: str | None, now: int
) -> VerifiedBasisRequest:
    """Raises MessageError: StaleMessage where only the time is wrong, SenderUnproven where the signature is.

    ``holder`` None = whom it is made for is the caller's to compare. ``now`` is the instant at which
    it has to be fresh: of a request that comes late from a spool, the instant of its release.
    """
    message = verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=_REQUEST, max_length=spec.MAX_PARTY_ID)),
        typ=spec.TYP_BASIS_REQUEST,
        what=_REQUEST,
    )
    request = _basis_request(message.claims)
    if holder is not None and request.holder != holder:
        raise MessageError(f"{_REQUEST}: made for another data holder")
    if not 0 < request.expires - request.issued <= REQUEST_SECONDS:
        raise MessageError(f"{_REQUEST}: exp must lie within {REQUEST_SECONDS} s after iat")
    if request.visible_from is not None and request.visible_from > request.issued + MAX_HIDDEN_SECONDS:
        raise MessageError(f"{_REQUEST}: visible_from lies more than {MAX_HIDDEN_SECONDS} s after iat")
    if request.issued > now + SKEW_SECONDS or now >= request.expires:
        raise StaleMessage(f"{_REQUEST}: it has expired or is not yet valid")
    return VerifiedBasisRequest(request, compact, message.digest)


def _basis_request(claims: Mapping[str, Any]) -> BasisRequest:
    required = {
        "iss", "aud", "jti", "iat", "exp", "declaration", "procedure", "purpose", "attributes", "subject", "urgent",
        "reply_key",
    }  # fmt: skip
    exact(claims, _REQUEST, required, frozenset({"visible_from"}))
    with reading(_REQUEST):
        return BasisRequest(
            service=members.text(claims, "iss", what=_REQUEST, max_length=spec.MAX_PARTY_ID),
            holder=members.text(claims, "aud", what=_REQUEST, max_length=spec.MAX_PARTY_ID),
            id=members.identifier(claims, "jti", what=_REQUEST),
            issued=members.integer(claims, "iat", what=_REQUEST),
            expires=members.integer(claims, "exp", what=_REQUEST),
            declaration=members.text(claims, "declaration", what=_REQUEST, max_length=MAX_DECLARATION),
            procedure=members.text(claims, "procedure", what=_REQUEST, max_length=64),
            purpose=members.text(claims, "purpose", what=_REQUEST),
            attributes=members.texts(
                claims, "attributes", what=_REQUEST, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            ),
            subject=members.text(claims, "subject", what=_REQUEST),
            urgent=members.boolean(claims, "urgent", what=_REQUEST),
            visible_from=members.integer(claims, "visible_from", what=_REQUEST) if "visible_from" in claims else None,
            reply_key=AgreementPublicKey.from_jwk(members.mapping(claims, "reply_key", what=_REQUEST)),
        )


@dataclass(frozen=True, slots=True)
class NoticeAllow:
    notice_id: str
    consent: str
    holder: str
    issued: int
    basis_request_hash: str
    event: Mapping[str, Any]
    salt: str
    proof: str
    release_before: int

    def claims(self) -> dict[str, Any]:
        return {
            "decision": "allow",
            "notice_id": self.notice_id,
            "iss": self.consent,
            "aud": self.holder,
            "iat": self.issued,
            "basis_request_hash": self.basis_request_hash,
            "event": dict(self.event),
            "salt": self.salt,
            "proof": self.proof,
            "release_before": self.release_before,
        }


@dataclass(frozen=True, slots=True)
class NoticeDeny:
    reasons: tuple[str, ...]
    consent: str
    holder: str
    issued: int
    basis_request_hash: str

    def claims(self) -> dict[str, Any]:
        return {
            "decision": "deny",
            "reasons": list(self.reasons),
            "iss": self.consent,
            "aud": self.holder,
            "iat": self.issued,
            "basis_request_hash": self.basis_request_hash,
        }


def sign_notice_answer(answer: NoticeAllow | NoticeDeny, signer: Signer) -> str:
    return sign_by_kid(answer.claims(), signer, typ=spec.TYP_NOTICE_ANSWER)


def verify_notice_answer(
    compact: str, *, consent_key: PublicKey, consent: str, request: VerifiedBasisRequest, now: int
) -> NoticeAllow | NoticeDeny:
    """The consent service's answer to exactly this basis request, for this data holder, in time.

    Raises MessageError, and StaleMessage where only the time is wrong. That the event is in the log
    is for the data holder to prove from event, salt and proof.
    """
    message = verify_by_kid(compact, lambda _: consent_key, typ=spec.TYP_NOTICE_ANSWER, what=_ANSWER)
    answer = _notice_answer(message.claims)
    if answer.consent != consent or answer.holder != request.request.holder:
        raise MessageError(f"{_ANSWER}: of another consent service or for another data holder")
    if answer.basis_request_hash != request.digest:
        raise MessageError(f"{_ANSWER}: answers another basis request")
    if answer.issued > now + SKEW_SECONDS:
        raise StaleMessage(f"{_ANSWER}: it comes from the future")
    if isinstance(answer, NoticeAllow):
        if answer.release_before > answer.issued + ALLOW_SECONDS:
            raise MessageError(f"{_ANSWER}: it may last at most {ALLOW_SECONDS} s")
        if now >= answer.release_before:
            raise StaleMessage(f"{_ANSWER}: release_before has passed")
    elif now > answer.issued + ALLOW_SECONDS + SKEW_SECONDS:
        raise StaleMessage(f"{_ANSWER}: it is too old")
    return answer


_COMMON = frozenset({"decision", "iss", "aud", "iat", "basis_request_hash"})
_ALLOW = _COMMON | {"notice_id", "event", "salt", "proof", "release_before"}
_DENY = _COMMON | {"reasons"}


def _notice_answer(claims: Mapping[str, Any]) -> NoticeAllow | NoticeDeny:
    decision = claims.get("decision")
    if decision not in ("allow", "deny"):
        raise MessageError(f"{_ANSWER}: decision must be allow or deny")
    exact(claims, _ANSWER, _ALLOW if decision == "allow" else _DENY)
    with reading(_ANSWER):
        consent = members.text(claims, "iss", what=_ANSWER, max_length=spec.MAX_PARTY_ID)
        holder = members.text(claims, "aud", what=_ANSWER, max_length=spec.MAX_PARTY_ID)
        issued = members.integer(claims, "iat", what=_ANSWER)
        digest = members.digest(claims, "basis_request_hash", what=_ANSWER)
        if decision == "deny":
            reasons = members.texts(claims, "reasons", what=_ANSWER, max_count=len(REASONS), max_length=32)
            if not set(reasons) <= set(REASONS):
                raise MessageError(f"{_ANSWER}: a reason that does not exist")
            return NoticeDeny(reasons, consent, holder, issued, digest)
        return NoticeAllow(
            notice_id=members.identifier(claims, "notice_id", what=_ANSWER),
            consent=consent,
            holder=holder,
            issued=issued,
            basis_request_hash=digest,
            event=members.mapping(claims, "event", what=_ANSWER),
            salt=members.digest(claims, "salt", what=_ANSWER),
            proof=members.text(claims, "proof", what=_ANSWER, max_length=MAX_PROOF),
            release_before=members.integer(claims, "release_before", what=_ANSWER),
        )
