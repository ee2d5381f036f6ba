"""Grants for any accredited service (WIRE C2 ``grantee``): who may use them besides the service that asked.

A service shows at every use that it holds the credential which the resident named: consent service
and data holder check it both, each by its own trust. What it holds is an SD-JWT VC of an accreditor;
the resident said which type and whose.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Protocol

from consent import spec
from consent.errors import MessageError
from consent.grant.detail import AuthorizationDetail
from consent.grant.use import MAX_ACCREDITATION, UseRequest
from consent.signed_message import exact, reading
from identity.codec import base64url, members
from identity.codec.length_prefix import prefixed
from identity.errors import CredentialRevoked, TrustError
from identity.formats.sd_jwt_vc.verify import IssuerKey, VerifiedSdJwtVc, verify
from identity.trust import spec as trust_spec
from identity.trust.registry import VerifiedRegistry

_WHAT = "accreditation"
ORGANISATION = "organisation"
"""The claim that says whose it is: a registry id."""

PRESENTATION_SECONDS = 300
"""How old a key binding may be."""


class StatusCheck(Protocol):
    """Raises CredentialRevoked, and StatusUnavailable where it cannot be known."""

    def __call__(self, status: tuple[str, int] | None, *, issuer: str, now: int) -> None: ...


@dataclass(frozen=True, slots=True)
class VerifiedAccreditation:
    """A service holds a credential of this type by this accreditor, now. Made by ``verify_accreditation`` alone."""

    service: str
    vct: str
    accreditor: str
    until: int
    status: tuple[str, int]
    issuer: str


VerifyAccreditation = Callable[[str, str, str, str], VerifiedAccreditation]
"""(presentation, service, audience, nonce) → what it proves, by the trust of whoever made this."""


def verifier(
    *,
    issuer_key: IssuerKey,
    check_status: StatusCheck,
    registry: Callable[[], VerifiedRegistry],
    now: Callable[[], int],
) -> VerifyAccreditation:
    """A ``verify_accreditation`` with its trust built in."""

    def check(presentation: str, service: str, audience: str, nonce: str) -> VerifiedAccreditation:
        return verify_accreditation(
            presentation,
            service=service,
            audience=audience,
            nonce=nonce,
            issuer_key=issuer_key,
            check_status=check_status,
            registry=registry(),
            now=now(),
        )

    return check


def verify_accreditation(
    presentation: str,
    *,
    service: str,
    audience: str,
    nonce: str,
    issuer_key: IssuerKey,
    check_status: StatusCheck,
    registry: VerifiedRegistry,
    now: int,
) -> VerifiedAccreditation:
    """Raises MessageError; TrustError where the list is stale, StatusUnavailable where the status is not known.

    1. A presentation by its holder for this audience and nonce, of a credential that a listed issuer signed and
       that is valid now.
    2. The accreditor: the party that is listed as this issuer, for this type, today.
    3. It is about the service that shows it, and that service is listed as one.
    4. It can be revoked, and is not.
    """
    # 1
    registry.require_current(now)
    with reading(_WHAT):
        verified = verify(
            presentation,
            issuer_key=issuer_key,
            audience=audience,
            nonce=nonce,
            now=now,
            max_kb_age_seconds=PRESENTATION_SECONDS,
        )
        # 2
        accreditor = registry.by_issuer(verified.iss, now=now)
    if trust_spec.ISSUER not in accreditor.roles or verified.vct not in accreditor.vcts:
        raise MessageError(f"{_WHAT}: its issuer is not listed for this type")
    # 3
    if verified.claims.get(ORGANISATION) != service:
        raise MessageError(f"{_WHAT}: it is about another organisation")
    with reading(_WHAT):
        registry.key_of(service, trust_spec.SERVICE, now=now)
    # 4
    if verified.status is None or verified.exp is None:
        raise MessageError(f"{_WHAT}: it could never be revoked, or never ends")
    _check_status(verified, check_status, now)
    return VerifiedAccreditation(
        service=service,
        vct=verified.vct,
        accreditor=accreditor.id,
        until=verified.exp,
        status=verified.status,
        issuer=verified.iss,
    )


def may_use(
    detail: AuthorizationDetail, *, granted_to: str, request: UseRequest, shown: VerifiedAccreditation | None
) -> bool:
    """Whether the grant is for the service that asks: by its name, or by what it has shown with this request."""
    if request.service == granted_to:
        return True
    grantee = detail.grantee
    if grantee is None or shown is None or shown.service != request.service:
        return False
    return (shown.vct, shown.accreditor) == (grantee.vct, grantee.accreditor)


def announcement_nonce(consent: str, service: str) -> str:
    """The nonce of a presentation at ``POST /accreditations``: for this consent service, by this service."""
    return base64url.encode(sha256(prefixed(spec.TAG_ACCREDITATION, consent, service)).digest())


def _check_status(verified: VerifiedSdJwtVc, check_status: StatusCheck, now: int) -> None:
    try:
        check_status(verified.status, issuer=verified.iss, now=now)
    except (CredentialRevoked, TrustError) as fault:
        raise MessageError(f"{_WHAT}: {fault}") from None


def read_announcement(body: Mapping[str, Any]) -> str:
    """The body of ``POST /accreditations``. Raises MessageError."""
    exact(body, _WHAT, frozenset({"presentation"}))
    with reading(_WHAT):
        return members.text(body, "presentation", what=_WHAT, max_length=MAX_ACCREDITATION)
