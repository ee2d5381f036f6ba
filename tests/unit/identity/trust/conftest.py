"""Authorities, certificates and lists of parties for tests; dates are fixed around ``NOW``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from identity.errors import FetchError
from identity.keys.signer import SoftwareSigner
from identity.trust.chain import certificate_hash
from identity.trust.registry import VerifiedRegistry, sign_registry, verify_registry

NOW = 1_795_315_010
DAY = 86_400
ISS = "https://town.example/bcn"
VCT = "urn:atorga:residency:1"

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def day(offset: float) -> datetime:
    return datetime.fromtimestamp(NOW, UTC) + timedelta(days=offset)


class Certified:
    """A key and its certificate; also the authority for others."""

    def __init__(
        self,
        name: str = "signer",
        *,
        by: "Certified | None" = None,
        ca: bool = False,
        path_length: int | None = None,
        constraints: bool = True,
        uris: Sequence[str] = (),
        dns_names: Sequence[str] = (),
        extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
        valid: tuple[float, float] = (-10, 10),
        key: PrivateKey | None = None,
    ) -> None:
        self.key: PrivateKey = key or ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signing = self.key if by is None else by.key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if by is None else by.certificate.subject)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(day(valid[0]))
            .not_valid_after(day(valid[1]))
        )
        if constraints:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri) for uri in uris]
        names += [x509.DNSName(host) for host in dns_names]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        algorithm = None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256()
        self.certificate: x509.Certificate = builder.sign(signing, algorithm)
        self.der = self.certificate.public_bytes(Encoding.DER)
        self.pem = self.certificate.public_bytes(Encoding.PEM)
        self.x5t = certificate_hash(self.der)

    @property
    def signer(self) -> SoftwareSigner:
        return SoftwareSigner.from_cryptography(self.key)


def key_usage(*, sign: bool = False, certify: bool = False) -> tuple[x509.KeyUsage, bool]:
    return x509.KeyUsage(sign, False, False, False, False, certify, False, False, False), True


class City:
    """Root, authority, an issuer's, a status signer's and a verifier's certificate, and the list that names them."""

    def __init__(self) -> None:
        self.root = Certified("root", ca=True)
        self.ca = Certified("authority", by=self.root, ca=True)
        self.issuer = Certified("issuer", by=self.ca, uris=[ISS])
        self.status = Certified("status", by=self.ca, uris=[ISS])
        self.verifier = Certified("verifier", by=self.ca, dns_names=["portal.example"])
        self.registry_root = Certified("registry root", ca=True)
        self.registry = Certified("registry", by=self.registry_root)
        self.party_key = SoftwareSigner.generate()

    def chain(self, of: Certified) -> list[bytes]:
        return [of.der, self.ca.der]

    def issuer_entry(self, **changes: Any) -> dict[str, Any]:
        return party(
            self.party_key,
            **{
                "x5t#S256": [self.issuer.x5t, self.status.x5t],
                "roles": ["issuer", "status"],
                "issuer": ISS,
                "vcts": [VCT],
                "status_prefixes": [f"{ISS}/status/"],
                **changes,
            },
        )

    def verifier_entry(self, **changes: Any) -> dict[str, Any]:
        entry = party(self.party_key, id="urn:atorga:party:portal", roles=["verifier"])
        return entry | {"x5t#S256": [self.verifier.x5t]} | changes

    def list(self, *parties: Mapping[str, Any], **changes: Any) -> str:
        return sign_registry(claims(*parties, **changes), self.registry.signer, [self.registry.der])

    def verified(self, *parties: Mapping[str, Any], now: int = NOW, **changes: Any) -> VerifiedRegistry:
        return verify_registry(self.list(*parties, **changes), anchors=[self.registry_root.der], now=now)


def party(key: SoftwareSigner | None = None, **changes: Any) -> dict[str, Any]:
    return {
        "id": "urn:atorga:party:town",
        "roles": ["service"],
        "name": {"en": "Town"},
        "legal_entity": "Town council",
        "contact": "mailto:none@example",
        "territory": "ES-CT",
        "from": NOW - DAY,
        "to": NOW + DAY,
        "jwk": (key or SoftwareSigner.generate()).public_key.jwk(),
        "x5t#S256": [],
    } | changes


def claims(*parties: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "iss": "urn:atorga:party:registry",
        "version": 3,
        "iat": NOW - 10,
        "exp": NOW + 3_600,
        "parties": list(parties),
    } | changes


class Clock:
    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Answers:
    """A `Fetcher` with answers ready; what it has not cannot be reached. Remembers what was asked."""

    def __init__(self, answers: dict[str, str | bytes] | None = None) -> None:
        self.answers: dict[str, str | bytes] = answers or {}
        self.asked: list[str] = []

    def get(self, url: str, *, accept: str, max_bytes: int) -> bytes:
        assert accept
        self.asked.append(url)
        answer = self.answers.get(url)
        if answer is None:
            raise FetchError("fetch: cannot be reached")
        body = answer.encode() if isinstance(answer, str) else answer
        if len(body) > max_bytes:
            raise FetchError("fetch: sent too much")
        return body
