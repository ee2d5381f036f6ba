"""Whoever signs: a role (`Signer`), and a key in this process (`SoftwareSigner`).

A PKCS#11 token or a remote signer fills the same role; messages never see a private key.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from identity.codec import base64url
from identity.errors import EncodingError, KeyMaterialError
from identity.keys.algorithms import BY_CURVE
from identity.keys.public_key import PublicKey

_CURVES: dict[str, ec.EllipticCurve] = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1(), "P-521": ec.SECP521R1()}


class Signer(Protocol):
    """Signs with one algorithm and one key."""

    @property
    def algorithm(self) -> str: ...

    @property
    def public_key(self) -> PublicKey: ...

    def sign(self, data: bytes) -> bytes:
        """The JOSE form of a signature: raw r||s or EdDSA."""
        ...


class SoftwareSigner:
    """A private EC or Ed25519 key held in this process."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey) -> None:
        self._key = key
        self.public_key = PublicKey.from_cryptography(key.public_key())
        row = BY_CURVE[self.public_key.curve or ""]
        self.algorithm = row.name
        self._half = (row.signature_bytes or 0) // 2
        self._ecdsa = ec.ECDSA(row.hash) if row.hash else None

    @classmethod
    def generate(cls, curve: str = "P-256") -> "SoftwareSigner":
        if curve == "Ed25519":
            return cls(Ed25519PrivateKey.generate())
        return cls(ec.generate_private_key(_CURVES[curve]))

    @classmethod
    def from_cryptography(cls, key: object) -> "SoftwareSigner":
        if not isinstance(key, ec.EllipticCurvePrivateKey | Ed25519PrivateKey):
            raise KeyMaterialError("private key: expected EC or Ed25519")
        return cls(key)

    @classmethod
    def from_pem(cls, pem: bytes, password: bytes | None = None) -> "SoftwareSigner":
        try:
            return cls.from_cryptography(serialization.load_pem_private_key(pem, password))
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise KeyMaterialError("private key: PEM cannot be read") from None

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "SoftwareSigner":
        """A signer from a private JWK: ``kty, crv, x, y, d`` or ``kty, crv, x, d``."""
        public = PublicKey.from_jwk({name: value for name, value in jwk.items() if name != "d"})
        try:
            d = base64url.decode(str(jwk.get("d")), what="JWK: 'd'")
            key: ec.EllipticCurvePrivateKey | Ed25519PrivateKey
            if public.curve == "Ed25519":
                key = Ed25519PrivateKey.from_private_bytes(d)
            else:
                key = ec.derive_private_key(int.from_bytes(d, "big"), _CURVES[str(public.curve)])
        except (ValueError, EncodingError):
            raise KeyMaterialError("JWK: the private member cannot be read") from None
        signer = cls(key)
        if signer.public_key != public:
            raise KeyMaterialError("JWK: the private and the public members do not belong together")
        return signer

    def private_jwk(self) -> dict[str, str]:
        if isinstance(self._key, Ed25519PrivateKey):
            d = self._key.private_bytes_raw()
        else:
            d = self._key.private_numbers().private_value.to_bytes((self._key.key_size + 7) // 8, "big")
        return {**self.public_key.jwk(), "d": base64url.encode(d)}

    def to_pem(self) -> bytes:
        """PKCS#8, not encrypted: for files that only their owner may read."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, data: bytes) -> bytes:
        if isinstance(self._key, Ed25519PrivateKey):
            return self._key.sign(data)
        assert self._ecdsa is not None
        r, s = decode_dss_signature(self._key.sign(data, self._ecdsa))
        return r.to_bytes(self._half, "big") + s.to_bytes(self._half, "big")

    def __repr__(self) -> str:
        return f"SoftwareSigner({self.algorithm})"
