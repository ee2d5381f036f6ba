"""One grant in a ledger, put into any state: for tests of what a row lets happen."""

from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, text

from consent.grant.lifecycle import State
from consent.ledger.grant_row import Ended, Entry, GrantBody, HotRow
from consent.ledger.grants import GrantStore
from consent.ledger.requests import RequestStore

NOW = 1_795_315_110
ID = bytes(16)
EMPTY = Entry(3, bytes(80), None)
ROW = HotRow(
    grant_id=ID, account=1, service=1, holder=1, purpose=1, state=1, mask=3, not_before=NOW - 10, not_after=NOW + 1000,
    counter=1, act=0, uses=0, max_uses=0, window_start=0, window_uses=0, window_max=0, window_seconds=0, status_index=0,
)  # fmt: skip
BODY = GrantBody("", "", "key", bytes(32), "{}", None, None)


class StoredGrant:
    def __init__(self, engine: Engine, reader: Engine) -> None:
        self._engine, self._reader = engine, reader
        self.store = GrantStore(engine)
        self._uses = 0

    def put(self, state: State = State.GIVEN, **row: Any) -> None:
        RequestStore(self._engine).add(ID, service=1, jws="", expires=NOW + 1, mailbox=None, entry=EMPTY)
        self.store.give(replace(ROW, **row), BODY, request_id=ID, now=NOW, make_entry=lambda _: EMPTY)
        with self._engine.begin() as connection:
            connection.execute(text("UPDATE grant_row SET state = :state"), {"state": int(state)})

    def get(self) -> tuple[HotRow, GrantBody]:
        found = self.store.get(ID)
        assert found is not None
        return found

    def state(self) -> State:
        return State(self.get()[0].state)

    def use(self, *, now: int = NOW, mask: int = 1) -> HotRow | None:
        self._uses += 1
        return self.store.use(
            ID, service=1, holder=1, purpose=1, mask=mask, now=now, jti=self._uses.to_bytes(16, "big"),
            request_hash=bytes(32), expires=now + 60, make_entry=lambda _: EMPTY,
        )  # fmt: skip

    def end(self, verb: str) -> Ended:
        if verb == "withdraw":
            ended = self.store.withdraw(
                ID, thumbprint="key", mask=None, at_milliseconds=NOW * 1000, make_entry=lambda _: EMPTY
            )
        else:
            ended = self.store.revoke(ID, service=1, at_milliseconds=NOW * 1000, make_entry=lambda _: EMPTY)
        assert ended is not None
        return ended
