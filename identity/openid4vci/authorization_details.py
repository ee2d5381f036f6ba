"""Which credentials are wanted: by ``authorization_details`` (RFC 9396, section 5.1.1) or ``scope`` (section 5.1.2)."""

from collections.abc import Mapping, Sequence
from typing import Any

from identity.codec import strict_json
from identity.codec.members import text
from identity.errors import EncodingError, ProtocolError
from identity.openid4vci.spec import INVALID_AUTHORIZATION_DETAILS, OPENID_CREDENTIAL

MAX_DETAILS = 32
_WHAT = "authorization_details"


def parse(value: str, *, issuer: str) -> tuple[str, ...]:
    """The configuration ids named, each once. Raises ProtocolError.

    ``claims`` in a detail is not read: what a credential of ours holds is fixed by its type, and
    the wallet discloses what it likes of it.
    """
    try:
        details = strict_json.parse(value, what=_WHAT)
        if not isinstance(details, list) or not 1 <= len(details) <= MAX_DETAILS:
            raise EncodingError(f"{_WHAT}: must be a list of 1 to {MAX_DETAILS} objects")
        return tuple(dict.fromkeys(_configuration(detail, issuer) for detail in details))
    except EncodingError as fault:
        raise ProtocolError(INVALID_AUTHORIZATION_DETAILS, str(fault)) from None


def _configuration(detail: object, issuer: str) -> str:
    if not isinstance(detail, dict) or detail.get("type") != OPENID_CREDENTIAL:
        raise EncodingError(f"{_WHAT}: type is not {OPENID_CREDENTIAL}")
    if "locations" in detail and detail["locations"] != [issuer]:
        raise EncodingError(f"{_WHAT}: locations names another issuer")
    return text(detail, "credential_configuration_id", what=_WHAT, max_length=256)


def format(identifiers: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Configuration id → dataset identifiers, as a token answer carries them (section 6.2)."""
    return [
        {
            "type": OPENID_CREDENTIAL,
            "credential_configuration_id": configuration,
            "credential_identifiers": list(names),
        }
        for configuration, names in identifiers.items()
    ]
