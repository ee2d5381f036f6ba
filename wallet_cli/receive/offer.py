"""Credential offers (OpenID4VCI 1.0 section 4.1): the link, what it offers, and from whom."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from identity.codec import strict_json
from identity.codec.members import text, texts
from identity.errors import EncodingError
from wallet_cli.errors import OfferError
from wallet_cli.network import Network

SCHEME = "openid-credential-offer"
PRE_AUTHORIZED = "urn:ietf:params:oauth:grant-type:pre-authorized_code"
AUTHORIZATION_CODE = "authorization_code"

MAX_OFFER_BYTES = 16_384
"""An offer names a handful of configurations; by value it must also fit a QR code."""

MAX_CONFIGURATIONS = 16
"""More in one offer would not be read by anybody before they agree."""


@dataclass(frozen=True, slots=True)
class TxCode:
    """What the issuer says about the code it gave by another way (section 4.1.1); all of it optional."""

    length: int | None
    description: str | None


@dataclass(frozen=True, slots=True)
class Offer:
    credential_issuer: str
    configurations: tuple[str, ...]
    pre_authorized_code: str | None
    tx_code: TxCode | None
    issuer_state: str | None
    authorization_server: str | None

    @property
    def needs_authorization(self) -> bool:
        return self.pre_authorized_code is None


def reference_of(uri: str) -> str | None:
    """The ``credential_offer_uri`` of the link; None where the offer stands in the link itself."""
    return _parameters(uri).get("credential_offer_uri")


def read(uri: str, network: Network) -> Offer:
    """The offer, by value or by reference. Raises OfferError; the caller has judged the reference's address."""
    parameters = _parameters(uri)
    if reference := parameters.get("credential_offer_uri"):
        answer = network.get(reference).expect(200, what="offer")
        return parse(answer.body)
    return parse(parameters["credential_offer"])


def parse(content: bytes | str) -> Offer:
    what = "offer"
    try:
        obj = strict_json.parse_object(content, what=what, max_bytes=MAX_OFFER_BYTES)
        grants = obj.get("grants", {})
        if not isinstance(grants, dict):
            raise EncodingError(f"{what}: 'grants' must be an object")
        pre_authorized = _member(grants, PRE_AUTHORIZED)
        code = _member(grants, AUTHORIZATION_CODE)
        chosen = pre_authorized or code or {}
        return Offer(
            credential_issuer=text(obj, "credential_issuer", what=what, max_length=2048),
            configurations=texts(
                obj, "credential_configuration_ids", what=what, max_count=MAX_CONFIGURATIONS, max_length=256
            ),
            pre_authorized_code=(
                None if pre_authorized is None else text(pre_authorized, "pre-authorized_code", what=what)
            ),
            tx_code=None if pre_authorized is None else _tx_code(pre_authorized),
            issuer_state=_optional(code or {}, "issuer_state"),
            authorization_server=_optional(chosen, "authorization_server"),
        )
    except EncodingError as fault:
        raise OfferError("offer_invalid", str(fault)) from None


def _parameters(uri: str) -> dict[str, str]:
    """Exactly one of the two parameters, once (section 4.1)."""
    try:
        parts = urlsplit(uri)
        query = parse_qs(parts.query, strict_parsing=True, max_num_fields=8)
    except ValueError:
        raise OfferError("offer_invalid", f"offer: not a link of the form {SCHEME}://?…") from None
    if parts.scheme not in (SCHEME, "https"):
        raise OfferError("offer_invalid", f"offer: not a link of the form {SCHEME}://?…")
    found = {name: values for name, values in query.items() if name in ("credential_offer", "credential_offer_uri")}
    if len(found) != 1 or any(len(values) != 1 for values in found.values()):
        raise OfferError("offer_invalid", "offer: the link needs credential_offer or credential_offer_uri, once")
    return {name: values[0] for name, values in found.items()}


def _member(grants: dict[str, Any], name: str) -> dict[str, Any] | None:
    found = grants.get(name)
    if found is not None and not isinstance(found, dict):
        raise EncodingError("offer: a grant must be an object")
    return found


def _tx_code(grant: dict[str, Any]) -> TxCode | None:
    found = _member(grant, "tx_code")
    if found is None:
        return None
    length = found.get("length")
    return TxCode(length if isinstance(length, int) else None, _optional(found, "description"))


def _optional(obj: dict[str, Any], name: str) -> str | None:
    return text(obj, name, what="offer") if name in obj else None
