"""Public keys that verify signatures: EC P-256, P-384, P-521, Ed25519, RSA.

JWK form per RFC 7517, RFC 7518 section 6 and RFC 8037 section 2; thumbprint per RFC 7638.
RSA keys come from certificates only and have no JWK here: no message of ours carries one.
"""

from collections.abc import Mapping
from functools import cached_property
from hashlib import sha256
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from identity.codec import base64url
from identity.errors import EncodingError, KeyMaterialError, SignatureInvalid
from identity.keys.algorithms import BY_NAME, ROWS, AlgorithmRow

_CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "P-256": (ec.SECP256R1(), 32),
    "P-384": (ec.SECP384R1(), 48),
    "P-521": (ec.SECP521R1(), 66),
}
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_ECDSA = {row.name: ec.ECDSA(row.hash) for row in ROWS if row.family == "EC" and row.hash}

_Key = ec.EllipticCurvePublicKey | Ed25519PublicKey | rsa.RSAPublicKey


class PublicKey:
    """A public key; immutable, compared and hashed by its encoded value."""

    def __init__(self, key: _Key) -> None:
        self._key = key
        if isinstance(key, ec.EllipticCurvePublicKey):
            if key.curve.name not in _CURVE_NAMES:
                raise KeyMaterialError(f"key: curve {key.curve.name}, expected P-256, P-384 or P-521")
            self.curve: str | None = _CURVE_NAMES[key.curve.name]
        elif isinstance(key, Ed25519PublicKey):
            self.curve = "Ed25519"
        elif isinstance(key, rsa.RSAPublicKey):
            self.curve = None
        else:
            raise KeyMaterialError(f"key: type {type(key).__name__} is not supported")

    @classmethod
    def from_cryptography(cls, key: object) -> "PublicKey":
        return cls(key)  # type: ignore[arg-type]  # the constructor refuses what it does not know

    @classmethod
    def from_spki_der(cls, der: bytes) -> "PublicKey":
        """A key from its SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7)."""
        try:
            return cls.from_cryptography(serialization.load_der_public_key(der))
        except (ValueError, UnsupportedAlgorithm):
            raise KeyMaterialError("key: SubjectPublicKeyInfo cannot be read") from None

    @classmethod
    def from_jwk(cls, jwk: Mapping[str, Any]) -> "PublicKey":
        """A key from exactly ``kty, crv, x, y`` (EC) or ``kty, crv, x`` (OKP).

        Other members are refused: a private member must never have travelled, and ``alg`` or
        ``use`` would be promises nobody checks. Use ``from_jwk_members`` for foreign JWKs.
        """
        expected = {"kty", "crv", "x", "y"} if jwk.get("kty") == "EC" else {"kty", "crv", "x"}
        if jwk.keys() != expected:
            raise KeyMaterialError("JWK: members must be exactly kty, crv, x, y (EC) or kty, crv, x (OKP)")
        return cls.from_jwk_members(jwk)

    @classmethod
    def from_jwk_members(cls, jwk: Mapping[str, Any]) -> "PublicKey":
        """A key from a foreign JWK, which may carry ``kid``, ``use``, ``alg`` and more (RFC 7517 section 4).

        Private members are refused, and a ``use`` or ``alg`` for something else than this key's signatures.
        """
        if "d" in jwk:
            raise KeyMaterialError("JWK: a private key where a public key was expected")
        if jwk.get("use", "sig") != "sig":
            raise KeyMaterialError("JWK: 'use' is not sig")
        key = cls._from_coordinates(jwk)
        if "alg" in jwk and not (isinstance(jwk["alg"], str) and jwk["alg"] in key.algorithms):
            raise KeyMaterialError("JWK: 'alg' does not fit the key")
        return key

    @classmethod
    def _from_coordinates(cls, jwk: Mapping[str, Any]) -> "PublicKey":
        match jwk.get("kty"), jwk.get("crv"):
            case "EC", str(crv) if crv in _CURVES:
                curve, size = _CURVES[crv]
                x, y = _coordinate(jwk, "x", size), _coordinate(jwk, "y", size)
                try:
                    # Refuses points that are not on the curve.
                    return cls(ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y))
                except ValueError:
                    raise KeyMaterialError("JWK: the point is not on the curve") from None
            case "OKP", "Ed25519":
                return cls(Ed25519PublicKey.from_public_bytes(_coordinate(jwk, "x", 32)))
        raise KeyMaterialError("JWK: kty and crv must be EC with P-256, P-384, P-521 or OKP with Ed25519")

    def jwk(self) -> dict[str, str]:
        """The public JWK, exactly ``kty, crv, x, y`` or ``kty, crv, x``; the caller may change its copy."""
        return dict(self._jwk)

    @cached_property
    def _jwk(self) -> dict[str, str]:
        if isinstance(self._key, ec.EllipticCurvePublicKey):
            point = self._key.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
            half = len(point) // 2
            return {
                "kty": "EC",
                "crv": str(self.curve),
                "x": base64url.encode(point[1 : half + 1]),
                "y": base64url.encode(point[half + 1 :]),
            }
        if isinstance(self._key, Ed25519PublicKey):
            return {"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(self._key.public_bytes_raw())}
        raise KeyMaterialError("key: RSA keys have no JWK here")

    @cached_property
    def thumbprint(self) -> str:
        """RFC 7638: SHA-256 over the required members in lexicographic order, as b64."""
        jwk = self._jwk
        members = ",".join(f'"{name}":"{jwk[name]}"' for name in sorted(jwk))
        return base64url.encode(sha256(f"{{{members}}}".encode("ascii")).digest())

    @property
    def algorithms(self) -> frozenset[str]:
        """The algorithms this key can verify."""
        return frozenset(row.name for row in ROWS if self._fits(row))

    @property
    def cryptography_key(self) -> _Key:
        return self._key

    def spki_der(self) -> bytes:
        return self._key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def verify(self, signature: bytes, data: bytes, *, algorithm: str) -> None:
        """Raises SignatureInvalid, and KeyMaterialError where the algorithm does not fit the key."""
        row = BY_NAME.get(algorithm)
        if row is None or not self._fits(row):
            raise KeyMaterialError("signature: the algorithm does not fit the key")
        if row.signature_bytes is not None and len(signature) != row.signature_bytes:
            raise SignatureInvalid(f"signature: {len(signature)} bytes, {algorithm} has {row.signature_bytes}")
        try:
            self._verify(signature, data, row)
        except InvalidSignature:
            raise SignatureInvalid("signature: does not belong to this text and key") from None

    def _fits(self, row: AlgorithmRow) -> bool:
        if isinstance(self._key, rsa.RSAPublicKey):
            return row.family in ("RSA-PKCS1", "RSA-PSS")
        return row.curve == self.curve

    def _verify(self, signature: bytes, data: bytes, row: AlgorithmRow) -> None:
        key = self._key
        if isinstance(key, ec.EllipticCurvePublicKey):
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
            key.verify(encode_dss_signature(r, s), data, _ECDSA[row.name])
        elif isinstance(key, Ed25519PublicKey):
            key.verify(signature, data)
        elif isinstance(key, rsa.RSAPublicKey):
            digest = row.hash or hashes.SHA256()
            pad: padding.AsymmetricPadding = padding.PKCS1v15()
            if row.family == "RSA-PSS":
                # RFC 7518 section 3.5: the salt is as long as the hash.
                pad = padding.PSS(padding.MGF1(digest), padding.PSS.DIGEST_LENGTH)
            key.verify(signature, data, pad, digest)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.spki_der() == other.spki_der()

    def __hash__(self) -> int:
        return hash(self.spki_der())

    def __repr__(self) -> str:
        return f"PublicKey({self.curve or 'RSA'})"


def _coordinate(jwk: Mapping[str, Any], name: str, size: int) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise KeyMaterialError(f"JWK: {name!r} must be a text")
    try:
        raw = base64url.decode(value, what=f"JWK: {name!r}")
    except EncodingError as fault:
        raise KeyMaterialError(str(fault)) from None
    if len(raw) != size:
        # RFC 7518 section 6.2.1.2: always the full size of a coordinate
        raise KeyMaterialError(f"JWK: {name!r} has {len(raw)} bytes, expected {size}")
    return raw
