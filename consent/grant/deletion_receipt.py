"""The deletion receipt (ADR 0009, D8): a service's signed word that what it read under a grant is gone."""

from collections.abc import Callable
from dataclasses import dataclass

from consent import spec
from consent.errors import MessageError
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

SKEW_SECONDS = 60
"""How far a service's clock may be ahead of ours."""

_WHAT = "deletion receipt"


@dataclass(frozen=True, slots=True)
class DeletionReceipt:
    service: str
    consent: str
    id: str
    issued: int
    grant_id: str
    attributes: tuple[str, ...]
    deleted_at: int


def sign_deletion_receipt(receipt: DeletionReceipt, signer: Signer) -> str:
    claims = {
        "iss": receipt.service,
        "aud": receipt.consent,
        "jti": receipt.id,
        "iat": receipt.issued,
        "grant_id": receipt.grant_id,
        "attributes": list(receipt.attributes),
        "deleted_at": receipt.deleted_at,
    }
    return sign_by_kid(claims, signer, typ=spec.TYP_DELETION_RECEIPT)


def verify_deletion_receipt(
    compact: str, *, key_of: Callable[[str], PublicKey], consent: str, grant_id: str, now: int | None = None
) -> DeletionReceipt:
    """Raises MessageError (SenderUnproven). ``now``: where it is taken in, nothing was deleted in the future."""
    message = verify_by_kid(
        compact,
        lambda claims: key_of(members.text(claims, "iss", what=_WHAT, max_length=spec.MAX_PARTY_ID)),
        typ=spec.TYP_DELETION_RECEIPT,
        what=_WHAT,
    )
    claims = message.claims
    exact(claims, _WHAT, frozenset({"iss", "aud", "jti", "iat", "grant_id", "attributes", "deleted_at"}))
    if claims["aud"] != consent or claims["grant_id"] != grant_id:
        raise MessageError(f"{_WHAT}: for another consent service or about another grant")
    with reading(_WHAT):
        receipt = DeletionReceipt(
            service=members.text(claims, "iss", what=_WHAT, max_length=spec.MAX_PARTY_ID),
            consent=consent,
            id=members.identifier(claims, "jti", what=_WHAT),
            issued=members.integer(claims, "iat", what=_WHAT),
            grant_id=members.identifier(claims, "grant_id", what=_WHAT),
            attributes=members.texts(
                claims, "attributes", what=_WHAT, max_count=spec.MAX_ATTRIBUTES, max_length=spec.MAX_ATTRIBUTE_NAME
            ),
            deleted_at=members.integer(claims, "deleted_at", what=_WHAT),
        )
    if now is not None and max(receipt.issued, receipt.deleted_at) > now + SKEW_SECONDS:
        raise MessageError(f"{_WHAT}: it comes from the future")
    return receipt
