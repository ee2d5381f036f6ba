"""Whether a service listens at its Unix socket, however deep the data folder lies."""

import socket
from pathlib import Path

import pytest

from atorga.town.processes import listens_at
from identity.keys.keyed_hash import MAX_SOCKET_PATH_BYTES, socket_address


@pytest.mark.parametrize("depth", [1, 4])
def test_before_at_and_after(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["a-folder-with-a-long-name-of-its-own"] * depth)
    path = folder / "run" / "hashes.sock"
    assert depth == 1 or len(str(path)) > MAX_SOCKET_PATH_BYTES
    assert not listens_at(path), "nobody has made its folder yet"
    path.parent.mkdir(parents=True)
    assert not listens_at(path)
    with socket_address(path) as address, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(address)
        server.listen()
        assert listens_at(path)
