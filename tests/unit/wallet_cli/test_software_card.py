"""Which key of a card may log in: decided by its certificate, never by its name."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID

from wallet_cli.card import software_card
from wallet_cli.errors import CardRefused

PIN = b"73519462"


def card_file(
    path: Path, *, signature: bool, non_repudiation: bool, usage: bool = True, label: bytes = b"auth"
) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "TEST CARD")])
    start = datetime(2026, 1, 1, tzinfo=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=3650))
    )
    if usage:
        bits = dict.fromkeys(
            ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign", "encipher_only",
             "decipher_only"), False
        )  # fmt: skip
        builder = builder.add_extension(
            x509.KeyUsage(digital_signature=signature, content_commitment=non_repudiation, **bits), critical=True
        )
    certificate = builder.sign(key, hashes.SHA256())
    path.write_bytes(pkcs12.serialize_key_and_certificates(label, key, certificate, None, BestAvailableEncryption(PIN)))
    return path


def test_the_login_key_is_taken(tmp_path: Path) -> None:
    card = software_card.read(card_file(tmp_path / "c", signature=True, non_repudiation=False, label=b"CertFirma"), PIN)
    assert card.certificate.public_key() == card.key.public_key()


@pytest.mark.parametrize(
    "usage",
    [
        {"signature": False, "non_repudiation": True},
        {"signature": True, "non_repudiation": True},
        {"signature": False, "non_repudiation": False},
        {"signature": True, "non_repudiation": False, "usage": False},
    ],
)
def test_a_key_for_documents_never_logs_in(tmp_path: Path, usage: dict[str, bool]) -> None:
    path = card_file(tmp_path / "c", label=b"CertAutenticacion", **usage)
    with pytest.raises(CardRefused) as caught:
        software_card.read(path, PIN)
    assert caught.value.code == "not_a_login_key"


def test_a_wrong_pin_is_named_and_not_shown(tmp_path: Path) -> None:
    path = card_file(tmp_path / "c", signature=True, non_repudiation=False)
    with pytest.raises(CardRefused) as caught:
        software_card.read(path, b"11223344")
    assert caught.value.code == "wrong_pin"
    assert "11223344" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.write_bytes(b"no card"), "wrong_pin"),
        (lambda path: path.write_bytes(b"0" * 70_000), "card_unreadable"),
        (lambda path: None, "card_unreadable"),
    ],
)
def test_what_is_no_card(tmp_path: Path, make: Callable[[Path], object], code: str) -> None:
    make(tmp_path / "c")
    with pytest.raises(CardRefused) as caught:
        software_card.read(tmp_path / "c", PIN)
    assert caught.value.code == code
