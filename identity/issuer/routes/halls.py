"""Which town hall a request is for."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException

from identity.issuer.town_hall import TownHall

RESERVED = frozenset({"registry", "trust.pem", "openapi.json", ".well-known"})
"""First segments of paths that belong to the process."""


class Halls:
    def __init__(self, halls: Mapping[str, TownHall]) -> None:
        if taken := RESERVED & halls.keys():
            raise ValueError(f"town hall: the path {min(taken)!r} belongs to the service")
        self._halls = dict(halls)

    def of(self, tenant: str) -> TownHall:
        """By the path's first segment; an unknown one is a 404."""
        hall = self._halls.get(tenant)
        if hall is None:
            raise HTTPException(404, "no such issuer here")
        return hall
