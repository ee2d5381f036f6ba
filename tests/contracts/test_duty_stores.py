"""What is owed beside grants, on each database: notices, freezes, ends, the feed, deletions, recoveries."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import Engine, text

from consent.errors import LedgerConflict, NotKnown
from consent.grant.lifecycle import State
from consent.ledger import deletions, grants
from consent.ledger.accounts import RECOVERY_SECONDS, AccountStore, StoredAccount
from consent.ledger.deletions import DeletionStore
from consent.ledger.ended_grants import EndedGrants, Erasable
from consent.ledger.feed import GAP, FeedStore
from consent.ledger.freezes import FreezeStore, FrozenGrant
from consent.ledger.grants import Entry, GrantBody, GrantStore, HotRow
from consent.ledger.journal_roots import JournalRootStore
from consent.ledger.leaf import Kind, Leaf
from consent.ledger.notices import NoticeStore, StoredOpposition, UnlinkedEntry
from consent.ledger.opened import OpenedStore
from consent.ledger.placing import Placing
from consent.ledger.recoveries import RecoveryStore
from consent.ledger.requests import RequestStore
from consent.ledger.restoring import Restoring
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.status_places import StatusListStore, StatusPlaces
from identity.status.spec import SHARD_ENTRIES

NOW = 1_795_315_110
SERVICE, OTHER, HOLDER, PURPOSE = 1, 2, 3, 4
PARTY, PARTY_HOLDER = "urn:atorga:party:social-services", "urn:atorga:party:hacienda"
DAY = 86_400


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'consent.db'}"
    if request.param == "postgresql":
        url = str(request.getfixturevalue("postgresql_url"))
    engine = open_engine(url)
    upgrade(engine)
    yield engine
    engine.dispose()


def maker(kind: Kind, due: int | None = None) -> grants.MakeEntry:
    def make(row: HotRow) -> Entry:
        leaf = Leaf(kind, 0, row.grant_id, row.counter, 0, 0, 0, 0, 0, 0, bytes(32))
        return Entry(kind, leaf.to_bytes(), "sealed", token_bytes(16), due=due, at=NOW * 1_000)

    return make


def unlinked(kind: Kind, *accounts: int) -> UnlinkedEntry:
    leaf_id = token_bytes(16)
    leaf = Leaf(kind, 0, leaf_id, 0, 0, 0, 0, 0, 0, 0, bytes(32))
    return UnlinkedEntry(leaf_id, Entry(kind, leaf.to_bytes(), None), {one: f"sealed to {one}" for one in accounts})


def account(engine: Engine, claim: bytes = b"claim", key: str = "key", now: int = NOW) -> StoredAccount:
    made, _ = AccountStore(engine).enrol(
        claim_hash=claim, thumbprint=key, account_jwk="{}", view_jwk="{}", now=now, recovery_id=token_bytes(16)
    )
    return made


def give(engine: Engine, owner: int, *, service: int = SERVICE, **changes: Any) -> bytes:
    grant_id, request_id = token_bytes(16), token_bytes(16)
    ask = Entry(Kind.REQUEST, Leaf(Kind.REQUEST, 0, request_id, 0, 0, 0, 0, 0, 0, 0, bytes(32)).to_bytes(), None)
    RequestStore(engine).add(request_id, service=service, jws="jws", expires=NOW + 600, mailbox=None, entry=ask)
    row = HotRow(
        grant_id=grant_id, account=owner, service=service, holder=HOLDER, purpose=PURPOSE, state=grants.GIVEN,
        mask=0b11, not_before=NOW - 10, not_after=NOW + 20 * DAY, counter=1, act=0, uses=0, max_uses=0,
        window_start=0, window_uses=0, window_max=0, window_seconds=0, status_index=SHARD_ENTRIES + 7,
    )  # fmt: skip
    body = GrantBody("grant", "locator", "grant-key", token_bytes(32), "{}", None, None)
    GrantStore(engine).give(replace(row, **changes), body, request_id=request_id, now=NOW, make_entry=maker(Kind.GRANT))
    return grant_id


def withdraw(engine: Engine, grant_id: bytes) -> None:
    ended = GrantStore(engine).withdraw(
        grant_id, thumbprint="grant-key", mask=None, at_milliseconds=NOW * 1_000, make_entry=maker(Kind.WITHDRAW)
    )
    assert ended is not None


def place(engine: Engine, now: int = NOW) -> None:
    placing = Placing(engine, token_bytes)
    while placing.place(now=now * 1_000).leaves:
        pass


def row(engine: Engine, grant_id: bytes) -> HotRow:
    found = GrantStore(engine).row(grant_id)
    assert found is not None
    return found


def count(engine: Engine, table: str) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())


# ── notices and oppositions ──────────────────────────────────────────────────────────────────


def notify(engine: Engine, *accounts: int, **changes: Any) -> UnlinkedEntry:
    made = unlinked(Kind.NOTICE, *accounts)
    named: dict[str, Any] = {
        "service": PARTY, "holder": PARTY_HOLDER, "purpose": "p", "jti": token_bytes(16), "at": NOW,
        "late_seconds": None, "visible_from": None, "opposable": True,
    }  # fmt: skip
    NoticeStore(engine).add(made, **named | changes)
    return made


def test_a_notice_is_single_use_and_shown_to_its_accounts(engine: Engine) -> None:
    store = NoticeStore(engine)
    one, two = account(engine).number, account(engine, b"other", "other").number
    made = notify(engine, one, two, jti=bytes(16))
    assert store.was_seen(PARTY, bytes(16)) and not store.was_seen(PARTY, bytes(15) + b"1")
    with pytest.raises(LedgerConflict, match="replayed"):
        notify(engine, one, jti=bytes(16))
    notify(engine, one, jti=bytes(16), service="urn:atorga:party:other")
    [item, _] = store.timeline(one, after=-1, now=NOW, at_most=10)
    assert (item.grant_id, item.kind, item.leaf_index, item.sealed) == (made.id, Kind.NOTICE, None, f"sealed to {one}")
    place(engine)
    assert [item.leaf_index for item in store.timeline(two, after=-1, now=NOW, at_most=10)] == [0]
    assert store.timeline(two, after=0, now=NOW, at_most=10) == []


def test_hidden_notices(engine: Engine) -> None:
    store, owner = NoticeStore(engine), account(engine).number
    notify(engine, owner, visible_from=NOW + 10)
    place(engine)
    assert store.timeline(owner, after=-1, now=NOW + 9, at_most=10) == []
    assert len(store.timeline(owner, after=-1, now=NOW + 10, at_most=10)) == 1
    assert len(store.became_visible(owner, upto=0, now=NOW + 10, at_most=10)) == 1
    assert store.became_visible(owner, upto=-1, now=NOW + 10, at_most=10) == []
    assert store.became_visible(owner, upto=0, now=NOW + 31 * DAY, at_most=10) == []


def test_oppositions_stop_and_end(engine: Engine) -> None:
    store, owner = NoticeStore(engine), account(engine).number
    opposition = StoredOpposition(token_bytes(16), owner, PARTY, "p", None, NOW)
    store.oppose(opposition, unlinked(Kind.OPPOSE, owner), at_most=1)
    assert store.oppositions(owner) == [opposition]
    with pytest.raises(LedgerConflict, match="too_many"):
        store.oppose(replace(opposition, opposition_id=token_bytes(16)), unlinked(Kind.OPPOSE, owner), at_most=1)
    with pytest.raises(LedgerConflict, match="opposition"):
        notify(engine, owner)
    notify(engine, owner, purpose="q")
    notify(engine, owner, opposable=False)
    assert not store.end_opposition(opposition.opposition_id, owner + 1)
    assert store.end_opposition(opposition.opposition_id, owner)
    assert not store.end_opposition(opposition.opposition_id, owner)
    notify(engine, owner)
    assert store.statistics() == (3, [])
    notify(engine, owner, late_seconds=5)
    notify(engine, owner, late_seconds=9)
    assert store.statistics() == (5, [(PARTY_HOLDER, 2, 9)])


def test_an_opposition_and_a_notice_come_in_one_order(engine: Engine) -> None:
    """Whatever the threads do: once the opposition is there, no notice is added."""
    owner = account(engine).number
    opposition = StoredOpposition(token_bytes(16), owner, PARTY, None, None, NOW)

    def oppose() -> None:
        NoticeStore(engine).oppose(opposition, unlinked(Kind.OPPOSE, owner), at_most=9)

    def access() -> bool:
        try:
            notify(engine, owner)
        except LedgerConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(access) for _ in range(10)]
        threads.submit(oppose).result()
        late = [threads.submit(access) for _ in range(5)]
        assert not any(one.result() for one in late)
        done = sum(one.result() for one in waiting)
    assert count(engine, "notice") == done
    with engine.begin() as connection:
        kinds = connection.execute(text("SELECT kind FROM event ORDER BY sequence")).scalars().all()
    assert Kind.NOTICE not in kinds[kinds.index(Kind.OPPOSE) :]


def test_mailboxes_lead_to_accounts(engine: Engine) -> None:
    owner = account(engine).number
    RequestStore(engine).add_mailbox(bytes(16), owner, at_most=9)
    store = NoticeStore(engine)
    assert store.accounts_of([bytes(16), b"1" * 16]) == {owner: "{}"}
    assert store.accounts_of([]) == {} and RequestStore(engine).mailboxes_of(owner) == [bytes(16)]


# ── freezes ──────────────────────────────────────────────────────────────────────────────────


def freeze(engine: Engine, owner: int, *ids: bytes, until: int | None = None) -> list[bytes]:
    made = [(one, maker(Kind.PAUSE)) for one in ids]
    return [paused.grant_id for paused in FreezeStore(engine).freeze(owner, made, until=until)]


def test_a_freeze_pauses_what_is_given_and_its_own(engine: Engine) -> None:
    owner, other = account(engine).number, account(engine, b"other", "other").number
    given, ended, foreign = give(engine, owner), give(engine, owner), give(engine, other)
    withdraw(engine, ended)
    assert freeze(engine, owner, given, ended, foreign) == [given]
    assert (row(engine, given).state, row(engine, given).counter, row(engine, given).act) == (State.PAUSED, 2, 0)
    assert row(engine, foreign).state == State.GIVEN and freeze(engine, owner, given) == []


def test_a_thaw_is_for_what_nobody_touched(engine: Engine) -> None:
    owner, store = account(engine).number, FreezeStore(engine)
    kept, touched = give(engine, owner), give(engine, owner)
    freeze(engine, owner, kept, touched, until=NOW + 10)
    assert store.due(now=NOW + 9, at_most=10) == []
    assert {one.grant_id for one in store.due(now=NOW + 10, at_most=10)} == {kept, touched}
    GrantStore(engine).withdraw(
        touched, thumbprint="grant-key", mask=1, at_milliseconds=NOW * 1_000, make_entry=maker(Kind.AMEND)
    )
    assert store.thaw(FrozenGrant(touched, 2), maker(Kind.RESUME)) is None
    thawed = store.thaw(FrozenGrant(kept, 2), maker(Kind.RESUME))
    assert thawed is not None and (thawed.state, thawed.counter) == (State.GIVEN, 3)
    assert store.due(now=NOW + 10, at_most=10) == []


def test_freezes_only_grow(engine: Engine) -> None:
    owner, store = account(engine).number, FreezeStore(engine)
    freeze(engine, owner, give(engine, owner), until=NOW + 100)
    freeze(engine, owner, until=NOW + 50)
    assert store.due(now=NOW + 99, at_most=10) == []
    freeze(engine, owner, until=NOW + 200)
    assert store.due(now=NOW + 199, at_most=10) == []
    freeze(engine, owner)
    assert store.due(now=NOW + 10**9, at_most=10) == []


def test_freeze_and_withdrawal_at_once_end_withdrawn(engine: Engine) -> None:
    owner = account(engine).number
    ids = [give(engine, owner) for _ in range(6)]
    with ThreadPoolExecutor(8) as threads:
        frozen = [threads.submit(freeze, engine, owner, *ids) for _ in range(2)]
        ended = [threads.submit(withdraw, engine, one) for one in ids]
        for one in frozen:
            one.result()
        for other in ended:
            other.result()
    assert {row(engine, one).state for one in ids} == {State.WITHDRAWN}


# ── ends ─────────────────────────────────────────────────────────────────────────────────────


def test_expire_is_for_what_is_past_its_end(engine: Engine) -> None:
    owner, store = account(engine).number, EndedGrants(engine)
    grant_id = give(engine, owner, not_after=NOW + 10)
    assert store.expire(grant_id, maker(Kind.EXPIRE), now=NOW + 9) is None
    done = store.expire(grant_id, maker(Kind.EXPIRE), now=NOW + 10)
    assert done is not None and (done.state, done.counter, done.mask) == (State.EXPIRED, 2, 0)
    assert store.expire(grant_id, maker(Kind.EXPIRE), now=NOW + 10) is None
    scanned = store.scan(b"", at_most=10)
    assert [(one.grant_id, one.state) for one in scanned] == [(grant_id, State.EXPIRED)]
    assert store.scan(grant_id, at_most=10) == []


def erasable(grant_id: bytes) -> Erasable:
    return Erasable(grant_id, None, maker(Kind.EXPIRE), maker(Kind.ERASE))


def test_erasure_empties_what_has_ended(engine: Engine) -> None:
    owner, store = account(engine).number, EndedGrants(engine)
    ended, live = give(engine, owner), give(engine, owner)
    store.keep_former_opening(ended, b"k" * 32)
    store.keep_former_opening(ended, b"k" * 32)
    assert store.former_openings(ended) == [b"k" * 32]
    withdraw(engine, ended)
    with pytest.raises(LedgerConflict, match="given"):
        store.erase(owner, [erasable(ended), erasable(live)], now=NOW, whole_account=False)
    assert GrantStore(engine).body(ended) is not None, "nothing was done of what could not be done whole"
    assert not store.erase(owner, [erasable(ended)], now=NOW, whole_account=True)
    done = row(engine, ended)
    assert (done.state, done.account, done.counter) == (State.ERASED, 0, 3)
    assert GrantStore(engine).body(ended) is None and store.former_openings(ended) == []
    with pytest.raises(LedgerConflict, match="erased"):
        store.erase(owner, [erasable(ended)], now=NOW, whole_account=False)
    withdraw(engine, live)
    with pytest.raises(LedgerConflict, match="withdrawn"):
        store.erase(owner + 1, [erasable(live)], now=NOW, whole_account=False)
    assert store.erase(owner, [erasable(live)], now=NOW, whole_account=True)
    assert (count(engine, "account"), count(engine, "account_key"), count(engine, "grant_row")) == (0, 0, 2)


def test_a_grant_whose_text_was_lost_keeps_no_account(engine: Engine) -> None:
    owner, store = account(engine).number, EndedGrants(engine)
    lost = give(engine, owner)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM grant_body"))
    assert not store.erase(owner, [], now=NOW, whole_account=True), "it lives"
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE grant_row SET state = {State.INVALIDATED.value}"))
    assert store.erase(owner, [], now=NOW, whole_account=True)
    assert row(engine, lost).account == 0 and count(engine, "account") == 0


# ── the feed ─────────────────────────────────────────────────────────────────────────────────


def test_the_feed_numbers_each_services_items(engine: Engine) -> None:
    owner, store = account(engine).number, FeedStore(engine)
    first, other, second = give(engine, owner), give(engine, owner, service=OTHER), give(engine, owner)
    assert store.items(SERVICE, after=0, at_most=10) == [] and store.next_sequence(SERVICE) == 1
    assert {one.grant_id for one in store.number()} == {first, other, second}
    withdraw(engine, first)
    assert [(one.service, one.state) for one in store.number()] == [(SERVICE, State.WITHDRAWN)]
    assert store.number() == []
    items = store.items(SERVICE, after=0, at_most=10)
    assert [(one.sequence, one.grant_id, one.state, one.counter) for one in items] == [
        (1, first, State.GIVEN, 1), (2, second, State.GIVEN, 1), (3, first, State.WITHDRAWN, 2),
    ]  # fmt: skip
    assert all((one.at, one.status_index) == (NOW * 1_000, SHARD_ENTRIES + 7) for one in items)
    assert [one.sequence for one in store.items(SERVICE, after=1, at_most=1)] == [2]
    assert [one.sequence for one in store.items(OTHER, after=0, at_most=9)] == [1]
    assert store.delivered(SERVICE) == 0
    store.deliver(SERVICE, upto=3)
    store.deliver(SERVICE, upto=2)
    assert store.delivered(SERVICE) == 3
    assert store.forget(before=NOW * 1_000) == 0 and store.forget(before=NOW * 1_000 + 1) == 4
    assert store.next_sequence(SERVICE) == 4


def test_numbers_have_no_gap_whoever_numbers(engine: Engine) -> None:
    owner = account(engine).number
    with ThreadPoolExecutor(6) as threads:
        given = [threads.submit(give, engine, owner) for _ in range(20)]
        for _ in range(20):
            threads.submit(FeedStore(engine).number)
        for one in given:
            one.result()
    while FeedStore(engine).number():
        pass
    assert [one.sequence for one in FeedStore(engine).items(SERVICE, after=0, at_most=99)] == list(range(1, 21))


# ── status lists ─────────────────────────────────────────────────────────────────────────────


def test_places_are_given_once_by_whatever_process(engine: Engine) -> None:
    workers = [StatusPlaces(engine, token_bytes) for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        taken = [place for made in threads.map(_take, workers) for place in made]
    assert len(set(taken)) == len(taken) == 2_400
    store = StatusListStore(engine)
    assert store.numbers() == [1] and store.token(1) is None
    store.keep(1, "token", signed_at=NOW)
    assert store.token(1) == "token" and store.token(2) is None
    assert store.signed_before(NOW) == [] and store.signed_before(NOW + 1) == [1]
    owner = account(engine).number
    withdraw(engine, give(engine, owner))
    give(engine, owner, status_index=SHARD_ENTRIES + 8)
    assert store.states(1) == [(SHARD_ENTRIES + 7, State.WITHDRAWN)]


def test_a_restored_copy_gives_no_number_out_again(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("INSERT INTO party (number, party_id) VALUES (1, 'one'), (9, 'nine')"))
    give(engine, 1, service=9)
    feed, places = FeedStore(engine), StatusPlaces(engine, token_bytes)
    feed.number()
    before = places.take()
    restoring = Restoring(engine, close_again=lambda *_: maker(Kind.WITHDRAW))
    for times in (1, 2):
        restoring.skip_given_out()
        assert (feed.next_sequence(1), feed.next_sequence(9)) == (times * GAP + 1, times * GAP + 2)
    assert StatusPlaces(engine, token_bytes).take() // SHARD_ENTRIES == before // SHARD_ENTRIES + 1


def _take(places: StatusPlaces) -> list[int]:
    return [places.take() for _ in range(600)]


# ── deletions, roots, openings ───────────────────────────────────────────────────────────────


def test_deletions_are_learnt_from_the_log(engine: Engine) -> None:
    owner, store = account(engine).number, DeletionStore(engine)
    grant_id = give(engine, owner)

    def due(row: HotRow, body: GrantBody, last_use: int, end: int | None) -> int:
        return last_use + 100 if end is None else min(last_use + 100, end + 10)

    def use(now: int) -> None:
        used = GrantStore(engine).use(
            grant_id, service=SERVICE, holder=HOLDER, purpose=PURPOSE, mask=1, now=now, jti=token_bytes(16),
            request_hash=bytes(32), expires=now + 60, make_entry=maker(Kind.USE),
        )  # fmt: skip
        assert used is not None
        place(engine, now)

    place(engine)
    assert store.read_log(due) == 2 and store.of_account(owner) == []
    use(NOW)
    minute = NOW - NOW % 60
    assert store.read_log(due) == 1 and store.read_log(due) == 0
    [one] = store.of_account(owner)
    assert (one.last_use, one.due, one.state, one.service) == (minute, minute + 100, deletions.DUE, SERVICE)
    assert store.alarm(now=minute + 99) == {} and store.overdue() == []
    assert store.alarm(now=minute + 100) == {SERVICE: 1} and store.alarm(now=minute + 100) == {}
    assert store.overdue() == [(SERVICE, 1)]
    assert not store.receive(grant_id, "receipt", deleted_at=minute - 1)
    assert store.receive(grant_id, "receipt", deleted_at=minute) and store.overdue() == []
    # In the minute of the last use, and yet after the receipt.
    use(NOW)
    assert store.read_log(due) == 1
    found = store.find(grant_id)
    assert found is not None and (found.state, found.receipt, found.last_use) == (deletions.DUE, None, minute)
    use(NOW + 600)
    store.read_log(due)
    found = store.find(grant_id)
    assert found is not None and (found.state, found.receipt, found.last_use) == (deletions.DUE, None, minute + 600)
    withdraw(engine, grant_id)
    place(engine, NOW + 660)
    store.read_log(due)
    found = store.find(grant_id)
    assert found is not None and found.due == min(minute + 700, minute + 660 + 10)


def test_roots(engine: Engine) -> None:
    store = JournalRootStore(engine)
    for one in ("a", "b", "a"):
        store.add(one)
    assert store.all(at_most=10) == ["a", "b"] and store.all(at_most=1) == ["b"]


def test_an_opening_is_single_use(engine: Engine) -> None:
    store, owner = OpenedStore(engine), account(engine).number
    grant_id = give(engine, owner)
    first = unlinked(Kind.NOTICE, owner)
    assert store.order(bytes(16), grant_id, bytes(32), first) == first.id
    assert store.order(bytes(16), grant_id, bytes(32), unlinked(Kind.NOTICE, owner)) == first.id
    with pytest.raises(LedgerConflict, match="replayed"):
        store.order(bytes(16), grant_id, b"1" * 32, unlinked(Kind.NOTICE, owner))
    assert count(engine, "notice_item") == 1 and store.events(grant_id) == []
    place(engine)
    assert [(one.counter, one.sealed) for one in store.events(grant_id)] == [(1, "sealed")]


# ── recoveries ───────────────────────────────────────────────────────────────────────────────


def test_recoveries_and_their_cancellation(engine: Engine) -> None:
    store = RecoveryStore(engine)
    owner = account(engine)
    taken = account(engine, key="thief", now=NOW + 1)
    assert (taken.number, taken.full_after) == (owner.number, NOW + 1 + RECOVERY_SECONDS)
    [recovery] = store.of_account(owner.number)
    asked: dict[str, Any] = {"account": owner.number, "now": NOW + 2}
    with pytest.raises(LedgerConflict, match="recovered"):
        store.cancel(recovery.recovery_id, thumbprint="thief", **asked)
    with pytest.raises(NotKnown):
        store.cancel(bytes(16), thumbprint="key", **asked)
    with pytest.raises(LedgerConflict, match="done"):
        store.cancel(recovery.recovery_id, thumbprint="key", account=owner.number, now=recovery.full_after)
    store.cancel(recovery.recovery_id, thumbprint="key", **asked)
    assert AccountStore(engine).by_number(owner.number) == owner
    assert store.key("thief") is None and store.key("key") == (owner.number, "{}")
    with pytest.raises(LedgerConflict, match="cancelled"):
        account(engine, key="thief", now=NOW + 3)


def test_recoveries_at_once_leave_one_present_key(engine: Engine) -> None:
    owner = account(engine)
    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(lambda n: account(engine, key=f"key {n}", now=NOW + 1), range(6)))
    assert {one.number for one in made} == {owner.number}
    present = AccountStore(engine).by_number(owner.number)
    assert present is not None and present.full_after == NOW + 1 + RECOVERY_SECONDS
    assert len(RecoveryStore(engine).of_account(owner.number)) == 6
    with ThreadPoolExecutor(2) as threads:
        claims = [threads.submit(_enrol, engine, claim) for claim in (b"one", b"two")]
        assert sorted(one.result() for one in claims) == [False, True], "a key belongs to one claim"


def _enrol(engine: Engine, claim: bytes) -> bool:
    try:
        account(engine, claim, "shared")
    except LedgerConflict:
        return False
    return True
