"""When the tasks that are due once a day were last done, across workers and restarts."""

from sqlalchemy import Engine
from sqlalchemy.dialects.sqlite import insert as upsert

from identity.issuer.store.tables import upkeep


class UpkeepStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def claim(self, task: str, *, now: int, since: int) -> bool:
        """True for the one caller who finds it last done before ``since``; it then counts as done at ``now``."""
        claimed = (
            upsert(upkeep)
            .values(task=task, done_at=now)
            .on_conflict_do_update(
                index_elements=[upkeep.c.task], set_={"done_at": now}, where=upkeep.c.done_at < since
            )
        )
        with self._engine.begin() as connection:
            return connection.execute(claimed).rowcount == 1
