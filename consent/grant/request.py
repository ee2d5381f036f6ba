"""The consent request (WIRE C2): a service asks for attributes, signed by its registry key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError, StaleMessage
from consent.grant.detail import AuthorizationDetail, parse_details
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

LIFETIME_SECONDS = 600
MAILBOX_LIFETIME_SECONDS = 30 * 86_400
SKEW_SECONDS = 60
"""Clocks of services may be so far ahead of ours."""
_WHAT = "consent request"
_REQUIRED = frozenset({"iss", "aud", "jti", "iat", "exp", "authorization_details"})


@dataclass(frozen=True, slots=True)
class ConsentRequest:
    service: str
    consent: str
    id: str
    issued: int
    expires: int
    mailbox: str | None
    detail: AuthorizationDetail

    def claims(self) -> dict[str, Any]:
        claims: dict[str, Any] = {
            "iss": self.service,
            "aud": self.consent,
            "jti": self.id,
            "iat": self.issued,
            "exp": self.expires,
        }
        if self.mailbox is not None:
            claims["mailbox"] = self.mailbox
        return claims | {"authorization_details": [self.detail.to_json()]}


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request that its service signed."""

    request: ConsentRequest
    compact: str
    digest: str


def sign_request(request: ConsentRequest, signer: Signer) -> str:
    return sign_by_kid(request.claims(), signer, typ=spec.TYP_REQUEST)


def verify_request(compact: str, *, key_of: Callable[[str], PublicKey], consent: str, now: int) -> VerifiedRequest:
    """Raises MessageError, and StaleMessage where only the time is wrong.

    1. Form and signature, by the registry key of the service it names (``key_of`` raises for others).
    2. For this consent service.
    3. Every attribute asked for has its term.
    4. Its lifetime is within the limit, and ``now`` within its lifetime.
    """
    # 1
    message = verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=_WHAT, max_length=spec.MAX_PARTY_ID)),
        typ=spec.TYP_REQUEST,
        what=_WHAT,
    )
    claims = message.claims
    exact(
        claims, _WHAT, frozenset({"iss", "aud", "jti", "iat", "exp", "authorization_details"}), frozenset({"mailbox"})
    )
    with reading(_WHAT):
        request = ConsentRequest(
            service=members.text(claims, "iss", what=_WHAT),
            consent=members.text(claims, "aud", what=_WHAT),
            id=members.identifier(claims, "jti", what=_WHAT),
            issued=members.integer(claims, "iat", what=_WHAT),
            expires=members.integer(claims, "exp", what=_WHAT),
            mailbox=members.identifier(claims, "mailbox", what=_WHAT) if "mailbox" in claims else None,
            detail=parse_details(claims, what=_WHAT),
        )
    # 2
    if request.consent != consent:
        raise MessageError(f"{_WHAT}: made for another consent service")
    # 3
    if request.detail.attributes != request.detail.datatypes:
        raise MessageError(f"{_WHAT}: terms must name every attribute that is asked for")
    # 4
    limit = LIFETIME_SECONDS if request.mailbox is None else MAILBOX_LIFETIME_SECONDS
    if not 0 < request.expires - request.issued <= limit:
        raise MessageError(f"{_WHAT}: exp must lie within {limit} s after iat")
    if request.issued > now + SKEW_SECONDS or now >= request.expires:
        raise StaleMessage(f"{_WHAT}: it has expired or is not yet valid")
    return VerifiedRequest(request, compact, message.digest)
