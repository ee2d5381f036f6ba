"""The sandbox city: made once, then opened; seven services and two hash keepers as processes."""

import hashlib
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from atorga.town import configuration, parties
from atorga.town.folder import PORTS, TownLock, mark_made, open_folder, write_private
from atorga.town.pki import TownPki
from atorga.town.processes import Processes, Service, TownError, free

DEFAULT_PORT_BASE = 8100
RENEWAL_SECONDS = 12 * 3_600
"""The list lives for a week; a town that runs renews it long before."""

STAGES = (("issuer", "ocsp", "witness"), ("consent",), ("holder", "verifier", "portal"))
"""Each stage needs the one before: the list, then the consent service's declarations."""


class Town:
    """One running city. ``restart``: a service that dies is started again."""

    def __init__(self, root: Path, *, port_base: int | None = None, restart: bool = True) -> None:
        year = time.gmtime().tm_year
        self.folder, made = open_folder(root, port_base=port_base, default_port_base=DEFAULT_PORT_BASE, year=year)
        self._lock = TownLock(self.folder)
        self.processes = Processes(restart=restart)
        self._pki = TownPki(self.folder.pki, clock=time.time)
        if not made:
            self._make()
        self.renew_list()

    def start(self) -> None:
        """Raises TownError; then nothing is left running."""
        taken = [port for port in range(self.folder.port_base, self.folder.port_base + PORTS) if not free(port)]
        if taken:
            raise TownError(f"port {taken[0]} is taken; choose other ones with --port-base")
        try:
            self.processes.start(configuration.hash_keepers(self.folder))
            for stage in STAGES:
                self.processes.start([self._service(name) for name in stage])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.processes.stop_all()
        self._lock.release()

    def renew_list(self) -> None:
        parties.sign_list(self.folder, self._pki, now=int(time.time()))

    def line(self, *, pid: int) -> dict[str, Any]:
        """What ``atorga town --json`` prints (WIRE section A)."""
        folder = self.folder
        return {
            "profile": "sandbox",
            "issuer": folder.issuer,
            **{name: folder.url(name) for name in ("consent", "holder", "verifier", "portal")},
            "registry": f"{folder.url('issuer')}/registry",
            "ocsp": folder.url("ocsp"),
            "witnesses": [folder.url("witness")],
            "trust_pem": f"{folder.url('issuer')}/trust.pem",
            "log_vkey": parties.log_vkey(folder),
            "log_dir": str(folder.log_dir),
            "card": str(folder.card_file),
            "card_pin_file": str(folder.card_pin_file),
            "admin_token": folder.admin_token(),
            "data": str(folder.root),
            "pid": pid,
        }

    def _make(self) -> None:
        folder = self.folder
        token = secrets.token_urlsafe(32)
        write_private(folder.admin_token_file, token + "\n")
        parties.make_keys(folder, random=secrets.token_bytes)
        configuration.make(
            folder,
            self._pki,
            token_sha256=hashlib.sha256(token.encode("ascii")).hexdigest(),
            clock=time.time,
            random=secrets.token_bytes,
        )
        mark_made(folder)

    def _service(self, name: str) -> Service:
        command = (
            sys.executable, "-m", "atorga", "serve", name,
            "--config", str(self.folder.config(name)), "--profile", "sandbox", "--with-parent",
        )  # fmt: skip
        return Service(name, self.folder.port(name), command, self.folder.log(name))
