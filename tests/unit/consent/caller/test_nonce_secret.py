"""The secret behind proof nonces: one for all processes on a data folder, readable by its owner alone."""

import secrets
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from consent.caller.nonce_secret import SECRET_BYTES, shared_secret
from consent.caller.nonces import Nonces
from consent.errors import OutOfService

NOW = 1_795_315_010


def test_a_nonce_of_one_process_is_taken_by_another(tmp_path: Path) -> None:
    path = tmp_path / "nonces"
    one, other = (Nonces(shared_secret(path, secrets.token_bytes)) for _ in range(2))
    assert other.accepts(one.fresh(NOW), NOW + 200)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["nonces"]


def test_whoever_comes_first_decides(tmp_path: Path) -> None:
    path = tmp_path / "nonces"
    with ThreadPoolExecutor(8) as pool:
        found = set(pool.map(lambda _: shared_secret(path, secrets.token_bytes), range(8)))
    assert len(found) == 1


@pytest.mark.parametrize("content", [b"", b"x" * (SECRET_BYTES - 1), b"x" * (SECRET_BYTES + 1)])
def test_a_file_of_another_size_is_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "nonces"
    path.write_bytes(content)
    with pytest.raises(OutOfService, match=f"{len(content)} bytes"):
        shared_secret(path, secrets.token_bytes)
