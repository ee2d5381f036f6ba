"""Status lists as they are signed and served."""

from dataclasses import dataclass

from sqlalchemy import Engine, or_, select, update

from identity.issuer.store.tables import revoked_place, status_list


@dataclass(frozen=True, slots=True)
class ListState:
    number: int
    size: int
    changes: int
    token: str | None
    signed_expires: int
    is_current: bool
    """The token says what the rows say."""


class StatusListStore:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, number: int) -> ListState | None:
        with self._engine.begin() as connection:
            row = connection.execute(select(status_list).where(status_list.c.number == number)).first()
        if row is None:
            return None
        return ListState(
            number=row.number,
            size=row.size,
            changes=row.changes,
            token=row.token,
            signed_expires=row.signed_expires,
            is_current=row.token is not None and row.signed_changes == row.changes,
        )

    def revoked(self, number: int) -> tuple[int, list[int]]:
        """How many changes there were, and which places are revoked after them: one look at both."""
        with self._engine.begin() as connection:
            changes = connection.execute(
                select(status_list.c.changes).where(status_list.c.number == number)
            ).scalar_one()
            places = connection.execute(select(revoked_place.c.position).where(revoked_place.c.list == number))
            return int(changes), [int(one) for one in places.scalars()]

    def save(self, number: int, token: str, *, changes: int, expires: int) -> None:
        """Keeps a signed list, unless a newer one was kept meanwhile."""
        with self._engine.begin() as connection:
            connection.execute(
                update(status_list)
                .where(
                    status_list.c.number == number,
                    or_(
                        status_list.c.signed_changes < changes,
                        (status_list.c.signed_changes == changes) & (status_list.c.signed_expires <= expires),
                    ),
                )
                .values(token=token, signed_changes=changes, signed_expires=expires)
            )

    def numbers(self) -> list[int]:
        with self._engine.begin() as connection:
            return [int(one) for one in connection.execute(select(status_list.c.number)).scalars()]
