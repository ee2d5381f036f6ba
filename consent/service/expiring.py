"""Bookkeeping: the leaf (kind 11) of a grant that is past its end. Uses are refused from that instant anyway."""

from consent.ledger import spreading
from consent.ledger.ended_grants import EndedGrants
from consent.ledger.grant_row import GIVEN, PAUSED
from consent.ledger.grants import GrantStore
from consent.ledger.leaf import Kind
from consent.service.of_grant import GrantEntries
from consent.service.operator import Operator
from consent.service.sequencer import Sequencer

BY_END = "end"
"""Of an ``expire`` leaf: its own end, as it was granted."""

SCANNED_AT_ONCE = 2_000
"""Grants looked at in one round: all of a large city within the hour, by rounds a second apart."""


class Expiring:
    def __init__(
        self,
        operator: Operator,
        *,
        ended: EndedGrants,
        grants: GrantStore,
        entries: GrantEntries,
        sequencer: Sequencer,
    ) -> None:
        self._operator = operator
        self._ended = ended
        self._grants = grants
        self._entries = entries
        self._sequencer = sequencer
        self._after = b""

    def round(self) -> int:
        """How many leaves were written."""
        now, at = self._operator.now, self._operator.milliseconds
        scanned = self._ended.scan(self._after, at_most=SCANNED_AT_ONCE)
        self._after = scanned[-1].grant_id if len(scanned) == SCANNED_AT_ONCE else b""
        written = 0
        for one in scanned:
            if one.state not in (GIVEN, PAUSED) or now < one.not_after:
                continue
            found = self._grants.get(one.grant_id)
            if found is None:
                continue
            due = spreading.due(at, self._operator.random)
            make = self._entries.maker(Kind.EXPIRE, *found, at=at, due=due, by=BY_END)
            written += self._ended.expire(one.grant_id, make, now=now) is not None
        if written:
            self._sequencer.wake()
        return written
