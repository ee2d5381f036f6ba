"""The data folder of a sandbox city: what lies where, and whose it is.

DATA/town.json       port base and log period, fixed when the city was made
DATA/admin-token     the token of the admin helpers
DATA/config/         one file a service
DATA/pki/            roots, issuing CAs, certificates and their keys
DATA/keys/           the parties' signing keys, each read by its own service only
DATA/card/           the demo resident's software card and its PIN
DATA/registry/       the signed list; its key is read by the town alone
DATA/<service>/      the state of each service
DATA/log/            what the services print
"""

import fcntl
import json
import os
from dataclasses import dataclass
from pathlib import Path

from atorga.town.processes import TownError

PORTS = 20
"""Ports base+0 … base+19 belong to the city (WIRE section A)."""

OFFSETS = {"issuer": 0, "consent": 1, "holder": 2, "verifier": 3, "portal": 4, "ocsp": 5, "witness": 6}
TENANT = "bcn"


@dataclass(frozen=True, slots=True)
class TownFolder:
    root: Path
    port_base: int
    period: str
    """The period of the consent log: the year in which the city was made."""

    def url(self, service: str) -> str:
        return f"http://localhost:{self.port(service)}"

    def port(self, service: str) -> int:
        return self.port_base + OFFSETS[service]

    @property
    def issuer(self) -> str:
        """The ``credential_issuer``, with its tenant path."""
        return f"{self.url('issuer')}/{TENANT}"

    @property
    def log_origin(self) -> str:
        return f"localhost:{self.port('consent')}/log/{self.period}"

    def config(self, service: str) -> Path:
        return self.root / "config" / f"{service}.toml"

    def state(self, service: str) -> Path:
        return self.root / service

    def log(self, service: str) -> Path:
        return self.root / "log" / f"{service}.log"

    def party_key(self, party: str) -> Path:
        """The signing key of ``urn:atorga:party:NAME``."""
        return self.key_file(f"{party.rpartition(':')[2]}.pem")

    def key_file(self, name: str) -> Path:
        return self.root / "keys" / name

    @property
    def witness_name(self) -> str:
        """The name under which the witness cosigns."""
        return f"localhost:{self.port('witness')}/witness"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def card(self) -> Path:
        return self.root / "card"

    @property
    def card_file(self) -> Path:
        return self.card / "card.p12"

    @property
    def card_pin_file(self) -> Path:
        return self.card / "card.pin"

    @property
    def log_dir(self) -> Path:
        return self.state("consent") / "log"

    @property
    def registry_list(self) -> Path:
        return self.root / "registry" / "list.jwt"

    @property
    def admin_token_file(self) -> Path:
        return self.root / "admin-token"

    def admin_token(self) -> str:
        return self.admin_token_file.read_text(encoding="ascii").strip()


_TOWN = "town.json"
_MADE = "made"


def open_folder(root: Path, *, port_base: int | None, default_port_base: int, year: int) -> tuple[TownFolder, bool]:
    """The folder, and whether it was made before. Raises TownError where it had another port base."""
    root = root.resolve()
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    facts = root / _TOWN
    if facts.exists():
        kept = json.loads(facts.read_text(encoding="utf-8"))
        if port_base is not None and port_base != kept["port_base"]:
            raise TownError(f"{root} belongs to a city at port base {kept['port_base']}, not {port_base}")
        return TownFolder(root, kept["port_base"], kept["period"]), (root / _MADE).exists()
    if any(root.iterdir()):
        raise TownError(f"{root} is neither empty nor the folder of a city")
    base = default_port_base if port_base is None else port_base
    if not 1024 <= base <= 65_535 - PORTS:
        raise TownError(f"port base {base}: a number from 1024 to {65_535 - PORTS} is expected")
    write_private(facts, json.dumps({"port_base": base, "period": str(year)}) + "\n")
    return TownFolder(root, base, str(year)), False


def mark_made(folder: TownFolder) -> None:
    """The last step of making a city; one that was interrupted is made again."""
    write_private(folder.root / _MADE, "")


def write_private(path: Path, content: str | bytes) -> None:
    """A file that only its owner may read, in place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content.encode("utf-8") if isinstance(content, str) else content)
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)


class TownLock:
    """One town a folder: a second one would write the same databases."""

    def __init__(self, folder: TownFolder) -> None:
        self._handle = os.open(folder.root / "town.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._handle)
            raise TownError(f"{folder.root}: this city is running already") from None

    def release(self) -> None:
        """Again does nothing: a town that could not start has been stopped already."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
