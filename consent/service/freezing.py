"""The freeze (ADR 0009, D6): all that is given stands still at once, in one act without a grant key.

It takes effect when it is committed. Its leaves are promised and spread, so that nobody reads in
the log which grants are one resident's (DESIGN §8).
"""

from collections.abc import Mapping
from typing import Any

from consent.errors import MessageError
from consent.grant.detail import MAX_TIME
from consent.ledger import spreading
from consent.ledger.accounts import StoredAccount
from consent.ledger.events import EventStore
from consent.ledger.freezes import FreezeStore, FrozenGrant
from consent.ledger.grant_row import GIVEN, MakeEntry
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.service.of_grant import GrantEntries
from consent.service.operator import Operator
from consent.service.sequencer import Sequencer
from consent.service.withdrawing import Withdrawing
from consent.signed_message import exact, reading
from identity.codec import base64url, members

_WHAT = "freeze"

BY_FREEZE = "freeze"

THAWED_AT_ONCE = 64
"""Grants resumed in one round of bookkeeping."""


class Freezing:
    def __init__(
        self,
        operator: Operator,
        *,
        store: FreezeStore,
        grants: GrantStore,
        events: EventStore,
        entries: GrantEntries,
        withdrawing: Withdrawing,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._store = store
        self._grants = grants
        self._events = events
        self._entries = entries
        self._withdrawing = withdrawing
        self._sequencer = sequencer

    def freeze(self, account: StoredAccount, body: Mapping[str, Any]) -> dict[str, Any]:
        """In force when this returns, whatever the log does. Raises MessageError."""
        until = self._until(body)
        rows = self._store.freeze(account.number, self._given(account), until=until)
        self._sequencer.wake()
        return {
            "paused": [base64url.encode(row.grant_id) for row in rows],
            "promises": [self._promise(row.grant_id, row.counter) for row in rows],
        }

    def thaw(self) -> int:
        """Resumes what was frozen until now; how many were looked at. For bookkeeping."""
        due = self._store.due(now=self._operator.now, at_most=THAWED_AT_ONCE)
        for frozen in due:
            self._thaw(frozen, alone=len(due) == 1)
        if due:
            self._sequencer.wake()
        return len(due)

    def _until(self, body: Mapping[str, Any]) -> int | None:
        exact(body, _WHAT, frozenset({"until"}))
        if body["until"] is None:
            return None
        with reading(_WHAT):
            until = members.integer(body, "until", what=_WHAT, maximum=MAX_TIME)
        if until <= self._operator.now:
            raise MessageError(f"{_WHAT}: 'until' has passed")
        return until

    def _given(self, account: StoredAccount) -> list[tuple[bytes, MakeEntry]]:
        now, at = self._operator.now, self._operator.milliseconds
        live = [row for row in self._grants.of_account(account.number) if row.state == GIVEN and now < row.not_after]
        made = []
        for row in live:
            body = self._grants.body(row.grant_id)
            if body is not None:
                due = None if len(live) == 1 else spreading.due(at, self._operator.random)
                made.append((row.grant_id, self._entries.maker(Kind.PAUSE, row, body, at=at, due=due, by=BY_FREEZE)))
        return made

    def _thaw(self, frozen: FrozenGrant, *, alone: bool) -> None:
        found = self._grants.get(frozen.grant_id)
        at = self._operator.milliseconds
        if found is None or self._operator.now >= found[0].not_after:
            self._store.forget(frozen.grant_id)
            return
        due = None if alone else spreading.due(at, self._operator.random)
        self._store.thaw(frozen, self._entries.maker(Kind.RESUME, *found, at=at, due=due, by=BY_FREEZE))

    def _promise(self, grant_id: bytes, counter: int) -> str:
        event = self._events.of_grant(grant_id, counter)
        assert event is not None
        return self._withdrawing.promise(event)
