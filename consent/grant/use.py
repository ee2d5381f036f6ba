"""The use (WIRE C4): a service asks a data holder, the consent service decides, data go back sealed.

Three signed messages: the use request (by the service), the use answer (by the consent service, to
the data holder), the data answer (by the data holder, to the service, inside an HPKE seal to the
request's fresh reply key).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError, StaleMessage
from consent.signed_message import SignedMessage, exact, reading, sign_by_kid, verify_by_kid
from identity.codec import base64url, members, strict_json
from identity.envelope import hpke
from identity.keys.agreement import AgreementPrivateKey, AgreementPublicKey
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

REQUEST_SECONDS = 60
ALLOW_SECONDS = 5
"""DESIGN §7: an allow expires after 5 s; with 2 s of clock skew this is the T that we print."""
SKEW_SECONDS = 2
MAX_PROOF = 32_768
MAX_SUBJECT_BYTES = 1_024
MAX_ACCREDITATION = 16_384
"""Characters of a presentation: a credential, one disclosure or two, a key binding."""

REASONS = (
    "not_yet_valid", "expired", "paused", "withdrawn", "revoked", "invalidated", "other_purpose",
    "attribute_not_granted", "frequency", "max_uses", "replayed", "opposition", "unknown_grant",
    "subject_mismatch", "bad_signature", "stale_request",
)  # fmt: skip

_REQUEST = "use request"
_ANSWER = "use answer"
_DATA = "data answer"


@dataclass(frozen=True, slots=True)
class UseRequest:
    service: str
    holder: str
    id: str
    issued: int
    expires: int
    grant_id: str
    purpose: str
    procedure: str
    attributes: tuple[str, ...]
    expected_subject: str | None
    reply_key: AgreementPublicKey
    accreditation: str | None = None
    """An SD-JWT VC presentation, where another service than the grant's asks (``consent.grant.accreditation``)."""

    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self.service,
            "aud": self.holder,
            "jti": self.id,
            "iat": self.issued,
            "exp": self.expires,
            "grant_id": self.grant_id,
            "purpose": self.purpose,
            "procedure": self.procedure,
            "attributes": list(self.attributes),
        }
        if self.expected_subject is not None:
            claims["expected_subject"] = self.expected_subject
        if self.accreditation is not None:
            claims["accreditation"] = self.accreditation
        return claims | {"reply_key": self.reply_key.jwk()}


@dataclass(frozen=True, slots=True)
class VerifiedUseRequest:
    request: UseRequest
    compact: str
    digest: str


def sign_use_request(request: UseRequest, signer: Signer) -> str:
    return sign_by_kid(request.claims(), signer, typ=spec.TYP_USE_REQUEST)


def verify_use_request(
    compact: str, *, key_of: Callable[[str], PublicKey], holder: str | None, now: int
) -> VerifiedUseRequest:
    """Raises MessageError: StaleMessage where only the time is wrong, SenderUnproven where the signature is.

    ``holder`` None = whom it is made for is the caller's to compare: the consent service answers
    a request for another data holder no differently than one about an unknown grant.
    """
    message = verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=_REQUEST, max_length=spec.MAX_PARTY_ID)),
        typ=spec.TYP_USE_REQUEST,
        what=_REQUEST,
    )
    request = _use_request(message.claims)
    if holder is not None and request.holder != holder:
        raise MessageError(f"{_REQUEST}: made for another data holder")
    if not 0 < request.expires - request.issued <= REQUEST_SECONDS:
        raise MessageError(f"{_REQUEST}: exp must lie within {REQUEST_SECONDS} s after iat")
    if request.issued > now + SKEW_SECONDS or now >= request.expires:
        raise StaleMessage(f"{_REQUEST}: it has expired or is not yet valid")
    return VerifiedUseRequest(request, compact, message.digest)


def _use_request(claims: Mapping[str, Any]) -> UseRequest:
    required = {"iss", "aud", "jti", "iat", "exp", "grant_id", "purpose", "procedure", "attributes", "reply_key"}
    exact(claims, _REQUEST, required, frozenset({"expected_subject", "accreditation"}))
    with reading(_REQUEST):
        return UseRequest(
            service=members.text(claims, "iss", what=_REQUEST, max_length=spec.MAX_PARTY_ID),
            holder=members.text(claims, "aud", what=_REQUEST, max_length=spec.MAX_PARTY_ID),
            id=members.identifier(claims, "jti", what=_REQUEST),
            issued=members.integer(claims, "iat", what=_REQUEST),
            expires=members.integer(claims, "exp", what=_REQUEST),
            grant_id=members.identifier(claims, "grant_id", what=_REQUEST),
            purpose=members.text(claims, "purpose", what=_REQUEST),
            procedure=members.text(claims, "procedure", what=_REQUEST, max_length=64),
            attributes=members.texts(
                claims, "attributes", what=_REQUEST, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            ),
            expected_subject=members.text(claims, "expected_subject", what=_REQUEST)
            if "expected_subject" in claims
            else None,
            reply_key=AgreementPublicKey.from_jwk(members.mapping(claims, "reply_key", what=_REQUEST)),
            accreditation=members.text(claims, "accreditation", what=_REQUEST, max_length=MAX_ACCREDITATION)
            if "accreditation" in claims
            else None,
        )


def seal_subject(recipient: AgreementPublicKey, *, service: str, request_id: str, subject: Mapping[str, str]) -> str:
    """Whom the procedure is about, readable by the data holder alone."""
    return hpke.seal(recipient, _subject_info(service, request_id), strict_json.compact(subject))


def open_subject(private: AgreementPrivateKey, request: UseRequest) -> dict[str, Any]:
    """The expected subject of a request that has one. Raises MessageError."""
    return open_sealed_subject(private, request.expected_subject or "", service=request.service, request_id=request.id)


def open_sealed_subject(private: AgreementPrivateKey, sealed: str, *, service: str, request_id: str) -> dict[str, Any]:
    """Whom a request is about; an access by law (D1) names its subject likewise. Raises MessageError."""
    what = "expected subject"
    with reading(what):
        plaintext = hpke.open_sealed(private, _subject_info(service, request_id), sealed, what=what)
        return strict_json.parse_object(plaintext, what=what, max_bytes=MAX_SUBJECT_BYTES)


def _subject_info(service: str, request_id: str) -> bytes:
    return spec.INFO_SUBJECT + service.encode() + request_id.encode()


@dataclass(frozen=True, slots=True)
class Allow:
    use_id: str
    grant_id: str
    counter: int
    grant: str
    resolutions: Mapping[str, str]
    """Attribute → resolution in which it may be released."""
    locator: str
    salt: str
    event: Mapping[str, Any]
    proof: str
    release_before: int
    consent: str
    holder: str
    issued: int
    use_request_hash: str

    def claims(self) -> dict[str, Any]:
        return {
            "decision": "allow",
            "use_id": self.use_id,
            "grant_id": self.grant_id,
            "counter": self.counter,
            "grant": self.grant,
            "terms": {name: {"resolution": resolution} for name, resolution in self.resolutions.items()},
            "locator": self.locator,
            "salt": self.salt,
            "iss": self.consent,
            "aud": self.holder,
            "iat": self.issued,
            "use_request_hash": self.use_request_hash,
            "event": dict(self.event),
            "proof": self.proof,
            "release_before": self.release_before,
        }


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    attribute: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "attribute": self.attribute}


@dataclass(frozen=True, slots=True)
class Deny:
    grant_id: str
    reasons: tuple[Reason, ...]
    consent: str
    holder: str
    issued: int
    use_request_hash: str

    def claims(self) -> dict[str, Any]:
        return {
            "decision": "deny",
            "grant_id": self.grant_id,
            "reasons": [reason.to_json() for reason in self.reasons],
            "iss": self.consent,
            "aud": self.holder,
            "iat": self.issued,
            "use_request_hash": self.use_request_hash,
        }


def sign_use_answer(answer: Allow | Deny, signer: Signer) -> str:
    return sign_by_kid(answer.claims(), signer, typ=spec.TYP_USE_ANSWER)


def verify_use_answer(
    compact: str, *, consent_key: PublicKey, consent: str, request: VerifiedUseRequest, now: int
) -> Allow | Deny:
    """The consent service's answer to exactly this use request, for this data holder, in time.

    Raises MessageError, and StaleMessage where only the time is wrong. An allow is not yet proven:
    ``consent.holder.allow`` does that.
    """
    message = verify_by_kid(compact, lambda _: consent_key, typ=spec.TYP_USE_ANSWER, what=_ANSWER)
    answer = _use_answer(message.claims)
    if answer.consent != consent or answer.holder != request.request.holder:
        raise MessageError(f"{_ANSWER}: of another consent service or for another data holder")
    if answer.use_request_hash != request.digest or answer.grant_id != request.request.grant_id:
        raise MessageError(f"{_ANSWER}: answers another use request")
    if answer.issued > now + SKEW_SECONDS:
        raise StaleMessage(f"{_ANSWER}: it comes from the future")
    if isinstance(answer, Allow):
        if answer.release_before > answer.issued + ALLOW_SECONDS:
            raise MessageError(f"{_ANSWER}: it may last at most {ALLOW_SECONDS} s")
        if now >= answer.release_before:
            raise StaleMessage(f"{_ANSWER}: release_before has passed")
    elif now > answer.issued + ALLOW_SECONDS + SKEW_SECONDS:
        raise StaleMessage(f"{_ANSWER}: it is too old")
    return answer


_COMMON = frozenset({"decision", "grant_id", "iss", "aud", "iat", "use_request_hash"})
_ALLOW = _COMMON | {"use_id", "counter", "grant", "terms", "locator", "salt", "event", "proof", "release_before"}
_DENY = _COMMON | {"reasons"}


def _use_answer(claims: Mapping[str, Any]) -> Allow | Deny:
    decision = claims.get("decision")
    if decision not in ("allow", "deny"):
        raise MessageError(f"{_ANSWER}: decision must be allow or deny")
    exact(claims, _ANSWER, _ALLOW if decision == "allow" else _DENY)
    with reading(_ANSWER):
        common = {
            "grant_id": members.identifier(claims, "grant_id", what=_ANSWER),
            "consent": members.text(claims, "iss", what=_ANSWER, max_length=spec.MAX_PARTY_ID),
            "holder": members.text(claims, "aud", what=_ANSWER, max_length=spec.MAX_PARTY_ID),
            "use_request_hash": members.digest(claims, "use_request_hash", what=_ANSWER),
        }
        issued = members.integer(claims, "iat", what=_ANSWER)
        if decision == "deny":
            return Deny(reasons=_reasons(claims.get("reasons")), issued=issued, **common)
        return Allow(
            use_id=members.identifier(claims, "use_id", what=_ANSWER),
            counter=members.integer(claims, "counter", what=_ANSWER, minimum=2),
            grant=members.text(claims, "grant", what=_ANSWER, max_length=spec.MAX_JWS),
            resolutions=_resolutions(members.mapping(claims, "terms", what=_ANSWER)),
            locator=members.text(claims, "locator", what=_ANSWER, max_length=spec.MAX_JWS),
            salt=members.digest(claims, "salt", what=_ANSWER),
            event=members.mapping(claims, "event", what=_ANSWER),
            proof=members.text(claims, "proof", what=_ANSWER, max_length=MAX_PROOF),
            release_before=members.integer(claims, "release_before", what=_ANSWER),
            issued=issued,
            **common,
        )


def _resolutions(terms: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in terms:
        term = members.mapping(terms, name, what=_ANSWER)
        exact(term, _ANSWER, frozenset({"resolution"}))
        found[name] = members.text(term, "resolution", what=_ANSWER, max_length=64)
    if not 1 <= len(found) <= spec.MAX_ATTRIBUTES:
        raise MessageError(f"{_ANSWER}: terms name no attribute")
    return found


def _reasons(value: Any) -> tuple[Reason, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= 2 * spec.MAX_ATTRIBUTES:
        raise MessageError(f"{_ANSWER}: reasons must be a list")
    return tuple(map(_reason, value))


def _reason(value: Any) -> Reason:
    if not isinstance(value, dict):
        raise MessageError(f"{_ANSWER}: a reason is an object")
    exact(value, _ANSWER, frozenset({"code", "attribute"}))
    code, attribute = value["code"], value["attribute"]
    if code not in REASONS or not (attribute is None or isinstance(attribute, str)):
        raise MessageError(f"{_ANSWER}: a reason that does not exist")
    return Reason(code, attribute)


@dataclass(frozen=True, slots=True)
class DataAnswer:
    holder: str
    service: str
    use_id: str
    grant_id: str
    use_request_hash: str
    issued: int
    attributes: Mapping[str, Any]

    def claims(self) -> dict[str, Any]:
        return {
            "iss": self.holder,
            "aud": self.service,
            "use_id": self.use_id,
            "grant_id": self.grant_id,
            "use_request_hash": self.use_request_hash,
            "iat": self.issued,
            "attributes": dict(self.attributes),
        }


def seal_data_answer(answer: DataAnswer, signer: Signer, reply_key: AgreementPublicKey) -> str:
    """Signed by the data holder, then sealed to the request's reply key."""
    compact = sign_by_kid(answer.claims(), signer, typ=spec.TYP_DATA_ANSWER)
    return hpke.seal(reply_key, _data_info(answer.use_id, answer.grant_id, answer.service), compact.encode("ascii"))


def open_data_answer(
    private: AgreementPrivateKey,
    sealed: str,
    *,
    holder_key: PublicKey,
    holder: str,
    use_id: str,
    request: UseRequest,
    request_hash: str,
) -> DataAnswer:
    """What the data holder itself answered to exactly this request.

    An answer that a third party opened and sealed again is still signed by the data holder, but
    its seal, like its claims, names use, grant and service, and only this request's fresh reply
    key opens it. Raises MessageError.
    """
    with reading(_DATA):
        info = _data_info(use_id, request.grant_id, request.service)
        compact = hpke.open_sealed(private, info, sealed, what=_DATA).decode("ascii", errors="replace")
    message = verify_by_kid(compact, lambda _: holder_key, typ=spec.TYP_DATA_ANSWER, what=_DATA)
    answer = _data_answer(message)
    if (answer.holder, answer.service) != (holder, request.service):
        raise MessageError(f"{_DATA}: of another data holder or for another service")
    if (answer.use_id, answer.grant_id, answer.use_request_hash) != (use_id, request.grant_id, request_hash):
        raise MessageError(f"{_DATA}: answers another use request")
    if set(answer.attributes) != set(request.attributes):
        raise MessageError(f"{_DATA}: it holds other attributes than were asked for")
    return answer


def _data_answer(message: SignedMessage) -> DataAnswer:
    claims = message.claims
    exact(claims, _DATA, frozenset({"iss", "aud", "use_id", "grant_id", "use_request_hash", "iat", "attributes"}))
    with reading(_DATA):
        return DataAnswer(
            holder=members.text(claims, "iss", what=_DATA, max_length=spec.MAX_PARTY_ID),
            service=members.text(claims, "aud", what=_DATA, max_length=spec.MAX_PARTY_ID),
            use_id=members.identifier(claims, "use_id", what=_DATA),
            grant_id=members.identifier(claims, "grant_id", what=_DATA),
            use_request_hash=members.digest(claims, "use_request_hash", what=_DATA),
            issued=members.integer(claims, "iat", what=_DATA),
            attributes=members.mapping(claims, "attributes", what=_DATA),
        )


def _data_info(use_id: str, grant_id: str, service: str) -> bytes:
    return spec.INFO_DATA + use_id.encode() + grant_id.encode() + service.encode()


def decode_salt(allow: Allow) -> bytes:
    return base64url.decode(allow.salt, what="salt")
