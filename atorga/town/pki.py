"""The sandbox city's certificates: three roots, the authorities under them, one certificate a need.

    issuers root  ── issuers CA ── credential signer, status signer (URI = the issuer's identifier)
    access root   ── access CA ─── who asks for presentations (dNSName = its hosts)
    registry root ───────────────── who signs the list of parties (names no host and no address)

Made once per data folder and then opened again. A signer's file holds its chain without the root,
ready for ``x5c``; the roots stand in ``trust.pem``. All of this is for the sandbox: a city has its
authorities elsewhere, and the keys of these lie beside their certificates.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from identity.clock import Clock
from identity.keys.signer import SoftwareSigner
from identity.trust.chain import certificate_hash

VALIDITY = timedelta(days=365)
BACKDATED = timedelta(minutes=5)
"""Clocks of the processes that read them may be behind ours."""

ISSUERS, ACCESS, REGISTRY = "issuers", "access", "registry"


@dataclass(frozen=True, slots=True)
class Signing:
    """A key and its certificate, as two files."""

    certificates: Path
    """PEM: the certificate, then the authorities up to and without the root."""
    key: Path
    """PEM, PKCS#8; only its owner may read it."""

    def chain(self) -> tuple[bytes, ...]:
        """DER, for ``x5c``."""
        loaded = x509.load_pem_x509_certificates(self.certificates.read_bytes())
        return tuple(one.public_bytes(serialization.Encoding.DER) for one in loaded)

    def signer(self) -> SoftwareSigner:
        return SoftwareSigner.from_pem(self.key.read_bytes())

    @property
    def x5t(self) -> str:
        """What the list of parties names it by; also its ``x509_hash``."""
        return certificate_hash(self.chain()[0])


class TownPki:
    """The certificates in one folder. Every method makes what is missing and returns what is there."""

    def __init__(self, folder: Path, *, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def root(self, name: str) -> Signing:
        """``ISSUERS``, ``ACCESS`` or ``REGISTRY``."""
        return self._issue(f"{name}-root", f"Atorga sandbox {name} root", issuer=None, path_length=1)

    def trust_pem(self) -> Path:
        """The file with the three roots: what a peer needs to check everything but cards."""
        path = self._folder / "trust.pem"
        roots = b"".join(self.root(name).certificates.read_bytes() for name in (ISSUERS, ACCESS, REGISTRY))
        if not path.exists() or path.read_bytes() != roots:
            _write(path, roots, mode=0o644)
        return path

    def issuer_signer(self, name: str, *, issuer: str) -> Signing:
        """Signs the credentials of ``issuer`` (its identifier, tenant path included)."""
        return self._issue(
            f"{name}-credentials",
            f"{name} credential signer",
            issuer=self._authority(ISSUERS),
            names=[x509.UniformResourceIdentifier(issuer)],
        )

    def status_signer(self, name: str, *, issuer: str) -> Signing:
        """Signs the status lists of ``issuer``."""
        return self._issue(
            f"{name}-status",
            f"{name} status signer",
            issuer=self._authority(ISSUERS),
            names=[x509.UniformResourceIdentifier(issuer)],
        )

    def access_certificate(self, name: str, *, dns_names: Sequence[str] = ("localhost",)) -> Signing:
        """Signs authorization requests; ``dns_names`` are the hosts that may receive the answers."""
        return self._issue(
            f"{name}-access",
            f"{name} access",
            issuer=self._authority(ACCESS),
            names=[x509.DNSName(host) for host in dns_names],
        )

    def registry_signer(self, folder: Path | None = None) -> Signing:
        """Signs the list of parties; in a folder of its own, since one program alone reads the key."""
        return self._issue("registry-signer", "Atorga sandbox registry", issuer=self.root(REGISTRY), folder=folder)

    def _authority(self, name: str) -> Signing:
        return self._issue(f"{name}-ca", f"Atorga sandbox {name} CA", issuer=self.root(name), path_length=0)

    def _issue(
        self,
        file: str,
        common_name: str,
        *,
        issuer: Signing | None,
        names: Sequence[x509.GeneralName] = (),
        path_length: int | None = None,
        folder: Path | None = None,
    ) -> Signing:
        place = folder or self._folder
        made = Signing(place / f"{file}.pem", place / f"{file}.key.pem")
        # The certificate is written last: where it stands, its key does.
        if made.certificates.exists():
            _require_names(made, names)
            return made
        place.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        above = () if issuer is None else tuple(x509.load_der_x509_certificate(der) for der in issuer.chain())
        certificate = self._certificate(common_name, key, issuer, above, names, path_length)
        _write(made.key, SoftwareSigner.from_cryptography(key).to_pem(), mode=0o600)
        # A root issues: it is in no chain below it.
        chain = [certificate, *(one for one in above if one.subject != one.issuer)]
        _write(
            made.certificates,
            b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
            mode=0o644,
        )
        return made

    def _certificate(
        self,
        common_name: str,
        key: ec.EllipticCurvePrivateKey,
        issuer: Signing | None,
        above: Sequence[x509.Certificate],
        names: Sequence[x509.GeneralName],
        path_length: int | None,
    ) -> x509.Certificate:
        now = datetime.fromtimestamp(int(self._clock()), UTC)
        is_authority = path_length is not None
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Atorga sandbox"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        signing_key = key
        if issuer is not None:
            loaded = serialization.load_pem_private_key(issuer.key.read_bytes(), None)
            assert isinstance(loaded, ec.EllipticCurvePrivateKey)
            signing_key = loaded
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(above[0].subject if above else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - BACKDATED)
            .not_valid_after(min([now + VALIDITY, *(one.not_valid_after_utc for one in above)]))
            .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
            .add_extension(_key_usage(is_authority=is_authority), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(signing_key, hashes.SHA256())


def _require_names(made: Signing, names: Sequence[x509.GeneralName]) -> None:
    """A folder that was made for other addresses is not patched up. Raises ValueError."""
    certificate = x509.load_der_x509_certificate(made.chain()[0])
    try:
        there = list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        there = []
    if there != list(names):
        raise ValueError(f"{made.certificates.name}: was made for other names; take another data folder")


def _key_usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write(path: Path, content: bytes, *, mode: int) -> None:
    """A whole file or none; a key is never readable by others, not even for a moment."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with suppress(FileNotFoundError):
        temporary.unlink()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
