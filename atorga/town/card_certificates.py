"""The certificates of the sandbox's cards, shaped like the DNIe's; pure functions, no files.

    root ── issuing authority (path length 0) ─┬─ a person's authentication certificate
                                               ├─ the same person's firma certificate
                                               └─ who signs OCSP answers

As on the DNIe: subject C, serialNumber, SN (first surname), GN, CN with both surnames, C and
serialNumber as PrintableString and the rest UTF8String; QCStatements in both certificates, so that
only key usage and policy tell them apart; date of birth among the subjectDirectoryAttributes; no
subjectAltName, no CRL address. Not as on the DNIe: the policy is the sandbox's.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from identity.card.holder import nif_letter
from identity.card.profile import SANDBOX_POLICY

RSA_BITS = 2_048
VALIDITY = timedelta(days=365)
BACKDATED = timedelta(minutes=5)
"""Clocks of the processes that read them may be behind ours."""


def _authority_name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "ES"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "CIUTAT DE PROVES"),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "ATORGA SANDBOX"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


ROOT_NAME = _authority_name("AC RAIZ SANDBOX")
ISSUING_NAME = _authority_name("AC SANDBOX 001")
"""As in ``identity/card/profiles/sandbox.toml``."""
RESPONDER_NAME = _authority_name("AV SANDBOX")

_QC_STATEMENTS = bytes.fromhex("30143008060604008e4601013008060604008e460104")
"""ETSI EN 319 412-5: QcCompliance and QcSSCD."""

_BIRTH_DATE_HEAD = bytes.fromhex("301f301d06082b060105050709013111180f")
"""RFC 3739 section 3.2.2: one attribute, dateOfBirth, in front of its GeneralizedTime of 15 characters."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who a card is made for; its text form hides them."""

    nif: str = field(repr=False)
    given_name: str = field(repr=False)
    surname1: str = field(repr=False)
    surname2: str | None = field(repr=False)
    birth_date: date = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.nif) != 9 or nif_letter(self.nif[:8]) != self.nif[8]:
            raise ValueError("a NIF has eight digits and the letter that belongs to them")

    def subject(self, ending: str) -> x509.Name:
        surnames = self.surname1 if self.surname2 is None else f"{self.surname1} {self.surname2}"
        return x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "ES"),
                x509.NameAttribute(NameOID.SERIAL_NUMBER, self.nif),
                x509.NameAttribute(NameOID.SURNAME, self.surname1),
                x509.NameAttribute(NameOID.GIVEN_NAME, self.given_name),
                # Longer than the 64 characters of RFC 5280, as the DNIe's often is.
                x509.NameAttribute(NameOID.COMMON_NAME, f"{surnames}, {self.given_name} ({ending})", _validate=False),
            ]
        )


def root_certificate(key: rsa.RSAPrivateKey, *, now: datetime) -> x509.Certificate:
    return _authority(ROOT_NAME, ROOT_NAME, key, key, path_length=None, now=now)


def issuing_certificate(key: rsa.RSAPrivateKey, *, root_key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    return _authority(ISSUING_NAME, ROOT_NAME, key, root_key, path_length=0, now=now)


def person_certificate(
    person: Person, key: rsa.RSAPrivateKey, *, firma: bool, issuing_key: rsa.RSAPrivateKey, ocsp_url: str, now: datetime
) -> x509.Certificate:
    """For logging in, or for signing documents (``firma``)."""
    noon = datetime(person.birth_date.year, person.birth_date.month, person.birth_date.day, 12, tzinfo=UTC)
    responder = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url))
    born = _BIRTH_DATE_HEAD + noon.strftime("%Y%m%d%H%M%SZ").encode("ascii")
    return (
        _builder(person.subject("FIRMA" if firma else "AUTENTICACIÓN"), ISSUING_NAME, key, issuing_key, now=now)
        .add_extension(_usage(digital_signature=not firma, content_commitment=firma), critical=True)
        .add_extension(
            x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(SANDBOX_POLICY), None)]),
            critical=False,
        )
        .add_extension(x509.AuthorityInformationAccess([responder]), critical=False)
        .add_extension(_opaque("2.5.29.9", born), critical=False)
        .add_extension(_opaque("1.3.6.1.5.5.7.1.3", _QC_STATEMENTS), critical=False)
        .sign(issuing_key, hashes.SHA256())
    )


def responder_certificate(key: rsa.RSAPrivateKey, *, issuing_key: rsa.RSAPrivateKey, now: datetime) -> x509.Certificate:
    return (
        _builder(RESPONDER_NAME, ISSUING_NAME, key, issuing_key, now=now)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        .add_extension(x509.OCSPNoCheck(), critical=False)
        .sign(issuing_key, hashes.SHA256())
    )


def _authority(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signing_key: rsa.RSAPrivateKey,
    *,
    path_length: int | None,
    now: datetime,
) -> x509.Certificate:
    return (
        _builder(subject, issuer, key, signing_key, now=now)
        .add_extension(x509.BasicConstraints(True, path_length), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .sign(signing_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: rsa.RSAPrivateKey,
    signing_key: rsa.RSAPrivateKey,
    *,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signing_key.public_key()), critical=False)
    )


def _usage(**bits: bool) -> x509.KeyUsage:
    none = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False
    )  # fmt: skip
    return x509.KeyUsage(**{**none, **bits})


def _opaque(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
