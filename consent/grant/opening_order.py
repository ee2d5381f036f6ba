"""The opening order (ADR 0009, D11): two officers say, each signed by itself, which grant they open and why."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.grant.officers import Officer, Officers
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import base64url, jcs, members
from identity.envelope import jws
from identity.errors import TrustError
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

MAX_REASON = 1_024

ORDER_SECONDS = 7 * 86_400
"""Two people in two offices; an order that lies about for longer is given anew."""

SKEW_SECONDS = 60

_WHAT = "opening order"


@dataclass(frozen=True, slots=True)
class OpeningOrder:
    consent: str
    id: str
    issued: int
    grant_id: str
    reason: str

    def claims(self) -> dict[str, Any]:
        return {
            "aud": self.consent,
            "jti": self.id,
            "iat": self.issued,
            "grant_id": self.grant_id,
            "reason": self.reason,
        }

    @property
    def digest(self) -> str:
        """What its leaf commits to: the order itself, whoever signed it."""
        return base64url.encode(sha256(jcs.canonicalize(self.claims())).digest())


@dataclass(frozen=True, slots=True)
class VerifiedOrder:
    """An order that two different officers signed."""

    order: OpeningOrder
    first: Officer
    second: Officer


def sign_order(order: OpeningOrder, signer: Signer) -> str:
    return sign_by_kid(order.claims(), signer, typ=spec.TYP_OPENING_ORDER)


def parse_order(claims: dict[str, Any]) -> OpeningOrder:
    """Raises MessageError."""
    exact(claims, _WHAT, frozenset({"aud", "jti", "iat", "grant_id", "reason"}))
    with reading(_WHAT):
        return OpeningOrder(
            consent=members.text(claims, "aud", what=_WHAT, max_length=spec.MAX_PARTY_ID),
            id=members.identifier(claims, "jti", what=_WHAT),
            issued=members.integer(claims, "iat", what=_WHAT),
            grant_id=members.identifier(claims, "grant_id", what=_WHAT),
            reason=members.text(claims, "reason", what=_WHAT, max_length=MAX_REASON),
        )


def verify_orders(first: str, second: str, *, officers: Officers, consent: str, now: int) -> VerifiedOrder:
    """Raises MessageError (SenderUnproven).

    1. Each by a key of an officer, named in its header.
    2. Two different officers.
    3. The same words, for this consent service, in their time.
    """
    # 1
    signed = [_verify(compact, officers) for compact in (first, second)]
    # 2
    if signed[0][1] == signed[1][1]:
        raise MessageError(f"{_WHAT}: both are of one officer")
    # 3
    order = signed[0][0]
    if order != signed[1][0]:
        raise MessageError(f"{_WHAT}: the two say different things")
    if order.consent != consent:
        raise MessageError(f"{_WHAT}: for another consent service")
    if not now - ORDER_SECONDS <= order.issued <= now + SKEW_SECONDS:
        raise MessageError(f"{_WHAT}: too old, or from the future")
    return VerifiedOrder(order, signed[0][1], signed[1][1])


def _verify(compact: str, officers: Officers) -> tuple[OpeningOrder, Officer]:
    found: list[Officer] = []

    def key_for(_: Any) -> PublicKey:
        # The words do not say whose they are; the header does, and only an officer's key may stand in it.
        officer = officers.by_order_key(_kid(compact))
        if officer is None:
            raise TrustError(f"{_WHAT}: signed by no officer")
        found.append(officer)
        return officer.order_key

    message = verify_by_kid(compact, key_for, typ=spec.TYP_OPENING_ORDER, what=_WHAT)
    return parse_order(message.claims), found[0]


def _kid(compact: str) -> str:
    kid = jws.parse(compact, what=_WHAT).header.get("kid")
    return kid if isinstance(kid, str) else ""
