"""Accreditations, mandates, and grants that an authority ends, on each store."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from consent.errors import LedgerConflict
from consent.grant.lifecycle import LIVE, State
from consent.grant.mandate import Mandate
from consent.ledger.accreditations import AccreditationStore, StoredAccreditation
from consent.ledger.invalidated import InvalidatedGrants, Page
from consent.ledger.mandates import MAX_PER_ACCOUNT, MandateStore, StoredMandate
from consent.ledger.schema import for_reading, open_engine, upgrade
from tests.unit.consent.grant.stored_grant import EMPTY, ID, StoredGrant

NOW = 1_795_315_110
SHOWN = StoredAccreditation("service", "vct", "board", "https://board.example", NOW + 10, "https://s.example/1", 7)
MANDATE = Mandate("helper", ("read", "withdraw"), ("https://w3id.org/dpv#PublicBenefit",), NOW + 10)


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgresql":
        engine = open_engine(str(request.getfixturevalue("postgresql_url")))
    else:
        engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def stored(number: int, **changes: object) -> StoredMandate:
    one = StoredMandate(number.to_bytes(16, "big"), 2**40, f"key{number}", "{}", MANDATE, "https://i.example", ("u", 3))
    return replace(one, **changes)  # type: ignore[arg-type]


def test_the_newest_showing_counts(engine: Engine) -> None:
    store = AccreditationStore(engine)
    store.put(SHOWN)
    store.put(later := replace(SHOWN, until=NOW + 20, status_index=8))
    store.put(replace(SHOWN, service="another", until=NOW))
    assert store.valid("vct", "board", now=NOW) == [later]
    assert store.valid("vct", "board", now=NOW + 20) == []
    assert store.valid("other", "board", now=NOW) == store.valid("vct", "other", now=NOW) == []


def test_a_mandate_is_found_by_its_key_and_its_account(engine: Engine) -> None:
    store = MandateStore(engine)
    store.add(one := stored(1), now=NOW)
    store.add(two := stored(2, mandate=replace(MANDATE, until=NOW + 20)), now=NOW)
    assert store.by_key("key1") == one
    assert store.by_key("key3") is None
    assert store.of_account(2**40) == [one, two]
    assert store.of_account(1) == []


def test_it_ends_once_and_for_its_account_alone(engine: Engine) -> None:
    store = MandateStore(engine)
    store.add(one := stored(1), now=NOW)
    assert not store.end(one.mandate_id, account=1, for_good=False)
    assert store.end(one.mandate_id, account=one.account, for_good=False)
    assert not store.end(one.mandate_id, account=one.account, for_good=False)
    assert store.by_key("key1") is None


def test_what_is_ended_for_good_gives_no_key_again(engine: Engine) -> None:
    store = MandateStore(engine)
    store.add(one := stored(1), now=NOW)
    assert store.end(one.mandate_id, account=one.account, for_good=True)
    with pytest.raises(LedgerConflict, match="ended"):
        store.add(stored(2, status=("u", 4)), now=NOW)
    store.add(stored(3, account=2**40 + 1), now=NOW)
    store.add(stored(4, mandate=replace(MANDATE, until=MANDATE.until + 1)), now=NOW)


def test_a_key_is_taken_once(engine: Engine) -> None:
    store = MandateStore(engine)
    store.add(stored(1), now=NOW)
    with pytest.raises(LedgerConflict, match="taken"):
        store.add(stored(2, thumbprint="key1"), now=NOW)
    store.add(stored(3, thumbprint="key1"), now=NOW + 10)
    found = store.by_key("key1")
    assert found is not None and found.mandate_id == stored(3).mandate_id, "the first one had ended"


def test_there_are_not_more_than_a_few_also_when_they_come_together(engine: Engine) -> None:
    store = MandateStore(engine)

    def add(number: int) -> str:
        try:
            store.add(stored(number), now=NOW)
        except LedgerConflict as fault:
            return fault.code
        return "added"

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(add, range(MAX_PER_ACCOUNT + 8)))
    assert sorted(outcomes) == ["added"] * MAX_PER_ACCOUNT + ["too_many"] * 8
    assert len(store.of_account(2**40)) == MAX_PER_ACCOUNT


@pytest.mark.parametrize("state", State)
def test_an_authority_ends_what_lives_and_nothing_else(engine: Engine, state: State) -> None:
    stored_grant, store = StoredGrant(engine, for_reading(engine)), InvalidatedGrants(engine)
    stored_grant.put(state)
    live = state in LIVE
    page = store.live_with({1}, after=b"", at_most=1)
    assert page.grant_ids == ((ID,) if live else ())
    assert store.live_with({2}, after=b"", at_most=1).grant_ids == ()
    assert page.last == ID and store.live_with({1}, after=ID, at_most=1) == Page((), None)
    ended = store.invalidate(ID, lambda _: EMPTY, at_milliseconds=NOW * 1000)
    assert (ended is not None) == live
    assert stored_grant.state() == (State.INVALIDATED if live else state)
    repeated = stored_grant.end("withdraw")
    assert repeated.repeated and (repeated.effective_at == NOW * 1000) == live
