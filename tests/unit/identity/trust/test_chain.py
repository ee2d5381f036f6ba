"""Every way in which a path of certificates can be wrong."""

import base64
import subprocess
import sys

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from identity.errors import TrustError
from identity.trust import chain as path
from identity.trust.chain import (
    anchors_from_pem,
    certificate_hash,
    format_x5c,
    read_x5c,
    require_strong_key,
    verify_chain,
)
from tests.unit.identity.trust.conftest import DAY, NOW, Certified, PrivateKey, key_usage

ROOT = Certified("root", ca=True)
CA = Certified("authority", by=ROOT, ca=True)
LEAF = Certified(by=CA, uris=["https://a.example/x"], dns_names=["Host.example"])
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def check(*chain: Certified, anchors: tuple[Certified, ...] = (ROOT,), at: int = NOW) -> path.VerifiedChain:
    return verify_chain([one.der for one in chain], [one.der for one in anchors], at=at)


def refused(reason: str, *chain: Certified, anchors: tuple[Certified, ...] = (ROOT,), at: int = NOW) -> None:
    with pytest.raises(TrustError, match=reason) as fault:
        check(*chain, anchors=anchors, at=at)
    assert "<Name" not in str(fault.value)


def test_what_a_good_path_says() -> None:
    verified = check(LEAF, CA)
    assert verified.key == LEAF.signer.public_key
    assert verified.leaf == LEAF.certificate
    assert verified.x5t == LEAF.x5t == certificate_hash(LEAF.der)
    assert verified.uris == ("https://a.example/x",)
    assert verified.dns_names == ("host.example",)
    assert (verified.valid_from, verified.valid_to) == (NOW - 10 * DAY, NOW + 10 * DAY)


def test_validity_is_that_of_the_whole_path() -> None:
    short = Certified("short", by=ROOT, ca=True, valid=(-1, 1))
    verified = check(Certified(by=short), short)
    assert (verified.valid_from, verified.valid_to) == (NOW - DAY, NOW + DAY)


def test_key_usage_of_an_authority() -> None:
    ca = Certified("authority", by=ROOT, ca=True, extensions=[key_usage(certify=True)])
    check(Certified(by=ca, constraints=False), ca)


def test_root_may_certify_directly_and_names_may_be_absent() -> None:
    verified = check(Certified(by=ROOT))
    assert verified.uris == verified.dns_names == ()


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_other_curves(curve: ec.EllipticCurve) -> None:
    check(Certified(by=CA, key=ec.generate_private_key(curve)), CA)


def test_rsa_of_2048_bits() -> None:
    key = rsa.generate_private_key(65_537, 2_048)
    ca = Certified("rsa", by=ROOT, ca=True, key=key)
    check(Certified(by=ca), ca)


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65_537, 1_024),
        rsa.generate_private_key(3, 2_048),
        ec.generate_private_key(ec.SECP224R1()),
        ec.generate_private_key(ec.SECP256K1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
    ids=["rsa-1024", "exponent-3", "p-224", "secp256k1", "ed25519"],
)
def test_weak_key_anywhere(key: PrivateKey) -> None:
    refused("weaker", Certified(by=CA, key=key), CA)
    ca = Certified("weak", by=ROOT, ca=True, key=key)
    refused("weaker", Certified(by=ca), ca)
    root = Certified("weak root", ca=True, key=key)
    refused("weaker", Certified(by=root), anchors=(root,))
    with pytest.raises(TrustError):
        require_strong_key(key.public_key())


def test_unknown_authority_and_look_alike() -> None:
    stranger = Certified("root", ca=True)
    refused("certificate chain", LEAF, CA, anchors=(stranger,))
    imposter = Certified("authority", by=stranger, ca=True)
    refused("certificate chain", Certified(by=imposter), imposter)
    refused("certificate chain", Certified(by=imposter), CA)


def test_authority_missing() -> None:
    refused("certificate chain", LEAF)


@pytest.mark.parametrize("at", [NOW - 11 * DAY, NOW + 11 * DAY])
def test_dates(at: int) -> None:
    refused("not valid at validation time", LEAF, CA, at=at)


@pytest.mark.parametrize("valid", [(-10.0, -1.0), (1.0, 10.0)])
def test_dates_of_each_certificate(valid: tuple[float, float]) -> None:
    refused("not valid at", Certified(by=CA, valid=valid), CA)
    ca = Certified("authority", by=ROOT, ca=True, valid=valid)
    refused("not valid at", Certified(by=ca), ca)
    root = Certified("root", ca=True, valid=valid)
    refused("not valid at", Certified(by=root), anchors=(root,))


def test_only_authorities_certify() -> None:
    for impostor in (Certified("leaf", by=ROOT), Certified("leaf", by=ROOT, constraints=False)):
        refused("asicConstraints", Certified(by=impostor), impostor)
    no_sign = Certified("no certSign", by=ROOT, ca=True, extensions=[key_usage(sign=True)])
    refused("not certSign", Certified(by=no_sign), no_sign)
    leaf_root = Certified("leaf root")
    refused("asicConstraints", Certified(by=leaf_root), anchors=(leaf_root,))


def test_path_length() -> None:
    last = Certified("last", by=ROOT, ca=True, path_length=0)
    below = Certified("below", by=last, ca=True)
    check(Certified(by=last), last)
    refused("path length", Certified(by=below), below, last)
    root = Certified("short root", ca=True, path_length=0)
    ca = Certified("authority", by=root, ca=True)
    refused("path length", Certified(by=ca), ca, anchors=(root,))


def test_signer_is_no_authority_and_may_sign() -> None:
    refused("is one of an authority", CA)
    refused("not digitalSignature", Certified(by=CA, extensions=[key_usage(certify=True)]), CA)
    check(Certified(by=CA, extensions=[key_usage(sign=True)]), CA)
    check(Certified(by=CA, extensions=[(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), False)]), CA)


def test_self_signed_signer_is_refused_even_as_anchor() -> None:
    alone = Certified("alone")
    refused("carries its own anchor", alone, anchors=(alone, ROOT))
    refused("self-signed", alone)


def test_anchor_is_not_in_the_chain() -> None:
    refused("carries its own anchor", LEAF, CA, ROOT)
    refused("carries its own anchor", LEAF, CA, anchors=(ROOT, CA))
    # An authority that is itself the anchor needs no chain above it.
    check(LEAF, anchors=(CA,))


def test_unknown_critical_extension() -> None:
    refused("critical", Certified(by=CA, extensions=[(UNKNOWN, True)]), CA)
    ca = Certified("authority", by=ROOT, ca=True, extensions=[(UNKNOWN, True)])
    refused("critical", Certified(by=ca), ca)
    check(Certified(by=CA, extensions=[(UNKNOWN, False)]), CA)
    policy = x509.CertificatePolicies([x509.PolicyInformation(ObjectIdentifier("1.2.3"), None)])
    refused("critical", Certified(by=CA, extensions=[(policy, True)]), CA)


def test_name_constraints_hold_or_refuse() -> None:
    hosts = (x509.NameConstraints([x509.DNSName("good.example")], None), True)
    ca = Certified("authority", by=ROOT, ca=True, extensions=[hosts])
    check(Certified(by=ca, dns_names=["x.good.example"]), ca)
    refused("name constraint", Certified(by=ca, dns_names=["x.bad.example"]), ca)
    addresses = (x509.NameConstraints([x509.UniformResourceIdentifier(".good.example")], None), True)
    ca = Certified("authority", by=ROOT, ca=True, extensions=[addresses])
    refused("name constraint", Certified(by=ca, uris=["https://bad.example/"]), ca)


def test_order_and_unused_certificates() -> None:
    sub = Certified("sub", by=CA, ca=True)
    leaf = Certified(by=sub)
    check(leaf, sub, CA)
    refused("not in order", leaf, CA, sub)
    other = Certified("other", by=ROOT, ca=True)
    refused("not in order", LEAF, CA, other)
    refused("not in order", LEAF, CA, CA)


def test_limits_of_length() -> None:
    chain = [Certified("1", by=ROOT, ca=True)]
    for name in ("2", "3"):
        chain.insert(0, Certified(name, by=chain[0], ca=True))
    check(Certified(by=chain[0]), *chain)
    chain.insert(0, Certified("4", by=chain[0], ca=True))
    refused("5 certificates", Certified(by=chain[0]), *chain)
    refused("0 certificates")
    refused("0 anchors", LEAF, CA, anchors=())
    refused("65 anchors", LEAF, CA, anchors=(ROOT,) * 65)


def test_size_and_form() -> None:
    large = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x04\x82\x10\x00" + bytes(4096))
    refused("at most 4096", Certified(by=CA, extensions=[(large, False)]), CA)
    for der in (b"", b"\x30\x00", LEAF.der[:-1], LEAF.der + b"\x00"):
        with pytest.raises(TrustError, match="cannot be read"):
            verify_chain([der, CA.der], [ROOT.der], at=NOW)
        with pytest.raises(TrustError, match="anchor"):
            verify_chain([LEAF.der, CA.der], [der], at=NOW)


def test_flipped_signature() -> None:
    der = bytearray(LEAF.der)
    der[-1] ^= 1
    with pytest.raises(TrustError):
        verify_chain([bytes(der), CA.der], [ROOT.der], at=NOW)


def test_certificate_has_one_spelling() -> None:
    """A signature that ends in a zero bit would also verify with that bit declared unused."""
    leaf = Certified(by=CA)
    while leaf.der[-1] & 1:
        leaf = Certified(by=CA)
    der = bytearray(leaf.der)
    count = len(der) - len(leaf.certificate.signature) - 1
    assert der[count] == 0
    der[count] = 1
    with pytest.raises(TrustError, match="whole bytes"):
        verify_chain([bytes(der), CA.der], [ROOT.der], at=NOW)


def test_x5c_round_trip() -> None:
    chain = [LEAF.der, CA.der]
    assert read_x5c({"x5c": format_x5c(chain)}) == chain


ENTRY = base64.b64encode(LEAF.der).decode()


@pytest.mark.parametrize(
    "value",
    [
        None,
        ENTRY,
        [],
        [ENTRY] * 5,
        [1],
        [""],
        ["AA"],
        [f"{ENTRY}\n"],
        [f" {ENTRY}"],
        ["AB=="],
        ["-_-_"],
        ["é===" * 4],
        ["A" * 6_000],
    ],
)
def test_x5c_form_refused(value: object) -> None:
    with pytest.raises(TrustError, match="x5c"):
        read_x5c({} if value is None else {"x5c": value})


def test_anchors_of_a_file() -> None:
    assert anchors_from_pem(b"# roots\n" + ROOT.pem + b"\n# another\n" + CA.pem) == (ROOT.der, CA.der)


@pytest.mark.parametrize(
    "pem",
    [b"", b"nothing", LEAF.pem, Certified("x", constraints=False).pem, ROOT.pem + b"x" * path.MAX_ANCHORS_PEM_BYTES],
    ids=["empty", "text", "signer", "without-constraints", "large"],
)
def test_no_anchors(pem: bytes) -> None:
    with pytest.raises(TrustError, match="anchor"):
        anchors_from_pem(pem)


def test_importing_stays_light() -> None:
    program = "import sys, identity.trust.issuers, identity.trust.reader, identity.trust.verifiers; "
    program += "print([m for m in ('cryptography.x509', 'httpx', 'fastapi') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True).stdout.strip() == "[]"
