"""Authentic sources in SQL: any municipality's own table, by two queries of its configuration.

    person   :subject → id_number, given_name, family_name, birthdate      who is behind a row
    claims   :id_number → one column a claim; ``a.b`` is member b of a     what the register says

Values are read at the moment of issuance and kept nowhere. A query that gives two rows is refused:
the register cannot say which of them is meant.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import SQLAlchemyError

from identity.errors import CredentialError, SourceUnavailable
from identity.issuer.person import Person

PERSON_COLUMNS = frozenset({"id_number", "given_name", "family_name", "birthdate"})


def open_register(url: str) -> Engine:
    """Reading only, as far as the database can be told so; production gives an account that cannot write."""
    engine = create_engine(url, pool_pre_ping=True, hide_parameters=True)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", lambda connection, _: connection.execute("PRAGMA query_only=ON"))
    return engine


class Register:
    def __init__(self, engine: Engine, *, person_query: str | None, claims_query: str | None, assurance: str) -> None:
        self._engine = engine
        self._person = person_query
        self._claims = claims_query
        self._assurance = assurance

    def person(self, subject: str) -> Person | None:
        """The person behind a row; None where there is none. Raises SourceUnavailable, CredentialError."""
        if self._person is None:
            raise CredentialError("register: has no query for persons")
        row = self._one(self._person, {"subject": subject})
        if row is None:
            return None
        if row.keys() != PERSON_COLUMNS:
            raise CredentialError(f"register: the query for persons must give {', '.join(sorted(PERSON_COLUMNS))}")
        birthdate = row["birthdate"]
        if isinstance(birthdate, str):
            try:
                birthdate = date.fromisoformat(birthdate)
            except ValueError:
                raise CredentialError("register: a date of birth is no date") from None
        return Person(
            str(row["id_number"]), str(row["given_name"]), str(row["family_name"]), birthdate, self._assurance
        )

    def claims(self, id_number: str) -> dict[str, Any] | None:
        """What the register says of a person; None where it does not know them. Raises as ``person``."""
        if self._claims is None:
            raise CredentialError("register: has no query for claims")
        row = self._one(self._claims, {"id_number": id_number})
        return None if row is None else nested(row)

    def _one(self, query: str, parameters: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            with self._engine.connect() as connection:
                rows = connection.execute(text(query), dict(parameters)).mappings().fetchmany(2)
        except SQLAlchemyError as fault:
            # Not its text: that quotes the parameters.
            raise SourceUnavailable(f"register: cannot be read ({type(fault).__name__})") from None
        if len(rows) > 1:
            raise CredentialError("register: more than one row for one person")
        return {str(name): value for name, value in rows[0].items()} if rows else None


def nested(row: Mapping[str, Any]) -> dict[str, Any]:
    """Claims from columns. Raises CredentialError for a type that no claim has."""
    claims: dict[str, Any] = {}
    for column, value in row.items():
        if value is None:
            continue
        *parents, name = column.split(".")
        place = claims
        for parent in parents:
            place = place.setdefault(parent, {})
        place[name] = _json(value)
    return claims


def _json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.date().isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, str | int | bool):
        return value
    raise CredentialError("register: a column is of a type that no claim has")
