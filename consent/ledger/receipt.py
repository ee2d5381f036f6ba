"""Checking a receipt offline (WIRE C9): all that it says hangs on two signatures and the log's pinned key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from consent.errors import LogError, MessageError
from consent.grant.detail import AuthorizationDetail, parse_details
from consent.grant.receipt import UnverifiedReceipt
from consent.grant.request import verify_request
from consent.ledger.leaf import Kind
from consent.ledger.proof import VerifiedLeaf, verify_event_proof
from consent.signed_message import reading, verify_by_jwk
from consent.spec import TYP_GRANT
from identity.codec import members
from identity.keys.public_key import PublicKey

_WHAT = "receipt"


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose event is in the log of the pinned key, about the grant in it."""

    receipt: UnverifiedReceipt
    logged: VerifiedLeaf
    grant_id: str
    service: str
    detail: AuthorizationDetail
    """As it was given; what acts changed since stands in the event."""


def verify_receipt(
    receipt: UnverifiedReceipt, *, log_vkey: str, key_of: Callable[[str], PublicKey] | None = None
) -> VerifiedReceipt:
    """Raises MessageError or LogError.

    ``key_of`` gives a service's registry key, where a list is at hand: without it the request inside
    the grant is not checked, since no list is kept for as long as a receipt.

    1. The event is committed to by the leaf in the proof, and that is in the log of the pinned key.
    2. The leaf counts an act on a grant.
    3. The grant is signed by the key in its header; the event is about it: its id and, where it is
       the event of the grant itself, its hash, attributes, end and maximum.
    4. The request within was signed by its service, where ``key_of`` is given.
    5. The controller named is that service.
    """
    # 1
    logged = verify_event_proof(receipt.proof, log_vkey, receipt.event, receipt.salt)
    # 2
    if logged.leaf.counter < 1:
        raise LogError(f"{_WHAT}: its leaf is about no grant")
    # 3
    message = verify_by_jwk(receipt.head.grant, typ=TYP_GRANT, what=f"{_WHAT}: grant")
    with reading(_WHAT):
        grant_id = members.identifier(message.claims, "jti", what=_WHAT)
        issued = members.integer(message.claims, "iat", what=_WHAT)
        request_jws = members.text(message.claims, "request", what=_WHAT, max_length=len(receipt.head.grant))
    detail = parse_details(message.claims, what=_WHAT)
    _check_event(receipt.event, logged, grant_id=grant_id, grant_hash=message.digest, detail=detail)
    # 4
    if key_of is not None:
        request = verify_request(request_jws, key_of=key_of, consent=message.claims["aud"], now=issued)
        if request.request.service != receipt.event.get("service"):
            raise MessageError(f"{_WHAT}: the event is of another service than the request")
    # 5
    service = receipt.event.get("service")
    if receipt.head.controller.id != service:
        raise MessageError(f"{_WHAT}: the controller is not the service of the event")
    return VerifiedReceipt(receipt, logged, grant_id, service, detail)


def _check_event(
    event: Any, logged: VerifiedLeaf, *, grant_id: str, grant_hash: str, detail: AuthorizationDetail
) -> None:
    if event.get("grant_id") != grant_id or event.get("purpose") != detail.purpose:
        raise MessageError(f"{_WHAT}: the event is about another grant")
    if logged.leaf.kind is not Kind.GRANT:
        return
    expected = {
        "grant_hash": grant_hash,
        "attributes": list(detail.attributes),
        "not_after": detail.not_after,
        "max_uses": detail.use_limit,
    }
    for name, value in expected.items():
        if event.get(name) != value:
            raise MessageError(f"{_WHAT}: the event says another {name} than the grant")
