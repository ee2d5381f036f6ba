"""A card authority in memory that makes whatever a test asks for, right or wrong.

The authorities have EC keys (quick to make), cards RSA-2048 as the DNIe unless a test says otherwise.
Time is the machine's: the library dates an OCSP answer (producedAt) itself.
"""

import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from identity.card import web_eid
from identity.card.path import CardFamily
from identity.card.profile import SANDBOX_POLICY, CardProfile, bundled
from identity.card.verify import CardVerifier
from identity.errors import FetchError

ORIGIN = "https://identitat.example"
NONCE = "u4yyJzhVAis4LtP1B1PmMeXxENWE0nwgZhm/o0h3N94="
RESPONDER_URL = "http://localhost:8105"
NIF, GIVEN_NAME, FIRST_SURNAME, SURNAMES = "12345678Z", "MARIA ÀNGELA", "PUIG", "PUIG I NÚÑEZ"
COMMON_NAME = f"{SURNAMES}, {GIVEN_NAME} (AUTENTICACIÓN)"
BORN = bytes.fromhex("301f301d06082b060105050709013111180f") + b"19800203120000Z"
PERSONAL = (NIF, GIVEN_NAME, FIRST_SURNAME, "1980")
"""What no error may quote."""

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@cache
def rsa_key(bits: int = 2_048, exponent: int = 65_537, number: int = 0) -> rsa.RSAPrivateKey:
    """Made once a process; ``number`` tells several apart."""
    return rsa.generate_private_key(exponent, bits)


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(curve or ec.SECP256R1())


def name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value, _validate=False) for oid, value in attributes])


def authority_name(common_name: str) -> x509.Name:
    return name(
        (NameOID.COUNTRY_NAME, "ES"),
        (NameOID.ORGANIZATION_NAME, "CIUTAT DE PROVES"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "ATORGA SANDBOX"),
        (NameOID.COMMON_NAME, common_name),
    )


ISSUING_NAME = authority_name("AC SANDBOX 001")
ROOT_NAME = authority_name("AC RAIZ SANDBOX")


def person_name(
    *, number: str = NIF, surname: str = FIRST_SURNAME, given_name: str = GIVEN_NAME, common_name: str = COMMON_NAME
) -> x509.Name:
    return name(
        (NameOID.COUNTRY_NAME, "ES"),
        (NameOID.SERIAL_NUMBER, number),
        (NameOID.SURNAME, surname),
        (NameOID.GIVEN_NAME, given_name),
        (NameOID.COMMON_NAME, common_name),
    )


def usage(*bits: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{bit: bit in bits for bit in names})


@dataclass(frozen=True)
class Issued:
    certificate: x509.Certificate
    key: Key

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


Extensions = Iterable[tuple[x509.ExtensionType, bool]]


def make(
    subject: x509.Name,
    key: Key,
    *,
    issuer: x509.Name,
    signing_key: Key,
    now: float,
    extensions: Extensions,
    begins: timedelta = timedelta(days=-1),
    ends: timedelta = timedelta(days=300),
) -> Issued:
    today = datetime.fromtimestamp(int(now), UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + begins)
        .not_valid_after(today + ends)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return Issued(builder.sign(signing_key, hashes.SHA256()), key)


def authority_extensions(path_length: int | None) -> Extensions:
    return [(x509.BasicConstraints(True, path_length), True), (usage("key_cert_sign", "crl_sign"), True)]


@dataclass(frozen=True)
class CardShape:
    """What a card's certificate says; ``replace`` it to make a wrong one."""

    subject: x509.Name = field(default_factory=person_name)
    usage: x509.KeyUsage | None = field(default_factory=lambda: usage("digital_signature"))
    usage_critical: bool = True
    policies: tuple[str, ...] = (SANDBOX_POLICY,)
    responder: str | None = RESPONDER_URL
    directory: bytes | None = BORN
    more: tuple[tuple[x509.ExtensionType, bool], ...] = ()

    def extensions(self) -> Extensions:
        if self.usage is not None:
            yield self.usage, self.usage_critical
        if self.policies:
            found = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in self.policies]
            yield x509.CertificatePolicies(found), False
        if self.responder is not None:
            location = x509.UniformResourceIdentifier(self.responder)
            access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)
            yield x509.AuthorityInformationAccess([access]), False
        if self.directory is not None:
            yield x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.9"), self.directory), False
        yield from self.more


class Mint:
    def __init__(
        self,
        *,
        issuing_name: x509.Name = ISSUING_NAME,
        root_name: x509.Name = ROOT_NAME,
        issuing_more: Extensions = (),
        issuing_ends: timedelta = timedelta(days=300),
    ) -> None:
        root_key, issuing_key = ec_key(), ec_key()
        self.root = make(
            root_name, root_key, issuer=root_name, signing_key=root_key, now=self.now,
            extensions=authority_extensions(None),
        )  # fmt: skip
        self.issuing = self.authority(issuing_name, key=issuing_key, more=issuing_more, ends=issuing_ends)
        self.responder = self.make_responder()

    @property
    def now(self) -> float:
        """The machine's time as it is asked: one authority serves tests that are minutes apart."""
        return time.time()

    def authority(
        self, subject: x509.Name, *, key: Key | None = None, more: Extensions = (),
        ends: timedelta = timedelta(days=300),
    ) -> Issued:  # fmt: skip
        return make(
            subject, key or ec_key(), issuer=self.root.certificate.subject, signing_key=self.root.key, now=self.now,
            extensions=[*authority_extensions(0), *more], ends=ends,
        )  # fmt: skip

    def card(
        self,
        shape: CardShape | None = None,
        *,
        key: Key | None = None,
        issuer: Issued | None = None,
        begins: timedelta = timedelta(days=-1),
        ends: timedelta = timedelta(days=300),
        **changes: Any,
    ) -> Issued:
        """A card; ``changes`` are members of CardShape."""
        authority = issuer or self.issuing
        made = replace(shape or CardShape(), **changes)
        return make(
            made.subject, key or rsa_key(), issuer=authority.certificate.subject, signing_key=authority.key,
            now=self.now, extensions=made.extensions(), begins=begins, ends=ends,
        )  # fmt: skip

    def make_responder(
        self,
        *,
        issuer: Issued | None = None,
        key: Key | None = None,
        signing: bool = True,
        no_check: bool = True,
        ends: timedelta = timedelta(days=300),
    ) -> Issued:
        authority = issuer or self.issuing
        extensions: list[tuple[x509.ExtensionType, bool]] = [(usage("digital_signature"), True)]
        if signing:
            extensions.append((x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False))
        if no_check:
            extensions.append((x509.OCSPNoCheck(), False))
        return make(
            authority_name("AV SANDBOX"), key or ec_key(), issuer=authority.certificate.subject,
            signing_key=authority.key, now=self.now, extensions=extensions, ends=ends,
        )  # fmt: skip

    def family(self, profile: CardProfile | None = None, **given: Any) -> CardFamily:
        found = {"roots": [self.root.der], "issuing": [self.issuing.der], **given}
        return CardFamily(profile or bundled("sandbox"), **found)

    def verifier(
        self,
        answer: "Answer | None" = None,
        *,
        profile: CardProfile | None = None,
        sandbox: bool = True,
        families: list[CardFamily] | None = None,
        now: float | None = None,
    ) -> CardVerifier:
        return CardVerifier(
            families or [self.family(profile)],
            transport=answer or Answer(self),
            clock=lambda: self.now if now is None else now,
            random=secrets.token_bytes,
            sandbox=sandbox,
        )


@dataclass
class Answer:
    """The responder of a test, and how often it was asked."""

    mint: Mint
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD
    signer: Issued | None = None
    this_update: timedelta = timedelta()
    next_update: timedelta | None = timedelta(minutes=10)
    nonce: bytes | None = None
    with_nonce: bool = True
    serial: int | None = None
    issuer: Issued | None = None
    certificates: bool = True
    change: Callable[[bytes], bytes] = lambda answer: answer
    fault: FetchError | None = None
    asked: list[str] = field(default_factory=list)

    def post(self, url: str, request: bytes) -> bytes:
        self.asked.append(url)
        if self.fault is not None:
            raise self.fault
        return self.change(self.make(ocsp.load_der_ocsp_request(request)))

    def make(self, request: ocsp.OCSPRequest) -> bytes:
        signer = self.signer or self.mint.responder
        now = datetime.fromtimestamp(int(self.mint.now), UTC)
        name_hash, key_hash = request.issuer_name_hash, request.issuer_key_hash
        if self.issuer is not None:
            other = (
                ocsp.OCSPRequestBuilder()
                .add_certificate(self.issuer.certificate, self.issuer.certificate, request.hash_algorithm)
                .build()
            )
            name_hash, key_hash = other.issuer_name_hash, other.issuer_key_hash
        builder = (
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(
                issuer_name_hash=name_hash,
                issuer_key_hash=key_hash,
                serial_number=self.serial or request.serial_number,
                algorithm=request.hash_algorithm,
                cert_status=self.status,
                this_update=now + self.this_update,
                next_update=None if self.next_update is None else now + self.next_update,
                revocation_time=now if self.status == ocsp.OCSPCertStatus.REVOKED else None,
                revocation_reason=None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
        )
        if self.certificates:
            builder = builder.certificates([signer.certificate])
        if self.with_nonce:
            nonce = self.nonce or request.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.sign(signer.key, hashes.SHA256()).public_bytes(Encoding.DER)


def token(card: Issued, *, origin: str = ORIGIN, nonce: str = NONCE, key: Key | None = None) -> dict[str, str]:
    return web_eid.sign_token(origin=origin, nonce=nonce, certificate=card.certificate, private_key=key or card.key)
