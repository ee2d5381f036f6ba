"""Leaves that the service itself makes of a grant: no message of anybody stands behind them, only ``by``."""

from dataclasses import replace
from typing import Any

from consent.ledger.grant_row import EXPIRED, REVOKED, WITHDRAWN, Entry, GrantBody, HotRow, MakeEntry
from consent.ledger.leaf import Kind
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker, Names
from consent.service.in_force import stored_detail

RESTORED = "restored"

_ENDS = {WITHDRAWN: Kind.WITHDRAW, REVOKED: Kind.REVOKE, EXPIRED: Kind.EXPIRE}


class GrantEntries:
    """Whatever asks the database is asked when the maker is made, not inside the transaction of the act."""

    def __init__(self, catalogue: Catalogue, entries: EntryMaker) -> None:
        self._catalogue = catalogue
        self._entries = entries

    def maker(
        self, kind: Kind, row: HotRow, body: GrantBody, *, at: int, due: int | None = None, **more: Any
    ) -> MakeEntry:
        """``at`` and ``due`` in milliseconds; ``more`` are the event's own members."""
        service, purpose = self._catalogue.party_id(row.service), stored_detail(body).purpose
        names = Names(service, purpose, body.opening_key, body.leaf_codes)

        def make(after: HotRow) -> Entry:
            return _waiting(self._entries.of_grant(kind, after, names, at=at, **more).entry, due)

        return make

    def close_again(self, row: HotRow, body: GrantBody, *, at: int) -> MakeEntry:
        """Of an end that was taken while the database was behind its log."""
        return self.maker(_ENDS[row.state], row, body, at=at, by=RESTORED)


def _waiting(entry: Entry, due: int | None) -> Entry:
    return entry if due is None else replace(entry, due=due)
