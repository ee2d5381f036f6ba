"""The log over its periods (WIRE C6): which of them has a place, and whether they are one chain.

A place counts over all periods. A closed log's last checkpoint is in the first leaf of the next one:
an earlier period is believed only where this chain leads from the current log back to it. What the
published retention has deleted cannot be compared any more, and that is not the same as being wrong.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent.ledger.leaf import Kind, Leaf
from consent.log.checkpoint import VerifiedCheckpoint
from consent.log.period import is_period
from identity.codec.members import integer, text
from identity.errors import EncodingError
from wallet_cli.consents.public_log import PublicLog
from wallet_cli.errors import ConsentRefused, NetworkError
from wallet_cli.network import Network
from wallet_cli.store.database import Store

MAX_PERIODS = 1_000
DELETED = "deleted"
TOO_OLD = "entries_deleted"
"""The code of what the log does not keep any more."""

_WHAT = "log periods"


@dataclass(frozen=True, slots=True)
class Period:
    name: str
    first: int
    size: int | None
    """None while it is written."""
    is_deleted: bool


class PeriodLogs:
    def __init__(self, network: Network, base: str, pinned: str) -> None:
        self._network, self._base, self._pinned = network, base, pinned
        self._current = PublicLog(network, base, pinned)
        self._periods: list[Period] | None = None
        self._logs: dict[str, PublicLog] = {self._name: self._current}
        self._chained = len(self._listed()) - 1
        """From this period on the chain was checked."""

    @property
    def checkpoint(self) -> VerifiedCheckpoint:
        """The newest one of all."""
        return self._current.checkpoint

    def continue_from_seen(self, store: Store) -> None:
        self._current.continue_from_seen(store)

    def witnessed_by(self, witnesses: dict[str, str]) -> list[str]:
        return self._current.witnessed_by(witnesses)

    def leaf(self, place: int) -> Leaf:
        """Raises ConsentRefused: ``proof_refused``, or ``entries_deleted``; NetworkError."""
        log, index, period = self._at(place)
        try:
            return log.leaf(index)
        except NetworkError:
            if period.is_deleted:
                raise ConsentRefused(TOO_OLD, f"{_WHAT}: {period.name} keeps no entries any more") from None
            raise

    def prove(self, place: int) -> str:
        log, index, _ = self._at(place)
        return log.prove(index)

    @property
    def _name(self) -> str:
        return self._current.origin.rpartition("/")[2]

    def _at(self, place: int) -> tuple[PublicLog, int, Period]:
        periods = self._listed()
        number = max((at for at, one in enumerate(periods) if one.first <= place), default=0)
        self._chain(number)
        period = periods[number]
        return self._log(period), place - period.first, period

    def _log(self, period: Period) -> PublicLog:
        if period.name not in self._logs:
            self._logs[period.name] = PublicLog(self._network, self._base, self._pinned, period.name)
        return self._logs[period.name]

    def _chain(self, number: int) -> None:
        """Back to this period, each one committed to by the first leaf of the next."""
        periods = self._listed()
        while self._chained > number:
            earlier, later = periods[self._chained - 1], periods[self._chained]
            closed, first = self._log(earlier).checkpoint, self._log(later).leaf(0)
            committed = first.kind is Kind.PREVIOUS and first.commitment == sha256(closed.note.text.encode()).digest()
            if not committed or closed.size != later.first - earlier.first:
                raise ConsentRefused("proof_refused", f"{_WHAT}: {later.name} does not continue {earlier.name}")
            self._chained -= 1

    def _listed(self) -> list[Period]:
        if self._periods is None:
            self._periods = self._fetch()
        return self._periods

    def _fetch(self) -> list[Period]:
        answer = self._network.get(f"{self._base}/log/periods")
        if answer.status == 404:
            # A consent service whose log has had one period only.
            return [Period(self._name, 0, None, False)]
        listed = answer.expect(200, what=_WHAT).object(what=_WHAT).get("periods")
        if not isinstance(listed, list) or not 1 <= len(listed) <= MAX_PERIODS:
            raise ConsentRefused("bad_answer", f"{_WHAT}: a list of 1 to {MAX_PERIODS} is expected")
        try:
            periods = [_period(value) for value in listed]
        except EncodingError as fault:
            raise ConsentRefused("bad_answer", str(fault)) from None
        ends = [0, *(one.first + (one.size or 0) for one in periods)]
        whole = all(one.first == end for one, end in zip(periods, ends, strict=False))
        if not whole or periods[-1].name != self._name:
            raise ConsentRefused("proof_refused", f"{_WHAT}: they do not follow each other up to the current log")
        return periods


def _period(value: Any) -> Period:
    if not isinstance(value, dict):
        raise EncodingError(f"{_WHAT}: an entry is an object")
    name = text(value, "period", what=_WHAT, max_length=16)
    if not is_period(name):
        raise EncodingError(f"{_WHAT}: a name that no period has")
    size = None if value.get("size") is None else integer(value, "size", what=_WHAT)
    return Period(name, integer(value, "first", what=_WHAT), size, value.get("entries") == DELETED)
