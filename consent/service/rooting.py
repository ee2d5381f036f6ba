"""Daily roots of data holders (ADR 0009, D9): kept and shown, so that anybody can hold them against the log."""

from typing import Any

from consent.errors import MessageError
from consent.ledger.journal_root import MAX_ROOTS_BYTES, verify_journal_root
from consent.ledger.journal_roots import JournalRootStore
from consent.service.operator import Operator
from consent.service.parties import Parties

DAY_SECONDS = 86_400

SKEW_SECONDS = 60

SHOWN = MAX_ROOTS_BYTES // 1_024
"""Statements of less than a kilobyte: a dozen data holders for three years, and what a reader reads."""


class Rooting:
    def __init__(self, operator: Operator, *, store: JournalRootStore, parties: Parties) -> None:
        self._operator = operator
        self._store = store
        self._parties = parties

    def receive(self, compact: str) -> dict[str, Any]:
        """Raises MessageError (SenderUnproven), OutOfService.

        1. By a listed data holder, for us.
        2. Not from the future, and about a day that has ended: one that goes on has no root yet.
        3. Kept beside what was said of that day before.
        """
        # 1
        stated = verify_journal_root(compact, key_of=self._parties.holder_key, consent=self._operator.id)
        # 2
        now = self._operator.now
        if stated.issued > now + SKEW_SECONDS or (stated.day + 1) * DAY_SECONDS > stated.issued + SKEW_SECONDS:
            raise MessageError("journal root: made before its day has ended, or in the future")
        if len(compact) > MAX_ROOTS_BYTES // SHOWN:
            raise MessageError("journal root: too long")
        # 3
        self._store.add(compact)
        return {"day": stated.day, "count": stated.count}

    def all(self) -> dict[str, Any]:
        return {"roots": self._store.all(at_most=SHOWN)}
