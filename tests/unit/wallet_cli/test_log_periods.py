"""The log over its periods: where a place lies, and that the periods are one chain."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from consent.ledger.leaf import Kind, Leaf
from consent.log import note
from consent.log.note import ED25519, NoteKey
from consent.log.writer import LogWriter
from identity.keys.ed25519 import Ed25519Signer
from wallet_cli.consents.log_periods import PeriodLogs
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import Network

BASE = "http://localhost:8101"
SEED = bytes(range(32))
KEY = NoteKey("localhost:8101/log/2025", ED25519, Ed25519Signer(SEED).public).format()
"""Pinned in the first period."""

LEAF = Leaf(Kind.USE, 0, bytes(16), 2, 1, 1, 30_000_000, 1, 0, 0, bytes(32))


class Site:
    """Two closed periods and the current one, served as files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.listed: list[dict[str, Any]] = []
        self.missing: set[str] = set()
        first = 0
        committed: bytes | None = None
        for name, count in (("2025", 3), ("2026", 300), ("2027", 2)):
            writer = LogWriter(folder / name, f"localhost:8101/log/{name}", Ed25519Signer(SEED))
            leaves = [replace(LEAF, counter=first + at + 1) for at in range(count)]
            if committed is not None:
                leaves[0] = Leaf(Kind.PREVIOUS, 0, bytes(16), 0, 0, 0, LEAF.minute, 0, 0, 0, committed)
            writer.append([leaf.to_bytes() for leaf in leaves])
            committed = sha256(note.parse(writer.signed_checkpoint).text.encode()).digest()
            writer.close()
            closed = None if name == "2027" else 1
            size = None if closed is None else count
            self.listed.append({"period": name, "first": first, "size": size, "closed": closed, "entries": "kept"})
            first += count

    def logs(self) -> PeriodLogs:
        return PeriodLogs(Network(True, transport=httpx.MockTransport(self._answer)), BASE, KEY)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/log/")
        if path == "periods":
            if "periods" in self.missing:
                return httpx.Response(404)
            return httpx.Response(200, json={"retention_seconds": None, "periods": self.listed})
        name, _, rest = path.partition("/")
        if name not in ("2025", "2026", "2027"):
            name, rest = "2027", path
        file = self.folder / name / rest
        if not file.is_file() or any(f"{name}/{rest}".startswith(gone) for gone in self.missing):
            return httpx.Response(404)
        return httpx.Response(200, content=file.read_bytes())


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize("place", [0, 2, 4, 302, 304])
def test_a_place_is_found_in_its_period(site: Site, place: int) -> None:
    assert site.logs().leaf(place).counter == place + 1


def test_the_first_leaf_of_a_later_period_is_its_link(site: Site) -> None:
    assert site.logs().leaf(3).kind is Kind.PREVIOUS


def test_a_proof_names_its_own_period(site: Site) -> None:
    from consent.ledger.proof import verify_leaf_proof

    proof = site.logs().prove(1)
    assert "localhost:8101/log/2025" in proof
    found = verify_leaf_proof(proof, KEY)
    assert (found.index, found.leaf.counter) == (1, 2)


def test_a_service_that_knows_no_periods(site: Site) -> None:
    site.missing.add("periods")
    assert site.logs().leaf(1).counter == 305


def test_what_retention_has_deleted(site: Site) -> None:
    site.missing.add("2025/tile/entries")
    site.listed[0]["entries"] = "deleted"
    with pytest.raises(ConsentRefused) as refused:
        site.logs().leaf(1)
    assert refused.value.code == "entries_deleted"


def test_what_is_gone_before_its_time(site: Site) -> None:
    site.missing.add("2025/tile/entries")
    with pytest.raises(NetworkError):
        site.logs().leaf(1)


@pytest.mark.parametrize(
    "twist",
    [
        lambda site: site.listed.pop(1),
        lambda site: site.listed[1].update(first=4),
        lambda site: site.listed[0].update(first=1),
        lambda site: site.listed.pop(),
        lambda site: site.listed[0].update(size=2) or site.listed[1].update(first=2, size=301),
        lambda site: site.listed.reverse(),
    ],
    ids=["missing", "gap", "start", "no-current", "other-size", "order"],
)
def test_periods_that_do_not_fit_together(site: Site, twist: Callable[[Site], Any]) -> None:
    twist(site)
    with pytest.raises(ConsentRefused) as refused:
        site.logs().leaf(1)
    assert refused.value.code == "proof_refused"


def test_an_earlier_period_that_the_current_one_does_not_commit_to(site: Site, tmp_path: Path) -> None:
    """Signed by the log's own key, and of the same size: only the chain tells."""
    other = LogWriter(tmp_path / "other", "localhost:8101/log/2026", Ed25519Signer(SEED))
    other.append([replace(LEAF, counter=at + 900).to_bytes() for at in range(300)])
    other.close()
    (tmp_path / "2026").rename(tmp_path / "kept")
    (tmp_path / "other").rename(tmp_path / "2026")
    with pytest.raises(ConsentRefused) as refused:
        site.logs().leaf(5)
    assert refused.value.code == "proof_refused"


@pytest.mark.parametrize(
    "periods", [None, [], 7, [7], [{"period": "2027"}], [{"period": "../2027", "first": 0, "size": None}]]
)
def test_what_is_no_list_of_periods(site: Site, periods: Any) -> None:
    site.listed = periods
    with pytest.raises(ConsentRefused) as refused:
        site.logs()
    assert refused.value.code == "bad_answer"
