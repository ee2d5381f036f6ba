"""What every database of an issuer promises: one suite, each store."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from identity.card.challenge import Challenge, IssuedChallenge
from identity.codec import base64url
from identity.issuer.store.credentials import Batch, BatchRefusal, CredentialStore, Place, Recorded
from identity.issuer.store.deferred import Decision, DeferredStore, NewWaiting, WaitingRefusal
from identity.issuer.store.offers import MAX_ATTEMPTS, CodeRefusal, NewCode, OfferedCode, OfferStore
from identity.issuer.store.requests import (
    MAX_CHALLENGES,
    MAX_SESSIONS,
    NewAuthorizationCode,
    PushedRequest,
    RequestStore,
    SpentCode,
)
from identity.issuer.store.revocations import RevocationStore
from identity.issuer.store.schema import open_engine, upgrade
from identity.issuer.store.spent import Purpose, SpentStore
from identity.issuer.store.status_lists import StatusListStore
from identity.issuer.store.tables import metadata
from identity.issuer.store.tokens import NewIssuance, NewTokens, Refreshable, TokenStore
from identity.issuer.store.upkeep import UpkeepStore

NOW = 1_795_315_110
HASH = bytes(32)
SESSION = bytes(range(16))


def named(name: str) -> bytes:
    return name.encode().ljust(32, b".")


@pytest.fixture(params=["sqlite"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'issuer.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_migrations_make_the_tables(engine: Engine) -> None:
    upgrade(engine)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_acknowledged_is_on_the_disk(engine: Engine) -> None:
    with engine.begin() as connection:
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2
        assert connection.execute(text("PRAGMA secure_delete")).scalar() == 1


# Offers


def offered(**changes: Any) -> NewCode:
    return replace(NewCode(named("code"), named("tx"), ("a", "b"), b"sealed", NOW + 600), **changes)


def tokens(name: str = "one") -> NewTokens:
    return NewTokens(
        named(f"access {name}"), b"for access", NOW + 600, ("a",), named(f"refresh {name}"), b"for refresh"
    )


def issuance(name: str = "one", **changes: Any) -> NewIssuance:
    made = NewIssuance("client", "jkt", ("a", "b"), by_details=True, expires=NOW + 9_000, tokens=tokens(name))
    return replace(made, **changes)


def redeem(
    engine: Engine, tx_code: bytes | None = named("tx"), now: int = NOW, name: str = "one"
) -> CodeRefusal | None:
    return TokenStore(engine).redeem_pre_authorized(named("code"), tx_code, now=now, make=lambda _: issuance(name))


def test_code_is_redeemed_once(engine: Engine) -> None:
    OfferStore(engine).add_code(offered())
    seen: list[OfferedCode] = []

    def make(found: OfferedCode) -> NewIssuance:
        seen.append(found)
        return issuance()

    store = TokenStore(engine)
    assert store.redeem_pre_authorized(named("code"), named("tx"), now=NOW, make=make) is None
    assert seen == [OfferedCode(("a", "b"), b"sealed")]
    access = store.access(named("access one"), now=NOW)
    assert access is not None and access.configurations == ("a",) and access.sealed == b"for access"
    assert (access.issuance.client_id, access.issuance.jkt, access.issuance.by_details) == ("client", "jkt", True)
    assert redeem(engine, name="two") is CodeRefusal.REUSED
    assert store.access(named("access one"), now=NOW) is None, "what it gave is revoked"
    assert store.access(named("access two"), now=NOW) is None


def test_reuse_without_the_right_transaction_code_revokes_nothing(engine: Engine) -> None:
    OfferStore(engine).add_code(offered())
    assert redeem(engine) is None
    assert redeem(engine, None) is CodeRefusal.TX_CODE_MISSING
    assert redeem(engine, named("wrong")) is CodeRefusal.WRONG_TX_CODE
    assert TokenStore(engine).access(named("access one"), now=NOW) is not None


@pytest.mark.parametrize(
    ("given", "asked", "refusal"),
    [
        (None, named("tx"), CodeRefusal.TX_CODE_UNEXPECTED),
        (named("tx"), None, CodeRefusal.TX_CODE_MISSING),
        (named("tx"), named("xt"), CodeRefusal.WRONG_TX_CODE),
    ],
)
def test_refused_codes_stay(engine: Engine, given: bytes | None, asked: bytes | None, refusal: CodeRefusal) -> None:
    OfferStore(engine).add_code(offered(tx_code_hash=given))
    assert redeem(engine, asked) is refusal
    assert redeem(engine, given) is None


def test_wrong_transaction_codes_are_counted_also_across_workers(engine: Engine) -> None:
    OfferStore(engine).add_code(offered())
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: redeem(engine, named("wrong")), range(8)))
    assert found.count(CodeRefusal.WRONG_TX_CODE) == MAX_ATTEMPTS
    assert redeem(engine) is CodeRefusal.UNKNOWN


def test_one_of_many_redeems(engine: Engine) -> None:
    OfferStore(engine).add_code(offered(tx_code_hash=None))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda number: redeem(engine, None, name=str(number)), range(8)))
    assert found.count(None) == 1


def test_codes_end(engine: Engine) -> None:
    OfferStore(engine).add_code(offered())
    assert redeem(engine, now=NOW + 600) is CodeRefusal.UNKNOWN
    assert (
        TokenStore(engine).redeem_pre_authorized(HASH, None, now=NOW, make=lambda _: issuance()) is CodeRefusal.UNKNOWN
    )


def test_a_fault_inside_leaves_the_code(engine: Engine) -> None:
    OfferStore(engine).add_code(offered())

    def broken(_: OfferedCode) -> NewIssuance:
        raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        TokenStore(engine).redeem_pre_authorized(named("code"), named("tx"), now=NOW, make=broken)
    assert redeem(engine) is None


def test_states_and_documents(engine: Engine) -> None:
    store = OfferStore(engine)
    store.add_state(named("state"), ("a",), expires=NOW + 600)
    store.add_document(named("reference"), b"sealed", expires=NOW + 600)
    assert store.state(named("state"), now=NOW) == ("a",) and store.state(HASH, now=NOW) is None
    assert store.document(named("reference"), now=NOW) == b"sealed" and store.document(HASH, now=NOW) is None
    assert store.state(named("state"), now=NOW + 600) is None
    assert store.document(named("reference"), now=NOW + 600) is None
    store.purge(now=NOW + 600)
    with engine.begin() as connection:
        for table in ("issuer_state", "offer_document", "pre_authorized"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


# Requests, sessions, challenges, authorization codes


def pushed(**changes: Any) -> PushedRequest:
    made = PushedRequest(
        named("request"), "client", "https://w.example/cb", "state", "challenge", "jkt", ("a", "b"), by_details=False,
        expires=NOW + 600,
    )  # fmt: skip
    return replace(made, **changes)


def open_session(engine: Engine) -> RequestStore:
    store = RequestStore(engine)
    store.push(pushed(), now=NOW)
    assert store.open_session(named("request"), session=SESSION, cookie_hash=named("cookie"))
    return store


def test_requests_are_kept_as_pushed(engine: Engine) -> None:
    store = open_session(engine)
    assert store.get(named("request"), now=NOW) == pushed()
    assert store.get(named("request"), now=NOW + 600) is None and store.get(HASH, now=NOW) is None
    assert store.request_of_session(SESSION, now=NOW) == (pushed(), named("cookie"))
    assert store.request_of_session(bytes(16), now=NOW) is None
    assert store.request_of_session(SESSION, now=NOW + 600) is None
    assert store.session_of_cookie(named("request"), named("cookie")) == SESSION
    assert store.session_of_cookie(HASH, named("cookie")) is None
    assert store.session_of_cookie(named("request"), HASH) is None


def test_who_pushes_tidies_up(engine: Engine) -> None:
    store = open_session(engine)
    store.put(issued())
    store.push(pushed(request_hash=named("later"), expires=NOW + 1_200), now=NOW + 600)
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM pushed_request")).scalar_one() == 1
        for table in ("card_session", "challenge"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


def test_sessions_of_one_request_are_limited(engine: Engine) -> None:
    store = open_session(engine)
    opened = [
        store.open_session(named("request"), session=number.to_bytes(16, "big"), cookie_hash=HASH)
        for number in range(MAX_SESSIONS)
    ]
    assert opened == [True] * (MAX_SESSIONS - 1) + [False]
    counted = [store.count_challenge(SESSION) for _ in range(MAX_CHALLENGES + 1)]
    assert counted == [True] * MAX_CHALLENGES + [False]


def issued(fill: int = 1) -> IssuedChallenge:
    value = base64url.encode(bytes([fill]) * 32)
    return IssuedChallenge(
        Challenge(value, value, "https://issuer.example", "issue", base64url.encode(SESSION)), NOW + 300
    )


def test_a_challenge_is_taken_once_and_replaced_by_the_next(engine: Engine) -> None:
    store, session = open_session(engine), base64url.encode(SESSION)
    assert store.take(session) is None
    store.put(issued(1))
    store.put(issued(2))
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda _: store.take(session), range(8)))
    assert [one for one in found if one is not None] == [issued(2)]


def authorize(engine: Engine, now: int = NOW) -> bool:
    code = NewAuthorizationCode(named("code"), b"sealed", NOW + 60)
    return RequestStore(engine).finish(pushed(), code, now=now)


def test_a_request_is_answered_once(engine: Engine) -> None:
    store = open_session(engine)
    assert not authorize(engine, now=NOW + 600)
    assert authorize(engine) and not authorize(engine)
    found = store.get(named("request"), now=NOW)
    assert found is not None and found.done
    assert not store.close(named("request"))


def spend(engine: Engine, make: Callable[[SpentCode], Any], now: int = NOW) -> bool:
    return TokenStore(engine).redeem_authorization_code(named("code"), now=now, make=make)


def test_a_code_is_spent_whatever_comes_of_it(engine: Engine) -> None:
    open_session(engine)
    authorize(engine)
    seen: list[SpentCode] = []

    def refuse(found: SpentCode) -> Exception:
        seen.append(found)
        return ValueError("wrong verifier")

    with pytest.raises(ValueError, match="verifier"):
        spend(engine, refuse)
    assert seen[0] == SpentCode("client", "https://w.example/cb", "challenge", "jkt", ("a", "b"), by_details=False,
                                sealed=b"sealed", repeated=False, issuance=None)  # fmt: skip
    assert not spend(engine, lambda _: issuance())
    assert TokenStore(engine).access(named("access one"), now=NOW) is None


def test_a_repeated_code_revokes(engine: Engine) -> None:
    open_session(engine)
    authorize(engine)
    assert spend(engine, lambda _: issuance())
    store = TokenStore(engine)
    assert store.access(named("access one"), now=NOW) is not None
    assert not spend(engine, lambda _: issuance("two"), now=NOW + 1_000), "long after its time too"
    assert store.access(named("access one"), now=NOW) is None
    assert not store.refresh(named("refresh one"), now=NOW, make=lambda _: tokens("two"))
    RequestStore(engine).purge(now=NOW + 10_000, kept_seconds=0)
    assert not spend(engine, lambda _: issuance("three"))


def test_a_late_code(engine: Engine) -> None:
    open_session(engine)
    authorize(engine)
    assert not spend(engine, lambda _: issuance(), now=NOW + 60)
    assert spend(engine, lambda _: issuance()), "and looking spent nothing"


# Tokens


def begin(engine: Engine) -> TokenStore:
    OfferStore(engine).add_code(offered())
    assert redeem(engine) is None
    return TokenStore(engine)


def test_refresh_hands_on_what_was_sealed(engine: Engine) -> None:
    store = begin(engine)
    seen: list[Refreshable] = []

    def make(found: Refreshable) -> NewTokens:
        seen.append(found)
        return tokens("two")

    assert store.refresh(named("refresh one"), now=NOW, make=make)
    assert seen[0].sealed == b"for refresh" and seen[0].issuance.configurations == ("a", "b")
    assert store.access(named("access two"), now=NOW) is not None


def refresh(store: TokenStore, old: str, new: str) -> bool:
    return store.refresh(named(f"refresh {old}"), now=NOW, make=lambda _: tokens(new))


def test_lost_answers_and_copied_tokens(engine: Engine) -> None:
    store = begin(engine)
    assert refresh(store, "one", "lost")
    assert refresh(store, "one", "lost too")
    assert refresh(store, "one", "two")
    for lost in ("lost", "lost too"):
        assert store.access(named(f"access {lost}"), now=NOW) is None
    assert store.access(named("access two"), now=NOW) is not None
    assert not refresh(store, "one", "stolen"), "the answer has arrived: who has the old one copied it"
    assert store.access(named("access two"), now=NOW) is None
    assert not refresh(store, "two", "three")


def test_a_refusal_before_the_state_is_looked_at_revokes_nothing(engine: Engine) -> None:
    store = begin(engine)
    refresh(store, "one", "two")
    store.access(named("access two"), now=NOW)

    def foreign(_: Refreshable) -> NewTokens:
        raise ValueError("another key")

    with pytest.raises(ValueError, match="another key"):
        store.refresh(named("refresh one"), now=NOW, make=foreign)
    assert refresh(store, "two", "three")


def test_retired_tokens_hold_nothing(engine: Engine) -> None:
    store = begin(engine)
    refresh(store, "one", "two")
    refresh(store, "two", "three")
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT state, length(sealed) FROM refresh_token ORDER BY state")).all()
    assert [tuple(row) for row in rows] == [(0, 11), (1, 11), (2, 0)]


def test_tokens_end(engine: Engine) -> None:
    store = begin(engine)
    assert store.access(named("access one"), now=NOW + 600) is None and store.access(HASH, now=NOW) is None
    assert not store.refresh(named("refresh one"), now=NOW + 9_000, make=lambda _: tokens("two"))
    assert not store.refresh(HASH, now=NOW, make=lambda _: tokens("two"))
    store.purge(now=NOW + 9_000)
    with engine.begin() as connection:
        for table in ("issuance", "access_token", "refresh_token"):
            assert connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one() == 0


def test_numbers_are_never_used_again(engine: Engine) -> None:
    store = begin(engine)
    store.purge(now=NOW + 9_000)
    OfferStore(engine).add_code(offered(code_hash=named("other"), tx_code_hash=None))
    store.redeem_pre_authorized(named("other"), None, now=NOW, make=lambda _: issuance("two"))
    access = store.access(named("access two"), now=NOW)
    assert access is not None and access.issuance.number == 2


# Credentials


def batch(**changes: Any) -> Batch:
    made = Batch(
        issuance=1, configuration="a", dataset=0, person_hash=named("person"), count=3, has_status=True,
        expires=NOW + 1_000, nonce_hashes=(named("nonce"),), nonces_expire=NOW + 600,
        notification_hash=named("notification"), notification_expires=NOW + 900,
    )  # fmt: skip
    return replace(made, **changes)


def drawing() -> Callable[[int], bytes]:
    count = [0]

    def random(size: int) -> bytes:
        count[0] += 1
        return count[0].to_bytes(size, "big")

    return random


def credentials(engine: Engine, size: int = 64) -> CredentialStore:
    OfferStore(engine).add_code(offered())
    redeem(engine)
    store = CredentialStore(engine, drawing(), list_size=size)
    store.prepare()
    return store


def fresh(number: int, **changes: Any) -> Batch:
    return batch(nonce_hashes=(named(f"nonce {number}"),), notification_hash=named(f"notification {number}"), **changes)


def test_batch_is_recorded_whole(engine: Engine) -> None:
    store = credentials(engine)
    assert not store.known(1, "a", 0)
    first = store.record(batch())
    assert isinstance(first, Recorded) and len(set(first.places)) == 3 and len(first.credential_id) == 16
    assert store.known(1, "a", 0) and not store.known(1, "a", 1) and not store.known(1, "b", 0)
    refill = store.record(fresh(2))
    assert isinstance(refill, Recorded) and refill.credential_id == first.credential_id
    assert not set(first.places) & set(refill.places)
    other = store.record(fresh(3, dataset=1))
    assert isinstance(other, Recorded) and other.credential_id != first.credential_id
    plain = store.record(fresh(4, configuration="b", has_status=False))
    assert isinstance(plain, Recorded) and plain.places == ()


def test_spent_nonce_records_nothing(engine: Engine) -> None:
    store = credentials(engine)
    store.record(batch())
    again = store.record(batch(nonce_hashes=(named("unspent"), named("nonce")), notification_hash=HASH))
    assert again is BatchRefusal.NONCE_SPENT
    assert SpentStore(engine).spend(Purpose.C_NONCE, named("unspent"), expires=NOW), "it was not spent on the way"
    with engine.begin() as connection:
        assert connection.execute(text("SELECT count(*) FROM copy")).scalar_one() == 3


def test_purposes_are_apart(engine: Engine) -> None:
    store = SpentStore(engine)
    assert store.spend(Purpose.C_NONCE, HASH, expires=NOW) and not store.spend(Purpose.C_NONCE, HASH, expires=NOW)
    assert store.spend(Purpose.DPOP, HASH, expires=NOW)


def test_one_of_many_requests_gets_the_nonce(engine: Engine) -> None:
    store = credentials(engine)
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda number: store.record(batch(notification_hash=named(str(number)))), range(8)))
    assert sum(isinstance(one, Recorded) for one in made) == 1


def test_no_place_comes_twice_and_lists_follow_each_other(engine: Engine) -> None:
    store = credentials(engine)
    seen: list[Place] = []
    for number in range(70):
        made = store.record(fresh(number))
        assert isinstance(made, Recorded)
        seen += made.places
    assert len(set(seen)) == len(seen) == 210
    assert {place.list for place in seen} == {1, 2, 3, 4}
    assert all(0 <= place.position < 64 for place in seen)
    assert StatusListStore(engine).numbers() == [1, 2, 3, 4]
    store.prepare()
    assert StatusListStore(engine).numbers() == [1, 2, 3, 4]


def test_revocation(engine: Engine) -> None:
    store, revocations, lists = credentials(engine), RevocationStore(engine), StatusListStore(engine)
    first, second = store.record(fresh(1)), store.record(fresh(2, dataset=1))
    assert isinstance(first, Recorded) and isinstance(second, Recorded)
    (number,) = revocations.by_place(first.places[2])
    assert revocations.by_id(first.credential_id) == [number] and revocations.by_id(bytes(16)) == []
    assert sorted(revocations.by_person(named("person"))) == [number, number + 1]
    assert revocations.by_person(named("person"), "b") == [] and revocations.by_person(HASH) == []
    (done,) = revocations.revoke([number], reason="loss", at_once=True, now=NOW)
    assert (done.credential_id, done.copies) == (first.credential_id, 3)
    changes, revoked = lists.revoked(1)
    assert changes == 1 and sorted(revoked) == sorted(place.position for place in first.places)
    assert store.record(fresh(3)) is BatchRefusal.REVOKED
    assert isinstance(store.record(fresh(3, dataset=1)), Recorded), "and the nonce of the refused one was not spent"
    assert sorted(revocations.by_person(named("person"))) == [number, number + 1]


def test_what_a_lost_wallet_was_given_ends_with_its_credentials(engine: Engine) -> None:
    store, revocations, given = credentials(engine), RevocationStore(engine), TokenStore(engine)
    store.record(fresh(1))
    revocations.revoke([1], reason="loss", at_once=True, now=NOW)
    assert given.access(named("access one"), now=NOW) is not None
    revocations.revoke([1], reason="loss", at_once=True, now=NOW, with_issuances=True)
    assert given.access(named("access one"), now=NOW) is None
    assert not given.refresh(named("refresh one"), now=NOW, make=lambda _: tokens("two"))


def test_what_waits_flips_together(engine: Engine) -> None:
    store, revocations, lists = credentials(engine), RevocationStore(engine), StatusListStore(engine)
    for number in range(3):
        store.record(fresh(number, dataset=number))
    revocations.revoke([1, 3], reason="moved", at_once=False, now=NOW)
    assert lists.revoked(1) == (0, [])
    assert store.record(fresh(4)) is BatchRefusal.REVOKED, "no more copies meanwhile"
    assert revocations.flip_waiting(now=NOW) == 2
    assert len(lists.revoked(1)[1]) == 6 and revocations.flip_waiting(now=NOW) == 0


def test_expired_copies_are_not_flipped(engine: Engine) -> None:
    store, revocations = credentials(engine), RevocationStore(engine)
    store.record(fresh(1))
    store.record(fresh(2, expires=NOW + 5_000))
    (done,) = revocations.revoke([1], reason="loss", at_once=True, now=NOW + 1_000)
    assert done.copies == 3 and len(StatusListStore(engine).revoked(1)[1]) == 3


def test_newer_lists_are_kept(engine: Engine) -> None:
    credentials(engine)
    store = StatusListStore(engine)
    empty = store.get(1)
    assert empty is not None and empty.token is None and not empty.is_current and store.get(2) is None
    store.save(1, "new", changes=0, expires=NOW + 10)
    store.save(1, "older", changes=0, expires=NOW + 5)
    found = store.get(1)
    assert found is not None and found.token == "new" and found.is_current and found.signed_expires == NOW + 10
    store.save(1, "renewed", changes=0, expires=NOW + 20)
    found = store.get(1)
    assert found is not None and found.token == "renewed"


def test_a_list_that_changed_is_not_current(engine: Engine) -> None:
    store, lists = credentials(engine), StatusListStore(engine)
    store.record(batch())
    lists.save(1, "token", changes=0, expires=NOW + 10)
    RevocationStore(engine).revoke([1], reason="loss", at_once=True, now=NOW)
    found = lists.get(1)
    assert found is not None and not found.is_current
    lists.save(1, "new", changes=found.changes, expires=NOW + 10)
    lists.save(1, "late", changes=0, expires=NOW + 99)
    found = lists.get(1)
    assert found is not None and found.token == "new" and found.is_current


def test_notifications_are_the_issuances_own(engine: Engine) -> None:
    store = credentials(engine)
    store.record(batch())
    assert store.notified(named("notification"), 1, "credential_accepted", now=NOW)
    assert store.notified(named("notification"), 1, "credential_accepted", now=NOW)
    assert not store.notified(named("notification"), 2, "credential_accepted", now=NOW)
    assert not store.notified(HASH, 1, "credential_accepted", now=NOW)
    assert not store.notified(named("notification"), 1, "credential_accepted", now=NOW + 900)


def test_purge_keeps_what_lives(engine: Engine) -> None:
    store = credentials(engine)
    store.record(batch())
    TokenStore(engine).purge(now=NOW + 9_000)
    store.purge(now=NOW)
    assert store.known(1, "a", 0), "its copies live"
    store.purge(now=NOW + 1_000)
    assert not store.known(1, "a", 0)


# Waiting requests


def waiting(**changes: Any) -> NewWaiting:
    made = NewWaiting(named("transaction"), 1, "a", 0, "[]", named("person"), NOW, NOW + 900)
    return replace(made, **changes)


def add(engine: Engine, nonce: str = "waiting", **changes: Any) -> WaitingRefusal | None:
    return DeferredStore(engine).add(waiting(**changes), nonce_hashes=(named(nonce),), nonces_expire=NOW + 600)


def test_waiting_and_decided_once(engine: Engine) -> None:
    credentials(engine)
    store = DeferredStore(engine)
    assert add(engine) is None
    assert add(engine, transaction_hash=HASH) is WaitingRefusal.NONCE_SPENT
    found = store.get(named("transaction"), 1, now=NOW)
    assert found is not None and found.decision is Decision.WAITING and found.keys == "[]"
    assert store.get(named("transaction"), 2, now=NOW) is None and store.get(HASH, 1, now=NOW) is None
    assert store.get(named("transaction"), 1, now=NOW + 900) is None
    assert [one.number for one in store.waiting(now=NOW)] == [found.number]
    assert store.waiting(now=NOW, person_hash=HASH) == [] and store.waiting(now=NOW + 900) == []
    assert not store.decide(found.number, Decision.APPROVED, now=NOW + 900)
    assert store.decide(found.number, Decision.APPROVED, now=NOW)
    assert not store.decide(found.number, Decision.REFUSED, now=NOW) and not store.decide(
        99, Decision.APPROVED, now=NOW
    )
    assert store.waiting(now=NOW) == []


def test_one_batch_ends_the_waiting(engine: Engine) -> None:
    store = credentials(engine)
    add(engine)
    made = [store.record(batch(nonce_hashes=(), notification_hash=named(str(n)), deferred=1)) for n in range(2)]
    assert isinstance(made[0], Recorded) and made[1] is BatchRefusal.GONE
    add(engine, "other")
    DeferredStore(engine).purge(now=NOW + 900)
    assert DeferredStore(engine).get(named("transaction"), 1, now=NOW) is None


# Upkeep


def test_a_task_is_claimed_once(engine: Engine) -> None:
    store = UpkeepStore(engine)
    with ThreadPoolExecutor(4) as threads:
        claimed = list(threads.map(lambda _: store.claim("tick", now=NOW, since=NOW - 60), range(8)))
    assert claimed.count(True) == 1
    assert store.claim("other", now=NOW, since=NOW - 60)
    assert not store.claim("tick", now=NOW + 60, since=NOW) and store.claim("tick", now=NOW + 61, since=NOW + 1)
