"""A database restored from a copy takes in what the log knows better (DESIGN §8): above all, what has ended.

The leaves it lacks come back as events without a body: salts and sealed events were in the database
alone, and residents have theirs. What leaves say about a grant is applied to its row, in doubt to the
side of refusing: an amended grant is paused, since a leaf does not tell its resolutions; a grant whose
signed text is gone is closed for ever. Uses count again, so that no limit begins anew, and acts
are counted up, so that no old act can be shown again.

Each run of leaves is one transaction; the next begins behind it, after a crash as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Engine, text

from consent.ledger.feed import leave_gap
from consent.ledger.grant_row import (
    ERASED,
    EXPIRED,
    GIVEN,
    INVALIDATED,
    PAUSED,
    REVOKED,
    WINDOW_EPOCH,
    WITHDRAWN,
    Entry,
    GrantBody,
    HotRow,
    add_event,
    find_body,
    find_row,
    insert_row,
    row_parameters,
    signed,
    unsigned,
)
from consent.ledger.grant_statements import INSERT_ENDING
from consent.ledger.leaf import COUNTED, DAY_ONLY, DAY_SECONDS, END_DAY_EPOCH, Kind, Leaf
from consent.ledger.schema import lock
from consent.ledger.statements import Statements
from consent.ledger.status_places import close_lists

ENDS = {Kind.WITHDRAW: WITHDRAWN, Kind.REVOKE: REVOKED, Kind.EXPIRE: EXPIRED, Kind.ERASE: ERASED}
CLOSED = frozenset({WITHDRAWN, REVOKED, EXPIRED, INVALIDATED, ERASED})

OF_A_GRANT = COUNTED | {Kind.DENY}

ENDED_BY = {WITHDRAWN: Kind.WITHDRAW, REVOKED: Kind.REVOKE, EXPIRED: Kind.EXPIRE}

CloseAgain = Callable[[Kind, HotRow, GrantBody], Callable[[HotRow], Entry]]
"""Makes the entry of what was taken back while the database was behind, under the counter it gets now."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """What a run was: leaves taken in, and how many of them are of grants or declarations whose text is gone."""

    leaves: int
    lost: int


class Restoring:
    """Use while nothing is placed, by whoever has the log's turn."""

    def __init__(self, engine: Engine, *, close_again: CloseAgain) -> None:
        self._engine = engine
        self._close_again = close_again

    def skip_given_out(self) -> None:
        """Numbers that the copy would give out a second time: feeds go on behind a gap, which tells their readers to
        look at each grant, and grants get their places in a fresh status list.
        """
        with self._engine.begin() as connection:
            leave_gap(connection)
            close_lists(connection)

    def take_in(self, first: int, leaves: Sequence[bytes], *, now: int) -> TakenIn:
        """Leaves of the log from place ``first`` on, the first that this database has no place for."""
        with self._engine.begin() as connection:
            lock(connection, b"restoring")
            lost = 0
            for place, raw in enumerate(leaves, first):
                leaf = Leaf.from_bytes(raw)
                if self._is_waiting_here(connection, leaf, raw, place):
                    continue
                grant_id = leaf.id if leaf.kind in OF_A_GRANT else None
                connection.execute(
                    _ADD,
                    {"kind": leaf.kind, "grant_id": grant_id, "counter": leaf.counter, "leaf": raw, "place": place},
                )
                if leaf.kind in OF_A_GRANT:
                    lost += self._apply(connection, leaf, now)
                elif leaf.kind in (Kind.DECLARE, Kind.OPPOSE):
                    lost += 1
            return TakenIn(len(leaves), lost)

    def _is_waiting_here(self, connection: Statements, leaf: Leaf, raw: bytes, place: int) -> bool:
        """An event that the copy has, committed and not yet placed: its act is in the row already."""
        rows = connection.execute(_UNPLACED, {"kind": leaf.kind, "counter": leaf.counter}).all()
        for sequence, stored in rows:
            if bytes(stored)[48:] == leaf.commitment and bytes(stored)[4:20] == leaf.id:
                connection.execute(_PLACE, {"sequence": sequence, "leaf": raw, "place": place})
                return True
        return False

    def _apply(self, connection: Statements, leaf: Leaf, now: int) -> int:
        row = find_row(connection, leaf.id, lock=True)
        if row is None:
            # Nobody has its signed text any more: its id is closed, and is given to nobody again.
            insert_row(connection, _closed(leaf))
            return 1
        if leaf.kind is Kind.DENY:
            connection.execute(_DENIED, {"grant_id": leaf.id, "at": _told_until(leaf, now)})
            return 0
        meanwhile = self._taken_meanwhile(connection, leaf)
        after = _after(row, leaf, now)
        if leaf.kind is Kind.RESUME and connection.execute(_AMENDED, {"grant_id": leaf.id}).first() is not None:
            after = replace(after, state=row.state)
        connection.execute(_CHANGE, row_parameters(after))
        if leaf.kind in ENDS and row.state not in CLOSED:
            values = {"grant_id": leaf.id, "counter": leaf.counter, "at": leaf.minute * 60_000}
            connection.execute(_ENDING, values)
        if leaf.kind is Kind.ERASE:
            connection.execute(_ERASE_BODY, {"grant_id": leaf.id})
            connection.execute(_UNSEAL, {"grant_id": leaf.id})
        if meanwhile and leaf.kind not in ENDS:
            self._write_again(connection, after, meanwhile, leaf.counter)
        return 0

    def _taken_meanwhile(self, connection: Statements, leaf: Leaf) -> frozenset[int]:
        """What was taken back while the database was behind bears a counter that the log has given to
        another leaf: it stands in the row, and is written down anew behind what the log has. Its kinds.

        What came after it in the database came after it here as well, and nowhere in the log.
        """
        values = {"grant_id": leaf.id, "counter": leaf.counter}
        if connection.execute(_OWN, values).first() is None:
            return frozenset()
        kinds = frozenset(row[0] for row in connection.execute(_MEANWHILE, values).all())
        connection.execute(_DROP, values)
        return kinds

    def _write_again(self, connection: Statements, row: HotRow, kinds: frozenset[int], since: int) -> None:
        body = find_body(connection, row.grant_id)
        kind = ENDED_BY.get(row.state) or (Kind.AMEND if Kind.AMEND in kinds else Kind.PAUSE)
        if body is None or row.state in (ERASED, INVALIDATED):
            return
        after = replace(row, counter=row.counter + 1, state=row.state if row.state in CLOSED else PAUSED)
        connection.execute(_CHANGE, row_parameters(after))
        add_event(connection, self._close_again(kind, after, body)(after), row.grant_id, after.counter)
        self._move_endings(connection, after, since)

    def _move_endings(self, connection: Statements, row: HotRow, since: int) -> None:
        """A repeated withdrawal is answered by what was written anew."""
        values = {"grant_id": row.grant_id, "counter": since}
        endings = connection.execute(_ENDINGS, values).all()
        if not endings:
            return
        masks = [unsigned(mask) for mask, _ in endings]
        whole = 0 in masks
        mask = 0
        for one in masks:
            mask = 0 if whole else mask | one
        connection.execute(_FORGET_ENDINGS, values)
        connection.execute(
            INSERT_ENDING,
            {
                "grant_id": row.grant_id,
                "counter": row.counter,
                "mask": signed(mask),
                "effective_at": min(at for _, at in endings),
            },
        )


def _after(row: HotRow, leaf: Leaf, now: int) -> HotRow:
    """The row as the leaf says it is, or as much less as it may be."""
    row = replace(row, counter=leaf.counter)
    if leaf.kind in ENDS:
        # An end that was taken meanwhile stands, whatever the log has next.
        state = ERASED if leaf.kind is Kind.ERASE else row.state if row.state in CLOSED else ENDS[leaf.kind]
        return replace(row, state=state, mask=0, account=0 if leaf.kind is Kind.ERASE else row.account)
    if leaf.kind is Kind.USE:
        return _used(row, leaf, now)
    if leaf.kind is Kind.AMEND:
        not_after = min(row.not_after, END_DAY_EPOCH + (leaf.end_day + 1) * DAY_SECONDS - 1)
        maxima = [one for one in (row.max_uses, leaf.max_uses) if one]
        row = replace(row, mask=row.mask & leaf.mask, not_after=not_after, max_uses=min(maxima, default=0))
    if row.state in CLOSED:
        return row
    state = GIVEN if leaf.kind is Kind.RESUME else PAUSED
    return replace(row, state=state, act=row.act + 1)


def _used(row: HotRow, leaf: Leaf, now: int) -> HotRow:
    """Counted, in a window that began as late as it can have begun."""
    began = _told_until(leaf, now) - WINDOW_EPOCH
    same = row.window_uses > 0 and leaf.minute * 60 - WINDOW_EPOCH < row.window_start + row.window_seconds
    return replace(
        row,
        uses=row.uses + 1,
        window_uses=row.window_uses + 1 if same else 1,
        window_start=row.window_start if same else began,
    )


def _told_until(leaf: Leaf, now: int) -> int:
    """The last second of which a leaf may speak: of its minute, or of its day."""
    return min(now, leaf.minute * 60 + (DAY_SECONDS - 1 if leaf.flags & DAY_ONLY else 59))


def _closed(leaf: Leaf) -> HotRow:
    return HotRow(
        leaf.id, 0, leaf.service, 0, leaf.purpose, INVALIDATED, 0, 0, 0, leaf.counter, 0, 0, 0, 0, 0, 0, 0, 0
    )  # fmt: skip


_ADD = text(
    "INSERT INTO event (kind, grant_id, counter, leaf, leaf_index) VALUES (:kind, :grant_id, :counter, :leaf, :place)"
)
_UNPLACED = text("SELECT sequence, leaf FROM event WHERE leaf_index IS NULL AND kind = :kind AND counter = :counter")
_PLACE = text("UPDATE event SET leaf_index = :place, leaf = :leaf WHERE sequence = :sequence")
_OWN = text("SELECT 1 FROM event WHERE leaf_index IS NULL AND grant_id = :grant_id AND counter = :counter")
_MEANWHILE = text("SELECT kind FROM event WHERE leaf_index IS NULL AND grant_id = :grant_id AND counter >= :counter")
_ENDINGS = text("SELECT mask, effective_at FROM ending WHERE grant_id = :grant_id AND counter >= :counter")
_FORGET_ENDINGS = text("DELETE FROM ending WHERE grant_id = :grant_id AND counter >= :counter")
_DROP = text("DELETE FROM event WHERE leaf_index IS NULL AND grant_id = :grant_id AND counter >= :counter")
# An amendment that came back without a body: a leaf does not tell the resolutions it left.
_AMENDED = text(f"SELECT 1 FROM event WHERE grant_id = :grant_id AND kind = {int(Kind.AMEND)} AND sealed IS NULL")
_CHANGE = text(
    "UPDATE grant_row SET account = :account, state = :state, mask = :mask, not_after = :not_after, "
    "counter = :counter, act = :act, uses = :uses, max_uses = :max_uses, window_start = :window_start, "
    "window_uses = :window_uses WHERE grant_id = :grant_id"
)
_ENDING = text(
    "INSERT INTO ending (grant_id, counter, mask, effective_at) VALUES (:grant_id, :counter, 0, :at) "
    "ON CONFLICT DO NOTHING"
)
_DENIED = text("UPDATE grant_body SET last_deny = :at, denies = 0 WHERE grant_id = :grant_id")
_ERASE_BODY = text("DELETE FROM grant_body WHERE grant_id = :grant_id")
_UNSEAL = text("UPDATE event SET sealed = NULL, receipt_id = NULL WHERE grant_id = :grant_id")
