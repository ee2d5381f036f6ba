"""X25519 keys for key agreement (RFC 7748; JWK form RFC 8037 section 2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from identity.codec import base64url
from identity.errors import EncodingError, KeyMaterialError

KEY_BYTES = 32


def _member(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise KeyMaterialError(f"JWK: {name!r} must be a text")
    try:
        raw = base64url.decode(value, what=f"JWK: {name!r}")
    except EncodingError as fault:
        raise KeyMaterialError(str(fault)) from None
    if len(raw) != KEY_BYTES:
        raise KeyMaterialError(f"JWK: {name!r} has {len(raw)} bytes, expected {KEY_BYTES}")
    return raw


@dataclass(frozen=True)
class AgreementPublicKey:
    raw: bytes

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "AgreementPublicKey":
        """A key from exactly ``kty, crv, x``."""
        if jwk.keys() != {"kty", "crv", "x"} or jwk["kty"] != "OKP" or jwk["crv"] != "X25519":
            raise KeyMaterialError("JWK: expected exactly kty OKP, crv X25519 and x")
        return cls(_member(jwk, "x"))

    def jwk(self) -> dict[str, str]:
        return {"kty": "OKP", "crv": "X25519", "x": base64url.encode(self.raw)}

    @property
    def cryptography_key(self) -> X25519PublicKey:
        return X25519PublicKey.from_public_bytes(self.raw)

    @cached_property
    def thumbprint(self) -> str:
        """RFC 7638, as b64."""
        members = f'{{"crv":"X25519","kty":"OKP","x":"{base64url.encode(self.raw)}"}}'
        return base64url.encode(sha256(members.encode("ascii")).digest())


class AgreementPrivateKey:
    def __init__(self, raw: bytes) -> None:
        if len(raw) != KEY_BYTES:
            raise KeyMaterialError(f"X25519 key: {len(raw)} bytes, expected {KEY_BYTES}")
        self.raw = raw
        self._key = X25519PrivateKey.from_private_bytes(raw)
        self.public = AgreementPublicKey(self._key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "AgreementPrivateKey":
        return cls(X25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def from_raw(cls, raw: bytes) -> "AgreementPrivateKey":
        return cls(raw)

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "AgreementPrivateKey":
        public = AgreementPublicKey.from_jwk({name: value for name, value in jwk.items() if name != "d"})
        key = cls(_member(jwk, "d"))
        if key.public != public:
            raise KeyMaterialError("JWK: the private and the public members do not belong together")
        return key

    def private_jwk(self) -> dict[str, str]:
        return {**self.public.jwk(), "d": base64url.encode(self.raw)}

    @property
    def cryptography_key(self) -> X25519PrivateKey:
        return self._key

    def __repr__(self) -> str:
        return "AgreementPrivateKey(X25519)"
