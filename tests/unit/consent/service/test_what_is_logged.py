"""All that is owed beside grants, in one log: the auditor finds nothing wrong, and a freeze does not show as one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.ledger.audit import AuditReport, PeriodLog, audit
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.promise import Promise, verify_promise
from consent.log.note import NoteKey
from consent.log.reader import LogReader, from_folder
from identity.codec import base64url
from tests.consent_city import DAY, ORIGIN, SERVICE, Clock, ConsentCity, Wallet
from tests.unit.consent.service.test_noticing import approve, asked, notify
from tests.unit.consent.service.test_opening_cases import OFFICERS, PEOPLE, by, order, send

MAILBOX = base64url.encode(bytes(range(16)))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[ConsentCity]:
    city = ConsentCity(tmp_path, officers=OFFICERS)
    city.declare_all()
    approve(city)
    yield city
    city.close()


def later(city: ConsentCity, seconds: float) -> None:
    assert isinstance(city.clock, Clock)
    city.clock.now += seconds
    city.registry = city.keys.listed(city.clock())


def logged(city: ConsentCity) -> list[Leaf]:
    writer = city.office.sequencer.writer
    return [Leaf.from_bytes(raw) for raw in writer.entries(0, writer.size)]


def audited(city: ConsentCity, promises: list[Promise]) -> AuditReport:
    reader = LogReader(from_folder(city.folder / "log"), NoteKey(ORIGIN, 1, city.keys.log.public))
    log = PeriodLog(reader, reader.checkpoint())
    return audit(
        [log], seen=[], quorum=None, quorum_required=False, now=int(city.clock()) + 1, promises=promises
    )  # fmt: skip


def until_placed(city: ConsentCity) -> None:
    """Whatever waits gets its place as its time comes: minute by minute, beyond the hour."""
    sequencer = city.office.sequencer
    for _ in range(70):
        later(city, 60)
        size = sequencer.writer.size
        sequencer.wake()
        sequencer.wait_for_size(size, seconds=0.05)


def test_an_auditor_finds_nothing_wrong(city: ConsentCity) -> None:
    wallet = Wallet(city).enrolled()
    assert wallet.call("POST", "/me/mailboxes", {"mailbox": MAILBOX}).is_success
    held = [wallet.give() for _ in range(4)]
    assert city.use(city.use_request(held[0].id)).is_success
    assert notify(city, asked(city)).status_code == 200
    assert send(city, *by(order(held[0].id), *PEOPLE[:2])).status_code == 200
    assert wallet.call("POST", "/me/oppositions", {"service": SERVICE, "purpose": None, "holder": None}).is_success
    frozen = wallet.call("POST", "/me/freeze", {"until": int(city.clock()) + DAY}).json()
    promises = [verify_promise(one, city.vkey) for one in frozen["promises"]]
    assert wallet.act(held[0], 1, "resume").is_success
    assert city.use(city.use_request(held[0].id)).is_success
    wallet.withdraw(held[1])
    until_placed(city)
    later(city, DAY)
    city.office.duties.bookkeeping.round()
    until_placed(city)
    later(city, 21 * DAY)
    city.office.duties.bookkeeping.round()
    until_placed(city)
    assert wallet.call("POST", "/me/erasure", {"grant_id": None}).json()["account"] == "erased"
    until_placed(city)
    kinds = [leaf.kind for leaf in logged(city)]
    for kind, count in {
        Kind.NOTICE: 2, Kind.OPPOSE: 1, Kind.PAUSE: 4, Kind.RESUME: 3, Kind.EXPIRE: 3, Kind.ERASE: 4, Kind.WITHDRAW: 1,
    }.items():  # fmt: skip
        assert kinds.count(kind) == count, kind
    report = audited(city, promises)
    assert report.passed, report.findings


def test_leaves_of_a_freeze_do_not_stand_together(city: ConsentCity) -> None:
    """Nor do they share a minute more often than chance: their times are drawn one by one."""
    wallet = Wallet(city).enrolled()
    held = {base64url.decode(wallet.give().id) for _ in range(12)}
    assert len(wallet.call("POST", "/me/freeze", {"until": None}).json()["paused"]) == 12
    until_placed(city)
    paused = [leaf for leaf in logged(city) if leaf.kind is Kind.PAUSE]
    assert {leaf.id for leaf in paused} == held
    minutes = [leaf.minute for leaf in paused]
    # Twelve of 58 minutes, drawn independently: that five or fewer differ has a chance of one in two million.
    assert len(set(minutes)) > 5 and max(minutes) - min(minutes) <= 60
