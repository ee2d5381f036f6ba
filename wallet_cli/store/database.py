"""The encrypted database: SQLCipher, opened with the key that the key file yields.

SQLCipher encrypts and authenticates every page, so also the rollback journal; temporary tables
stay in memory. Nothing of the store is ever on disk in clear.

Opening, in this order:
 1. the key file is read and the passphrase unwraps the database key;
 2. the database file is whole: every page's authentication code is checked;
 3. it carries our mark and a schema version this wallet knows; older ones are migrated, each
    migration in one transaction.
A step that fails changes nothing.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from wallet_cli.errors import StoreError
from wallet_cli.store import key_file, lock

KEY_FILE = "wallet.key"
DATABASE_FILE = "wallet.db"
LOCK_FILE = "wallet.lock"

APPLICATION_ID = 0x41746F67
"""``Atog``: tells our database from another SQLCipher file."""

_SCHEMA = Path(__file__).with_name("schema")


def schema_files() -> list[Path]:
    """``0001.sql``, ``0002.sql`` …: the number is the schema version that the file leads to."""
    return sorted(_SCHEMA.glob("*.sql"))


class Store:
    """One open wallet store. Every method runs inside the lock."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of it or nothing of it."""
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK")
            raise
        self.connection.execute("COMMIT")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return list(self.connection.execute(sql, values))

    def row(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self.connection.execute(sql, values).fetchone()
        return found

    def change(self, sql: str, *values: Any) -> int:
        """The number of rows changed."""
        return int(self.connection.execute(sql, values).rowcount)

    def setting(self, name: str) -> str | None:
        found = self.row("SELECT value FROM setting WHERE name = ?", name)
        return None if found is None else str(found[0])

    def set_setting(self, name: str, value: str) -> None:
        self.change(
            "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value
        )


def create(
    folder: Path,
    passphrase: bytes,
    *,
    settings: dict[str, str],
    random: Callable[[int], bytes],
    memory_kib: int = key_file.MEMORY_KIB,
) -> None:
    """A new store, built beside its place and renamed into it: it exists whole or not at all.

    Raises StoreError where something stands there already.
    """
    if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
        raise StoreError("store_exists", f"store: {folder} is not empty; nothing was changed")
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        database_key = random(key_file.KEY_BYTES)
        connection = _connect(fresh / DATABASE_FILE, database_key)
        try:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            _migrate(connection, 0)
            store = Store(connection)
            with store.transaction():
                for name, value in settings.items():
                    store.set_setting(name, value)
        finally:
            connection.close()
        header = key_file.KeyFile.create(passphrase, database_key, random=random, memory_kib=memory_kib)
        key_file.write(fresh / KEY_FILE, header.format())
        fresh.rename(folder)
        key_file.sync_folder(folder.parent)
    except OSError as fault:
        shutil.rmtree(fresh, ignore_errors=True)
        raise StoreError("store_exists", f"store: {folder} cannot be made: {fault.strerror}") from None
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


@contextmanager
def opened(
    folder: Path, passphrase: Callable[[], bytes], *, wait_seconds: float = lock.WAIT_SECONDS
) -> Iterator[Store]:
    """The store, locked for this process. ``passphrase`` is asked only once the store is ours."""
    if not (folder / KEY_FILE).is_file():
        raise StoreError("store_missing", f"store: no wallet in {folder}; make one with: wallet init")
    with lock.exclusive(folder / LOCK_FILE, wait_seconds=wait_seconds):
        # 1
        header = key_file.KeyFile.parse(_read_key_file(folder / KEY_FILE))
        database_key = header.unwrap(passphrase())
        path = folder / DATABASE_FILE
        if not path.is_file():
            raise StoreError(
                "store_damaged", f"store: {DATABASE_FILE} is missing beside {KEY_FILE}; nothing was changed"
            )
        connection = _connect(path, database_key)
        try:
            version = _check(connection)  # 2, 3
            _migrate(connection, version)
            yield Store(connection)
        finally:
            connection.close()


def change_passphrase(
    folder: Path, old: bytes, new: bytes, *, random: Callable[[int], bytes], memory_kib: int = key_file.MEMORY_KIB
) -> None:
    """Wraps the same database key again; the old key file stays until the new one is durable."""
    with lock.exclusive(folder / LOCK_FILE):
        database_key = key_file.KeyFile.parse(_read_key_file(folder / KEY_FILE)).unwrap(old)
        fresh = key_file.KeyFile.create(new, database_key, random=random, memory_kib=memory_kib)
        key_file.write(folder / KEY_FILE, fresh.format())


def _read_key_file(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(key_file.MAX_FILE_BYTES + 1)
    except OSError as fault:
        raise StoreError("store_damaged", f"key file: {fault.strerror}") from None


def _connect(path: Path, database_key: bytes) -> Any:
    connection = sqlcipher.connect(str(path), isolation_level=None)
    try:
        # SQLCipher writes its own messages to stderr; ours are enough.
        connection.execute("PRAGMA cipher_log_level = NONE")
        connection.execute(f"PRAGMA key = \"x'{database_key.hex()}'\"")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA foreign_keys = ON")
        # A rollback journal and not WAL: one process at a time, and one file to copy. EXTRA syncs
        # the folder too after the journal is deleted, so that a commit outlives a power cut.
        connection.execute("PRAGMA synchronous = EXTRA")
    except sqlcipher.DatabaseError:
        connection.close()
        raise _damaged() from None
    os.chmod(path, 0o600)
    return connection


def _damaged() -> StoreError:
    return StoreError("store_damaged", "store: the database is cut short or changed; nothing was changed by us")


def _check(connection: Any) -> int:
    """The schema version of a whole database of ours."""
    try:
        faults = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        mark = int(connection.execute("PRAGMA application_id").fetchone()[0])
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlcipher.DatabaseError:
        raise _damaged() from None
    if faults or mark != APPLICATION_ID or version < 1:
        raise _damaged()
    newest = len(schema_files())
    if version > newest:
        raise StoreError("store_too_new", f"store: schema version {version}, this wallet knows {newest}")
    return version


def _migrate(connection: Any, version: int) -> None:
    for number, path in enumerate(schema_files(), start=1):
        if number <= version:
            continue
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{path.read_text(encoding='utf-8')}\nPRAGMA user_version = {number};\nCOMMIT;"
        )
