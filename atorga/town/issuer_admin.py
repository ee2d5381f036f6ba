"""Admin helpers of the sandbox issuer (WIRE section A): offers and revocations, for scripts outside the project.

POST {issuer}/admin/offers        as a clerk at a counter would
POST {issuer}/admin/revocations   as a clerk would when a wallet is lost
"""

from typing import Any
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from atorga.town.admin_token import admin_route
from identity.codec.members import boolean, exact_members, integer, mapping, text, texts
from identity.errors import CredentialError, EncodingError, IdentityError, ProtocolError
from identity.issuer.messages import BodyRefused, json_answer, oauth_fault, read_object, refusal
from identity.issuer.offers import MadeOffer
from identity.issuer.person import Subject
from identity.issuer.revocation import RevokedCredential
from identity.issuer.town_hall import TownHall
from identity.openid4vci.spec import AUTHORIZATION_CODE, INVALID_REQUEST

PRE_AUTHORIZED_CODE = "pre-authorized_code"
"""As the helper names the grant; on the wire it has a longer name."""

MAX_BYTES = 8_192
MAX_CONFIGURATIONS = 16
REASON = "loss"
"""Shows at once."""

_OFFER = "admin offer"
_REVOCATION = "admin revocation"


def issuer_admin_routes(hall: TownHall, *, token_sha256: str, default_subject: str | None) -> list[Route]:
    """``default_subject`` is the demo resident's row."""
    path = urlsplit(hall.tenant.issuer).path

    async def offers(request: Request) -> Response:
        try:
            body = await read_object(request, what=_OFFER, max_bytes=MAX_BYTES)
            made = await run_in_threadpool(make_offer, hall, body, default_subject)
        except BodyRefused as fault:
            return refusal(INVALID_REQUEST, fault.reason, status=fault.status)
        except (CredentialError, EncodingError) as fault:
            return refusal(INVALID_REQUEST, str(fault), status=400)
        except IdentityError as fault:
            return oauth_fault(fault)
        answer = {"credential_offer": made.link}
        return json_answer(answer if made.tx_code is None else answer | {"tx_code": made.tx_code})

    async def revocations(request: Request) -> Response:
        try:
            body = await read_object(request, what=_REVOCATION, max_bytes=MAX_BYTES)
            revoked = await run_in_threadpool(revoke, hall, body)
        except BodyRefused as fault:
            return refusal(INVALID_REQUEST, fault.reason, status=fault.status)
        except EncodingError as fault:
            return refusal(INVALID_REQUEST, str(fault), status=400)
        except IdentityError as fault:
            return oauth_fault(fault)
        if revoked is None:
            return refusal("unknown_credential", "no credential of this issuer, or all its copies are gone", status=404)
        return json_answer({"credential_id": revoked.credential_id, "copies": revoked.copies})

    return [
        admin_route(f"{path}/admin/offers", token_sha256, offers, method="POST"),
        admin_route(f"{path}/admin/revocations", token_sha256, revocations, method="POST"),
    ]


def make_offer(hall: TownHall, body: dict[str, Any], default_subject: str | None) -> MadeOffer:
    """Raises EncodingError, CredentialError, and what the register raises."""
    exact_members(body, what=_OFFER, required={"configurations"}, optional={"grant", "tx_code", "by", "subject"})
    configurations = texts(body, "configurations", what=_OFFER, max_count=MAX_CONFIGURATIONS, max_length=64)
    grant = _one_of(body, "grant", (PRE_AUTHORIZED_CODE, AUTHORIZATION_CODE))
    by_reference = _one_of(body, "by", ("value", "reference")) == "reference"
    with_tx_code = boolean(body, "tx_code", what=_OFFER) if "tx_code" in body else False
    subject = str(integer(body, "subject", what=_OFFER)) if body.get("subject") is not None else default_subject
    if grant == AUTHORIZATION_CODE:
        if with_tx_code:
            raise EncodingError(f"{_OFFER}: a tx_code belongs to a pre-authorized code")
        return hall.offers.authorization_code(configurations, by_reference=by_reference)
    if subject is None:
        raise EncodingError(f"{_OFFER}: names no subject, and this town hall has no demo resident")
    of_row = Subject(None, subject)
    try:
        hall.sources.person(of_row)
    except ProtocolError as fault:
        raise EncodingError(f"{_OFFER}: {fault.description}") from None
    return hall.offers.pre_authorized(configurations, of_row, with_tx_code=with_tx_code, by_reference=by_reference)


def revoke(hall: TownHall, body: dict[str, Any]) -> RevokedCredential | None:
    """Raises EncodingError."""
    if body.keys() == {"credential_id"}:
        found = hall.revocation.by_id(text(body, "credential_id", what=_REVOCATION, max_length=64), REASON)
    elif body.keys() == {"status"}:
        status = mapping(body, "status", what=_REVOCATION)
        exact_members(status, what=_REVOCATION, required={"uri", "idx"})
        uri, index = text(status, "uri", what=_REVOCATION), integer(status, "idx", what=_REVOCATION)
        found = hall.revocation.by_status(uri, index, REASON)
    else:
        raise EncodingError(f"{_REVOCATION}: needs credential_id or status, and not both")
    return found[0] if found else None


def _one_of(body: dict[str, Any], name: str, allowed: tuple[str, ...]) -> str:
    """The first of ``allowed`` where the member is absent."""
    found = body.get(name, allowed[0])
    if found not in allowed:
        raise EncodingError(f"{_OFFER}: {name!r} is one of {', '.join(allowed)}")
    return str(found)
