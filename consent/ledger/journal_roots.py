"""Data holders' daily roots (ADR 0009, D9), as they came: public, and never changed."""

from hashlib import sha256

from sqlalchemy import Engine, text

from consent.ledger.schema import for_reading


class JournalRootStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def add(self, compact: str) -> None:
        """The same again changes nothing; another statement about the same day stands beside the first."""
        with self._engine.begin() as connection:
            connection.execute(
                text("INSERT INTO journal_root (jws_hash, jws) VALUES (:hash, :jws) ON CONFLICT DO NOTHING"),
                {"hash": sha256(compact.encode("ascii")).digest(), "jws": compact},
            )

    def all(self, *, at_most: int) -> list[str]:
        """The newest ``at_most``, oldest first."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text("SELECT jws FROM journal_root ORDER BY number DESC LIMIT :at_most"), {"at_most": at_most}
            ).all()
        return [str(row[0]) for row in reversed(rows)]
