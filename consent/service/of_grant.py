"""Leaves that the service itself makes of a grant: no message of anybody stands behind them, only ``by``."""

from dataclasses import replace
from typing import Any

from consent.ledger.grant_row import Entry, GrantBody, HotRow, MakeEntry
from consent.ledger.leaf import Kind, names_of
from consent.service.catalogue import Catalogue
from consent.service.entries import EntryMaker, Names
from consent.service.in_force import stored_detail

RESTORED = "restored"


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

    def close_again(self, kind: Kind, row: HotRow, body: GrantBody, *, at: int) -> MakeEntry:
        """Of what was taken back while the database was behind its log."""
        state: dict[str, Any] = {}
        if kind is Kind.AMEND:
            names = list(names_of(stored_detail(body).datatypes, row.mask))
            state = {"attributes": names, "not_after": row.not_after, "max_uses": row.max_uses or None}
        return self.maker(kind, row, body, at=at, by=RESTORED, **state)


def _waiting(entry: Entry, due: int | None) -> Entry:
    return entry if due is None else replace(entry, due=due)
