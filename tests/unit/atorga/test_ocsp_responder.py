"""The sandbox's responder over HTTP, and as a configured process."""

import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp
from starlette.testclient import TestClient

from atorga.serve import ocsp as serve
from atorga.serve.settings import ConfigurationError, Profile, load
from atorga.town.card_certificates import Person
from atorga.town.card_pki import CardFiles, CardPki
from tests.unit.identity.card.mint import Mint

TYPE = "application/ocsp-request"
Configure = Callable[..., Path]


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> CardPki:
    folder = tmp_path_factory.mktemp("pki")
    return CardPki(folder, ocsp_url="http://localhost:8105", clock=time.time, random=secrets.token_bytes)


@pytest.fixture(scope="module")
def card(pki: CardPki, tmp_path_factory: pytest.TempPathFactory) -> CardFiles:
    return pki.issue(Person("12345678Z", "Anna", "Puig", None, date(1980, 2, 3)), tmp_path_factory.mktemp("card"))


@pytest.fixture
def configure(pki: CardPki, tmp_path: Path) -> Configure:
    def write(**changes: str) -> Path:
        names = {"issuing": pki.issuing, "signer": pki.responder, "key": pki.responder_key, "status": pki.status}
        path = tmp_path / "ocsp.toml"
        lines = [f'{name} = "{changes.get(name, str(value))}"' for name, value in names.items()]
        head = '[service]\nurl = "http://localhost:8105"\nport = 8105\ndata = "state"\n[ocsp]\n'
        path.write_text(head + "\n".join([*lines, changes.get("more", "")]))
        return path

    return write


def build(path: Path, profile: Profile = "sandbox") -> TestClient:
    head, rest = load(path, profile=profile)
    settings = serve.settings(head, rest)
    rest.done()
    return TestClient(serve.build(settings, profile=profile, clock=time.time, random=secrets.token_bytes))


@pytest.fixture
def client(configure: Configure) -> TestClient:
    return build(configure())


def issuing(pki: CardPki) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pki.issuing.read_bytes())


def digest(kind: hashes.HashAlgorithm, value: bytes) -> bytes:
    state = hashes.Hash(kind)
    state.update(value)
    return state.finalize()


def question(
    pki: CardPki, serial: int, *, nonce: bytes | None = bytes(32), algorithm: hashes.HashAlgorithm | None = None,
    issuer: x509.Certificate | None = None,
) -> bytes:  # fmt: skip
    kind = algorithm or hashes.SHA1()
    found = issuer or issuing(pki)
    key_hash = x509.SubjectKeyIdentifier.from_public_key(found.public_key()).digest
    if not isinstance(kind, hashes.SHA1):
        key_hash = digest(kind, found.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1))
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        digest(kind, found.subject.public_bytes()), key_hash, serial, kind
    )
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def ask(client: TestClient, body: bytes) -> ocsp.OCSPResponse:
    answer = client.post("/", content=body, headers={"Content-Type": TYPE})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/ocsp-response"
    return ocsp.load_der_ocsp_response(answer.content)


def status(client: TestClient, body: bytes) -> ocsp.OCSPCertStatus:
    return ask(client, body).certificate_status


@pytest.mark.parametrize("algorithm", [hashes.SHA1(), hashes.SHA256()])
def test_good_and_unknown(client: TestClient, pki: CardPki, card: CardFiles, algorithm: hashes.HashAlgorithm) -> None:
    for serial in (card.serial, card.firma_serial):
        assert status(client, question(pki, serial, algorithm=algorithm)) == ocsp.OCSPCertStatus.GOOD
    assert status(client, question(pki, 4711, algorithm=algorithm)) == ocsp.OCSPCertStatus.UNKNOWN


def test_a_serial_of_another_authority(client: TestClient, pki: CardPki, card: CardFiles) -> None:
    other = Mint().issuing.certificate
    assert status(client, question(pki, card.serial, issuer=other)) == ocsp.OCSPCertStatus.UNKNOWN
    sha512 = question(pki, card.serial, algorithm=hashes.SHA512())
    assert status(client, sha512) == ocsp.OCSPCertStatus.UNKNOWN


def test_revoked(client: TestClient, pki: CardPki, tmp_path: Path) -> None:
    card = pki.issue(Person("00000000T", "Anna", "Puig", None, date(1980, 2, 3)), tmp_path)
    assert status(client, question(pki, card.serial)) == ocsp.OCSPCertStatus.GOOD
    pki.revoke(card.serial)
    answer = ask(client, question(pki, card.serial))
    assert answer.certificate_status == ocsp.OCSPCertStatus.REVOKED
    assert answer.revocation_time_utc is not None
    assert abs(answer.revocation_time_utc.timestamp() - time.time()) < 60
    assert status(client, question(pki, card.firma_serial)) == ocsp.OCSPCertStatus.GOOD


def test_the_nonce_comes_back(client: TestClient, pki: CardPki, card: CardFiles) -> None:
    for nonce in (b"1", secrets.token_bytes(32), bytes(128)):
        answer = ask(client, question(pki, card.serial, nonce=nonce))
        assert answer.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
    assert not list(ask(client, question(pki, card.serial, nonce=None)).extensions)


def test_it_is_signed_and_dated_now(client: TestClient, pki: CardPki, card: CardFiles) -> None:
    answer = ask(client, question(pki, card.serial))
    (signer,) = answer.certificates
    signer.verify_directly_issued_by(issuing(pki))
    assert abs((datetime.now(UTC) - answer.this_update_utc).total_seconds()) < 60


def test_get(client: TestClient, pki: CardPki, card: CardFiles) -> None:
    for body in (question(pki, card.serial), question(pki, card.serial, nonce=b"\xff\xfe\xfb" * 10)):
        answer = client.get("/" + quote(b64encode(body).decode(), safe=""))
        assert answer.status_code == 200
        assert ocsp.load_der_ocsp_response(answer.content).certificate_status == ocsp.OCSPCertStatus.GOOD
    for path in ("/AAAA", "/%ff", "/x y", "/", "/favicon.ico"):
        answer = client.get(path)
        assert answer.status_code in (200, 405)
        if answer.status_code == 200:
            declined = ocsp.load_der_ocsp_response(answer.content).response_status
            assert declined == ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@pytest.mark.parametrize("body", [b"", b"\x30\x00", b"question", bytes(4_096)])
def test_what_is_no_question(client: TestClient, body: bytes) -> None:
    assert ask(client, body).response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST


def test_a_long_nonce(client: TestClient, pki: CardPki, card: CardFiles) -> None:
    answer = ask(client, question(pki, card.serial, nonce=bytes(129)))
    assert answer.response_status == ocsp.OCSPResponseStatus.MALFORMED_REQUEST


@pytest.mark.parametrize(("size", "media", "code"), [(4_097, TYPE, 413), (10, "application/json", 415), (10, "", 415)])
def test_limits_of_http(client: TestClient, size: int, media: str, code: int) -> None:
    assert client.post("/", content=bytes(size), headers={"Content-Type": media}).status_code == code


def test_a_long_address(client: TestClient) -> None:
    assert client.get("/" + "A" * 8_000).status_code == 413


@pytest.mark.parametrize("content", ["", "{}", '{"issued":[],"revoked":[1]}', '{"issued":["x"],"revoked":{}}', "[]"])
def test_a_damaged_status_file_is_no_good_news(
    configure: Configure, pki: CardPki, card: CardFiles, tmp_path: Path, content: str
) -> None:
    path = tmp_path / "status.json"
    path.write_text(content)
    client = build(configure(status=str(path)))
    assert ask(client, question(pki, card.serial)).response_status == ocsp.OCSPResponseStatus.TRY_LATER
    path.unlink()
    assert ask(client, question(pki, card.serial)).response_status == ocsp.OCSPResponseStatus.TRY_LATER


@pytest.mark.parametrize("name", ["issuing", "signer", "key"])
def test_a_wrong_configuration(configure: Configure, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        build(configure(**{name: str(tmp_path / "missing.pem")}))
    (tmp_path / "empty.pem").write_text("")
    with pytest.raises(ConfigurationError):
        build(configure(**{name: str(tmp_path / "empty.pem")}))


def test_an_unknown_key_is_a_typing_error(configure: Configure) -> None:
    with pytest.raises(ConfigurationError, match="not known here"):
        build(configure(more='always = "good"'))


def test_only_in_the_sandbox(configure: Configure) -> None:
    path = configure()
    path.write_text(path.read_text().replace("http://", "https://"))
    with pytest.raises(ConfigurationError, match="sandbox"):
        build(path, "production")
