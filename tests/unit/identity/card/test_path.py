"""From a certificate to a pinned authority; every shape that must not get there."""

import warnings
from datetime import timedelta

import pytest
from asn1crypto import core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from identity.card.path import CardFamily, VerifiedPath, read_leaf
from identity.card.profile import SANDBOX_POLICY, CardProfile, bundled
from identity.errors import CardError
from tests.unit.identity.card.mint import (
    PERSONAL,
    ROOT_NAME,
    Issued,
    Mint,
    authority_extensions,
    authority_name,
    ec_key,
    make,
    name,
    rsa_key,
    usage,
)

DNIE_POLICY = "2.16.724.1.2.2.2.4"


def verify(mint: Mint, card: Issued, *, family: CardFamily | None = None, at: float | None = None) -> VerifiedPath:
    return (family or mint.family()).verify_path(read_leaf(card.der), at=mint.now if at is None else at)


def refused(mint: Mint, card: Issued, why: str, **how: object) -> None:
    with pytest.raises(CardError, match=why) as caught:
        verify(mint, card, **how)  # type: ignore[arg-type]
    assert not any(value in str(caught.value) for value in PERSONAL)
    assert caught.value.__cause__ is None


def dnie_mint(**more: object) -> Mint:
    dnie = name(
        (NameOID.COUNTRY_NAME, "ES"),
        (NameOID.ORGANIZATION_NAME, "DIRECCION GENERAL DE LA POLICIA"),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "DNIE"),
        (NameOID.COMMON_NAME, "AC DNIE 004"),
    )
    return Mint(issuing_name=dnie, **more)  # type: ignore[arg-type]


def sha1_signed(card: Issued, authority: Issued) -> Issued:
    """The same certificate with an ECDSA-SHA-1 signature, which the library no longer makes."""
    found = asn1_x509.Certificate.load(card.der)
    found["tbs_certificate"]["signature"] = {"algorithm": "sha1_ecdsa"}
    found["signature_algorithm"] = {"algorithm": "sha1_ecdsa"}
    assert isinstance(authority.key, ec.EllipticCurvePrivateKey)
    signature = authority.key.sign(found["tbs_certificate"].dump(force=True), ec.ECDSA(hashes.SHA1()))
    found["signature_value"] = core.OctetBitString(signature)
    return Issued(x509.load_der_x509_certificate(found.dump(force=True)), card.key)


def test_a_path(mint: Mint) -> None:
    found = verify(mint, mint.card())
    assert found.issuer == mint.issuing.certificate
    assert repr(found.leaf) == "Leaf()"


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_cards_with_elliptic_curves(mint: Mint, curve: ec.EllipticCurve) -> None:
    verify(mint, mint.card(key=ec_key(curve)))


def test_expired(mint: Mint) -> None:
    refused(mint, mint.card(ends=timedelta(seconds=-2)), "no valid path")
    card = mint.card(ends=timedelta(days=2))
    verify(mint, card, at=mint.now + 86_400)
    refused(mint, card, "no valid path", at=mint.now + 3 * 86_400)


def test_not_yet_valid(mint: Mint) -> None:
    refused(mint, mint.card(begins=timedelta(seconds=2)), "no valid path")


def test_the_authority_has_expired() -> None:
    mint = Mint(issuing_ends=timedelta(days=1))
    card = mint.card()
    verify(mint, card)
    refused(mint, card, "no valid path", at=mint.now + 2 * 86_400)


def test_a_look_alike_issuer(mint: Mint) -> None:
    """Everything as ours, names included; only the keys are others."""
    refused(mint, Mint().card(), "no valid path")


def test_a_look_alike_under_our_root(mint: Mint) -> None:
    """The root issued it under the right name; it is not one of those we pinned."""
    other = mint.authority(mint.issuing.certificate.subject)
    refused(mint, mint.card(issuer=other), "no valid path")


def test_another_authority_of_the_root(mint: Mint) -> None:
    other = mint.authority(authority_name("AC SANDBOX 002"))
    card = mint.card(issuer=other)
    assert not mint.family().issued(read_leaf(card.der))
    refused(mint, card, "no valid path")


def test_issued_by_the_root_itself(mint: Mint) -> None:
    refused(mint, mint.card(issuer=mint.root), "no valid path|does not lead through")


def test_a_root_that_is_pinned_as_issuing_too() -> None:
    """Then the way is shorter than the profile's, and one certificate stands for both."""
    mint = Mint(root_name=authority_name("AC SANDBOX 001"))
    family = mint.family(issuing=[mint.root.der])
    refused(mint, mint.card(issuer=mint.root), "does not lead through", family=family)


def test_a_citizen_as_an_authority(mint: Mint) -> None:
    citizen = mint.card()
    made = make(
        authority_name("X"), ec_key(), issuer=citizen.certificate.subject, signing_key=citizen.key, now=mint.now,
        extensions=[(usage("digital_signature"), True)],
    )  # fmt: skip
    refused(mint, made, "no valid path")


def test_a_citizen_whose_name_is_an_authority_s(mint: Mint) -> None:
    citizen = mint.card(subject=mint.issuing.certificate.subject)
    refused(mint, mint.card(issuer=citizen), "no valid path")


def test_an_authority_as_a_citizen(mint: Mint) -> None:
    refused(mint, mint.card(more=((x509.BasicConstraints(True, 0), True),)), "belongs to an authority")
    verify(mint, mint.card(more=((x509.BasicConstraints(False, None), True),)))


@pytest.mark.parametrize(
    "bits",
    [
        ("content_commitment",),
        ("digital_signature", "content_commitment"),
        ("digital_signature", "key_encipherment"),
        ("digital_signature", "key_cert_sign"),
        ("key_agreement",),
        (),
    ],
)
def test_a_firma_key_and_other_uses(mint: Mint, bits: tuple[str, ...]) -> None:
    refused(mint, mint.card(usage=usage(*bits)), "key usage is not exactly digitalSignature")


def test_no_key_usage(mint: Mint) -> None:
    refused(mint, mint.card(usage=None), "does not say what its key may do")


def test_key_usage_that_may_be_ignored(mint: Mint) -> None:
    refused(mint, mint.card(usage_critical=False), "no valid path")


@pytest.mark.parametrize(
    ("purposes", "good"),
    [
        ([ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.EMAIL_PROTECTION, ExtendedKeyUsageOID.CLIENT_AUTH], True),
        ([ExtendedKeyUsageOID.OCSP_SIGNING], False),
        ([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CODE_SIGNING], False),
    ],
)
@pytest.mark.parametrize("critical", [True, False])
def test_extended_key_usage(mint: Mint, purposes: list[x509.ObjectIdentifier], good: bool, critical: bool) -> None:
    card = mint.card(more=((x509.ExtendedKeyUsage(purposes), critical),))
    if good:
        verify(mint, card)
    else:
        refused(mint, card, "no valid path|not for logging in")


@pytest.mark.parametrize("policies", [(), ("2.5.29.32.0",), (DNIE_POLICY,), ("2.16.724.1.2.2.2.3",), ("1.2.3",)])
def test_another_policy(mint: Mint, policies: tuple[str, ...]) -> None:
    refused(mint, mint.card(policies=policies), "not issued under a policy of 'sandbox'")


def test_the_real_profile() -> None:
    mint = dnie_mint()
    dnie = mint.family(bundled("dnie"))
    verify(mint, mint.card(policies=(DNIE_POLICY,)), family=dnie)
    refused(mint, mint.card(policies=("2.16.724.1.2.2.2.3",)), "not issued under a policy of 'dnie'", family=dnie)


def test_the_real_profile_refuses_what_the_sandbox_marks() -> None:
    mint = dnie_mint()
    dnie = mint.family(bundled("dnie"))
    refused(mint, mint.card(policies=(SANDBOX_POLICY,)), "not issued under a policy of 'dnie'", family=dnie)
    refused(mint, mint.card(policies=(DNIE_POLICY, SANDBOX_POLICY)), "of a sandbox", family=dnie)


def test_the_real_profile_refuses_an_authority_of_the_sandbox() -> None:
    marked = x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier(SANDBOX_POLICY), None)])
    mint = dnie_mint(issuing_more=[(marked, False)])
    refused(mint, mint.card(policies=(DNIE_POLICY,)), "of a sandbox", family=mint.family(bundled("dnie")))


@pytest.mark.parametrize(
    ("bits", "exponent", "why"), [(1_024, 65_537, "1024 bits"), (2_048, 3, "exponent 3"), (1_536, 65_537, "1536 bits")]
)
def test_weak_keys(mint: Mint, bits: int, exponent: int, why: str) -> None:
    refused(mint, mint.card(key=rsa_key(bits, exponent)), why)


def test_sha1(mint: Mint) -> None:
    card = sha1_signed(mint.card(), mint.issuing)
    refused(mint, card, "another hash than SHA-256")


def test_an_unknown_critical_extension(mint: Mint) -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    refused(mint, mint.card(more=((unknown, True),)), "no valid path")
    verify(mint, mint.card(more=((unknown, False),)))


def test_an_extension_that_cannot_be_read(mint: Mint) -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x05\x00")
    with pytest.raises(CardError, match=r"cannot be read|not one X\.509"):
        read_leaf(mint.card(more=((broken, False),)).der)


def of_an_unknown_algorithm(card: Issued) -> bytes:
    """rsaEncryption becomes an algorithm of the same family that does not exist."""
    der = card.der.replace(bytes.fromhex("06092a864886f70d010101"), bytes.fromhex("06092a864886f70d01017f"))
    assert der != card.der
    return der


def test_a_key_of_an_unknown_algorithm(mint: Mint) -> None:
    with pytest.raises(CardError, match="the key cannot be read"):
        read_leaf(of_an_unknown_algorithm(mint.card()))
    with pytest.raises(CardError, match="the key cannot be read"):
        mint.family(roots=[of_an_unknown_algorithm(mint.card())])


def test_an_extension_twice(mint: Mint) -> None:
    der = mint.card(more=((x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.36"), b"\x30\x00"), False),)).der
    # inhibit… becomes a second key usage: 2.5.29.36 → 2.5.29.15
    twice = der.replace(b"\x06\x03\x55\x1d\x24", b"\x06\x03\x55\x1d\x0f")
    assert twice != der
    with pytest.raises(CardError, match=r"not one X\.509"):
        read_leaf(twice)


def test_what_is_no_certificate(mint: Mint) -> None:
    der = mint.card().der
    for wrong in (b"", b"\x30\x00", der[:-1], der + b"\0", der[: len(der) // 2], bytes(64), b"\x30\x80" + der[4:]):
        with pytest.raises(CardError, match=r"not one X\.509"):
            read_leaf(wrong)
    with pytest.raises(CardError, match="at most 8192"):
        read_leaf(der + bytes(8_192))


def test_a_certificate_in_other_words(mint: Mint) -> None:
    """The count of unused bits of the signature is covered by nothing."""
    while (card := mint.card(key=ec_key())).certificate.signature[-1] & 1:
        pass
    head = b"\0" + card.certificate.signature
    other = card.der.removesuffix(head) + b"\1" + card.certificate.signature
    x509.load_der_x509_certificate(other)
    with pytest.raises(CardError, match="whole number of octets"):
        read_leaf(other)


def test_a_certificate_of_version_1(mint: Mint) -> None:
    found = asn1_x509.Certificate.load(mint.card().der)
    tbs = found["tbs_certificate"]
    tbs["version"] = "v1"
    del tbs["extensions"]
    with pytest.raises(CardError):
        read_leaf(found.dump(force=True))


def test_a_common_name_of_90_characters(mint: Mint) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        verify(mint, mint.card(subject=name((NameOID.COMMON_NAME, "X" * 90))))


# Families


def profile() -> CardProfile:
    return bundled("sandbox")


def test_a_family_needs_both(mint: Mint) -> None:
    with pytest.raises(CardError, match="at least one root and one issuing"):
        mint.family(roots=[])
    with pytest.raises(CardError, match="at least one root and one issuing"):
        mint.family(issuing=[])


def test_an_authority_of_another_name(mint: Mint) -> None:
    with pytest.raises(CardError, match="not one of the profile's issuers"):
        mint.family(bundled("dnie"))


@pytest.mark.parametrize(
    "subject",
    [
        authority_name("AC SANDBOX 002"),
        name((NameOID.COMMON_NAME, "AC SANDBOX 001")),
        name((NameOID.COUNTRY_NAME, "ES"), (NameOID.COUNTRY_NAME, "ES"), (NameOID.COMMON_NAME, "AC SANDBOX 001")),
    ],
)
def test_names_that_are_nearly_an_issuer_s(mint: Mint, subject: x509.Name) -> None:
    with pytest.raises(CardError, match="not one of the profile's issuers"):
        mint.family(issuing=[mint.authority(subject).der])


def test_a_weak_authority(mint: Mint) -> None:
    weak = mint.authority(mint.issuing.certificate.subject, key=rsa_key(1_024))
    with pytest.raises(CardError, match="1024 bits"):
        mint.family(issuing=[weak.der])
    with pytest.raises(CardError, match="1024 bits"):
        mint.family(roots=[weak.der])


def test_a_citizen_configured_as_an_authority(mint: Mint) -> None:
    with pytest.raises(CardError, match="not an authority's"):
        mint.family(issuing=[mint.card(subject=mint.issuing.certificate.subject).der])


def test_an_authority_that_may_not_sign_certificates(mint: Mint) -> None:
    made = make(
        mint.issuing.certificate.subject, ec_key(), issuer=ROOT_NAME, signing_key=mint.root.key, now=mint.now,
        extensions=[(x509.BasicConstraints(True, 0), True), (usage("digital_signature"), True)],
    )  # fmt: skip
    refused(mint, mint.card(issuer=made), "no valid path", family=mint.family(issuing=[made.der]))


def test_an_authority_below_an_authority(mint: Mint) -> None:
    """Path length 0: ours issues cards, not authorities."""
    below = make(
        mint.issuing.certificate.subject, ec_key(), issuer=mint.issuing.certificate.subject,
        signing_key=mint.issuing.key, now=mint.now, extensions=authority_extensions(0),
    )  # fmt: skip
    refused(mint, mint.card(issuer=below), "no valid path", family=mint.family(issuing=[mint.issuing.der, below.der]))


def test_pem(mint: Mint) -> None:
    roots = mint.root.certificate.public_bytes(Encoding.PEM)
    issuing = mint.issuing.certificate.public_bytes(Encoding.PEM)
    family = CardFamily.from_pem(profile(), roots=roots, issuing=issuing * 2)
    verify(mint, mint.card(), family=family)
    for wrong in (b"", b"x", issuing[:-40]):
        with pytest.raises(CardError, match="not certificates in PEM"):
            CardFamily.from_pem(profile(), roots=roots, issuing=wrong)
