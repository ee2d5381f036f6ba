"""JSON Web Signature, compact serialisation (RFC 7515), as strictly as RFC 8725 advises.

Not done, on purpose: ``crit`` extensions and unencoded payloads (RFC 7797), of which we know none;
the JSON serialisations; keys taken from a header by this module (``jwk``, ``x5c`` and ``kid`` are
data here: the caller decides which key is meant, and only then verifies).
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from identity.codec import base64url, strict_json
from identity.errors import EncodingError, EnvelopeError, KeyMaterialError, SignatureInvalid
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

MAX_BYTES = 65_536
"""WIRE: bodies are at most 64 KiB unless a message says otherwise."""

MAX_HEADER_BYTES = 16_384
"""Room for a certificate chain of three; a larger header is an attempt to make us work."""

ES256_ONLY = frozenset({"ES256"})


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """A JWS whose form was read and whose signature was not checked. Nothing in it is a fact."""

    header: dict[str, Any]
    payload: bytes
    signature: bytes
    signing_input: bytes
    compact: str

    def claims(self, *, what: str = "JWS payload") -> dict[str, Any]:
        """The payload as JSON, to choose a key by; unverified."""
        return _claims(self.payload, what)


@dataclass(frozen=True, slots=True)
class VerifiedJws:
    """A JWS whose signature belongs to the key that the caller chose."""

    header: dict[str, Any]
    payload: bytes
    compact: str
    key: PublicKey

    def claims(self, *, what: str = "JWS payload") -> dict[str, Any]:
        return _claims(self.payload, what)

    @property
    def digest(self) -> str:
        return digest(self.compact)


def parse(compact: str, *, what: str = "JWS", max_bytes: int = MAX_BYTES) -> UnverifiedJws:
    """Reads the form. Raises EnvelopeError; ``what`` names the message in it."""
    if len(compact) > max_bytes:
        raise EnvelopeError(f"{what}: {len(compact)} characters, at most {max_bytes} are read")
    parts = compact.split(".")
    if len(parts) != 3:
        raise EnvelopeError(f"{what}: {len(parts)} parts, a compact JWS has 3")
    try:
        header = strict_json.parse_object(
            base64url.decode(parts[0], what="header"), what="header", max_bytes=MAX_HEADER_BYTES
        )
        payload = base64url.decode(parts[1], what="payload")
        signature = base64url.decode(parts[2], what="signature")
    except EncodingError as fault:
        raise EnvelopeError(f"{what}: {fault}") from None
    # RFC 7515 section 4.1.11: an extension that is not understood must be refused; we know none.
    if "crit" in header or "b64" in header:
        raise EnvelopeError(f"{what}: critical extensions are not understood here")
    signing_input = compact[: len(parts[0]) + 1 + len(parts[1])].encode("ascii")
    return UnverifiedJws(header, payload, signature, signing_input, compact)


def verify(
    jws: UnverifiedJws,
    key: PublicKey,
    *,
    typ: str | None,
    algorithms: AbstractSet[str] = ES256_ONLY,
    members: AbstractSet[str] | None = None,
    what: str = "JWS",
) -> VerifiedJws:
    """Checks form, then signature, under the key that the caller chose. Raises EnvelopeError.

    1. ``typ`` is the expected one (RFC 8725 section 3.11); None = the specification names none.
    2. ``members``, where given, are exactly the header's (WIRE, first section).
    3. ``alg`` is one that the caller allows (RFC 8725 section 3.1); ``none`` never is.
    4. The signature belongs to the received bytes and the key.
    """
    # 1
    if typ is not None and jws.header.get("typ") != typ:
        raise EnvelopeError(f"{what}: typ is not {typ}")
    # 2
    if members is not None and jws.header.keys() != members:
        raise EnvelopeError(f"{what}: header members must be exactly {', '.join(sorted(members))}")
    # 3
    algorithm = jws.header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise EnvelopeError(f"{what}: alg must be one of {', '.join(sorted(algorithms))}")
    # 4
    try:
        key.verify(jws.signature, jws.signing_input, algorithm=algorithm)
    except (SignatureInvalid, KeyMaterialError) as fault:
        raise EnvelopeError(f"{what}: {fault}") from None
    return VerifiedJws(jws.header, jws.payload, jws.compact, key)


def sign(
    claims: Mapping[str, Any] | bytes, signer: Signer, *, typ: str | None, header: Mapping[str, Any] | None = None
) -> str:
    """A compact JWS; header members in the order typ, alg, then ``header``."""
    full = {"typ": typ} if typ is not None else {}
    full |= {"alg": signer.algorithm, **(header or {})}
    payload = claims if isinstance(claims, bytes) else strict_json.compact(claims)
    signing_input = f"{base64url.encode(strict_json.compact(full))}.{base64url.encode(payload)}"
    return f"{signing_input}.{base64url.encode(signer.sign(signing_input.encode('ascii')))}"


def digest(compact: str) -> str:
    """SHA-256 over the compact ASCII bytes, as b64: how messages refer to a JWS (WIRE)."""
    try:
        return base64url.encode(sha256(compact.encode("ascii")).digest())
    except UnicodeEncodeError:
        raise EnvelopeError("JWS: not ASCII") from None


def _claims(payload: bytes, what: str) -> dict[str, Any]:
    try:
        return strict_json.parse_object(payload, what=what)
    except EncodingError as fault:
        raise EnvelopeError(str(fault)) from None
