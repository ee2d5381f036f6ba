"""From a certificate that a token brought to one of the issuing authorities we pinned.

What is checked, in this order:

1. The DER is one certificate that can be read to its end.
2. Its issuer's name is one of the family's; that is how the family is found.
3. The key of every certificate on the way is strong enough, and SHA-2 signed it.
4. RFC 5280 path validation (signatures, dates, basic constraints, critical extensions) to a root of
   the family, through an issuing authority of the family: exactly one of the certificates given by
   configuration. No address in a certificate is ever followed to find another.
5. The certificate is no authority, is for this one use (key usage, extended key usage) and has the
   family's policy.
6. The sandbox's policy stands in none, unless the family is the sandbox's.

Left to the caller: who signed the token, and whether the certificate was revoked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import verification

from identity.card.key_floor import strong_key
from identity.card.profile import SANDBOX_POLICY, CardProfile, IssuerName
from identity.errors import CardError
from identity.keys.public_key import PublicKey

MAX_CERTIFICATE_BYTES = 8_192
"""A DNIe certificate with its biometric hashes has 2 KiB."""

_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_WHAT = "card certificate"

_CALLS = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}
"""RFC 5280 names of the key usages, and the library's."""

_UNREADABLE = (
    ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)  # fmt: skip
"""What the library raises on certificates that are wrong in one way or another."""

_Kind = TypeVar("_Kind", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate read to its end; nothing of it is proven."""

    certificate: x509.Certificate
    key: PublicKey
    policies: frozenset[str]
    key_usage: frozenset[str]
    extended_key_usage: frozenset[str] | None
    is_authority: bool

    def __repr__(self) -> str:
        return "Leaf()"


@dataclass(frozen=True, slots=True)
class VerifiedPath:
    """What ``CardFamily.verify_path`` returns and nothing else makes."""

    leaf: Leaf
    issuer: x509.Certificate


class CardFamily:
    """A profile and the authorities that this installation pins for it."""

    def __init__(self, profile: CardProfile, *, roots: Sequence[bytes], issuing: Sequence[bytes]) -> None:
        """``roots`` and ``issuing`` are DER. Raises CardError where they contradict the profile."""
        what = f"card family {profile.id!r}"
        if not roots or not issuing:
            raise CardError(f"{what}: at least one root and one issuing authority are needed")
        self.profile = profile
        self._roots = [_authority(der, what=f"{what}: root") for der in roots]
        self._issuing = [_authority(der, what=f"{what}: issuing authority") for der in issuing]
        for certificate in self._issuing:
            if name_of(certificate.issuer) is None or name_of(certificate.subject) not in profile.issuers:
                raise CardError(f"{what}: an issuing authority whose name is not one of the profile's issuers")
        self._pinned = frozenset(certificate.public_bytes(Encoding.DER) for certificate in self._issuing)
        self._subjects = frozenset(certificate.subject for certificate in self._issuing)

    @classmethod
    def from_pem(cls, profile: CardProfile, *, roots: bytes, issuing: bytes) -> "CardFamily":
        """The same from two PEM files with one or more certificates each. Raises CardError."""
        return cls(profile, roots=_from_pem(roots, profile), issuing=_from_pem(issuing, profile))

    def issued(self, leaf: Leaf) -> bool:
        """Whether the certificate *names* one of our authorities as its issuer; whether it is so is the path's."""
        return leaf.certificate.issuer in self._subjects

    def verify_path(self, leaf: Leaf, *, at: float) -> VerifiedPath:
        """``at`` is seconds since 1970. Raises CardError."""
        # 3: the authorities' keys were looked at when they were configured
        if not isinstance(leaf.certificate.signature_hash_algorithm, _HASHES):
            raise CardError(f"{_WHAT}: signed with another hash than SHA-256, SHA-384 or SHA-512")
        # 4
        issuer = self._issuer_on_path(leaf, at=at)
        # 5
        self._require_use(leaf)
        # 6
        if not self.profile.sandbox and SANDBOX_POLICY in leaf.policies | policies_of(issuer):
            raise CardError(f"{_WHAT}: of a sandbox")
        return VerifiedPath(leaf, issuer)

    def _issuer_on_path(self, leaf: Leaf, *, at: float) -> x509.Certificate:
        verifier = (
            verification.PolicyBuilder()
            .store(verification.Store(self._roots))
            .time(datetime.fromtimestamp(int(at), UTC))
            .max_chain_depth(1)
            .extension_policies(ca_policy=verification.ExtensionPolicy.webpki_defaults_ca(), ee_policy=_leaf_policy())
            .build_client_verifier()
        )
        try:
            chain = verifier.verify(leaf.certificate, self._issuing).chain
        except (verification.VerificationError, ValueError):
            # Its text names the certificate's subject.
            raise CardError(
                f"{_WHAT}: no valid path to an authority of {self.profile.id!r}: "
                "issuer, signature, dates or extensions do not fit"
            ) from None
        if len(chain) != 3 or chain[1].public_bytes(Encoding.DER) not in self._pinned:
            raise CardError(f"{_WHAT}: its path does not lead through an issuing authority of {self.profile.id!r}")
        return chain[1]

    def _require_use(self, leaf: Leaf) -> None:
        if leaf.is_authority:
            raise CardError(f"{_WHAT}: belongs to an authority, expected a person's")
        if leaf.key_usage != self.profile.key_usage:
            # The firma key among them: what it signs binds like ink, and it logs nobody in.
            raise CardError(f"{_WHAT}: key usage is not exactly {', '.join(sorted(self.profile.key_usage))}")
        if leaf.extended_key_usage is not None and not leaf.extended_key_usage & self.profile.extended_key_usage:
            raise CardError(f"{_WHAT}: extended key usage is not for logging in")
        if not leaf.policies & self.profile.policies:
            raise CardError(f"{_WHAT}: not issued under a policy of {self.profile.id!r}")


def read_leaf(der: bytes) -> Leaf:
    """Reads everything we will use now, so that a fault shows here and as ours. Raises CardError."""
    certificate = _load(der, what=_WHAT)
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
        extended = _extension(certificate, x509.ExtendedKeyUsage)
        constraints = _extension(certificate, x509.BasicConstraints)
        leaf = Leaf(
            certificate=certificate,
            key=strong_key(certificate.public_key(), what=_WHAT),
            policies=policies_of(certificate),
            key_usage=frozenset(name for name, call in _CALLS.items() if getattr(usage.value, call)),
            extended_key_usage=None if extended is None else frozenset(item.dotted_string for item in extended),
            is_authority=constraints is not None and constraints.ca,
        )
    except x509.ExtensionNotFound:
        raise CardError(f"{_WHAT}: does not say what its key may do") from None
    except _UNREADABLE:
        raise CardError(f"{_WHAT}: an extension or the key cannot be read") from None
    return leaf


def policies_of(certificate: x509.Certificate) -> frozenset[str]:
    found = _extension(certificate, x509.CertificatePolicies)
    return frozenset() if found is None else frozenset(item.policy_identifier.dotted_string for item in found)


def name_of(name: x509.Name) -> IssuerName | None:
    """The attributes of an authority's name; None where one stands twice, or two in one place."""
    attributes = [
        (attribute.oid.dotted_string, attribute.value)
        for rdn in name.rdns
        for attribute in rdn
        if len(rdn) == 1 and isinstance(attribute.value, str)
    ]
    if len(attributes) != len(name.rdns) or len({oid for oid, _ in attributes}) != len(attributes):
        return None
    return frozenset((oid, str(value)) for oid, value in attributes)


def _extension(certificate: x509.Certificate, kind: type[_Kind]) -> _Kind | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _leaf_policy() -> verification.ExtensionPolicy:
    """What path validation asks of a person's certificate.

    The library's own policy wants a subjectAltName, which no DNIe has. Here the key usage must be
    critical; policies may be; what else is critical and not known to the library refuses.
    """
    critical, either = verification.Criticality.CRITICAL, verification.Criticality.AGNOSTIC
    return (
        verification.ExtensionPolicy.permit_all()
        .require_present(x509.KeyUsage, critical, None)
        .may_be_present(x509.CertificatePolicies, either, None)
        .may_be_present(x509.ExtendedKeyUsage, either, None)
    )


def _authority(der: bytes, *, what: str) -> x509.Certificate:
    certificate = _load(der, what=what)
    try:
        strong_key(certificate.public_key(), what=what)
        constraints = _extension(certificate, x509.BasicConstraints)
    except _UNREADABLE:
        raise CardError(f"{what}: an extension or the key cannot be read") from None
    if constraints is None or not constraints.ca:
        raise CardError(f"{what}: the certificate is not an authority's")
    return certificate


def _load(der: bytes, *, what: str) -> x509.Certificate:
    if len(der) > MAX_CERTIFICATE_BYTES:
        raise CardError(f"{what}: {len(der)} bytes, at most {MAX_CERTIFICATE_BYTES} are read")
    try:
        certificate = x509.load_der_x509_certificate(der)
        # Read lazily by the library; a fault shall show now.
        _ = certificate.extensions, certificate.subject, certificate.issuer, certificate.signature_hash_algorithm
    except _UNREADABLE:
        raise CardError(f"{what}: not one X.509 certificate in DER") from None
    if not der.endswith(b"\0" + certificate.signature):
        # No signature covers the count of unused bits before it: one certificate would have eight spellings.
        raise CardError(f"{what}: its signature is not a whole number of octets")
    return certificate


def _from_pem(pem: bytes, profile: CardProfile) -> list[bytes]:
    try:
        return [certificate.public_bytes(Encoding.DER) for certificate in x509.load_pem_x509_certificates(pem)]
    except ValueError:
        raise CardError(f"card family {profile.id!r}: not certificates in PEM") from None
