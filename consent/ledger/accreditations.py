"""Which services have shown which accreditation: for "who qualifies today" (ADR 0009, D13). No use depends on it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass

from sqlalchemy import Engine, text

from consent.ledger.schema import for_reading

MAX_LISTED = 1_000
"""Services of one kind in a city."""


@dataclass(frozen=True, slots=True)
class StoredAccreditation:
    service: str
    vct: str
    accreditor: str
    issuer: str
    until: int
    status_uri: str
    status_index: int


class AccreditationStore:
    """Each method is one transaction."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._reader = for_reading(engine)

    def put(self, shown: StoredAccreditation) -> None:
        """The newest presentation of a service counts."""
        names = StoredAccreditation.__slots__
        later = ", ".join(f"{name} = excluded.{name}" for name in names[3:])
        with self._engine.begin() as connection:
            connection.execute(
                text(
                    f"INSERT INTO accreditation ({', '.join(names)}) "
                    f"VALUES ({', '.join(':' + name for name in names)}) "
                    f"ON CONFLICT (service, vct, accreditor) DO UPDATE SET {later}"
                ),
                dict(zip(names, astuple(shown), strict=True)),
            )

    def valid(self, vct: str, accreditor: str, *, now: int) -> Sequence[StoredAccreditation]:
        """Those that have not ended; whether one was revoked, its status list says."""
        with self._reader.begin() as connection:
            rows = connection.execute(
                text(
                    f"SELECT {', '.join(StoredAccreditation.__slots__)} FROM accreditation "
                    "WHERE vct = :vct AND accreditor = :accreditor AND until > :now ORDER BY service LIMIT :most"
                ),
                {"vct": vct, "accreditor": accreditor, "now": now, "most": MAX_LISTED},
            ).all()
        return [StoredAccreditation(*row) for row in rows]
