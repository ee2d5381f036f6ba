"""The consent service as its own process, over HTTP: the story, kill -9 in the middle of uses, a witness."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from consent.grant.detail import Frequency
from consent.grant.use import Allow
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.proof import verify_leaf_proof
from consent.log import note
from consent.log.quorum import Quorum
from consent.log.tile import WIDTH, bundle_path, parse_bundle
from identity.codec import base64url
from tests.consent_city import DAY, Driver, Held
from tests.flows.consent_process import ConsentProcess, Presenting


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ConsentProcess]:
    process = ConsentProcess(tmp_path)
    process.start()
    yield process
    process.end()


@pytest.fixture
def driver(process: ConsentProcess) -> Iterator[Driver]:
    driver = process.driver()
    driver.declare_all()
    yield driver
    driver.close()


def leaves(driver: Driver) -> list[Leaf]:
    """All entries, as an auditor fetches them."""
    checkpoint = driver.get("/log/checkpoint").text
    size = int(checkpoint.split("\n")[1])
    found: list[bytes] = []
    for bundle in range(-(-size // WIDTH)):
        width = min(WIDTH, size - bundle * WIDTH)
        found += parse_bundle(driver.get(f"/log/{bundle_path(bundle, width)}").content, width)
    return [Leaf.from_bytes(entry) for entry in found]


def audit(process: ConsentProcess) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "atorga", "audit", process.url, "--vkey", process.vkey],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_story_with_restarts_between_its_steps(process: ConsentProcess, driver: Driver) -> None:
    request = driver.ask()
    process.kill()
    process.start()
    resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
    process.kill()
    process.start()
    held = resident.give(request)
    process.kill()
    process.start()
    use = driver.use_request(held.id)
    driver.prove(driver.use(use), use, resident)
    process.stop()
    process.start()
    assert resident.withdraw(held).json()["state"] == "withdrawn"
    process.kill()
    process.start()
    refused = driver.use_request(held.id)
    assert driver.reasons(driver.use(refused), refused) == ["withdrawn"]
    kinds = [item["kind"] for item in resident.call("GET", "/me/timeline").json()["items"]]
    assert kinds == ["grant", "use", "withdraw", "deny"]
    audit(process)
    process.stop()
    for path in sorted(path for path in process.folder.rglob("*") if path.is_file()):
        assert b"kq7p3xmiau" not in path.read_bytes(), path


def test_a_presentation_for_somebody_else_opens_no_account(process: ConsentProcess, driver: Driver) -> None:
    resident = Presenting(process, driver, "kq7p3xmiau")
    presented = resident.present

    def elsewhere(jar: str, nonce: str) -> dict[str, list[str]]:
        return presented(jar, nonce) | {"more": ["x"]}

    resident.present = elsewhere  # type: ignore[method-assign]
    answer = resident.enrol()
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")
    resident.present = presented  # type: ignore[method-assign]
    assert resident.enrol().status_code == 201
    assert "kq7p3xmiau" not in process.log("consent").read_text()


class Using(threading.Thread):
    """Uses one grant as fast as it can until the service is gone; remembers what was acknowledged."""

    def __init__(self, process: ConsentProcess, held: Held, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.process, self.held, self.stop = process, held, stop
        self.allowed: list[Allow] = []

    def run(self) -> None:
        driver = self.process.driver()
        try:
            while not self.stop.is_set():
                use = driver.use_request(self.held.id)
                answer = driver.use(use)
                if answer.status_code == 200:
                    allow = driver.answer(answer, use)
                    assert isinstance(allow, Allow)
                    self.allowed.append(allow)
        except httpx.HTTPError:
            pass  # killed in the middle of a request
        finally:
            driver.close()


@pytest.mark.parametrize("round_", range(2))
def test_killed_in_mid_use_nothing_acknowledged_is_lost(process: ConsentProcess, driver: Driver, round_: int) -> None:
    resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
    detail = driver.detail(frequency=Frequency(65_535, DAY), max_uses=65_535)
    grants = [resident.give(driver.ask(detail)) for _ in range(3)]
    stop = threading.Event()
    users = [Using(process, held, stop) for held in grants]
    for user in users:
        user.start()
    deadline = time.monotonic() + 60
    while min(len(user.allowed) for user in users) < 5:
        assert time.monotonic() < deadline, process.log("consent").read_text()
        time.sleep(0.01)
    withdrawn = resident.withdraw(grants[0]).json()
    process.kill()
    stop.set()
    for user in users:
        user.join(30)
    process.start()

    logged = leaves(driver)
    for user in users:
        for allow in user.allowed:
            proven = verify_leaf_proof(allow.proof, process.vkey)
            assert logged[proven.index] == proven.leaf, "an allowed use is where its proof says"
    for held in grants:
        counters = [leaf.counter for leaf in logged if leaf.id == base64url.decode(held.id) and leaf.counter]
        assert counters == list(range(1, len(counters) + 1)), "nothing is missing and nothing stands twice"
    ended = [leaf for leaf in logged if leaf.id == base64url.decode(grants[0].id) and leaf.kind is not Kind.DENY]
    assert ended[-1].kind is Kind.WITHDRAW and ended[-1].counter == withdrawn["counter"]
    refused = driver.use_request(grants[0].id)
    assert driver.reasons(driver.use(refused), refused) == ["withdrawn"]
    again = driver.use_request(grants[1].id)
    driver.prove(driver.use(again), again, resident)
    audit(process)


def test_an_old_copy_of_the_database_takes_in_what_it_lacks(process: ConsentProcess, driver: Driver) -> None:
    resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
    held = resident.give()
    process.stop()
    data = process.folder / "consent"
    shutil.copy(data / "consent.db", data / "yesterday.db")
    process.start()
    use = driver.use_request(held.id)
    driver.prove(driver.use(use), use, resident)
    assert resident.withdraw(held).json()["state"] == "withdrawn"
    process.stop()
    for path in data.glob("consent.db*"):
        path.unlink()
    (data / "yesterday.db").rename(data / "consent.db")
    process.start()
    use = driver.use_request(held.id)
    answer = driver.answer(driver.use(use), use)
    assert [reason.code for reason in answer.reasons] == ["withdrawn"]  # type: ignore[union-attr]
    told = process.log("consent").read_text()
    assert "the database lacks 2 entries that were signed" in told


def test_the_witness_cosigns_and_a_sensitive_purpose_waits_for_it(process: ConsentProcess, driver: Driver) -> None:
    driver.declare(driver.purpose_declaration(version=2, sensitive=True))
    resident = Presenting(process, driver, "kq7p3xmiau").enrolled()
    held = resident.give(driver.ask(driver.detail(identifier="rent-subsidy@2")))
    first = driver.use(driver.use_request(held.id))
    assert first.status_code == 503, "the witness is not there yet"
    process.start_witness()
    quorum = Quorum((process.witness_key,), 1)
    deadline = time.monotonic() + 30
    while not quorum.met(note.parse(driver.get("/log/checkpoint").text)):
        assert time.monotonic() < deadline, process.log("consent").read_text()
        time.sleep(0.1)
    use = driver.use_request(held.id)
    driver.prove(driver.use(use), use, resident, quorum)
