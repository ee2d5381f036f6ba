"""Verifier metadata inside a request (OpenID4VP 1.0 sections 5.1, 8.3, 11.1, B.3.4)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from identity.codec.members import mapping, text, texts
from identity.envelope.jwe import CONTENT_ENCRYPTIONS, KEY_AGREEMENT, ContentEncryption
from identity.errors import EncodingError, KeyMaterialError, ProtocolError
from identity.formats.sd_jwt_vc.spec import FORMAT as SD_JWT_VC
from identity.keys.public_key import PublicKey
from identity.openid4vp.spec import (
    CLIENT_METADATA,
    DEFAULT_ENC,
    ENC_VALUES,
    INVALID_REQUEST,
    JWKS,
    KB_JWT_ALG_VALUES,
    SD_JWT_ALG_VALUES,
    VP_FORMATS,
    VP_FORMATS_NOT_SUPPORTED,
)

MAX_KEYS = 8
MAX_NAMES = 32

FORMATS: dict[str, Any] = {SD_JWT_VC: {SD_JWT_ALG_VALUES: ["ES256"], KB_JWT_ALG_VALUES: ["ES256"]}}
"""``vp_formats_supported`` of our verifiers and of our wallet alike."""


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """Where an answer is encrypted to: a P-256 key for ECDH-ES (HAIP 1.0 section 5)."""

    jwk: Mapping[str, str]
    """Exactly kty, crv, x, y."""
    kid: str
    enc: ContentEncryption


def make(encryption: tuple[PublicKey, str] | None = None) -> dict[str, Any]:
    """Our verifiers' metadata; ``encryption`` = the request's own fresh key and its ``kid``."""
    metadata: dict[str, Any] = {VP_FORMATS: FORMATS}
    if encryption is not None:
        key, kid = encryption
        metadata[JWKS] = {"keys": [{**key.jwk(), "kid": kid, "use": "enc", "alg": KEY_AGREEMENT}]}
        # HAIP 1.0 section 5: "Verifiers MUST list both A128GCM and A256GCM"
        metadata[ENC_VALUES] = list(CONTENT_ENCRYPTIONS)
    return metadata


def require_our_formats(metadata: Mapping[str, Any]) -> None:
    """Refuses a verifier that could not read our presentations. Raises ProtocolError."""
    if VP_FORMATS not in metadata:
        return  # the query names the format, and may be all that is needed
    try:
        formats = mapping(metadata, VP_FORMATS, what=CLIENT_METADATA)
        if SD_JWT_VC not in formats:
            raise ProtocolError(VP_FORMATS_NOT_SUPPORTED, f"{CLIENT_METADATA}: {SD_JWT_VC} is not among {VP_FORMATS}")
        ours = mapping(formats, SD_JWT_VC, what=CLIENT_METADATA)
        for name in (SD_JWT_ALG_VALUES, KB_JWT_ALG_VALUES):
            if name in ours and "ES256" not in texts(ours, name, what=CLIENT_METADATA, max_count=MAX_NAMES):
                raise ProtocolError(VP_FORMATS_NOT_SUPPORTED, f"{CLIENT_METADATA}: ES256 is not among {name}")
    except EncodingError as fault:
        raise ProtocolError(INVALID_REQUEST, str(fault)) from None


def encryption_key(metadata: Mapping[str, Any]) -> EncryptionKey:
    """The first key of ``jwks`` that we can encrypt to. Raises ProtocolError ``invalid_request``."""
    try:
        keys = mapping(metadata, JWKS, what=CLIENT_METADATA).get("keys")
        if not isinstance(keys, list) or not 1 <= len(keys) <= MAX_KEYS or not all(isinstance(k, dict) for k in keys):
            raise EncodingError(f"{CLIENT_METADATA}: {JWKS} must hold 1 to {MAX_KEYS} keys")
        kids = [text(key, "kid", what=CLIENT_METADATA, max_length=256) for key in keys]
        if len(set(kids)) != len(kids):
            raise EncodingError(f"{CLIENT_METADATA}: two keys of {JWKS} have the same kid")
        enc = _content_encryption(metadata)
        for key in keys:
            # Section 8.3: alg MUST be there; use is absent or enc; HAIP: P-256.
            if key.get("use", "enc") == "enc" and key.get("alg") == KEY_AGREEMENT and key.get("crv") == "P-256":
                bare = {name: value for name, value in key.items() if name not in ("use", "alg")}
                return EncryptionKey(PublicKey.from_jwk_members(bare).jwk(), key["kid"], enc)
    except (EncodingError, KeyMaterialError) as fault:
        raise ProtocolError(INVALID_REQUEST, str(fault)) from None
    raise ProtocolError(INVALID_REQUEST, f"{CLIENT_METADATA}: {JWKS} has no P-256 key for {KEY_AGREEMENT}")


def _content_encryption(metadata: Mapping[str, Any]) -> ContentEncryption:
    offered: tuple[str, ...] = (DEFAULT_ENC,)
    if ENC_VALUES in metadata:
        offered = texts(metadata, ENC_VALUES, what=CLIENT_METADATA, max_count=MAX_NAMES)
    # HAIP 1.0 section 5: A256GCM where both sides have it.
    for ours in reversed(CONTENT_ENCRYPTIONS):
        if ours in offered:
            return ours
    raise EncodingError(f"{CLIENT_METADATA}: {ENC_VALUES} has none of {', '.join(CONTENT_ENCRYPTIONS)}")
