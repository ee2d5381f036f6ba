"""The database is gone in the middle of everything: 503, nothing half done, and it comes back by itself."""

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.grant.detail import Frequency
from tests.consent_city import DAY, ConsentCity, Driver, Held, Wallet
from tests.flows.consent_process import ConsentProcess, Presenting
from tests.postgresql import Server, running

AGAIN_SECONDS = 60.0


@pytest.fixture
def server(postgresql_server: Server) -> Iterator[Server]:
    """One of this test's own: it is stopped in mid-run. Where there is none, the shared one has said so."""
    with running() as own:
        yield own


def again(driver: Driver, held: Held) -> None:
    """Uses go on without anybody's help."""
    deadline = time.monotonic() + AGAIN_SECONDS
    while True:
        use = driver.use_request(held.id)
        answer = driver.use(use)
        if answer.status_code == 200:
            return
        assert answer.status_code == 503, answer.text
        assert time.monotonic() < deadline, "it does not come back"
        time.sleep(0.2)


def test_postgresql_stops_and_starts_again(server: Server, tmp_path: Path) -> None:
    process = ConsentProcess(tmp_path, database=server.url(server.new_database()))
    process.start()
    try:
        driver = process.driver()
        driver.declare_all()
        resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
        detail = driver.detail(frequency=Frequency(65_535, DAY), max_uses=65_535)
        held, other = (resident.give(driver.ask(detail)) for _ in range(2))
        use = driver.use_request(held.id)
        driver.prove(driver.use(use), use, resident)
        before = resident.call("GET", f"/me/grants/{held.id}").json()["counter"]
        server.stop()
        asked = driver.use_request(held.id)
        for answer in (driver.use(asked), resident.withdraw(other), resident.call("GET", "/me/grants")):
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable"), answer.text
        server.start()
        again(driver, held)
        # What was refused then was not counted, and may come again.
        allowed = driver.use(asked)
        driver.prove(allowed, asked, resident)
        assert resident.withdraw(other).json()["state"] == "withdrawn"
        after = resident.call("GET", f"/me/grants/{held.id}").json()["counter"]
        assert after >= before + 2
        driver.close()
    finally:
        process.end()


def test_sqlite_fails_and_works_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    city = ConsentCity(tmp_path)
    try:
        city.declare_all()
        wallet = Wallet(city).enrolled()
        held = wallet.give()

        def fails(*_: object) -> object:
            raise sqlite3.OperationalError("disk I/O error")

        asked = city.use_request(held.id)
        with monkeypatch.context() as broken:
            broken.setattr("consent.ledger.uses_sqlite._use", fails)
            answer = city.use(asked)
            assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
            assert "disk" not in answer.text
        assert wallet.call("GET", f"/me/grants/{held.id}").json()["counter"] == 1
        city.prove(city.use(asked), asked, wallet)
    finally:
        city.close()
