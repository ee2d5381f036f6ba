"""The Web eID authentication token, format ``web-eid:1.0``.

    {"unverifiedCertificate": base64 DER, "algorithm": "RS256", "signature": base64,
     "format": "web-eid:1.0", "appVersion": optional address}

https://github.com/web-eid/web-eid-system-architecture-doc (token format). The card signs
H(origin) ‖ H(nonce), H being the hash of the algorithm and the nonce hashed as text; the signature
hashes that once more. ECDSA signatures are raw r ‖ s.

The certificate stands in the token unproven. Nothing here follows from it before ``verify.py`` has
found who issued it.
"""

import re
from base64 import b64encode
from binascii import Error, a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from identity.codec import strict_json
from identity.codec.members import exact_members, text
from identity.errors import CardError, EncodingError, KeyMaterialError, SignatureInvalid
from identity.keys.algorithms import BY_NAME
from identity.keys.public_key import PublicKey
from identity.keys.signer import SoftwareSigner

FORMAT = "web-eid:1.0"

ALGORITHMS = ("RS256", "PS256", "ES256", "ES384", "ES512")
"""What the cards of our profiles do; each fits one type of key, and ES… one curve."""

MIN_TOKEN = 100
MAX_TOKEN = 10_000
"""Characters of the JSON text, as in Web eID's own validators."""

MAX_ORIGIN = 300
"""Characters: a host has at most 253."""

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:[1-9][0-9]{0,4})?", re.ASCII)

_WHAT = "card token"
_REQUIRED = frozenset({"unverifiedCertificate", "algorithm", "signature", "format"})
_OPTIONAL = frozenset({"appVersion"})


@dataclass(frozen=True, slots=True)
class WebEidToken:
    """What a token says; nothing of it is proven yet."""

    unverified_certificate: bytes
    """DER."""
    algorithm: str
    signature: bytes

    def __repr__(self) -> str:
        # The certificate names a person: not into logs by way of a traceback.
        return f"WebEidToken({self.algorithm})"


def sign_token(*, origin: str, nonce: str, certificate: x509.Certificate, private_key: object) -> dict[str, str]:
    """The token of a software card. Raises CardError, and KeyMaterialError for a key no card has."""
    require_origin(origin)
    if isinstance(private_key, rsa.RSAPrivateKey):
        algorithm = "RS256"
        signature = private_key.sign(signed_bytes(origin, nonce, algorithm), padding.PKCS1v15(), hashes.SHA256())
    elif isinstance(private_key, ec.EllipticCurvePrivateKey):
        signer = SoftwareSigner.from_cryptography(private_key)
        algorithm = signer.algorithm
        signature = signer.sign(signed_bytes(origin, nonce, algorithm))
    else:
        raise KeyMaterialError("card key: expected EC or RSA")
    return format_token(WebEidToken(certificate.public_bytes(Encoding.DER), algorithm, signature))


def format_token(token: WebEidToken) -> dict[str, str]:
    return {
        "unverifiedCertificate": b64encode(token.unverified_certificate).decode("ascii"),
        "algorithm": token.algorithm,
        "signature": b64encode(token.signature).decode("ascii"),
        "format": FORMAT,
    }


def read_token(data: bytes | str) -> WebEidToken:
    """The token of one JSON text. Raises CardError."""
    try:
        return parse_token(strict_json.parse_object(data, what=_WHAT, max_bytes=MAX_TOKEN))
    except EncodingError as fault:
        raise CardError(str(fault)) from None


def parse_token(message: object) -> WebEidToken:
    """The token of a JSON object, which a strict reader has read. Raises CardError."""
    if not isinstance(message, Mapping):
        raise CardError(f"{_WHAT}: a JSON object was expected")
    try:
        exact_members(message, what=_WHAT, required=_REQUIRED, optional=_OPTIONAL)
        found = {name: text(message, name, what=_WHAT, max_length=MAX_TOKEN) for name in message}
        if not all(value.isascii() for value in found.values()):
            raise CardError(f"{_WHAT}: a member is not ASCII")
        size = len(strict_json.compact(found))
        if not MIN_TOKEN <= size <= MAX_TOKEN:
            raise CardError(f"{_WHAT}: {size} characters, expected {MIN_TOKEN} to {MAX_TOKEN}")
        if found["format"] != FORMAT:
            raise CardError(f"{_WHAT}: format is not {FORMAT}")
        if found["algorithm"] not in ALGORITHMS:
            raise CardError(f"{_WHAT}: algorithm is not one of {', '.join(ALGORITHMS)}")
        return WebEidToken(
            _base64(found["unverifiedCertificate"], "unverifiedCertificate"),
            found["algorithm"],
            _base64(found["signature"], "signature"),
        )
    except EncodingError as fault:
        raise CardError(str(fault)) from None


def verify_signature(token: WebEidToken, key: PublicKey, *, origin: str, nonce: str) -> None:
    """The key signed this nonce for this origin. Raises CardError.

    ``origin`` and ``nonce`` are what *we* are and what *we* gave out, never what the token's sender says.
    """
    require_origin(origin)
    row = BY_NAME[token.algorithm]
    size = row.signature_bytes
    if isinstance(key.cryptography_key, rsa.RSAPublicKey):
        size = (key.cryptography_key.key_size + 7) // 8
    if token.algorithm not in key.algorithms:
        raise CardError(f"{_WHAT}: the algorithm does not fit the certificate's key")
    if len(token.signature) != size:
        raise CardError(f"{_WHAT}: the signature has {len(token.signature)} bytes, {size} were expected")
    try:
        key.verify(token.signature, signed_bytes(origin, nonce, token.algorithm), algorithm=token.algorithm)
    except (SignatureInvalid, KeyMaterialError, ValueError):
        # One refusal for all: what exactly did not fit helps only who tries to make it fit.
        raise CardError(f"{_WHAT}: the signature is not by this key over this origin and challenge") from None


def signed_bytes(origin: str, nonce: str, algorithm: str) -> bytes:
    """H(origin) ‖ H(nonce), raw. ``algorithm`` is one of ALGORITHMS."""
    row = BY_NAME.get(algorithm)
    if row is None or row.hash is None:
        raise CardError(f"{_WHAT}: algorithm is not one of {', '.join(ALGORITHMS)}")
    parts = []
    for value in (origin, nonce):
        state = hashes.Hash(row.hash)
        state.update(value.encode("utf-8"))
        parts.append(state.finalize())
    return b"".join(parts)


def require_origin(origin: str) -> None:
    """``scheme://host[:port]`` in lower case, without a slash at its end. Raises CardError.

    Whether http is allowed is the caller's profile; here it is about one spelling.
    """
    if len(origin) > MAX_ORIGIN or not _ORIGIN.fullmatch(origin):
        raise CardError(f"{_WHAT}: an origin is https://host or https://host:port and nothing more")


def _base64(value: str, name: str) -> bytes:
    try:
        raw = a2b_base64(value, strict_mode=True)
    except Error:
        raise CardError(f"{_WHAT}: {name!r} is not base64") from None
    if b64encode(raw).decode("ascii") != value:
        raise CardError(f"{_WHAT}: {name!r} is not canonical base64")
    return raw
