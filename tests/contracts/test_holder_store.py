"""What the databases of a data holder and of the kit promise: links, journal, door; one suite, each store."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, text

from consent.door.store import DoorStore, KnownGrant, Narrowed, Noted, Withdrawn
from consent.errors import LedgerConflict, MessageError, StaleMessage
from consent.grant.act import Pause, Resume, VerifiedAct
from consent.grant.use import Reason
from consent.grant.withdrawal import NOTED_SECONDS, VerifiedWithdrawal
from consent.holder import journal, tables
from consent.holder.journal import Journal, Recorded, Use
from consent.holder.law_journal import LawfulAccess, LawJournal
from consent.holder.limits import FREQUENCY, MAX_USES, Limits
from consent.holder.link_store import LinkNotice, LinkStore
from consent.holder.records import LeafRecord
from consent.holder.schema import downgrade, open_engine, upgrade
from consent.holder.told_acts import ActNoted, Taken, ToldActs
from consent.ledger.leaf import Kind
from identity.codec import base64url
from identity.keys.signer import SoftwareSigner
from tests.holder_city import Clock
from verifier.kit.schema import open_database
from verifier.kit.tables import metadata as kit_metadata

NOW = 1_795_315_110
GRANT_ID = base64url.encode(bytes(range(16)))
KEY = SoftwareSigner.from_jwk(SoftwareSigner.generate().private_jwk()).public_key
OTHER_KEY = SoftwareSigner.generate().public_key
NO_LIMITS = Limits(0, 0, 0)


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'holder.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def clock() -> Clock:
    return Clock(float(NOW))


@pytest.fixture
def store(engine: Engine, clock: Clock) -> Journal:
    return Journal(engine, clock)


def grant(**changes: Any) -> KnownGrant:
    named: dict[str, Any] = {
        "grant_id": GRANT_ID, "thumbprint": KEY.thumbprint, "digest": "hash", "service": "service",
        "attributes": ("a", "b"),
    }  # fmt: skip
    return KnownGrant(**named | changes)


def use(number: int = 1, **changes: Any) -> Use:
    named: dict[str, Any] = {
        "use_id": f"use-{number}", "use_request_hash": f"hash-{number}", "grant": grant(), "service": "service",
        "counter": number + 1, "row_key": "1", "asked": ("a",), "at": NOW, "release_before": NOW + 5,
        "expires": NOW + 60,
        "leaf": LeafRecord("log", number, NOW // 86_400, Kind.USE, GRANT_ID, number + 1),
    }  # fmt: skip
    return Use(**named | changes)


def record(store: Journal, one: Use, limits: Limits = NO_LIMITS, answer: str | None = "sealed") -> Recorded:
    return store.record(one, limits, outcome=journal.RELEASED, answer=answer)


def withdrawal(attributes: tuple[str, ...] | None = None, *, other_key: bool = False) -> VerifiedWithdrawal:
    return VerifiedWithdrawal("jti", GRANT_ID, attributes, OTHER_KEY if other_key else KEY, "", "")


def count(engine: Engine, table: str) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


@pytest.mark.parametrize(
    ("open_store", "declared"),
    [(lambda path: _holder(path), tables.metadata), (lambda path: open_database(path), kit_metadata)],
    ids=["holder", "kit"],
)
def test_migrations_lead_to_the_declared_tables(
    tmp_path: Path, open_store: Callable[[Path], Engine], declared: MetaData
) -> None:
    for _ in range(2):
        engine = open_store(tmp_path)
        with engine.begin() as connection:
            context = MigrationContext.configure(connection, opts={"compare_server_default": False})
            assert compare_metadata(context, declared) == []
        engine.dispose()


def _holder(path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{path / 'holder.db'}")
    upgrade(engine)
    return engine


def test_it_is_durable(engine: Engine, tmp_path: Path) -> None:
    for opened in (engine, open_database(tmp_path / "kit")):
        with opened.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    opened.dispose()


# Links.


def test_links(engine: Engine) -> None:
    links = LinkStore(engine)
    assert links.add(handle="h1", key=KEY, mailbox="m", row_key="1", now=NOW) == ("h1", True)
    assert links.add(handle="h2", key=KEY, mailbox="n", row_key="1", now=NOW) == ("h1", False)
    stored = links.by_handle("h1")
    assert stored is not None and stored == links.by_thumbprint(KEY.thumbprint)
    assert (stored.key, stored.mailbox, stored.row_key) == (KEY, "n", "1")
    assert links.by_handle("h2") is None and links.by_thumbprint("other") is None
    with pytest.raises(LedgerConflict, match="taken"):
        links.add(handle="h3", key=KEY, mailbox="m", row_key="2", now=NOW)
    assert links.add(handle="h4", key=OTHER_KEY, mailbox="m", row_key="1", now=NOW + 1) == ("h4", True)
    assert (links.notices("h1"), links.notices("h4")) == ([LinkNotice("link", NOW + 1, None)], [])


# The journal.


def test_a_use_is_recorded_once(engine: Engine, store: Journal) -> None:
    first = record(store, use(), answer="first")
    assert first == Recorded(GRANT_ID, journal.RELEASED, "first")
    again = replace(use(), use_id="other", counter=9)
    again = replace(again, leaf=replace(again.leaf, leaf_index=99))
    assert record(store, again, answer="second") == first == store.find("hash-1")
    assert count(engine, "leaf_record") == 2, "a second leaf for it is in the log, and counted"
    assert count(engine, "release") == 1 and store.find("hash-2") is None


def test_one_use_id_and_one_counter_name_one_use(engine: Engine, store: Journal) -> None:
    record(store, use(1))
    for other in (use(2, use_id="use-1"), use(2, counter=2)):
        with pytest.raises(MessageError, match="another use"):
            record(store, other)
    other_grant = grant(grant_id=base64url.encode(bytes(16)))
    record(store, use(2, counter=2, grant=other_grant))
    assert count(engine, "release") == 2


@pytest.mark.parametrize(
    "other", [{"thumbprint": "other"}, {"digest": "other"}, {"service": "other"}, {"attributes": ("a",)}], ids=str
)
def test_one_id_names_one_grant(store: Journal, other: dict[str, Any]) -> None:
    record(store, use(1))
    with pytest.raises(MessageError, match="another grant"):
        record(store, use(2, grant=grant(**other)))


def test_what_comes_too_late_leaves_no_trace(engine: Engine, store: Journal, clock: Clock) -> None:
    clock.now = NOW + 5
    with pytest.raises(StaleMessage):
        record(store, use())
    assert [count(engine, table) for table in ("release", "known_grant", "grant_use", "stored_answer")] == [0] * 4
    clock.now = NOW + 4.999
    assert record(store, use()).answer == "sealed"


def test_answers_are_erased_at_their_end(engine: Engine, store: Journal, clock: Clock) -> None:
    record(store, use(1))
    clock.now = NOW + 60
    found = store.find("hash-1")
    assert found == Recorded(GRANT_ID, journal.RELEASED, None)
    assert count(engine, "stored_answer") == 0 and count(engine, "release") == 1


def test_withdrawn_here_is_refused_here(engine: Engine, store: Journal) -> None:
    door = DoorStore(engine)
    assert door.withdraw(withdrawal(("b",)), now=NOW) == Noted()
    assert record(store, use(1)).reasons == ()
    assert door.withdraw(withdrawal(("b",)), now=NOW + 1) == Narrowed(("a",), NOW)
    assert record(store, use(2, asked=("a", "b"))).reasons == (Reason("withdrawn", "b"),)
    assert store.refused(GRANT_ID, "service", ("a", "b")) == (Reason("withdrawn", "b"),)
    assert store.refused(GRANT_ID, "other", ("a", "b")) == (), "nothing for anybody else"
    assert door.withdraw(withdrawal(), now=NOW + 2) == Withdrawn(NOW + 2)
    assert record(store, use(3)).reasons == (Reason("withdrawn"),)
    found = store.find("hash-1")
    assert found is not None and found.reasons == (Reason("withdrawn"),), "no stored answer after it"
    assert [entry.attributes for entry in store.of_row("1")] == [("a",), (), ()]


def test_another_key_withdraws_nothing(engine: Engine, store: Journal) -> None:
    record(store, use(1))
    assert DoorStore(engine).withdraw(withdrawal(other_key=True), now=NOW) == Noted()
    assert record(store, use(2)).reasons == ()


def test_a_note_lasts_once_its_grant_is_known(engine: Engine, store: Journal, clock: Clock) -> None:
    door = DoorStore(engine)
    door.withdraw(withdrawal(), now=NOW)
    assert record(store, use(1)).reasons == (Reason("withdrawn"),)
    clock.now = float(NOW + 10**9)
    door.withdraw(VerifiedWithdrawal("j", "another grant", None, KEY, "", ""), now=NOW + 10**9)
    late = use(2, release_before=NOW + 10**9 + 5)
    assert record(store, late).reasons == (Reason("withdrawn"),)


def test_limits(store: Journal) -> None:
    assert [record(store, use(number), Limits(2, 0, 0)).outcome for number in (1, 2, 3)] == [
        journal.RELEASED, journal.RELEASED, MAX_USES,
    ]  # fmt: skip


def test_windows(store: Journal) -> None:
    outcomes = [
        record(store, use(number, at=NOW + at), Limits(0, 1, 100)).outcome
        for number, at in enumerate((0, 99, 100, 150, 200), start=1)
    ]
    assert outcomes == ["released", FREQUENCY, "released", FREQUENCY, "released"]


def test_the_same_request_from_many_threads_is_released_once(engine: Engine, store: Journal) -> None:
    found: list[Recorded] = []
    gate = threading.Barrier(8)

    def run(number: int) -> None:
        gate.wait()
        found.append(record(store, use(1), answer=f"answer {number}"))

    threads = [threading.Thread(target=run, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.answer for one in found}) == 1 and len(found) == 8
    assert count(engine, "release") == 1


def test_no_release_after_a_withdrawal_was_acknowledged(engine: Engine, store: Journal, clock: Clock) -> None:
    """Releases race with a withdrawal: whatever begins after its answer is refused."""
    door, acknowledged = DoorStore(engine), threading.Event()
    record(store, use(1))
    late: list[Recorded] = []
    early: list[Recorded] = []

    def release(start: int) -> None:
        for number in range(start, start + 30):
            after = acknowledged.is_set()
            (late if after else early).append(record(store, use(number)))

    def withdraw() -> None:
        while len(early) < 20:
            pass
        assert door.withdraw(withdrawal(), now=NOW) == Withdrawn(NOW)
        acknowledged.set()

    threads = [threading.Thread(target=release, args=(start,)) for start in (100, 200, 300)]
    threads.append(threading.Thread(target=withdraw))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert early and all(one.reasons == (Reason("withdrawn"),) for one in late)


def test_it_is_all_there_after_reopening(engine: Engine, clock: Clock) -> None:
    record(Journal(engine, clock), use(1))
    DoorStore(engine).withdraw(withdrawal(("b",)), now=NOW)
    engine.dispose()
    again = open_engine(str(engine.url))
    upgrade(again)
    assert [entry.use_id for entry in Journal(again, clock).of_row("1")] == ["use-1"]
    state = DoorStore(again).state(GRANT_ID)
    assert state is not None and state[1].left == ("a",)
    again.dispose()


def test_a_row_reads_its_own_releases(store: Journal) -> None:
    record(store, use(1))
    record(store, use(2, row_key="2"))
    assert [entry.use_id for entry in store.of_row("1")] == ["use-1"]
    assert store.of_row("3") == []


def test_migrations_go_both_ways_and_take_along_what_is_stored(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'old.db'}")
    upgrade(engine, to="0001")
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO release "
            "(use_id, use_request_hash, grant_id, counter, service, row_key, at, attributes, outcome) "
            "VALUES ('u', 'h', 'g', 2, 's', '1', 7, '[\"a\"]', 'released')"
        )
        connection.exec_driver_sql("INSERT INTO link_notice (handle, at) VALUES ('l', 5)")
    for _ in range(2):
        upgrade(engine)
        assert [entry.time for entry in Journal(engine, Clock(float(NOW))).of_row("1")] == [7], "shown as before"
        assert LinkStore(engine).notices("l") == [LinkNotice("link", 5, None)]
        downgrade(engine, to="0001")
    assert count(engine, "release") == 1
    downgrade(engine, to="base")
    engine.dispose()


def test_the_highest_act_holds_and_a_known_grants_acts_last(engine: Engine, store: Journal, clock: Clock) -> None:
    acts = ToldActs(engine)
    pause = VerifiedAct("j", GRANT_ID, NOW, 2, Pause(), KEY, "d")
    assert acts.tell(pause, now=NOW) == ActNoted()
    assert record(store, use(1)).reasons == (Reason("paused"),)
    clock.now = float(NOW + 2 * NOTED_SECONDS)
    acts.tell(replace(pause, grant_id=base64url.encode(bytes(16))), now=int(clock.now))
    late = use(2, release_before=int(clock.now) + 5)
    assert record(store, late).reasons == (Reason("paused"),)
    assert acts.tell(replace(pause, number=1, deed=Resume()), now=NOW) == Taken(True, 2)
    assert acts.tell(replace(pause, number=3, deed=Resume()), now=NOW) == Taken(False, 3)
    assert record(store, use(3, release_before=int(clock.now) + 5)).reasons == ()


def test_a_noted_act_is_forgotten_after_a_year(engine: Engine, clock: Clock) -> None:
    acts = ToldActs(engine)
    acts.tell(VerifiedAct("j", GRANT_ID, NOW, 2, Pause(), KEY, "d"), now=NOW)
    other = VerifiedAct("j", base64url.encode(bytes(16)), NOW, 2, Pause(), KEY, "d")
    acts.tell(other, now=NOW + NOTED_SECONDS - 1)
    assert count(engine, "told_act") == 2
    acts.tell(other, now=NOW + NOTED_SECONDS)
    assert count(engine, "told_act") == 1


def test_no_release_after_a_pause_was_acknowledged(engine: Engine, store: Journal, clock: Clock) -> None:
    """Releases race with a pause: whatever begins after its answer is refused."""
    acts, acknowledged = ToldActs(engine), threading.Event()
    record(store, use(1))
    late: list[Recorded] = []
    early: list[Recorded] = []

    def release(start: int) -> None:
        for number in range(start, start + 20):
            after = acknowledged.is_set()
            (late if after else early).append(record(store, use(number)))

    def pause() -> None:
        while len(early) < 10:
            pass
        assert acts.tell(VerifiedAct("j", GRANT_ID, NOW, 1, Pause(), KEY, "d"), now=NOW) == Taken(True, 1)
        acknowledged.set()

    threads = [threading.Thread(target=release, args=(start,)) for start in (100, 200)]
    threads.append(threading.Thread(target=pause))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert early and all(one.reasons == (Reason("paused"),) for one in late)


# Access by law.


def access(number: int = 1, **changes: Any) -> LawfulAccess:
    named: dict[str, Any] = {
        "id": f"notice-{number}", "request_hash": f"law-{number}", "service": "service", "row_key": "1",
        "asked": ("a",), "release_before": NOW + 5, "expires": NOW + 60, "visible_from": None,
    }  # fmt: skip
    return LawfulAccess(**named | changes)


def leaf(number: int) -> LeafRecord:
    return LeafRecord("log", number, NOW // 86_400, Kind.NOTICE, GRANT_ID, 0)


def test_an_access_by_law_is_recorded_once(engine: Engine, clock: Clock) -> None:
    law = LawJournal(engine, clock)
    first = law.record(access(), leaf(1), outcome=journal.RELEASED, answer="sealed")
    assert law.record(access(), leaf(1), outcome=journal.RELEASED, answer="other") == first == law.find("law-1")
    with pytest.raises(MessageError, match="another access"):
        law.record(access(2, id="notice-1"), leaf(2), outcome=journal.RELEASED, answer="sealed")
    assert (count(engine, "release"), count(engine, "leaf_record")) == (1, 2), "its leaf is counted all the same"


def test_an_access_by_law_that_comes_too_late(engine: Engine, clock: Clock) -> None:
    law = LawJournal(engine, clock)
    clock.now = float(NOW + 5)
    with pytest.raises(StaleMessage):
        law.record(access(), leaf(1), outcome=journal.RELEASED, answer="sealed")
    assert (count(engine, "release"), count(engine, "stored_answer"), count(engine, "leaf_record")) == (0, 0, 1)


def test_what_is_hidden_comes_after_what_was_shown(engine: Engine, store: Journal, clock: Clock) -> None:
    law = LawJournal(engine, clock)
    law.record(access(1, visible_from=NOW + 100), leaf(1), outcome=journal.RELEASED, answer=None)
    record(store, use(1))
    assert [entry.use_id for entry in store.of_row("1")] == ["use-1"]
    clock.now = float(NOW + 99)
    assert len(store.of_row("1")) == 1
    clock.now = float(NOW + 100)
    assert [entry.use_id for entry in store.of_row("1")] == ["use-1", "notice-1"]


def test_an_act_of_a_known_grant_lasts(engine: Engine, store: Journal, clock: Clock) -> None:
    acts, other = ToldActs(engine), base64url.encode(bytes(16))
    record(store, use(1))
    pause = VerifiedAct("j", GRANT_ID, NOW, 1, Pause(), KEY, "d")
    assert acts.tell(pause, now=NOW) == Taken(True, 1)
    clock.now = float(NOW + 2 * NOTED_SECONDS)
    acts.tell(replace(pause, grant_id=other), now=int(clock.now))
    assert store.refused(GRANT_ID, "service", ("a",)) == (Reason("paused"),)
