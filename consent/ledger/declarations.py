"""Declarations (WIRE C13), and the numbers under which leaves name parties and purposes (C6)."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import IntegrityError

from consent.errors import LedgerConflict
from consent.ledger.grant_row import Entry, add_event
from consent.ledger.schema import for_reading, lock
from consent.ledger.statements import Statements


@dataclass(frozen=True, slots=True)
class StoredDeclaration:
    number: int
    declaration_id: str
    version: int
    typ: str
    party: int
    jws: str


class DeclarationStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def add(
        self,
        *,
        declaration_id: str,
        version: int,
        typ: str,
        party_id: str,
        purposes: tuple[str, ...],
        jws: str,
        make_entry: Callable[[int], Entry],
    ) -> StoredDeclaration:
        """Stores a declaration and numbers whom and what it names.

        The same JWS again returns what is stored. Raises LedgerConflict (``taken``) where another
        declaration has this id and version, and (``version``) where the version does not rise.
        """
        try:
            with self._engine.begin() as connection:
                lock(connection, b"declaration" + declaration_id.encode())
                same = connection.execute(text(f"SELECT {_COLUMNS} FROM declaration WHERE jws = :jws"), {"jws": jws})
                if (found := same.first()) is not None:
                    return StoredDeclaration(*found)
                last = connection.execute(
                    text("SELECT max(version), min(party) FROM declaration WHERE declaration_id = :id"),
                    {"id": declaration_id},
                ).one()
                party = number_of(connection, "party", "party_id", party_id)
                if last[0] is not None and (last[0] > version or last[1] != party):
                    raise LedgerConflict("version")
                for iri in purposes:
                    number_of(connection, "purpose", "iri", iri)
                connection.execute(
                    text(
                        "INSERT INTO declaration (declaration_id, version, typ, party, jws) "
                        "VALUES (:id, :version, :typ, :party, :jws)"
                    ),
                    {"id": declaration_id, "version": version, "typ": typ, "party": party, "jws": jws},
                )
                add_event(connection, make_entry(party), None, 0)
                stored = connection.execute(
                    text(f"SELECT {_COLUMNS} FROM declaration WHERE jws = :jws"), {"jws": jws}
                ).one()
                return StoredDeclaration(*stored)
        except IntegrityError:
            raise LedgerConflict("taken") from None

    def all(self, *, after: int = 0) -> list[StoredDeclaration]:
        """In the order of registration, those behind number ``after``."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(f"SELECT {_COLUMNS} FROM declaration WHERE number > :after ORDER BY number"), {"after": after}
            ).all()
        return [StoredDeclaration(*row) for row in rows]

    def parties(self) -> dict[str, int]:
        """Registry party id → number."""
        with self._reader.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(text("SELECT party_id, number FROM party"))}

    def purposes(self) -> dict[str, int]:
        """Purpose IRI → number."""
        with self._reader.begin() as connection:
            return {row[0]: row[1] for row in connection.execute(text("SELECT iri, number FROM purpose"))}


def number_of(connection: Statements, table: str, column: str, value: str) -> int:
    """The number of a party or purpose, given at its first mention and never changed."""
    known = text(f"SELECT number FROM {table} WHERE {column} = :value")
    found = connection.execute(known, {"value": value}).scalar()
    if found is None:
        # Asked first: an insert that does nothing uses up a number all the same on PostgreSQL.
        new = text(f"INSERT INTO {table} ({column}) VALUES (:value) ON CONFLICT DO NOTHING")
        connection.execute(new, {"value": value})
        found = connection.execute(known, {"value": value}).scalar_one()
    return int(found)


_COLUMNS = "number, declaration_id, version, typ, party, jws"
