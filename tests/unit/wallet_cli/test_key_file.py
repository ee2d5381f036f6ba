"""The key file: one passphrase opens it, nothing else does, and nothing gets lost on the way."""

import json
import os
import secrets
from pathlib import Path

import pytest

from wallet_cli.errors import StoreError
from wallet_cli.store import key_file
from wallet_cli.store.key_file import KeyFile

CHEAP = {"memory_kib": 64, "iterations": 1, "lanes": 1}
KEY = bytes(range(32))


def made(passphrase: bytes = b"correct") -> KeyFile:
    return KeyFile.create(passphrase, KEY, random=secrets.token_bytes, **CHEAP)


def test_format_and_parse_are_a_pair() -> None:
    assert KeyFile.parse(made().format()).unwrap(b"correct") == KEY


def test_another_passphrase_is_named_as_such() -> None:
    with pytest.raises(StoreError) as caught:
        made().unwrap(b"Correct")
    assert caught.value.code == "wrong_passphrase"
    assert "orrect" not in caught.value.description


def test_the_database_key_is_not_in_the_file() -> None:
    content = made().format()
    assert KEY not in content
    assert KEY.hex().encode() not in content


@pytest.mark.parametrize("member", ["iterations", "memory_kib", "lanes"])
def test_a_changed_parameter_opens_nothing(member: str) -> None:
    obj = json.loads(made().format())
    obj[member] += 64 if member == "memory_kib" else 1
    with pytest.raises(StoreError) as caught:
        KeyFile.parse(json.dumps(obj).encode()).unwrap(b"correct")
    assert caught.value.code == "wrong_passphrase"


def test_parameters_are_bounded_before_they_are_used() -> None:
    obj = json.loads(made().format())
    obj["memory_kib"] = 1 << 30
    with pytest.raises(StoreError) as caught:
        KeyFile.parse(json.dumps(obj).encode())
    assert caught.value.code == "store_damaged"


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content.replace(b"argon2id", b"argon2xx"),
        lambda content: content.replace(b'"salt":"', b'"salt":"AAAA'),
        lambda content: content[:-2] + b',"more":1}',
    ],
)
def test_a_damaged_key_file_is_told_from_a_wrong_passphrase(change: object) -> None:
    with pytest.raises(StoreError) as caught:
        KeyFile.parse(change(made().format()))  # type: ignore[operator]
    assert caught.value.code == "store_damaged"


def test_a_later_version_is_named() -> None:
    with pytest.raises(StoreError) as caught:
        KeyFile.parse(made().format().replace(b'"version":1', b'"version":2'))
    assert caught.value.code == "store_too_new"


def test_a_failing_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "wallet.key"
    key_file.write(path, b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        key_file.write(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["wallet.key"]


def test_only_the_owner_reads_it(tmp_path: Path) -> None:
    key_file.write(tmp_path / "wallet.key", b"x")
    assert (tmp_path / "wallet.key").stat().st_mode & 0o077 == 0
