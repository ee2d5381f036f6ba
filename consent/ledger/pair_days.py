"""How rare a pair of service and purpose is: its grants are counted by days, as they get their places in the log."""

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Engine, text

from consent.ledger.leaf import Kind, Leaf
from consent.ledger.schema import for_reading
from consent.ledger.statements import Statements

DAYS = 30
"""DESIGN §8: a pair with fewer than ``FEW`` grants in so many days hides in its group."""

FEW = 10

DAY_MINUTES = 24 * 60


def count_grants(connection: Statements, leaves: Sequence[bytes], minute: int) -> None:
    """Notes the grants among leaves that get their places now; called by the one who places."""
    grants = [Leaf.from_bytes(one) for one in leaves if one[1] == Kind.GRANT]
    pairs = Counter((leaf.service, leaf.purpose) for leaf in grants if not leaf.grouped)
    for leaf in grants:
        if leaf.grouped:
            found = connection.execute(_PAIR, {"grant_id": leaf.id}).first()
            pairs.update([] if found is None else [(found[0], found[1])])
    for (service, purpose), count in pairs.items():
        values = {"service": service, "purpose": purpose, "day": minute // DAY_MINUTES, "grants": count}
        connection.execute(_COUNT, values)


def grants_since(engine: Engine, day: int) -> dict[tuple[int, int], int]:
    """(service, purpose) → how many grants of them were logged from that day (since 1970) on."""
    with for_reading(engine).begin() as connection:
        rows = connection.execute(
            text("SELECT service, purpose, sum(grants) FROM pair_day WHERE day >= :day GROUP BY service, purpose"),
            {"day": day},
        )
        return {(service, purpose): int(grants) for service, purpose, grants in rows}


_PAIR = text("SELECT service, purpose FROM grant_row WHERE grant_id = :grant_id")
_COUNT = text(
    "INSERT INTO pair_day (service, purpose, day, grants) VALUES (:service, :purpose, :day, :grants) "
    "ON CONFLICT (service, purpose, day) DO UPDATE SET grants = pair_day.grants + excluded.grants"
)
