"""The auditor and a real consent service: periods, deletion after retention, groups, promises, a mirror."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from atorga.audit import Answer, Question, answer
from atorga.audit_sources import Below, KeptLog
from consent.ledger.promises import read_promises
from consent.log.note import NoteKey
from consent.log.reader import Fetch
from tests.consent_city import DAY, ORIGIN, Clock, ConsentCity, Held, Wallet

NEXT = ORIGIN.replace("2026", "2027")
RETENTION = 90 * DAY


class Service:
    """The same service, started anew under another period, and what an auditor sees of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.clock = Clock()
        self.city = ConsentCity(folder, clock=self.clock, retention_seconds=RETENTION)
        self.city.declare_all()
        self.wallet = Wallet(self.city).enrolled()
        self.key = NoteKey.parse(self.city.vkey)

    def turn(self) -> None:
        self.city.close()
        self.city = ConsentCity(
            self.folder, keys=self.city.keys, clock=self.clock, origin=NEXT, retention_seconds=RETENTION
        )
        self.wallet.city = self.city

    def use(self, held: Held) -> int:
        return self.city.use(self.city.use_request(held.id)).status_code

    def below(self, prefix: str) -> Fetch:
        def fetch(path: str, most: int) -> bytes | None:
            found = self.city.get(f"/{prefix}{path}")
            assert found.status_code in (200, 404), found.text
            assert len(found.content) <= most
            return found.content if found.status_code == 200 else None

        return fetch

    def audit(self, mirror: Path | None = None, **changes: Any) -> Answer:
        kept = KeptLog(mirror, self.key) if mirror is not None else None
        named: dict[str, Any] = {
            "url": self.city.url, "key": self.key, "quorum": None, "quorum_required": False, "wait_seconds": 0,
            "memory": None, "seen": (), "periods": frozenset(), "kept": kept, "numbers_folder": mirror,
        }  # fmt: skip
        below: Below = self.below
        return answer(Question(**named | changes), below, clock=self.clock, progress=lambda done, total: None)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "city")
    yield made
    made.city.close()


def test_a_service_over_two_periods_and_after_its_retention(service: Service, tmp_path: Path) -> None:
    held = service.wallet.give()
    assert service.use(held) == 200
    first = service.audit(tmp_path / "mirror")
    assert first.report.passed and first.mirrored is not None and first.mirrored.fetched == first.report.leaves_read
    service.clock.now += 60
    service.turn()
    assert service.use(held) == 200
    second = service.audit(tmp_path / "mirror")
    assert second.report.passed, second.report.findings
    assert second.report.leaves_read > first.report.leaves_read
    service.clock.now += RETENTION + DAY
    assert service.city.office.logbook.periods.delete_due() == ["2026"]
    alone, kept = service.audit(), service.audit(tmp_path / "mirror")
    assert alone.report.passed and alone.report.without_entries == (ORIGIN,), alone.report.findings
    assert kept.report.passed and kept.report.without_entries == (), kept.report.findings
    assert kept.report.grants == {"live": 1, "ended": 0} and alone.report.adopted == 1


def test_promises_of_a_service_that_could_not_log(service: Service, tmp_path: Path) -> None:
    held = service.wallet.give()
    assert service.city.office.sequencer.wait_for_size(3, seconds=5)
    service.city.office.sequencer.stop()
    promise = service.wallet.withdraw(held).json()["promise"]
    promises = tuple(read_promises(promise, service.key))
    assert dict(service.audit(promises=promises).report.promises) == {"pending": 1}
    service.turn()
    deadline = time.monotonic() + 10
    while dict((report := service.audit(promises=promises).report).promises) != {"kept": 1}:
        assert time.monotonic() < deadline, report.promises
        time.sleep(0.05)
    assert report.passed, report.findings
