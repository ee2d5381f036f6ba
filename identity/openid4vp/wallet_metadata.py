"""What a wallet tells a verifier when it fetches a request by POST (OpenID4VP 1.0 sections 5.10, 10).

Ours tells everybody the same (section 15.8: no fingerprint).
"""

from dataclasses import dataclass
from typing import Any

from identity.codec import strict_json
from identity.errors import EncodingError, ProtocolError
from identity.openid4vp import form, spec
from identity.openid4vp.client_metadata import FORMATS

WHAT = "request_uri body"

MAX_BODY_BYTES = 16_384
MAX_NONCE_CHARACTERS = 512

WALLET_METADATA: dict[str, Any] = {
    "authorization_endpoint": f"{spec.SCHEME}:",
    "response_types_supported": [spec.VP_TOKEN],
    spec.VP_FORMATS: FORMATS,
    "client_id_prefixes_supported": [spec.X509_HASH],
    "request_object_signing_alg_values_supported": ["ES256"],
}


@dataclass(frozen=True, slots=True)
class RequestUriPost:
    wallet_nonce: str | None
    wallet_metadata: dict[str, Any] | None


def format(wallet_nonce: str) -> bytes:
    metadata = strict_json.compact(WALLET_METADATA).decode("utf-8")
    return form.format({spec.WALLET_METADATA: metadata, spec.WALLET_NONCE: wallet_nonce})


def parse(body: bytes) -> RequestUriPost:
    """Unknown fields are ignored (section 5.10). Raises ProtocolError ``invalid_request``."""
    fields = form.parse(body, what=WHAT, max_bytes=MAX_BODY_BYTES)
    nonce = fields.get(spec.WALLET_NONCE)
    if nonce is not None and not 0 < len(nonce) <= MAX_NONCE_CHARACTERS:
        raise ProtocolError(
            spec.INVALID_REQUEST, f"{WHAT}: {spec.WALLET_NONCE} must have 1 to {MAX_NONCE_CHARACTERS} characters"
        )
    metadata: dict[str, Any] | None = None
    if spec.WALLET_METADATA in fields:
        try:
            metadata = strict_json.parse_object(fields[spec.WALLET_METADATA], what=spec.WALLET_METADATA)
        except EncodingError as fault:
            raise ProtocolError(spec.INVALID_REQUEST, str(fault)) from None
    return RequestUriPost(nonce, metadata)
