"""A software card: a PKCS#12 file that plays an e-ID card in the sandbox.

It is no card. Whoever copies the file and learns its PIN is the person; therefore it works only in
a sandbox store, and the wallet says loudly that it is one.

An e-ID card holds two keys: one to log in (certificate with digitalSignature) and one for
signatures that bind like ink (nonRepudiation, called *firma* on the DNIe). The key is chosen by
its certificate's key usage and by nothing else; labels are written by anybody. The firma key never
logs anyone in.
"""

from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from wallet_cli.errors import CardRefused

MAX_FILE_BYTES = 65_536
"""Two keys and a chain of three take 8 KiB."""

CardKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class SoftwareCard:
    certificate: x509.Certificate
    key: CardKey


def read(path: Path, pin: bytes) -> SoftwareCard:
    """The login key and certificate of the file. Raises CardRefused."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except OSError as fault:
        raise CardRefused("card_unreadable", f"card: {path}: {fault.strerror}") from None
    if len(content) > MAX_FILE_BYTES:
        raise CardRefused("card_unreadable", f"card: {path} has more than {MAX_FILE_BYTES} bytes")
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(content, pin)
    except ValueError:
        # PKCS#12 cannot tell a wrong password from a broken file.
        raise CardRefused("wrong_pin", "card: the PIN does not open it, or it is no PKCS#12 file") from None
    if certificate is None or not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise CardRefused("card_unreadable", "card: no EC or RSA key with its certificate in it")
    require_login_certificate(certificate)
    return SoftwareCard(certificate, key)


def require_login_certificate(certificate: x509.Certificate) -> None:
    """digitalSignature and not nonRepudiation (RFC 5280 section 4.2.1.3). Raises CardRefused."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        raise CardRefused("not_a_login_key", "card: the certificate does not say what its key may do") from None
    if usage.content_commitment or not usage.digital_signature:
        raise CardRefused(
            "not_a_login_key", "card: the key is for signing documents (nonRepudiation), expected digitalSignature only"
        )
