"""The enforcement point as a function, for a data holder whose values no SQL statement of ours can read."""

from collections.abc import Mapping
from dataclasses import dataclass

from consent.holder.app import answer_to_data, holder_app
from consent.holder.resolution import Reduction
from consent.holder.routes import Services
from consent.holder.source import GivenSource, Read, RowOf


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What to send back to the service, whatever carries it."""

    status: int
    media_type: str
    body: bytes


class Gate:
    """Threads may share one. ``types`` and ``reductions`` are those of the configuration."""

    def __init__(
        self, services: Services, *, find: RowOf, types: Mapping[str, str], reductions: Mapping[str, Reduction]
    ) -> None:
        self.app = holder_app(services, data=False)
        """ASGI: links, journal, notices and doors, which wallets must reach; requests for data come by ``release``."""
        self._services = services
        self._find = find
        self._types = types
        self._reductions = reductions

    def release(self, request: str, read: Read) -> GateAnswer:
        """Answers the body of a service's ``POST /data``: a request under a consent, or under a law.

        ``read`` gets the row's key and the names that may be read, at most once, and after a proven
        permission only; what it returns beyond them stays here. A request that was answered before gets
        its first answer. Blocking; faults are answers too, and nothing is raised.
        """
        source = GivenSource(self._find, read, self._types, self._reductions)
        response = answer_to_data(self._services, request, source=source)
        return GateAnswer(response.status_code, response.media_type or "", bytes(response.body))
