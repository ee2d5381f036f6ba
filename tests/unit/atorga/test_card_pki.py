"""The sandbox's cards: shaped like the DNIe, accepted by the sandbox's profile and by nothing else."""

import secrets
import stat
import time
from base64 import b64encode
from datetime import date
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import NameOID

from atorga.town.card_certificates import Person
from atorga.town.card_pki import CardFiles, CardPki
from atorga.town.ocsp import Responder
from identity.card import web_eid
from identity.card.path import CardFamily
from identity.card.profile import SANDBOX_POLICY, bundled
from identity.card.verify import CardVerifier, VerifiedCard
from identity.errors import CardError
from wallet_cli.card import software_card
from wallet_cli.errors import CardRefused

ORIGIN, NONCE = "http://localhost:8100", "u4yyJzhVAis4LtP1B1PmMeXxENWE0nwgZhm/o0h3N94="
PERSON = Person("12345678Z", "Maria Àngela", "Puig", "i Núñez", date(1980, 2, 3))


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> CardPki:
    return open_pki(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def card(pki: CardPki, tmp_path_factory: pytest.TempPathFactory) -> CardFiles:
    return pki.issue(PERSON, tmp_path_factory.mktemp("card"))


def open_pki(folder: Path) -> CardPki:
    return CardPki(folder, ocsp_url="http://localhost:8105", clock=time.time, random=secrets.token_bytes)


class Direct:
    """The responder without a network."""

    def __init__(self, pki: CardPki) -> None:
        self._responder = Responder.from_files(
            issuing=pki.issuing, signer=pki.responder, key=pki.responder_key, status=pki.status, clock=time.time
        )
        self.asked: list[str] = []

    def post(self, url: str, request: bytes) -> bytes:
        self.asked.append(url)
        return self._responder.answer(request)


def pin(card: CardFiles) -> bytes:
    return card.pin_file.read_bytes().strip()


def certificate(path: Path, card: CardFiles) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    key, found, _ = pkcs12.load_key_and_certificates(path.read_bytes(), pin(card))
    assert found is not None
    assert isinstance(key, rsa.RSAPrivateKey)
    return found, key


def log_in(pki: CardPki, path: Path, card: CardFiles) -> VerifiedCard:
    family = CardFamily.from_pem(bundled("sandbox"), roots=pki.root.read_bytes(), issuing=pki.issuing.read_bytes())
    transport = Direct(pki)
    verifier = CardVerifier([family], transport=transport, clock=time.time, random=secrets.token_bytes, sandbox=True)
    found, key = certificate(path, card)
    token = web_eid.sign_token(origin=ORIGIN, nonce=NONCE, certificate=found, private_key=key)
    verified = verifier.verify(token, origin=ORIGIN, nonce=NONCE)
    assert transport.asked == ["http://localhost:8105"]
    return verified


def test_the_wallet_reads_it_and_the_issuer_accepts_it(pki: CardPki, card: CardFiles) -> None:
    assert software_card.read(card.login, pin(card)).certificate.serial_number == card.serial
    found = log_in(pki, card.login, card)
    assert (found.id_number, found.given_name, found.family_name) == ("12345678Z", "Maria Àngela", "Puig i Núñez")
    assert found.birthdate == date(1980, 2, 3)
    assert found.sandbox


def test_the_firma_key_logs_nobody_in(pki: CardPki, card: CardFiles) -> None:
    with pytest.raises(CardRefused, match="nonRepudiation"):
        software_card.read(card.firma, pin(card))
    with pytest.raises(CardError, match="key usage"):
        log_in(pki, card.firma, card)


def test_one_surname(pki: CardPki, tmp_path: Path) -> None:
    card = pki.issue(Person("X1234567L", "Anna", "Smith", None, date(1999, 12, 31)), tmp_path, name="other")
    found = log_in(pki, card.login, card)
    assert (found.id_number, found.family_name, found.birthdate) == ("X1234567L", "Smith", date(1999, 12, 31))
    assert card.login.name == "other.p12"


def test_the_shape_of_the_dnie(card: CardFiles) -> None:
    found, key = certificate(card.login, card)
    firma, _ = certificate(card.firma, card)
    assert key.key_size == 2_048
    assert [attribute.oid for attribute in found.subject] == [
        NameOID.COUNTRY_NAME, NameOID.SERIAL_NUMBER, NameOID.SURNAME, NameOID.GIVEN_NAME, NameOID.COMMON_NAME,
    ]  # fmt: skip
    assert [attribute._type.name for attribute in found.subject] == ["PrintableString"] * 2 + ["UTF8String"] * 3
    assert str(found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) == (
        "Puig i Núñez, Maria Àngela (AUTENTICACIÓN)"
    )
    usage = found.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert (usage.value.digital_signature, usage.value.content_commitment) == (True, False)
    usage = firma.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.value.digital_signature, usage.value.content_commitment) == (False, True)
    for certificate_ in (found, firma):
        oids = {extension.oid.dotted_string for extension in certificate_.extensions}
        assert {"2.5.29.9", "1.3.6.1.5.5.7.1.3", "1.3.6.1.5.5.7.1.1"} <= oids
        assert not {"2.5.29.17", "2.5.29.31", "2.5.29.37"} & oids
        policies = certificate_.extensions.get_extension_for_class(x509.CertificatePolicies).value
        assert [policy.policy_identifier.dotted_string for policy in policies] == [SANDBOX_POLICY]


def test_each_folder_has_a_pki_of_its_own(pki: CardPki, card: CardFiles, tmp_path: Path) -> None:
    other = open_pki(tmp_path)
    with pytest.raises(CardError, match="no valid path"):
        log_in(other, card.login, card)


def test_a_folder_is_opened_again(tmp_path: Path) -> None:
    first = open_pki(tmp_path / "pki")
    issuing = first.issuing.read_bytes()
    card = first.issue(PERSON, tmp_path / "card")
    again = open_pki(tmp_path / "pki")
    assert again.issuing.read_bytes() == issuing
    log_in(again, card.login, card)


def test_an_interrupted_making_is_made_again(tmp_path: Path) -> None:
    first = open_pki(tmp_path)
    first.status.unlink()
    card = open_pki(tmp_path).issue(PERSON, tmp_path)
    log_in(first, card.login, card)


def test_revocation_is_seen_at_once(pki: CardPki, tmp_path: Path) -> None:
    card = pki.issue(PERSON, tmp_path)
    log_in(pki, card.login, card)
    pki.revoke(card.serial)
    with pytest.raises(CardError, match="is revoked"):
        log_in(pki, card.login, card)


def test_keys_and_pin_are_private(pki: CardPki, card: CardFiles) -> None:
    for path in (card.login, card.firma, card.pin_file, pki.responder_key, pki.issuing.with_name("issuing.key.pem")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(pki.status.parent.glob("root.key*"))
    assert len(pin(card)) == 8
    assert pin(card).isdigit()


def test_every_card_has_its_own_pin(pki: CardPki, tmp_path: Path) -> None:
    assert len({pin(pki.issue(PERSON, tmp_path, name=f"c{n}")) for n in range(3)}) == 3


def spellings(text: str) -> list[bytes]:
    raw = text.encode()
    return [raw, text.encode("utf-16-le"), raw.hex().encode(), b64encode(raw).rstrip(b"=")[:-1]]


def test_no_file_but_the_pin_s_says_anything(pki: CardPki, card: CardFiles) -> None:
    """Neither the person nor the PIN, in the spellings in which a search looks for them."""
    secret = [PERSON.nif, PERSON.given_name, PERSON.surname1, "19800203", pin(card).decode()]
    forms = [form for text in secret for form in spellings(text) if len(form) > 5]
    for path in (*pki.status.parent.iterdir(), card.login, card.firma):
        content = path.read_bytes()
        assert not [form for form in forms if form in content], path.name


def test_a_person_with_a_wrong_letter() -> None:
    with pytest.raises(ValueError, match="letter that belongs"):
        Person("12345678A", "A", "B", None, date(2000, 1, 1))
    assert repr(PERSON) == "Person()"
