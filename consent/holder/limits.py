"""What of a grant's limits is used up here, counted as the ledger counts: a consent service may forget."""

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from consent.grant.detail import AuthorizationDetail
from consent.holder.tables import grant_use

MAX_USES = "max_uses"
FREQUENCY = "frequency"


@dataclass(frozen=True, slots=True)
class Limits:
    """What the resident signed; 0 = no limit."""

    max_uses: int
    window_max: int
    window_seconds: int

    @classmethod
    def of(cls, detail: AuthorizationDetail) -> "Limits":
        frequency = detail.frequency
        return cls(
            detail.use_limit or 0,
            frequency.max if frequency else 0,
            frequency.seconds if frequency else 0,
        )

    def over(self, connection: Connection, grant_id: str, *, at: int) -> str | None:
        """Counts one use as the ledger's statement does, or says which limit it would break."""
        row = connection.execute(select(grant_use).where(grant_use.c.grant_id == grant_id)).first()
        uses, start, window_uses = (0, 0, 0) if row is None else (row.uses, row.window_start, row.window_uses)
        if self.max_uses and uses >= self.max_uses:
            return MAX_USES
        in_window = window_uses > 0 and at < start + self.window_seconds
        if self.window_max and in_window and window_uses >= self.window_max:
            return FREQUENCY
        counted = {
            "uses": uses + 1,
            "window_start": start if in_window else at,
            "window_uses": window_uses + 1 if in_window else 1,
        }
        if row is None:
            connection.execute(insert(grant_use).values(grant_id=grant_id, **counted))
        else:
            connection.execute(update(grant_use).where(grant_use.c.grant_id == grant_id).values(**counted))
        return None
