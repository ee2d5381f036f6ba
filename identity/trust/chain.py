"""X.509 paths from a certificate in a JOSE header to an anchor (RFC 5280 section 6, RFC 7515 section 4.1.6).

  1. The chain has 1 to ``MAX_CERTIFICATES`` certificates, each of limited size and readable.
  2. The signer's certificate is not self-signed and no anchor is in the chain: who could send its
     anchor along could send any (HAIP 1.0 sections 5 and 6.1.1).
  3. Every key, the anchor's included, is strong enough: the library takes RSA-1024 and secp224r1.
  4. The path: signatures (no SHA-1), dates, who may certify, path lengths, name constraints; a
     critical extension that is not understood refuses (RFC 5280 sections 6.1.3 to 6.1.5).
  5. The path found is the chain as it was sent, in its order, and one anchor. No certificate is
     carried along unused, none is left out.

Left to the caller: whether a list of parties names this certificate, and what for. Not done, on
purpose: revocation of these certificates (the list drops them, within its own lifetime) and
extended key usages (issuers of this field agree on none).

``cryptography.x509`` costs 30 ms to import and is imported by the first check.
"""

from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from identity.codec import base64url
from identity.errors import TrustError
from identity.keys.public_key import PublicKey

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509.verification import ExtensionPolicy, Policy

MAX_CERTIFICATES = 4
"""A signer and up to three authorities; the anchor is not among them."""

MAX_CERTIFICATE_BYTES = 4_096
"""Twice the largest certificate of the authorities we know; a JOSE header holds 16 KiB in all."""

MAX_ANCHORS = 64
MAX_ANCHORS_PEM_BYTES = MAX_ANCHORS * 2 * MAX_CERTIFICATE_BYTES
"""PEM needs 4/3 of the bytes, and people write comments between the certificates."""

MIN_RSA_BITS = 2_048
MIN_RSA_EXPONENT = 65_537
"""BSI TR-02102-1 and SOG-IS: the least that is still agreed for signatures."""


@dataclass(frozen=True, slots=True)
class VerifiedChain:
    """A certificate with a path to an anchor at the time it was checked for."""

    leaf: "x509.Certificate"
    key: PublicKey
    sha256: bytes
    """Of the certificate's DER."""
    dns_names: tuple[str, ...]
    """dNSName entries, in lower case; a wildcard stands as it is and equals no host."""
    uris: tuple[str, ...]
    """uniformResourceIdentifier entries, to be compared character by character."""
    valid_from: int
    valid_to: int
    """Within these, both included, every certificate of the path is valid (RFC 5280 section 4.1.2.5)."""

    @property
    def x5t(self) -> str:
        """``x5t#S256`` (RFC 7515 section 4.1.8)."""
        return base64url.encode(self.sha256)


def read_x5c(header: Mapping[str, Any]) -> list[bytes]:
    """The DER certificates of a JOSE header's ``x5c``, signer first. Raises TrustError.

    Base64 with padding (RFC 7515 section 4.1.6), in its one canonical spelling.
    """
    entries = header.get("x5c")
    if not isinstance(entries, list) or not 1 <= len(entries) <= MAX_CERTIFICATES:
        raise TrustError(f"x5c: must be a list of 1 to {MAX_CERTIFICATES} certificates")
    chain = []
    for entry in entries:
        if not isinstance(entry, str) or not 0 < len(entry) <= MAX_CERTIFICATE_BYTES * 4 // 3 + 4:
            raise TrustError(f"x5c: a certificate must be a text of at most {MAX_CERTIFICATE_BYTES} bytes in base64")
        try:
            der = a2b_base64(entry.encode("ascii"), strict_mode=True)
        except (UnicodeEncodeError, Base64Error):
            raise TrustError("x5c: a certificate is not base64") from None
        if b2a_base64(der, newline=False).decode("ascii") != entry:
            raise TrustError("x5c: base64 is not canonical")
        chain.append(der)
    return chain


def format_x5c(chain: Sequence[bytes]) -> list[str]:
    """The value of ``x5c`` for DER certificates, signer first, without the anchor."""
    return [b2a_base64(der, newline=False).decode("ascii") for der in chain]


def certificate_hash(der: bytes) -> str:
    """SHA-256 of a certificate as b64: ``x5t#S256``, and what follows ``x509_hash:`` in OpenID4VP."""
    return base64url.encode(sha256(der).digest())


def anchors_from_pem(pem: bytes) -> tuple[bytes, ...]:
    """The DER certificates of a PEM file, each fit to be an anchor. Raises TrustError."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    if len(pem) > MAX_ANCHORS_PEM_BYTES:
        raise TrustError(f"anchors: {len(pem)} bytes, at most {MAX_ANCHORS_PEM_BYTES} are read")
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except ValueError:
        raise TrustError("anchors: no PEM certificate can be read") from None
    anchors = tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)
    for der in anchors:
        certificate = _read(der, what="anchor")
        try:
            is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            is_authority = False
        if not is_authority:
            raise TrustError("anchor: the certificate is not one of an authority (basicConstraints CA)")
    return anchors


def verify_chain(chain: Sequence[bytes], anchors: Sequence[bytes], *, at: int) -> VerifiedChain:
    """The path of ``chain`` (DER, signer first) to one of ``anchors`` (DER). Raises TrustError."""
    from cryptography import x509
    from cryptography.x509 import verification

    # 1
    if not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise TrustError(f"certificate chain: {len(chain)} certificates, expected 1 to {MAX_CERTIFICATES}")
    if not 1 <= len(anchors) <= MAX_ANCHORS:
        raise TrustError(f"certificate chain: {len(anchors)} anchors to check against, expected 1 to {MAX_ANCHORS}")
    # 2
    if not set(chain).isdisjoint(anchors):
        raise TrustError("certificate chain: carries its own anchor")
    # 1, 3
    certificates = [_read(der, what="certificate chain") for der in chain]
    roots = [_read(der, what="anchor") for der in anchors]
    leaf = certificates[0]
    # 2
    if leaf.subject == leaf.issuer:
        raise TrustError("certificate chain: the signer's certificate is self-signed")
    # 4
    try:
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(roots))
            .time(datetime.fromtimestamp(at, UTC))
            .max_chain_depth(MAX_CERTIFICATES)
            .extension_policies(ca_policy=_authority_policy(), ee_policy=_signer_policy())
            .build_client_verifier()
        )
        path = verifier.verify(leaf, certificates[1:]).chain
    except (verification.VerificationError, x509.UnsupportedGeneralNameType, ValueError) as fault:
        raise TrustError(f"certificate chain: {_reason(fault)}") from None
    # 5
    if path[:-1] != certificates:
        raise TrustError("certificate chain: not in order, or with certificates that the path does not need")
    return _verified(leaf, chain[0], path)


def require_strong_key(key: object) -> None:
    """The key floor: RSA of 2,048 bits with exponent 65,537, or EC P-256, P-384, P-521. Raises TrustError."""
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if isinstance(key, rsa.RSAPublicKey):
        # An even exponent is refused by the library.
        if key.key_size >= MIN_RSA_BITS and key.public_numbers().e >= MIN_RSA_EXPONENT:
            return
    elif isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in ("secp256r1", "secp384r1", "secp521r1"):
        return
    raise TrustError(
        f"certificate: its key is weaker than RSA of {MIN_RSA_BITS} bits (exponent {MIN_RSA_EXPONENT} or more) "
        "or not on P-256, P-384 or P-521"
    )


def _read(der: bytes, *, what: str) -> "x509.Certificate":
    """A certificate whose parts can all be read and whose key is strong enough."""
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm

    if len(der) > MAX_CERTIFICATE_BYTES:
        raise TrustError(f"{what}: a certificate has {len(der)} bytes, at most {MAX_CERTIFICATE_BYTES} are read")
    try:
        certificate = x509.load_der_x509_certificate(der)
        # The library reads these only when asked; a fault must show here and not later.
        _ = certificate.extensions, certificate.subject, certificate.issuer
        key = certificate.public_key()
    except (
        ValueError,
        UnsupportedAlgorithm,
        x509.InvalidVersion,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
    ):
        raise TrustError(f"{what}: a certificate cannot be read") from None
    # The library passes over the count of unused bits before the signature (X.690 section 8.6.2.2); then
    # one certificate would have several spellings, and so several hashes.
    if not der.endswith(b"\x00" + certificate.signature):
        raise TrustError(f"{what}: a certificate's signature is not in whole bytes")
    require_strong_key(key)
    return certificate


def _verified(leaf: "x509.Certificate", der: bytes, path: Sequence["x509.Certificate"]) -> VerifiedChain:
    from cryptography import x509

    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns_names = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
        uris = tuple(names.get_values_for_type(x509.UniformResourceIdentifier))
    except x509.ExtensionNotFound:
        dns_names, uris = (), ()
    return VerifiedChain(
        leaf=leaf,
        key=PublicKey.from_cryptography(leaf.public_key()),
        sha256=sha256(der).digest(),
        dns_names=dns_names,
        uris=uris,
        valid_from=max(int(one.not_valid_before_utc.timestamp()) for one in path),
        valid_to=min(int(one.not_valid_after_utc.timestamp()) for one in path),
    )


def _authority_policy() -> "ExtensionPolicy":
    """cA must be true and pathLen hold, which the library sees to where the extension is required."""
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def may_certify(_: "Policy", __: "x509.Certificate", usage: "x509.KeyUsage | None") -> None:
        # RFC 5280 section 6.1.4 (n)
        if usage is not None and not usage.key_cert_sign:
            raise ValueError("an authority's key usage is not certSign")

    return (
        ExtensionPolicy.permit_all()
        # RFC 5280 section 4.2.1.9: critical in every certificate of an authority
        .require_present(x509.BasicConstraints, Criticality.CRITICAL, None)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, may_certify)
    )


def _signer_policy() -> "ExtensionPolicy":
    from cryptography import x509
    from cryptography.x509.verification import Criticality, ExtensionPolicy

    def no_authority(_: "Policy", __: "x509.Certificate", constraints: "x509.BasicConstraints | None") -> None:
        if constraints is not None and constraints.ca:
            raise ValueError("the signer's certificate is one of an authority")

    def may_sign(_: "Policy", __: "x509.Certificate", usage: "x509.KeyUsage | None") -> None:
        # RFC 5280 section 4.2.1.3
        if usage is not None and not usage.digital_signature:
            raise ValueError("the signer's key usage is not digitalSignature")

    return (
        ExtensionPolicy.permit_all()
        .may_be_present(x509.BasicConstraints, Criticality.AGNOSTIC, no_authority)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, may_sign)
    )


def _reason(fault: Exception) -> str:
    """What the library says, without the subject that it quotes: it may be a person's name."""
    text = str(fault).partition(" (encountered processing")[0]
    return text.rpartition("ValueError: ")[2][:160]
