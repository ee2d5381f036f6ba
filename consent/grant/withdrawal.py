"""Withdrawal (WIRE C5): one JWS by the grant key, the same at every door, and it always wins.

No nonce, no counter, no check of ``iat``: nothing that could make a withdrawal fail. What it can
do wrong is only to withdraw, and that the resident can do anyway.
"""

from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading, sign_by_jwk, verify_by_jwk
from identity.codec import base64url, members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer
from identity.randomness import Random

MAX_WITHDRAWAL = 16_384
"""Characters: 64 attribute names of 64 characters, signed."""
NOTED_SECONDS = 366 * 86_400
_WHAT = "withdrawal"


@dataclass(frozen=True, slots=True)
class VerifiedWithdrawal:
    """A withdrawal by the holder of ``key``. Whether that is the grant's key is for the door to know."""

    id: str
    grant_id: str
    attributes: tuple[str, ...] | None
    """None = the whole grant."""
    key: PublicKey
    compact: str
    digest: str


def sign_withdrawal(
    grant_id: str, attributes: tuple[str, ...] | None, *, signer: Signer, now: int, random: Random
) -> str:
    claims: dict[str, Any] = {
        "jti": base64url.encode(random(16)),
        "grant_id": grant_id,
        "attributes": None if attributes is None else list(attributes),
        "iat": now,
    }
    return sign_by_jwk(claims, signer, typ=spec.TYP_WITHDRAWAL)


def verify_withdrawal(compact: str) -> VerifiedWithdrawal:
    """Raises MessageError."""
    if len(compact) > MAX_WITHDRAWAL:
        raise MessageError(f"{_WHAT}: {len(compact)} characters, at most {MAX_WITHDRAWAL} are read")
    message = verify_by_jwk(compact, typ=spec.TYP_WITHDRAWAL, what=_WHAT)
    claims = message.claims
    exact(claims, _WHAT, frozenset({"jti", "grant_id", "attributes", "iat"}))
    with reading(_WHAT):
        members.integer(claims, "iat", what=_WHAT)
        attributes = None
        if claims["attributes"] is not None:
            attributes = members.texts(
                claims, "attributes", what=_WHAT, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            )
        return VerifiedWithdrawal(
            id=members.identifier(claims, "jti", what=_WHAT),
            grant_id=members.identifier(claims, "grant_id", what=_WHAT),
            attributes=attributes,
            key=message.key,
            compact=compact,
            digest=message.digest,
        )
