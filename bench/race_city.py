"""Two consent services on one data folder, for races: real processes, real HTTP, either store.

Residents have their accounts from the start: the race is about what comes after. A copy of the
database can be taken while it is written to, and put back as whoever restores a backup does.
"""

import secrets
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from consent.ledger.accounts import AccountStore
from consent.ledger.leaf import Leaf
from consent.ledger.schema import open_engine, upgrade
from consent.log.note import NoteKey
from consent.log.reader import LogReader, Tree, from_folder
from identity.codec import strict_json
from identity.keys.agreement import AgreementPrivateKey
from identity.keys.signer import SoftwareSigner
from tests.flows.consent_process import ConsentProcess, free_port
from tests.postgresql import Server, running

SQLITE, POSTGRESQL = "sqlite", "postgresql"
READY_SECONDS = 90.0


@dataclass(frozen=True, slots=True)
class Account:
    """As a client process takes it along."""

    key_pem: bytes
    view_key: bytes


class RaceCity(ConsentProcess):
    """``ports`` are the two processes'; the address that callers sign for is one."""

    def __init__(self, folder: Path, *, server: Server | None = None) -> None:
        self.server = server
        self.name = "" if server is None else server.new_database()
        super().__init__(folder, database=None if server is None else server.url(self.name))
        self.ports = (self.port, free_port())
        first = (folder / "consent.toml").read_text()
        for place, port in enumerate(self.ports):
            own = first.replace(f"\nport = {self.port}\n", f"\nport = {port}\n")
            (folder / f"{_name(place)}.toml").write_text(own)
        self.backup = folder / "backup.db"
        self.url_of_database = self.database or f"sqlite:///{folder / 'consent' / 'consent.db'}"

    def prepare(self, accounts: int) -> list[Account]:
        """The database, and so many residents in it."""
        (self.folder / "consent").mkdir(exist_ok=True, mode=0o700)
        engine = open_engine(self.url_of_database)
        try:
            upgrade(engine)
            store = AccountStore(engine)
            return [_enrolled(store) for _ in range(accounts)]
        finally:
            engine.dispose()

    def start_all(self) -> None:
        self.start_hashes()
        for place in range(len(self.ports)):
            config = str(self.folder / f"{_name(place)}.toml")
            self._run(_name(place), "-m", "atorga", "serve", "consent", "--profile", "sandbox", "--config", config)
        for place, port in enumerate(self.ports):
            self._wait_until(partial(self._answers, f"http://localhost:{port}/services"), _name(place))

    def pids(self) -> list[int]:
        return [self._processes[_name(place)].pid for place in range(len(self.ports))]

    def wal_bytes(self) -> int:
        """Of SQLite's write-ahead log, or of all of PostgreSQL's."""
        if self.server is None:
            wal = self.folder / "consent" / "consent.db-wal"
            return wal.stat().st_size if wal.exists() else 0
        folder = self.server.folder / "data" / "pg_wal"
        return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())

    def kill_all(self) -> None:
        """kill -9, both."""
        for place in range(len(self.ports)):
            process = self._processes[_name(place)]
            process.send_signal(signal.SIGKILL)
            process.wait()

    def stop_all(self) -> None:
        for place in range(len(self.ports)):
            self._processes[_name(place)].terminate()
        for place in range(len(self.ports)):
            self._processes[_name(place)].wait(30)

    def take_backup(self) -> None:
        """A copy of the database, and of nothing else: log and opening keys are elsewhere."""
        if self.server is None:
            database = self.folder / "consent" / "consent.db"
            with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(self.backup)) as copy:
                source.backup(copy)
        else:
            # PostgreSQL copies a database that nobody is connected to.
            self.stop_all()
            self.server.execute(f"CREATE DATABASE {self.name}_backup TEMPLATE {self.name}")
            self.start_all()

    def restore_backup(self) -> None:
        """While no service runs."""
        if self.server is None:
            data = self.folder / "consent"
            for end in ("-wal", "-shm"):
                (data / f"consent.db{end}").unlink(missing_ok=True)
            shutil.copyfile(self.backup, data / "consent.db")
        else:
            self.server.drop_database(self.name)
            self.server.execute(f"ALTER DATABASE {self.name}_backup RENAME TO {self.name}")

    def leaves(self) -> list[Leaf]:
        """The whole log, every hash of it checked."""
        reader = LogReader(from_folder(self.folder / "consent" / "log"), NoteKey.parse(self.vkey))
        signed = reader.checkpoint().checkpoint
        return [Leaf.from_bytes(entry) for run in reader.runs(signed, Tree()) for entry in run.entries]

    def audit(self) -> str | None:
        """What ``atorga audit`` finds wrong; None = nothing."""
        command = [sys.executable, "-m", "atorga", "audit", f"http://localhost:{self.ports[0]}", "--vkey", self.vkey]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
        return None if ran.returncode == 0 else (ran.stdout + ran.stderr)[-2_000:]

    def messages(self) -> str:
        """What the services said, without what is to be expected where there is no witness."""
        lines = [
            line
            for place in range(len(self.ports))
            for line in self.log(_name(place)).read_text().splitlines()
            if "witness" not in line
        ]
        return "\n".join(lines[-40:])


def _name(place: int) -> str:
    return f"consent-{place + 1}"


def _enrolled(store: AccountStore) -> Account:
    key, view = SoftwareSigner.generate(), AgreementPrivateKey.generate()
    store.enrol(
        claim_hash=secrets.token_bytes(32),
        thumbprint=key.public_key.thumbprint,
        account_jwk=strict_json.compact(key.public_key.jwk()).decode(),
        view_jwk=strict_json.compact(view.public.jwk()).decode(),
        now=int(time.time()),
        recovery_id=secrets.token_bytes(16),
    )
    return Account(key.to_pem(), view.raw)


@contextmanager
def open_city(folder: Path, store: str) -> Iterator[RaceCity]:
    """Not started yet. Raises PostgreSQLMissing."""
    if store == SQLITE:
        city = RaceCity(folder)
        try:
            yield city
        finally:
            city.end()
        return
    with running() as server:
        city = RaceCity(folder, server=server)
        try:
            yield city
        finally:
            city.end()
