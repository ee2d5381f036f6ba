"""The sandbox's card authority: made once per data folder, then opened again.

FOLDER/root.pem, issuing.pem          what the issuer pins (profile ``sandbox``)
FOLDER/issuing.key.pem                issues cards; the town's alone
FOLDER/responder.pem, .key.pem        what the OCSP responder signs with
FOLDER/status.json                    {"issued":[serial],"revoked":{serial:seconds}}: serials only, no names

The root's key is not kept: nothing is issued from it again. A card is three files beside each other:
``NAME.p12`` (the key that logs in), ``NAME-firma.p12`` (the key that signs documents, and must not
log in) and ``NAME.pin``.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from atorga.town.card_certificates import (
    RSA_BITS,
    Person,
    issuing_certificate,
    person_certificate,
    responder_certificate,
    root_certificate,
)
from atorga.town.folder import write_private
from identity.clock import Clock
from identity.randomness import Random

PIN_DIGITS = 8


@dataclass(frozen=True, slots=True)
class CardFiles:
    login: Path
    """PKCS#12: what ``wallet … --card`` takes."""
    firma: Path
    pin_file: Path
    serial: int
    """Of the login certificate, for ``CardPki.revoke``."""
    firma_serial: int


class CardPki:
    """The authority in one folder. Opening an empty one makes it."""

    def __init__(self, folder: Path, *, ocsp_url: str, clock: Clock, random: Random) -> None:
        """``ocsp_url`` is where the cards say that they can be asked about: the town's responder."""
        self._folder = folder
        self._ocsp_url = ocsp_url
        self._clock = clock
        self._random = random
        # Written last, so what stands beside it is whole.
        if not self.status.exists():
            self._make()

    @property
    def root(self) -> Path:
        return self._folder / "root.pem"

    @property
    def issuing(self) -> Path:
        return self._folder / "issuing.pem"

    @property
    def responder(self) -> Path:
        return self._folder / "responder.pem"

    @property
    def responder_key(self) -> Path:
        return self._folder / "responder.key.pem"

    @property
    def status(self) -> Path:
        return self._folder / "status.json"

    def issue(self, person: Person, place: Path, *, name: str = "card") -> CardFiles:
        """A card for this person, with a random PIN; an earlier one of the same name is replaced."""
        pin = self._pin()
        files = {}
        for suffix, firma in (("", False), ("-firma", True)):
            key = _new_key()
            certificate = person_certificate(
                person, key, firma=firma, issuing_key=self._issuing_key(), ocsp_url=self._ocsp_url, now=self._now()
            )
            path = place / f"{name}{suffix}.p12"
            label = b"CertFirmaDigital" if firma else b"CertAutenticacion"
            issuing = x509.load_pem_x509_certificate(self.issuing.read_bytes())
            write_private(
                path,
                pkcs12.serialize_key_and_certificates(
                    label, key, certificate, [issuing], BestAvailableEncryption(pin.encode("ascii"))
                ),
            )
            files[suffix] = (path, certificate.serial_number)
        write_private(place / f"{name}.pin", pin + "\n")
        (login, serial), (firma_path, firma_serial) = files[""], files["-firma"]
        status = self._read_status()
        status["issued"] += [f"{serial:x}", f"{firma_serial:x}"]
        self._write_status(status)
        return CardFiles(login, firma_path, place / f"{name}.pin", serial, firma_serial)

    def revoke(self, serial: int) -> None:
        """From now on the responder says *revoked*."""
        status = self._read_status()
        status["revoked"][f"{serial:x}"] = int(self._clock())
        self._write_status(status)

    def _make(self) -> None:
        root_key, issuing_key, responder_key = _new_key(), _new_key(), _new_key()
        now = self._now()
        root = root_certificate(root_key, now=now)
        issuing = issuing_certificate(issuing_key, root_key=root_key, now=now)
        responder = responder_certificate(responder_key, issuing_key=issuing_key, now=now)
        for path, certificate in ((self.root, root), (self.issuing, issuing), (self.responder, responder)):
            write_private(path, certificate.public_bytes(Encoding.PEM))
        write_private(self._folder / "issuing.key.pem", _pem(issuing_key))
        write_private(self.responder_key, _pem(responder_key))
        self._write_status({"issued": [], "revoked": {}})

    def _issuing_key(self) -> rsa.RSAPrivateKey:
        key = load_pem_private_key((self._folder / "issuing.key.pem").read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return key

    def _read_status(self) -> dict[str, Any]:
        status: dict[str, Any] = json.loads(self.status.read_text(encoding="ascii"))
        return status

    def _write_status(self, status: dict[str, Any]) -> None:
        write_private(self.status, json.dumps(status) + "\n")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(int(self._clock()), UTC)

    def _pin(self) -> str:
        # Random by the million-fold; the remainder favours the lower ones by less than 10^-11.
        return f"{int.from_bytes(self._random(8)) % 10**PIN_DIGITS:0{PIN_DIGITS}d}"


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65_537, RSA_BITS)


def _pem(key: rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
