"""Whoever is slow or dead elsewhere, a withdrawal takes effect at once, and is answered at once."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.grant.detail import Frequency
from consent.grant.withdrawal import sign_withdrawal
from consent.ledger.placing import Placed, Placing
from consent.spec import MEDIA_JSON, MEDIA_JWT
from identity.codec import strict_json
from tests.consent_city import DAY, HOLDER, ConsentCity, Wallet
from tests.flows.consent_process import ConsentProcess, Presenting

AT_ONCE_SECONDS = 5.0
"""Far below what a peer that does not answer would cost (10 s and more), far above a busy machine's moods."""


class Tarpit:
    """Takes every connection, and never says a word."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server(("127.0.0.1", port))
        self._held: list[socket.socket] = []
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self) -> None:
        try:
            while True:
                self._held.append(self._socket.accept()[0])
        except OSError:
            return

    def close(self) -> None:
        self._socket.close()
        for one in self._held:
            one.close()


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ConsentProcess]:
    process = ConsentProcess(tmp_path)
    tarpit = Tarpit(process.witness_port)
    process.start()
    yield process
    process.end()
    tarpit.close()


def test_a_witness_that_never_answers(process: ConsentProcess) -> None:
    driver = process.driver()
    driver.declare_all()
    resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
    held = resident.give()
    began = time.monotonic()
    answer = resident.withdraw(held)
    assert time.monotonic() - began < AT_ONCE_SECONDS
    assert answer.json()["state"] == "withdrawn"
    use = driver.use_request(held.id)
    assert driver.reasons(driver.use(use), use) == ["withdrawn"]
    driver.close()


def test_a_log_that_stands_still_and_uses_that_wait_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uses wait for their proof; the withdrawal overtakes them, with a promise in place of its proof."""
    city = ConsentCity(tmp_path)
    try:
        city.declare_all()
        wallet = Wallet(city).enrolled()
        detail = city.detail(frequency=Frequency(65_535, DAY), max_uses=65_535)
        used, ended = (wallet.give(city.ask(detail)) for _ in range(2))
        monkeypatch.setattr(Placing, "place", lambda self, *, now: Placed(0, ()))
        monkeypatch.setattr("consent.service.deciding.LOG_SECONDS", 3.0)
        calls = []
        for _ in range(200):
            body = strict_json.compact({"use_request": city.use_request(used.id).compact})
            proof = city.proof(city.signer(HOLDER), "POST", "/uses", body)
            calls.append(("POST", "/uses", body, {"Content-Type": MEDIA_JSON, "Request-Proof": proof}))
        compact = sign_withdrawal(
            ended.id, None, signer=ended.key, now=int(city.clock()), random=city.office.operator.random
        )
        calls.append(("POST", "/withdrawals", compact.encode(), {"Content-Type": MEDIA_JWT}))
        *waited, withdrawn = city.send_all(calls)
        assert {answer.status_code for answer in waited} == {503}
        assert withdrawn.json()["state"] == "withdrawn" and "promise" in withdrawn.json()
        assert withdrawn.elapsed.total_seconds() < AT_ONCE_SECONDS
    finally:
        city.close()
