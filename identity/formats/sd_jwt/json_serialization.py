"""The JWS JSON serialisations of SD-JWT and SD-JWT+KB, flattened and general (RFC 9901 section 8).

Read and written here; no protocol of ours sends them.
"""

import json
from collections.abc import Sequence
from typing import Any

from identity.codec import strict_json
from identity.codec.members import exact_members
from identity.envelope import jws
from identity.errors import EncodingError, SdJwtError
from identity.formats.sd_jwt import compact
from identity.formats.sd_jwt.compact import UnverifiedSdJwt
from identity.formats.sd_jwt.spec import MAX_BYTES, MAX_DISCLOSURES, SEPARATOR

MAX_SIGNATURES = 4
"""More issuers than would ever sign one payload."""


def parse(text: bytes | str, *, what: str = "SD-JWT") -> tuple[UnverifiedSdJwt, ...]:
    """One SD-JWT for each signature, all with the same disclosures and KB-JWT.

    The caller picks the one whose key it knows. ``sd_hash`` is over the first (section 8.1: the
    header that holds the disclosures), so only the first can carry a key binding that verifies.
    """
    try:
        outer = strict_json.parse_object(text, what=what, max_bytes=MAX_BYTES)
        if "signatures" in outer:
            exact_members(outer, what=what, required={"payload", "signatures"})
            signatures = outer["signatures"]
        else:
            exact_members(outer, what=what, required={"payload", "protected", "signature"}, optional={"header"})
            signatures = [{name: value for name, value in outer.items() if name != "payload"}]
        if not isinstance(signatures, list) or not 1 <= len(signatures) <= MAX_SIGNATURES:
            raise EncodingError(f"{what}: 'signatures' must be a list of 1 to {MAX_SIGNATURES}")
        disclosures, key_binding_jwt = _first_header(signatures, what)
        return tuple(
            compact.parse(compact.format(_jws(outer["payload"], entry, what), disclosures, key_binding_jwt), what=what)
            for entry in signatures
        )
    except EncodingError as fault:
        raise SdJwtError(str(fault)) from None


def format_flattened(sd_jwt: str) -> str:
    """The flattened form of a compact SD-JWT or SD-JWT+KB."""
    parts = compact.parse(sd_jwt)
    header, payload, signature = parts.issuer_jwt.compact.split(".")
    return json.dumps({"payload": payload, "protected": header, "signature": signature, "header": _unprotected(parts)})


def format_general(sd_jwt: str, further: Sequence[str] = ()) -> str:
    """The general form; ``further`` are compact JWS of other issuers over the very same payload."""
    parts = compact.parse(sd_jwt)
    header, payload, signature = parts.issuer_jwt.compact.split(".")
    signatures: list[dict[str, Any]] = [{"protected": header, "signature": signature, "header": _unprotected(parts)}]
    for other in further:
        header, other_payload, signature = other.split(".")
        if other_payload != payload:
            raise SdJwtError("SD-JWT: a further signature is over another payload")
        signatures.append({"protected": header, "signature": signature})
    return json.dumps({"payload": payload, "signatures": signatures})


def _unprotected(parts: UnverifiedSdJwt) -> dict[str, Any]:
    header: dict[str, Any] = {"disclosures": list(parts.disclosures)}
    if parts.key_binding_jwt is not None:
        header["kb_jwt"] = parts.key_binding_jwt
    return header


def _first_header(signatures: list[Any], what: str) -> tuple[list[str], str]:
    """Section 8.3: disclosures and KB-JWT stand in the first unprotected header and in no other."""
    headers = [_header(entry, what) for entry in signatures]
    if any({"disclosures", "kb_jwt"} & header.keys() for header in headers[1:]):
        raise EncodingError(f"{what}: disclosures and kb_jwt belong into the first unprotected header")
    disclosures = headers[0].get("disclosures", [])
    if not isinstance(disclosures, list) or len(disclosures) > MAX_DISCLOSURES:
        raise EncodingError(f"{what}: 'disclosures' must be a list of at most {MAX_DISCLOSURES} texts")
    # A part that held a separator would become two parts in the compact form.
    if not all(isinstance(item, str) and item and SEPARATOR not in item for item in disclosures):
        raise EncodingError(f"{what}: 'disclosures' must hold base64url texts")
    key_binding_jwt = headers[0].get("kb_jwt", "")
    if not isinstance(key_binding_jwt, str) or SEPARATOR in key_binding_jwt:
        raise EncodingError(f"{what}: 'kb_jwt' must be a JWT")
    return disclosures, key_binding_jwt


def _header(entry: Any, what: str) -> dict[str, Any]:
    header = entry.get("header", {}) if isinstance(entry, dict) else None
    if not isinstance(header, dict):
        raise EncodingError(f"{what}: a signature and its unprotected header must be objects")
    return header


def _jws(payload: Any, entry: dict[str, Any], what: str) -> str:
    exact_members(entry, what=what, required={"protected", "signature"}, optional={"header"})
    parts = (entry["protected"], payload, entry["signature"])
    if not all(isinstance(part, str) and SEPARATOR not in part for part in parts):
        raise EncodingError(f"{what}: protected, payload and signature must be base64url texts")
    compacted = ".".join(parts)
    # RFC 7515 section 7.2.1: no name in both headers; what is not signed must not shadow what is.
    if jws.parse(compacted, what=what).header.keys() & entry.get("header", {}).keys():
        raise EncodingError(f"{what}: a header parameter stands both protected and unprotected")
    return compacted
