"""States and their ways, and the stored row that keeps to them: each verb is put to a grant in each state."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from consent.errors import LedgerConflict
from consent.grant import lifecycle
from consent.grant.act import Deed, Pause, Resume
from consent.grant.lifecycle import LIVE, Actor, State
from consent.ledger.schema import for_reading, open_engine, upgrade
from consent.service.acting import _change
from tests.unit.consent.grant.stored_grant import NOW, StoredGrant

ENDED = tuple(state for state in State if state not in LIVE)


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[StoredGrant]:
    engine = open_engine(f"sqlite:///{tmp_path / 'consent.db'}")
    upgrade(engine)
    yield StoredGrant(engine, for_reading(engine))
    engine.dispose()


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("verb", "end"), [("withdraw", State.WITHDRAWN), ("revoke", State.REVOKED)])
def test_the_row_ends_what_the_types_let_end(stored: StoredGrant, state: State, verb: str, end: State) -> None:
    stored.put(state)
    ended = stored.end(verb)
    allowed = state in LIVE
    assert (ended.row.state == end and not ended.repeated) == allowed
    assert stored.state() == (end if allowed else state)
    if allowed:
        actor = Actor.RESIDENT if verb == "withdraw" else Actor.SERVICE
        assert lifecycle.after(state, verb, by=actor) == end


@pytest.mark.parametrize("state", State)
def test_the_row_is_used_only_where_the_types_allow_it(stored: StoredGrant, state: State) -> None:
    stored.put(state)
    used = stored.use() is not None
    assert used == (state is State.GIVEN)
    if not used:
        with pytest.raises(LedgerConflict, match=state.word):
            lifecycle.after(state, "use", by=Actor.SERVICE)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize(("deed", "needs"), [(Pause(), State.GIVEN), (Resume(), State.PAUSED)])
def test_acts_go_the_ways_of_the_types(stored: StoredGrant, state: State, deed: Deed, needs: State) -> None:
    stored.put(state)
    row, body = stored.get()
    if state is not needs:
        with pytest.raises(LedgerConflict, match=state.word):
            _change(deed, row, body, {})
        return
    assert _change(deed, row, body, {})[0].state == lifecycle.after(state, deed.verb, by=Actor.RESIDENT)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("verb", ["erase", "expire", "invalidate"])
def test_only_what_lives_ends_and_only_what_ended_is_erased(state: State, verb: str) -> None:
    actor = {"erase": Actor.RESIDENT, "expire": Actor.TIME, "invalidate": Actor.AUTHORITY}[verb]
    fits = state in LIVE if verb != "erase" else state in ENDED and state is not State.ERASED
    if fits:
        assert lifecycle.after(state, verb, by=actor) not in LIVE
    else:
        with pytest.raises(LedgerConflict, match=state.word):
            lifecycle.after(state, verb, by=actor)


def test_nobody_causes_what_is_anothers() -> None:
    for verb, actor in (("withdraw", Actor.SERVICE), ("resume", Actor.SERVICE), ("revoke", Actor.AUTHORITY)):
        with pytest.raises(LedgerConflict):
            lifecycle.after(State.PAUSED, verb, by=actor)


def test_time_is_not_a_state_of_the_row(stored: StoredGrant) -> None:
    """A grant past its end is refused though its row says given."""
    stored.put(State.GIVEN, not_after=NOW)
    assert stored.use() is None
