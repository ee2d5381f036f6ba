"""OpenSSL sees the sandbox's cards, their status and our refusals as we do."""

import secrets
import subprocess
import time
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from atorga.town.card_certificates import Person
from atorga.town.card_pki import CardFiles, CardPki
from atorga.town.ocsp import Responder
from identity.card.path import read_leaf
from identity.errors import CardError
from tests.conftest import Requirement
from tests.unit.identity.card.mint import Issued, Mint, usage


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [str(argument) for argument in arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def openssl(require: Requirement) -> str:
    return require("openssl")


@pytest.fixture
def pki(tmp_path: Path) -> CardPki:
    folder = tmp_path / "pki"
    return CardPki(folder, ocsp_url="http://localhost:8105", clock=time.time, random=secrets.token_bytes)


@pytest.fixture
def card(pki: CardPki, tmp_path: Path) -> CardFiles:
    return pki.issue(Person("12345678Z", "Anna", "Puig", "Roca", date(1980, 2, 3)), tmp_path)


def pem(path: Path, card: CardFiles, where: Path) -> Path:
    _, certificate, _ = pkcs12.load_key_and_certificates(path.read_bytes(), card.pin_file.read_bytes().strip())
    assert certificate is not None
    where.write_bytes(certificate.public_bytes(Encoding.PEM))
    return where


def test_the_path(openssl: str, pki: CardPki, card: CardFiles, tmp_path: Path) -> None:
    verify = (openssl, "verify", "-CAfile", pki.root, "-untrusted", pki.issuing, "-purpose", "sslclient")
    login = run(*verify, pem(card.login, card, tmp_path / "login.pem"))
    assert login.returncode == 0, login.stderr
    firma = run(*verify, pem(card.firma, card, tmp_path / "firma.pem"))
    assert firma.returncode != 0


def test_the_status(openssl: str, pki: CardPki, card: CardFiles, tmp_path: Path) -> None:
    responder = Responder.from_files(
        issuing=pki.issuing, signer=pki.responder, key=pki.responder_key, status=pki.status, clock=time.time
    )
    login = pem(card.login, card, tmp_path / "login.pem")
    question, answer = tmp_path / "question.der", tmp_path / "answer.der"
    for expected in ("good", "revoked"):
        asked = run(openssl, "ocsp", "-issuer", pki.issuing, "-cert", login, "-reqout", question)
        assert asked.returncode == 0, asked.stderr
        answer.write_bytes(responder.answer(question.read_bytes()))
        read = run(
            openssl, "ocsp", "-issuer", pki.issuing, "-cert", login, "-no_nonce", "-respin", answer,
            "-CAfile", pki.root, "-verify_other", pki.issuing,
        )  # fmt: skip
        assert "Response verify OK" in read.stderr
        assert f"{login}: {expected}" in read.stdout
        pki.revoke(card.serial)


def test_both_refuse_the_same(openssl: str, tmp_path: Path) -> None:
    mint, other = Mint(), Mint()
    citizen = mint.card(subject=mint.issuing.certificate.subject)
    cases: dict[str, tuple[Issued, bool]] = {
        "good": (mint.card(), True),
        "expired": (mint.card(ends=timedelta(seconds=-5)), False),
        "not yet": (mint.card(begins=timedelta(hours=1)), False),
        "look-alike": (other.card(), False),
        "issued by a citizen": (mint.card(issuer=citizen), False),
        "firma": (mint.card(usage=usage("content_commitment")), False),
    }
    files = {name: tmp_path / f"{name}.pem" for name in ("root", "issuing", "card")}
    files["root"].write_bytes(mint.root.certificate.public_bytes(Encoding.PEM))
    files["issuing"].write_bytes(mint.issuing.certificate.public_bytes(Encoding.PEM))
    for name, (made, good) in cases.items():
        files["card"].write_bytes(made.certificate.public_bytes(Encoding.PEM))
        theirs = run(
            openssl, "verify", "-CAfile", files["root"], "-untrusted", files["issuing"], "-purpose", "sslclient",
            files["card"],
        )  # fmt: skip
        try:
            mint.family().verify_path(read_leaf(made.der), at=time.time())
            ours = True
        except CardError:
            ours = False
        assert (ours, theirs.returncode == 0) == (good, good), name
