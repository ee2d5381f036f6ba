"""The JSON requests of a wallet with a token: credential (section 8.2), deferred (9.1), notification (11.1).

Members that are not named there are ignored, as the specification demands; a member twice is not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.codec import strict_json
from identity.codec.members import text
from identity.errors import EncodingError, ProtocolError
from identity.openid4vci.spec import (
    EVENTS,
    INVALID_CREDENTIAL_REQUEST,
    INVALID_ENCRYPTION_PARAMETERS,
    INVALID_NOTIFICATION_REQUEST,
    INVALID_PROOF,
    INVALID_TRANSACTION_ID,
)

MAX_CREDENTIAL_REQUEST_BYTES = 65_536
"""Ten proofs of 600 characters, and room for wallets that put certificates or attestations into theirs."""

MAX_NOTIFICATION_BYTES = 8_192

MAX_PROOF = 8_192
_WHAT = "credential request"


@dataclass(frozen=True, slots=True)
class CredentialRequest:
    """What is asked for, by exactly one of two names, and the proofs, none of them verified."""

    configuration: str | None
    identifier: str | None
    proofs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Notification:
    notification_id: str
    event: str


def parse(data: bytes, *, batch_size: int) -> CredentialRequest:
    """Raises ProtocolError."""
    try:
        obj = strict_json.parse_object(data, what=_WHAT, max_bytes=MAX_CREDENTIAL_REQUEST_BYTES)
        named = [name for name in ("credential_configuration_id", "credential_identifier") if name in obj]
        if len(named) != 1:
            raise EncodingError(f"{_WHAT}: needs credential_configuration_id or credential_identifier, and not both")
        value = text(obj, named[0], what=_WHAT, max_length=256)
    except EncodingError as fault:
        raise ProtocolError(INVALID_CREDENTIAL_REQUEST, str(fault)) from None
    _no_encryption(obj)
    return CredentialRequest(
        configuration=value if named[0] == "credential_configuration_id" else None,
        identifier=value if named[0] == "credential_identifier" else None,
        proofs=_proofs(obj, batch_size),
    )


def parse_deferred(data: bytes) -> str:
    """The ``transaction_id``. Raises ProtocolError."""
    what = "deferred credential request"
    try:
        obj = strict_json.parse_object(data, what=what, max_bytes=MAX_NOTIFICATION_BYTES)
    except EncodingError as fault:
        raise ProtocolError(INVALID_CREDENTIAL_REQUEST, str(fault)) from None
    _no_encryption(obj)
    try:
        return text(obj, "transaction_id", what=what, max_length=256)
    except EncodingError as fault:
        code = INVALID_TRANSACTION_ID if "transaction_id" in obj else INVALID_CREDENTIAL_REQUEST
        raise ProtocolError(code, str(fault)) from None


def parse_notification(data: bytes) -> Notification:
    """Raises ProtocolError."""
    what = "notification"
    try:
        obj = strict_json.parse_object(data, what=what, max_bytes=MAX_NOTIFICATION_BYTES)
        event = text(obj, "event", what=what)
        if event not in EVENTS:
            raise EncodingError(f"{what}: event is not one of {', '.join(sorted(EVENTS))}")
        if "event_description" in obj:
            # Read for its form only: free text of a wallet is nothing to keep.
            text(obj, "event_description", what=what)
        return Notification(text(obj, "notification_id", what=what, max_length=256), event)
    except EncodingError as fault:
        raise ProtocolError(INVALID_NOTIFICATION_REQUEST, str(fault)) from None


def _proofs(obj: Mapping[str, Any], batch_size: int) -> tuple[str, ...]:
    proofs = obj.get("proofs")
    if proofs is None:
        raise ProtocolError(INVALID_PROOF, f"{_WHAT}: 'proofs' is missing; it holds one proof a copy")
    # Section 8.2: exactly one member, named as the proof type
    if not isinstance(proofs, dict) or proofs.keys() != {"jwt"}:
        raise ProtocolError(INVALID_PROOF, f"{_WHAT}: 'proofs' must hold the proof type jwt and no other")
    found = proofs["jwt"]
    if not isinstance(found, list) or not found:
        raise ProtocolError(INVALID_PROOF, f"{_WHAT}: proofs must be a list that is not empty")
    if len(found) > batch_size:
        raise ProtocolError(
            INVALID_CREDENTIAL_REQUEST, f"{_WHAT}: {len(found)} proofs, batch_size of our metadata is {batch_size}"
        )
    if not all(isinstance(one, str) and len(one) <= MAX_PROOF for one in found):
        raise ProtocolError(INVALID_PROOF, f"{_WHAT}: a proof must be a text of at most {MAX_PROOF} characters")
    return tuple(found)


def _no_encryption(obj: Mapping[str, Any]) -> None:
    if "credential_response_encryption" in obj:
        raise ProtocolError(INVALID_ENCRYPTION_PARAMETERS, "encryption of answers is not in our metadata")
