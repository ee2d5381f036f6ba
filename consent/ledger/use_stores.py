"""Which lane of uses a database has."""

from collections.abc import Callable

from sqlalchemy import Engine

from consent.ledger.address import POSTGRESQL
from consent.ledger.uses import ThreadLane, UseLane


def open_lane(engine: Engine, *, written: Callable[[], None]) -> UseLane:
    """Connects when the first use comes. ``written`` is called after each batch."""
    if engine.dialect.name == POSTGRESQL:
        # asyncpg is loaded where it is used.
        from consent.ledger.uses_postgresql import LoopLane

        return LoopLane(engine.url, written=written)
    from consent.ledger.uses_sqlite import SqliteUses

    return ThreadLane(SqliteUses(engine), written=written)
