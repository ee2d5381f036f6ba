"""The store on disk: whole or not at all, encrypted, locked, and clear about what is wrong."""

import secrets
import threading
from pathlib import Path

import pytest

from wallet_cli.errors import StoreError
from wallet_cli.store import credentials, database, history
from wallet_cli.store.credentials import Credential, Issuance, NewCopy

SECRET = b"a sentence to remember"
MARK = "NEEDLE-IN-THE-STORE"


def make(folder: Path) -> Path:
    database.create(folder, SECRET, settings={"profile": "sandbox"}, random=secrets.token_bytes, memory_kib=64)
    return folder


def fill(folder: Path, rows: int = 200) -> None:
    with database.opened(folder, lambda: SECRET) as store, store.transaction():
        for number in range(rows):
            history.record(store, "presented", f"{MARK} {number}", ["given_name"], now=number)


def count(folder: Path) -> int:
    with database.opened(folder, lambda: SECRET) as store:
        return len(history.entries(store))


def test_what_was_written_is_there_again(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    assert count(folder) == 200


def test_nothing_on_disk_is_in_clear(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    for path in folder.iterdir():
        content = path.read_bytes()
        assert MARK.encode() not in content, path.name
        assert b"SQLite format" not in content, path.name
        assert b"CREATE TABLE" not in content, path.name


def test_the_journal_of_an_open_transaction_is_encrypted_too(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    with database.opened(folder, lambda: SECRET) as store:
        store.connection.execute("PRAGMA cache_size = 2")  # pages must leave memory before the commit
        store.connection.execute("BEGIN IMMEDIATE")
        store.connection.execute("UPDATE history SET party = party || ?", [MARK * 40])
        names = {path.name for path in folder.iterdir()}
        assert "wallet.db-journal" in names
        for path in folder.iterdir():
            assert MARK.encode() not in path.read_bytes(), path.name
        store.connection.execute("ROLLBACK")


def test_a_wrong_passphrase_changes_nothing(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError) as caught, database.opened(folder, lambda: b"another"):
        pass
    assert caught.value.code == "wrong_passphrase"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("keep", [0, 100, 4096, 4096 * 3, 4096 * 3 + 17, -1, -4096])
def test_a_truncated_database_is_named_and_left_alone(tmp_path: Path, keep: int) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    path = folder / database.DATABASE_FILE
    cut = path.read_bytes()[:keep]
    path.write_bytes(cut)
    with pytest.raises(StoreError) as caught, database.opened(folder, lambda: SECRET):
        pass
    assert caught.value.code == "store_damaged"
    assert path.read_bytes() == cut


def test_a_flipped_byte_in_any_page_is_found(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder)
    path = folder / database.DATABASE_FILE
    whole = path.read_bytes()
    for position in range(2000, len(whole), 4096):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        with pytest.raises(StoreError) as caught, database.opened(folder, lambda: SECRET):
            pass
        assert caught.value.code == "store_damaged"
    path.write_bytes(whole)
    assert count(folder) == 200


def test_a_missing_database_or_key_file_is_named(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    (folder / database.DATABASE_FILE).rename(tmp_path / "aside")
    with pytest.raises(StoreError) as caught, database.opened(folder, lambda: SECRET):
        pass
    assert caught.value.code == "store_damaged"
    assert not (folder / database.DATABASE_FILE).exists()
    with pytest.raises(StoreError) as caught, database.opened(tmp_path / "none", lambda: SECRET):
        pass
    assert caught.value.code == "store_missing"


def test_init_takes_an_empty_folder_and_never_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    folder = make(tmp_path / "w")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(StoreError) as caught:
        make(folder)
    assert caught.value.code == "store_exists"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["w"]


def test_an_interrupted_init_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wallet_cli.store.key_file.write", stop)
    with pytest.raises(KeyboardInterrupt):
        make(tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


def test_only_the_owner_enters(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder, 1)
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in folder.iterdir())


def test_a_second_process_waits_and_then_says_so(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    entered, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with database.opened(folder, lambda: SECRET):
            entered.set()
            leave.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    entered.wait(10)
    with pytest.raises(StoreError) as caught, database.opened(folder, lambda: SECRET, wait_seconds=0.1):
        pass
    assert caught.value.code == "store_busy"
    leave.set()
    holder.join()
    assert count(folder) == 0


def test_a_passphrase_can_change(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    fill(folder, 3)
    database.change_passphrase(folder, SECRET, b"the next one", random=secrets.token_bytes, memory_kib=64)
    with pytest.raises(StoreError):
        count(folder)
    with database.opened(folder, lambda: b"the next one") as store:
        assert len(history.entries(store)) == 3


def test_a_failed_transaction_leaves_no_half(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    with database.opened(folder, lambda: SECRET) as store:

        def half() -> None:
            with store.transaction():
                history.record(store, "presented", "x", now=1)
                raise RuntimeError

        with pytest.raises(RuntimeError):
            half()
        assert history.entries(store) == []


def test_a_store_of_a_later_wallet_is_refused(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    with database.opened(folder, lambda: SECRET) as store:
        store.connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreError) as caught, database.opened(folder, lambda: SECRET):
        pass
    assert caught.value.code == "store_too_new"


def test_a_migration_runs_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make(tmp_path / "w")
    fill(folder, 2)
    first = database.schema_files()
    later = tmp_path / "0002.sql"
    monkeypatch.setattr(database, "schema_files", lambda: [*first, later])
    later.write_text("CREATE TABLE more (x INTEGER); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(Exception, match="nowhere"), database.opened(folder, lambda: SECRET):
        pass
    later.write_text("CREATE TABLE more (x INTEGER);")
    with database.opened(folder, lambda: SECRET) as store:
        assert store.rows("SELECT * FROM more") == []
        assert len(history.entries(store)) == 2


def test_copies_are_spent_least_used_first(tmp_path: Path) -> None:
    folder = make(tmp_path / "w")
    with database.opened(folder, lambda: SECRET) as store:
        with store.transaction():
            credentials.save_issuance(store, Issuance("i", "https://issuer.example", "wallet", None, None))
            credentials.save_credential(store, Credential("c", "i", "conf", None, "urn:t", "iss", {"en": "T"}, 1))
            credentials.add_copies(store, "c", [NewCopy("a", {}, 100), NewCopy("b", {}, 100), NewCopy("old", {}, 5)])
        assert [copy.body for copy in credentials.unused(store, "c", now=10)] == ["a", "b"]
        credentials.take(store, credentials.unused(store, "c", now=10)[0])
        assert [copy.body for copy in credentials.unused(store, "c", now=10)] == ["b"]
        assert credentials.copies(store, "c")[-1].body == "a"
        with store.transaction():
            credentials.replace_copies(store, "c", [NewCopy("new", {}, 200)])
        assert [copy.body for copy in credentials.copies(store, "c")] == ["new"]
