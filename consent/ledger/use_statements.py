"""The statements of one use, for drivers that take values by position.

The UPDATE is the ledger's own (``grant_statements.USE``) with one condition more; it is spelled once.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from consent.ledger.grant_row import BODY_COLUMNS, ROW_COLUMNS, WINDOW_EPOCH, signed
from consent.ledger.grant_statements import USE
from consent.ledger.uses import Order, Wanted

_NAME = re.compile(r"(?<!:):([a-z_]+)")


def columns_of(table: str, columns: str) -> str:
    return ", ".join(f"{table}.{name}" for name in columns.split(", "))


@dataclass(frozen=True, slots=True)
class Statement:
    """``sql`` with its values by position, in the order of ``names``."""

    sql: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, named: str, mark: str) -> "Statement":
        """From ``:name`` to ``?1`` or ``$1``, whichever ``mark`` the driver has."""
        names = tuple(dict.fromkeys(_NAME.findall(named)))
        places = {name: f"{mark}{position}" for position, name in enumerate(names, 1)}
        return cls(_NAME.sub(lambda match: places[match[1]], named), names)

    def values(self, given: Mapping[str, object]) -> tuple[object, ...]:
        return tuple(given[name] for name in self.names)


READ = (
    f"SELECT {columns_of('grant_row', ROW_COLUMNS)}, {columns_of('grant_body', BODY_COLUMNS)} "
    "FROM grant_row, grant_body WHERE grant_row.grant_id = :grant_id AND grant_body.grant_id = :grant_id"
)
SPEND_PROOF = (
    "INSERT INTO spent_proof (thumbprint, jti, expires) VALUES (:thumbprint, :jti, :expires) ON CONFLICT DO NOTHING"
)
SPEND_REQUEST = (
    "INSERT INTO use_request_seen (service, jti, request_hash, expires) "
    "VALUES (:service, :jti, :request_hash, :expires) ON CONFLICT DO NOTHING"
)
FREE_REQUEST = "DELETE FROM use_request_seen WHERE service = :service AND jti = :jti"
ADD_EVENT = (
    "INSERT INTO event (kind, grant_id, counter, leaf, sealed) VALUES (:kind, :grant_id, :counter, :leaf, :sealed)"
)
UPDATE = USE.text.replace("RETURNING", "AND act = :act RETURNING")


def update_values(order: Order, wanted: Wanted) -> dict[str, object]:
    """What the conditional UPDATE is asked with."""
    return {
        "grant_id": order.grant_id,
        "service": wanted.service,
        "holder": wanted.holder,
        "purpose": wanted.purpose,
        "mask": signed(wanted.mask),
        "act": wanted.act,
        "now": order.now,
        "since": order.now - WINDOW_EPOCH,
    }
