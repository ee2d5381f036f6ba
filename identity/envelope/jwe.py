"""JSON Web Encryption, compact serialisation (RFC 7516): ECDH-ES on P-256 with AES-GCM only.

This is what OpenID4VP 1.0 section 8.3 and HAIP 1.0 section 5 ask of ``direct_post.jwt``. joserfc
does the work and is imported when first used: a wallet command that encrypts nothing stays quick.
Not done: compression (``zip``: a bomb), key wrapping, several recipients.
"""

from collections.abc import Mapping
from typing import Any, Literal

from identity.codec import base64url, strict_json
from identity.errors import EncodingError, EnvelopeError

ContentEncryption = Literal["A128GCM", "A256GCM"]
CONTENT_ENCRYPTIONS: tuple[ContentEncryption, ...] = ("A128GCM", "A256GCM")
KEY_AGREEMENT = "ECDH-ES"

MAX_BYTES = 262_144
"""A presentation of several credentials with all disclosures stays far below."""

_HEADER_MEMBERS = frozenset({"alg", "enc", "kid", "epk", "apu", "apv", "typ", "cty"})


def encrypt(
    plaintext: bytes,
    recipient_jwk: Mapping[str, Any],
    *,
    enc: ContentEncryption,
    header: Mapping[str, str] | None = None,
) -> str:
    """A compact JWE. ``header`` adds members such as ``kid``, ``apu``, ``apv``."""
    from joserfc import jwe
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    protected: dict[str, Any] = {"alg": KEY_AGREEMENT, "enc": enc, **(header or {})}
    try:
        key = ECKey.import_key({name: recipient_jwk[name] for name in ("kty", "crv", "x", "y")})
        return jwe.encrypt_compact(protected, plaintext, key, algorithms=[KEY_AGREEMENT, enc])
    except (JoseError, ValueError, KeyError):
        raise EnvelopeError("JWE: cannot encrypt to this key") from None


def decrypt(
    compact: str, private_jwk: Mapping[str, Any], *, max_bytes: int = MAX_BYTES, what: str = "JWE"
) -> tuple[dict[str, Any], bytes]:
    """The protected header and the plaintext. Raises EnvelopeError."""
    from joserfc import jwe
    from joserfc.errors import JoseError
    from joserfc.jwk import ECKey

    if len(compact) > max_bytes:
        raise EnvelopeError(f"{what}: {len(compact)} characters, at most {max_bytes} are read")
    header = _header(compact, what)
    try:
        key = ECKey.import_key({name: private_jwk[name] for name in ("kty", "crv", "x", "y", "d")})
        opened = jwe.decrypt_compact(compact, key, algorithms=[KEY_AGREEMENT, *CONTENT_ENCRYPTIONS])
    except (JoseError, ValueError, KeyError, TypeError):
        raise EnvelopeError(f"{what}: cannot be opened with this key") from None
    if opened.plaintext is None:
        raise EnvelopeError(f"{what}: is empty")
    return header, opened.plaintext


def _header(compact: str, what: str) -> dict[str, Any]:
    """The protected header, read by our strict parser before the library sees it."""
    parts = compact.split(".")
    if len(parts) != 5:
        raise EnvelopeError(f"{what}: {len(parts)} parts, a compact JWE has 5")
    try:
        for part in parts:
            base64url.decode(part, what="a part")
        header = strict_json.parse_object(base64url.decode(parts[0], what="header"), what="header", max_bytes=4096)
    except EncodingError as fault:
        raise EnvelopeError(f"{what}: {fault}") from None
    if unknown := header.keys() - _HEADER_MEMBERS:
        raise EnvelopeError(f"{what}: {len(unknown)} header member(s) not understood")
    if header.get("alg") != KEY_AGREEMENT or header.get("enc") not in CONTENT_ENCRYPTIONS:
        raise EnvelopeError(f"{what}: expected {KEY_AGREEMENT} with {' or '.join(CONTENT_ENCRYPTIONS)}")
    epk = header.get("epk")
    if not isinstance(epk, dict) or epk.get("crv") != "P-256" or "d" in epk:
        raise EnvelopeError(f"{what}: epk must be a public P-256 key")
    return header
