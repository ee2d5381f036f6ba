"""Which lane of uses a database has."""

from sqlalchemy import Engine

from consent.ledger.address import POSTGRESQL
from consent.ledger.uses import UseStore


def open_uses(engine: Engine) -> UseStore:
    """Connects when the first use comes."""
    if engine.dialect.name == POSTGRESQL:
        # asyncpg is loaded where it is used.
        from consent.ledger.uses_postgresql import PostgresqlUses

        return PostgresqlUses(engine.url)
    from consent.ledger.uses_sqlite import SqliteUses

    return SqliteUses(engine)
