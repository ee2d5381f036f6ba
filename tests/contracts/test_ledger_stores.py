"""What every database of the consent service promises: one suite, each store."""

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import Engine, text

from consent.errors import CallerUnproven, LedgerConflict
from consent.ledger import grants, turns
from consent.ledger.accounts import RECOVERY_SECONDS, AccountStore
from consent.ledger.declarations import DeclarationStore
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.events import EventStore
from consent.ledger.grants import Entry, GrantBody, GrantStore, HotRow
from consent.ledger.leaf import DAY_ONLY, Kind, Leaf
from consent.ledger.placing import Placing
from consent.ledger.proofs import PROOF_SECONDS, ProofStore
from consent.ledger.requests import RequestStore
from consent.ledger.schema import open_engine, upgrade
from consent.ledger.uses import SpentProof
from consent.ledger.writer import Writer

NOW = 1_795_315_110
GRANT = bytes(range(16))
REQUEST = bytes(range(16, 32))
JTI = bytes(16)
SERVICE, HOLDER, PURPOSE, ACCOUNT = 1, 2, 3, 4
KEY = "grant-key-thumbprint"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / 'consent.db'}"


@pytest.fixture(params=["one by one", "group commit"])
def engine(request: pytest.FixtureRequest, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """The suite holds for a transaction each, and where one writer commits for all."""
    engine = open_engine(url)
    upgrade(engine)
    writer = Writer(engine)
    if request.param == "group commit":
        monkeypatch.setattr(grants, "OneByOne", lambda _: writer)
    yield engine
    writer.stop()
    engine.dispose()


@pytest.fixture
def store(engine: Engine) -> GrantStore:
    return GrantStore(engine)


def entry(row: HotRow | None = None, kind: Kind = Kind.USE) -> Entry:
    counter = row.counter if row else 0
    leaf = Leaf(kind, 0, row.grant_id if row else GRANT, counter, 0, 0, 0, 0, 0, 0, bytes(32))
    return Entry(kind, leaf.to_bytes(), "sealed", receipt_id=None)


def hot(**changes: Any) -> HotRow:
    row = HotRow(
        grant_id=GRANT, account=ACCOUNT, service=SERVICE, holder=HOLDER, purpose=PURPOSE, state=grants.GIVEN,
        mask=0b111, not_before=NOW - 10, not_after=NOW + 1_000, counter=1, act=0, uses=0, max_uses=0,
        window_start=0, window_uses=0, window_max=0, window_seconds=0, status_index=0,
    )  # fmt: skip
    return replace(row, **changes)


def body() -> GrantBody:
    return GrantBody("grant", "locator", KEY, bytes(32), "{}", None, None)


def ask(engine: Engine, request_id: bytes = REQUEST, expires: int = NOW + 600) -> None:
    RequestStore(engine).add(
        request_id, service=SERVICE, jws="jws", expires=expires, mailbox=None, entry=entry(kind=Kind.REQUEST)
    )


def give(engine: Engine, **changes: int) -> GrantStore:
    ask(engine)
    store = GrantStore(engine)
    store.give(hot(**changes), body(), request_id=REQUEST, now=NOW, make_entry=entry)
    return store


def use(store: GrantStore, *, now: int = NOW, mask: int = 1, jti: int = 0, **changes: int) -> HotRow | None:
    named = {"service": SERVICE, "holder": HOLDER, "purpose": PURPOSE} | changes
    return store.use(
        GRANT, mask=mask, now=now, jti=jti.to_bytes(16, "big"), request_hash=bytes(32), expires=now + 60,
        make_entry=entry, **named,
    )  # fmt: skip


def withdraw(store: GrantStore, mask: int | None = None, key: str = KEY, at: int = NOW * 1000) -> grants.Ended | None:
    return store.withdraw(GRANT, thumbprint=key, mask=mask, at_milliseconds=at, make_entry=entry)


def leaves(engine: Engine) -> int:
    with engine.begin() as connection:
        return int(connection.execute(text("SELECT count(*) FROM event")).scalar_one())


def test_give_and_read_back(engine: Engine) -> None:
    store = give(engine, mask=1 << 63 | 1)
    assert store.row(GRANT) == hot(mask=1 << 63 | 1)
    assert store.body(GRANT) == body()
    assert store.of_account(ACCOUNT) == [hot(mask=1 << 63 | 1)]
    request = RequestStore(engine).get(REQUEST)
    assert request is not None and not request.open_at(NOW) and request.grant_id == GRANT


def test_a_proof_is_spent_with_its_decision(engine: Engine) -> None:
    """And with nothing else: what is refused for another reason leaves it, and it lets nothing through twice."""
    store, requests, second = GrantStore(engine), RequestStore(engine), bytes(15) + b"\1"
    proof = SpentProof(KEY, "jti", NOW + 120)
    for request_id in (REQUEST, second):
        ask(engine, request_id)
    with pytest.raises(LedgerConflict, match="request_closed"):
        store.give(hot(), body(), request_id=bytes(16), now=NOW, make_entry=entry, proof=proof)
    store.give(hot(), body(), request_id=REQUEST, now=NOW, make_entry=entry, proof=proof)
    other = replace(hot(), grant_id=bytes(reversed(GRANT)))
    with pytest.raises(CallerUnproven):
        store.give(other, body(), request_id=second, now=NOW, make_entry=entry, proof=proof)
    with pytest.raises(CallerUnproven):
        requests.refuse(second, now=NOW, entry=entry(kind=Kind.REFUSE), proof=proof)
    found = requests.get(second)
    assert found is not None and found.open_at(NOW) and store.row(other.grant_id) is None
    assert not ProofStore(engine).spend(KEY, "jti", now=NOW)
    requests.refuse(second, now=NOW, entry=entry(kind=Kind.REFUSE), proof=replace(proof, jti="another"))
    assert not ProofStore(engine).spend(KEY, "another", now=NOW)


def test_first_decision_closes_a_request(engine: Engine) -> None:
    store = give(engine)
    other = bytes(reversed(GRANT))
    with pytest.raises(LedgerConflict, match="request_closed"):
        store.give(replace(hot(), grant_id=other), body(), request_id=REQUEST, now=NOW, make_entry=entry)
    with pytest.raises(LedgerConflict, match="request_closed"):
        RequestStore(engine).refuse(REQUEST, now=NOW, entry=entry())
    assert store.row(other) is None and leaves(engine) == 2


def test_expired_and_unknown_requests_are_closed(engine: Engine) -> None:
    ask(engine, expires=NOW)
    for request_id in (REQUEST, bytes(16)):
        with pytest.raises(LedgerConflict, match="request_closed"):
            GrantStore(engine).give(hot(), body(), request_id=request_id, now=NOW, make_entry=entry)
    assert GrantStore(engine).row(GRANT) is None


def test_taken_ids_leave_everything_as_it_was(engine: Engine) -> None:
    store = give(engine)
    second = bytes(15) + b"\1"
    ask(engine, second)
    with pytest.raises(LedgerConflict, match="taken"):
        store.give(hot(), body(), request_id=second, now=NOW, make_entry=entry)
    request = RequestStore(engine).get(second)
    assert request is not None and request.open_at(NOW)
    with pytest.raises(LedgerConflict, match="taken"):
        ask(engine, second)


def test_a_grant_withdrawn_before_it_came(engine: Engine) -> None:
    ask(engine)
    assert ProofStore(engine).note_withdrawal(GRANT, KEY, "null", now=NOW)
    assert ProofStore(engine).note_withdrawal(GRANT, KEY, "null", now=NOW)
    with pytest.raises(LedgerConflict, match="withdrawn"):
        GrantStore(engine).give(hot(), body(), request_id=REQUEST, now=NOW, make_entry=entry)
    request = RequestStore(engine).get(REQUEST)
    assert request is not None and request.open_at(NOW)


def test_a_withdrawal_that_meets_its_grant_is_not_noted(engine: Engine) -> None:
    give(engine)
    assert not ProofStore(engine).note_withdrawal(GRANT, KEY, "null", now=NOW)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM noted_withdrawal")).scalar_one() == 0


def test_use_counts(engine: Engine) -> None:
    store = give(engine)
    first, second = use(store, jti=1), use(store, jti=2)
    assert first is not None and (first.counter, first.uses) == (2, 1)
    assert second is not None and (second.counter, second.uses) == (3, 2)
    assert leaves(engine) == 4


@pytest.mark.parametrize(
    "changes",
    [{"service": 9}, {"holder": 9}, {"purpose": 9}, {"mask": 0b1001}, {"now": NOW - 11}, {"now": NOW + 1_000}],
)
def test_use_outside_the_grant(engine: Engine, changes: dict[str, int]) -> None:
    store = give(engine)
    assert use(store, **changes) is None
    assert store.row(GRANT) == hot() and leaves(engine) == 2
    assert use(store) is not None, "a refused request does not spend its jti"


def test_replay_is_noticed(engine: Engine) -> None:
    store = give(engine)
    assert use(store, jti=7) is not None
    with pytest.raises(LedgerConflict, match="replayed"):
        use(store, jti=7)
    assert store.seen_use_request(SERVICE, (7).to_bytes(16, "big")) == bytes(32)
    assert store.seen_use_request(SERVICE, (8).to_bytes(16, "big")) is None
    row = store.row(GRANT)
    assert row is not None and row.uses == 1


def test_max_uses_is_exact(engine: Engine) -> None:
    store = give(engine, max_uses=2)
    assert [use(store, jti=n) is not None for n in range(3)] == [True, True, False]


def test_frequency_window_begins_with_its_first_use(engine: Engine) -> None:
    store = give(engine, window_max=2, window_seconds=100)
    times = (NOW + 5, NOW + 6, NOW + 104, NOW + 105, NOW + 106, NOW + 107)
    allowed = [use(store, now=now, jti=now) is not None for now in times]
    assert allowed == [True, True, False, True, True, False]


@pytest.mark.parametrize("state", [grants.GIVEN, grants.PAUSED])
def test_withdrawal_always_wins(engine: Engine, state: int) -> None:
    store = give(engine, state=state)
    ended = withdraw(store)
    assert ended is not None and not ended.repeated
    assert (ended.row.state, ended.row.mask, ended.counter) == (grants.WITHDRAWN, 0, 2)
    assert use(store) is None
    again = withdraw(store, at=NOW * 1000 + 99)
    assert again is not None and again.repeated
    assert (again.counter, again.effective_at) == (2, NOW * 1000)
    assert leaves(engine) == 3


def test_withdrawal_by_another_key_or_of_an_unknown_grant(engine: Engine) -> None:
    store = GrantStore(engine)
    assert withdraw(store) is None
    give(engine)
    assert withdraw(store, key="another") is None
    assert store.row(GRANT) == hot() and leaves(engine) == 2


def test_withdrawal_of_attributes(engine: Engine) -> None:
    store = give(engine)
    one = withdraw(store, 0b001)
    assert one is not None and (one.row.mask, one.row.state, one.counter) == (0b110, grants.GIVEN, 2)
    again = withdraw(store, 0b001, at=NOW * 1000 + 5)
    assert again is not None and again.repeated and (again.counter, again.effective_at) == (2, NOW * 1000)
    assert use(store, mask=0b001) is None and use(store, mask=0b010) is not None
    rest = withdraw(store, 0b111)
    assert rest is not None and (rest.row.state, rest.row.mask) == (grants.WITHDRAWN, 0)


def test_withdrawal_of_an_attribute_never_granted(engine: Engine) -> None:
    store = give(engine)
    nothing = withdraw(store, 0b1000)
    assert nothing is not None and nothing.repeated and nothing.row == hot()


def test_revocation_by_its_own_service_only(engine: Engine) -> None:
    store = give(engine)
    assert store.revoke(GRANT, service=9, at_milliseconds=1, make_entry=entry) is None
    ended = store.revoke(GRANT, service=SERVICE, at_milliseconds=1, make_entry=entry)
    assert ended is not None and ended.row.state == grants.REVOKED
    again = withdraw(store)
    assert again is not None and again.repeated and again.row.state == grants.REVOKED


def pause(row: HotRow, _: GrantBody) -> tuple[HotRow, str]:
    return replace(row, state=grants.PAUSED), "{}"


def act(store: GrantStore, number: int, act_hash: str) -> HotRow:
    return store.act(GRANT, act=number, act_hash=act_hash, change=pause, make_entry=entry)


def test_acts_are_numbered(engine: Engine) -> None:
    store = give(engine)
    done = act(store, 1, "one")
    assert (done.state, done.act, done.counter) == (grants.PAUSED, 1, 2)
    assert act(store, 1, "one") == done, "the same act again gets its first answer"
    for number, act_hash in ((1, "other"), (3, "three"), (0, "zero")):
        with pytest.raises(LedgerConflict, match="act_number") as caught:
            act(store, number, act_hash)
        assert caught.value.act == 1
    assert use(store) is None
    assert leaves(engine) == 3


def test_a_forbidden_act_changes_nothing(engine: Engine) -> None:
    store = give(engine)

    def forbid(row: HotRow, body: GrantBody) -> tuple[HotRow, str]:
        raise ValueError("wider")

    with pytest.raises(ValueError, match="wider"):
        store.act(GRANT, act=1, act_hash="x", change=forbid, make_entry=entry)
    assert store.row(GRANT) == hot() and leaves(engine) == 2


def test_no_act_after_the_end(engine: Engine) -> None:
    store = give(engine)
    withdraw(store)
    with pytest.raises(LedgerConflict):
        act(store, 1, "one")
    row = store.row(GRANT)
    assert row is not None and row.state == grants.WITHDRAWN


def test_a_repeated_act_gets_its_first_answer_whatever_came_since(engine: Engine) -> None:
    store = give(engine)
    act(store, 1, "one")
    withdraw(store)
    again = act(store, 1, "one")
    assert (again.state, again.counter) == (grants.PAUSED, 2)
    assert leaves(engine) == 4


def test_a_deny_leaf_counts_the_refusals_since_the_last(engine: Engine) -> None:
    store = give(engine)
    counts: list[int] = []

    def counted(row: HotRow, count: int) -> Entry:
        counts.append(count)
        return entry(row)

    for at in (0, 1, 2, 3_600, 7_200):
        store.deny(GRANT, now=NOW + at, make_entry=counted)
    assert counts == [1, 3, 1]


def test_withdrawal_by_its_own_account_only(engine: Engine) -> None:
    store = give(engine)

    def by(account: int) -> grants.Ended | None:
        return store.withdraw_by_account(GRANT, account=account, mask=None, at_milliseconds=1, make_entry=entry)

    assert by(ACCOUNT + 1) is None and store.row(GRANT) == hot()
    ended = by(ACCOUNT)
    assert ended is not None and ended.row.state == grants.WITHDRAWN and not ended.repeated
    repeated = by(ACCOUNT)
    assert repeated is not None and repeated.repeated and repeated.counter == 2


def test_row_and_body_come_together(engine: Engine) -> None:
    assert GrantStore(engine).get(GRANT) is None
    assert give(engine).get(GRANT) == (hot(), body())


def test_an_opening_key_is_replaced_for_its_own_account_only(engine: Engine) -> None:
    store = give(engine)
    store.replace_opening_key(GRANT, account=ACCOUNT + 1, opening_key=b"other")
    assert store.body(GRANT) == body()
    store.replace_opening_key(GRANT, account=ACCOUNT, opening_key=b"new")
    assert store.body(GRANT) == replace(body(), opening_key=b"new")


def test_use_requests_are_forgotten_after_their_time(engine: Engine) -> None:
    store = give(engine)
    assert use(store, jti=1) is not None
    assert use(store, jti=2, now=NOW + 60) is not None
    assert store.seen_use_request(SERVICE, (1).to_bytes(16, "big")) is not None, "while a slow clock may send it"
    assert use(store, jti=3, now=NOW + 120) is not None
    assert store.seen_use_request(SERVICE, (1).to_bytes(16, "big")) is None


def test_one_deny_leaf_an_hour(engine: Engine) -> None:
    store = give(engine)
    written = [
        store.deny(GRANT, now=NOW + at, make_entry=lambda row, count: entry(row)) for at in (0, 1, 3_599, 3_600, 3_601)
    ]
    assert written == [True, False, False, True, False]
    assert store.row(GRANT) == hot(), "a deny does not count"


def test_a_failing_entry_undoes_the_act(engine: Engine) -> None:
    store = give(engine)

    def broken(_: HotRow) -> Entry:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        store.withdraw(GRANT, thumbprint=KEY, mask=None, at_milliseconds=1, make_entry=broken)
    assert store.row(GRANT) == hot()


def place(engine: Engine, minute: int) -> int:
    return len(Placing(engine, secrets.token_bytes).place(now=minute * 60_000).leaves)


def test_places_follow_the_order_of_acts_and_minutes_never_fall(engine: Engine) -> None:
    store = give(engine)
    events = EventStore(engine)
    assert (place(engine, 100), place(engine, 100)) == (2, 0)
    use(store)
    withdraw(store)
    assert place(engine, 99) == 2
    placed = [Leaf.from_bytes(leaf) for leaf in events.leaves_from(0)]
    assert [leaf.minute for leaf in placed] == [100, 100, 100, 100]
    assert [leaf.counter for leaf in placed] == [0, 1, 2, 3]
    assert events.size() == 4 and len(events.leaves_from(3)) == 1
    found = events.of_grant(GRANT, 3)
    assert found is not None and found.leaf_index == 3


def test_a_leaf_that_hides_its_minute_does_not_let_others_fall_back(engine: Engine) -> None:
    store, events = give(engine), EventStore(engine)
    assert place(engine, 10_000) == 2

    def hidden(row: HotRow, count: int) -> Entry:
        leaf = Leaf(Kind.DENY, DAY_ONLY, row.grant_id, 0, 0, 0, 0, 0, 0, 0, bytes(32))
        return Entry(Kind.DENY, leaf.to_bytes(), "sealed")

    store.deny(GRANT, now=NOW, make_entry=hidden)
    assert place(engine, 10_000) == 1
    use(store)
    assert place(engine, 9_999) == 1
    minutes = [Leaf.from_bytes(leaf).minute for leaf in events.leaves_from(0)]
    assert minutes == [10_000, 10_000, 8_640, 10_000]


def test_timeline_is_the_accounts_own(engine: Engine) -> None:
    store = give(engine)
    events = EventStore(engine)
    place(engine, 1)
    use(store)
    items = events.timeline(ACCOUNT, after=-1, at_most=10)
    assert [(item.counter, item.leaf_index) for item in items] == [(1, 1), (2, None)]
    assert events.timeline(ACCOUNT + 1, after=-1, at_most=10) == []
    place(engine, 1)
    assert [item.leaf_index for item in events.timeline(ACCOUNT, after=1, at_most=10)] == [2]


def test_accounts(engine: Engine) -> None:
    store = AccountStore(engine)

    def enrol(claim: bytes, key: str, now: int = NOW) -> tuple[int, bool, int]:
        account, known = store.enrol(
            claim_hash=claim, thumbprint=key, account_jwk="{}", view_jwk="{}", now=now, recovery_id=token_bytes(16)
        )
        return account.number, known, account.full_after

    number, known, full_after = enrol(b"a", "one")
    assert (known, full_after) == (False, 0)
    assert enrol(b"a", "one") == (number, True, 0), "the same key again is no recovery"
    assert enrol(b"a", "two") == (number, True, NOW + RECOVERY_SECONDS)
    assert store.by_key("one") is None
    account = store.by_key("two")
    assert account is not None and account == store.by_number(number)
    with pytest.raises(LedgerConflict, match="taken"):
        enrol(b"b", "two")


def test_an_accounts_number_is_given_once(engine: Engine) -> None:
    """A grant that is written just after its account was erased must not be the next resident's."""
    accounts, ended = AccountStore(engine), EndedGrants(engine)
    numbers = []
    for name in (b"a", b"b", b"c"):
        account, _ = accounts.enrol(
            claim_hash=name, thumbprint=name.decode(), account_jwk="{}", view_jwk="{}", now=NOW,
            recovery_id=token_bytes(16),
        )  # fmt: skip
        assert ended.erase(account.number, [], now=NOW, whole_account=True)
        numbers.append(account.number)
    assert len(set(numbers)) == 3


def test_enrolment_nonces_are_single_use_and_bound(engine: Engine) -> None:
    store = AccountStore(engine)
    store.offer_nonce("n", "key", now=NOW, expires=NOW + 600)
    assert store.take_nonce("other", now=NOW) is None
    assert store.take_nonce("key", now=NOW + 600) is None
    assert store.take_nonce("key", now=NOW + 599) == "n"
    assert store.take_nonce("key", now=NOW) is None


def test_an_enrolment_begun_again_forgets_the_first_nonce(engine: Engine) -> None:
    store = AccountStore(engine)
    store.offer_nonce("first", "key", now=NOW, expires=NOW + 600)
    store.offer_nonce("second", "key", now=NOW, expires=NOW + 600)
    assert store.take_nonce("key", now=NOW) == "second"
    assert store.take_nonce("key", now=NOW) is None


def test_proofs_are_single_use(engine: Engine) -> None:
    store = ProofStore(engine)
    assert store.spend("key", "jti", now=NOW)
    assert not store.spend("key", "jti", now=NOW + PROOF_SECONDS)
    assert store.spend("other", "jti", now=NOW)
    assert store.spend("key", "jti", now=NOW + PROOF_SECONDS + 1)


def test_declarations_are_numbered_and_versions_rise(engine: Engine) -> None:
    store = DeclarationStore(engine)

    def add(version: int, jws: str, party: str = "one") -> int:
        stored = store.add(
            declaration_id="rent", version=version, typ="t", party_id=party, purposes=("p",), jws=jws,
            make_entry=lambda number: entry(kind=Kind.DECLARE),
        )  # fmt: skip
        return stored.party

    assert add(1, "a") == add(1, "a") == 1
    assert leaves(engine) == 1
    with pytest.raises(LedgerConflict, match="taken"):
        add(1, "b")
    assert add(3, "c") == 1
    for version, party in ((2, "one"), (4, "two")):
        with pytest.raises(LedgerConflict, match="version"):
            add(version, "d", party)
    first, second = store.all()
    assert (first.jws, second.jws) == ("a", "c")
    assert store.all(after=first.number) == [second] and store.all(after=second.number) == []
    assert store.parties() == {"one": 1} and store.purposes() == {"p": 1}


def test_mailboxes(engine: Engine) -> None:
    store = RequestStore(engine)
    box = bytes(16)
    store.add_mailbox(box, ACCOUNT, at_most=1)
    with pytest.raises(LedgerConflict, match="too_many"):
        store.add_mailbox(GRANT, ACCOUNT, at_most=1)
    with pytest.raises(LedgerConflict, match="taken"):
        store.add_mailbox(box, ACCOUNT + 1, at_most=1)
    store.add(REQUEST, service=1, jws="jws", expires=NOW + 1, mailbox=box, entry=entry())
    assert [request.request_id for request in store.waiting(ACCOUNT, now=NOW)] == [REQUEST]
    found = store.get(REQUEST)
    assert found is not None and found.mailbox == box
    assert store.owner_of(box) == ACCOUNT and store.owner_of(GRANT) is None
    assert store.waiting(ACCOUNT, now=NOW + 1) == [] and store.waiting(ACCOUNT + 1, now=NOW) == []
    assert not store.remove_mailbox(box, ACCOUNT + 1) and store.remove_mailbox(box, ACCOUNT)


def test_it_is_all_there_after_reopening(engine: Engine, url: str) -> None:
    give(engine)
    engine.dispose()
    again = open_engine(url)
    upgrade(again)
    assert GrantStore(again).row(GRANT) == hot()
    again.dispose()


def test_readers_wait_for_no_writer_and_see_one_state(engine: Engine) -> None:
    store = give(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE grant_row SET state = 3"))
        found = store.get(GRANT)
        assert found is not None and found[0].state == grants.GIVEN, "not yet committed"
    row = store.row(GRANT)
    assert row is not None and row.state == grants.WITHDRAWN


def test_writers_take_turns_and_one_that_fails_gives_its_turn_back(engine: Engine) -> None:
    store = give(engine)
    with pytest.raises(LedgerConflict, match="unknown_grant"):
        store.act(bytes(16), act=1, act_hash="x", change=pause, make_entry=entry)
    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(lambda number: use(store, jti=number), range(40)))
    assert sorted(row.counter for row in used if row) == list(range(2, 42))


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_second_transaction_within_one_is_refused_after_a_while(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "TURN_SECONDS", 0.01)
    with engine.begin(), pytest.raises(TimeoutError, match="no turn to write"):
        ask(engine)
    ask(engine)
