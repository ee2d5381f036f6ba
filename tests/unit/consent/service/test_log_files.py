"""The log's files over HTTP, as an auditor fetches them."""

import pytest

from consent.log import checkpoint
from consent.log.note import NoteKey
from tests.consent_city import ConsentCity, Wallet


def test_checkpoint_and_tiles_are_served_as_they_lie(wallet: Wallet) -> None:
    city = wallet.city
    wallet.give()
    assert city.office.sequencer.wait_for_size(3, seconds=5)
    size = city.office.sequencer.writer.size
    for prefix in ("/log", "/log/2026"):
        answer = city.get(f"{prefix}/checkpoint")
        assert checkpoint.verify(answer.text, NoteKey.parse(city.vkey)).size == size
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        for path in (f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}"):
            found = city.get(f"{prefix}/{path}")
            assert found.content == (city.folder / "log" / path).read_bytes()
            assert found.headers["content-type"] == "application/octet-stream"
            assert "immutable" in found.headers["cache-control"]


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000", "tile/0/001.p/3", "tile/entries/000", "tile/6/000", "tile/0/0", "tile/0/000.p/0",
        "tile/0/000.p/256", "tile/0/x000/000", "tile/../consent.db", "tile/%2e%2e/%2e%2e/consent.db", "writer.lock",
        "checkpoint.0", "tile/0/000.p/4/..", "tile//0/000", "tile/entries/", "tile/", "", "../consent.db",
        "tile/0/" + "x001/" * 7 + "001", "tile/0/" + "x001/" * 900 + "001", "tile/entries/" + "x001/" * 1500 + "001",
    ],
)  # fmt: skip
def test_nothing_else_is(wallet: Wallet, path: str) -> None:
    for prefix in ("/log", "/log/2026", "/log/2025"):
        answer = wallet.city.get(f"{prefix}/{path}")
        assert answer.status_code == 404, path
        assert answer.headers["cache-control"] == "no-store"


def test_an_empty_log_has_a_checkpoint(city: ConsentCity) -> None:
    assert checkpoint.verify(city.get("/log/checkpoint").text, NoteKey.parse(city.vkey)).size == 0
    assert city.get("/log/2025/checkpoint").status_code == 404
