"""The grant (WIRE C3): the resident's answer, signed by a fresh grant key over all it says.

It contains the whole request, so that whoever holds a grant can check, without asking anybody,
that the service asked for it and that nothing wider was given.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError, StaleMessage
from consent.grant.detail import AuthorizationDetail, parse_details
from consent.grant.narrowing import Resolutions, check_not_wider
from consent.grant.request import VerifiedRequest, verify_request
from consent.signed_message import exact, reading, sign_by_jwk, verify_by_jwk
from identity.codec import members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

FRESH_SECONDS = 300
GIVEN, REFUSED = "given", "refused"
_WHAT = "grant"
_MEMBERS = frozenset({"aud", "jti", "request_hash", "request", "iat", "decision", "holder", "authorization_details"})


@dataclass(frozen=True, slots=True)
class VerifiedGrant:
    """A grant (or refusal) whose two signatures, request and limits were checked."""

    id: str
    request: VerifiedRequest
    issued: int
    decision: str
    holder: str
    detail: AuthorizationDetail
    key: PublicKey
    compact: str
    digest: str

    @property
    def service(self) -> str:
        return self.request.request.service


def sign_grant(
    *,
    grant_id: str,
    request: VerifiedRequest,
    detail: AuthorizationDetail,
    decision: str,
    now: int,
    signer: Signer,
) -> str:
    """``signer`` is the fresh grant key; a refusal carries the request's own detail."""
    claims: dict[str, Any] = {
        "aud": request.request.consent,
        "jti": grant_id,
        "request_hash": request.digest,
        "request": request.compact,
        "iat": now,
        "decision": decision,
        "holder": detail.holder,
        "authorization_details": [detail.to_json()],
    }
    return sign_by_jwk(claims, signer, typ=spec.TYP_GRANT)


def verify_grant(
    compact: str,
    *,
    key_of: Callable[[str], PublicKey],
    consent: str,
    resolutions: Callable[[AuthorizationDetail], Resolutions],
    fresh_at: int | None,
) -> VerifiedGrant:
    """Raises MessageError, and StaleMessage where only the time is wrong.

    ``resolutions`` gives, for the detail asked, the data declaration's resolutions. ``fresh_at``
    is now when the grant arrives, and None whenever it is looked at later: then its own ``iat``
    is the time.

    1. Form and signature by the key in its header.
    2. For this consent service.
    3. The request within: its hash, its service's signature, its lifetime at the grant's ``iat``.
    4. ``iat`` within 300 s of now, when the grant arrives.
    5. A refusal repeats what was asked; a grant is nothing wider.
    """
    # 1
    message = verify_by_jwk(compact, typ=spec.TYP_GRANT, what=_WHAT)
    claims = message.claims
    exact(claims, _WHAT, _MEMBERS)
    with reading(_WHAT):
        grant_id = members.identifier(claims, "jti", what=_WHAT)
        issued = members.integer(claims, "iat", what=_WHAT)
        request_jws = members.text(claims, "request", what=_WHAT, max_length=spec.MAX_JWS)
        request_hash = members.digest(claims, "request_hash", what=_WHAT)
    # 2
    if claims["aud"] != consent:
        raise MessageError(f"{_WHAT}: made for another consent service")
    # 3
    request = verify_request(request_jws, key_of=key_of, consent=consent, now=issued)
    if request.digest != request_hash:
        raise MessageError(f"{_WHAT}: request_hash is not the hash of the request")
    # 4
    if fresh_at is not None and abs(fresh_at - issued) > FRESH_SECONDS:
        raise StaleMessage(f"{_WHAT}: iat is more than {FRESH_SECONDS} s away")
    # 5
    asked, detail = request.request.detail, parse_details(claims, what=_WHAT)
    if claims["holder"] != asked.holder:
        raise MessageError(f"{_WHAT}: the data holder differs from what was asked")
    if claims["decision"] == REFUSED:
        if detail != asked:
            raise MessageError(f"{_WHAT}: a refusal repeats what was asked")
    elif claims["decision"] == GIVEN:
        check_not_wider(asked, detail, resolutions(asked), what=_WHAT)
    else:
        raise MessageError(f"{_WHAT}: decision must be {GIVEN} or {REFUSED}")
    return VerifiedGrant(
        id=grant_id,
        request=request,
        issued=issued,
        decision=claims["decision"],
        holder=asked.holder,
        detail=detail,
        key=message.key,
        compact=compact,
        digest=message.digest,
    )
