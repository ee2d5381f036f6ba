"""The key and certificate with which a service asks for presentations.

[client]
key = "access.key.pem"        # PEM, PKCS#8, P-256
certificates = "access.pem"   # PEM: its certificate, then the authorities, without the root
"""

from dataclasses import dataclass
from pathlib import Path

from atorga.serve.settings import ConfigurationError, Table
from identity.errors import KeyMaterialError
from identity.keys.signer import SoftwareSigner
from verifier.client import VerifierClient


@dataclass(frozen=True, slots=True)
class ClientSettings:
    key: Path
    certificates: Path


def settings(root: Table) -> ClientSettings:
    """Raises ConfigurationError."""
    table = root.table("client")
    made = ClientSettings(table.path("key"), table.path("certificates"))
    table.done()
    return made


def build(made: ClientSettings, *, url: str) -> VerifierClient:
    """Raises ConfigurationError where the files cannot be used or do not belong together."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    from identity.keys.public_key import PublicKey

    try:
        signer = SoftwareSigner.from_pem(made.key.read_bytes())
        chain = x509.load_pem_x509_certificates(made.certificates.read_bytes())
        certified = PublicKey.from_cryptography(chain[0].public_key())
    except OSError as fault:
        raise ConfigurationError(f"{fault.filename}: {fault.strerror}") from None
    except (KeyMaterialError, ValueError) as fault:
        raise ConfigurationError(f"[client]: {fault}") from None
    if certified != signer.public_key:
        raise ConfigurationError("[client]: the certificate is another key's")
    return VerifierClient(url, signer, tuple(one.public_bytes(Encoding.DER) for one in chain))
