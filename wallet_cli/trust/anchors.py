"""Reading anchors: certificates that a person decides to trust, from a PEM bundle or one DER file."""

from base64 import encodebytes
from pathlib import Path

from identity.errors import TrustError
from identity.trust.chain import anchors_from_pem
from wallet_cli.errors import WalletError
from wallet_cli.network import Network

MAX_BUNDLE_BYTES = 65_536
"""A city has three roots; a browser's whole bundle is a mistake, not a decision."""

PEM_BUNDLE = "application/pem-certificate-chain"
_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"


def fetch(network: Network, source: str) -> bytes:
    """The content behind a URL or of a file. Raises WalletError, NetworkError."""
    if "://" in source:
        answer = network.send("GET", source, headers={"Accept": PEM_BUNDLE}, max_bytes=MAX_BUNDLE_BYTES)
        return answer.expect(200, what="anchor").body
    try:
        with Path(source).open("rb") as stream:
            content = stream.read(MAX_BUNDLE_BYTES + 1)
    except OSError as fault:
        raise WalletError("anchor_invalid", f"anchor: {source[:256]}: {fault.strerror}") from None
    if len(content) > MAX_BUNDLE_BYTES:
        raise WalletError("anchor_invalid", f"anchor: more than {MAX_BUNDLE_BYTES} bytes")
    return content


def read(content: bytes) -> tuple[bytes, ...]:
    """The certificates, DER, each fit to be an anchor. Raises WalletError."""
    pem = content if _BEGIN in content else b"\n".join((_BEGIN, encodebytes(content).strip(), _END))
    try:
        return anchors_from_pem(pem)
    except TrustError as fault:
        raise WalletError("anchor_invalid", str(fault)) from None


def owner(der: bytes) -> str:
    """Whose certificate it says it is, for the screen; still another party's text."""
    from cryptography import x509

    return x509.load_der_x509_certificate(der).subject.rfc4514_string()
