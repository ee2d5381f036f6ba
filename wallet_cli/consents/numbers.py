"""The numbers by which leaves name services and purposes (WIRE C13: ``GET /services``)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from consent.ledger.leaf import Leaf
from identity.codec.members import integer, text
from identity.errors import EncodingError
from wallet_cli.errors import ConsentRefused
from wallet_cli.network import Network

MAX_NUMBERS = 100_000
"""A region's services."""

_WHAT = "services"


@dataclass(frozen=True, slots=True)
class Numbers:
    services: Mapping[str, int]
    purposes: Mapping[str, int]

    @classmethod
    def fetch(cls, network: Network, base: str) -> "Numbers":
        """Raises NetworkError, ConsentRefused."""
        body = network.get(f"{base}/services").expect(200, what=_WHAT).object(what=_WHAT)
        return cls(_table(body, "services", "id"), _table(body, "purposes", "iri"))

    def require(self, leaf: Leaf, event: Mapping[str, Any]) -> None:
        """The leaf names the service and the purpose of the event. Raises ConsentRefused ``proof_refused``."""
        for name, table, number in (
            ("service", self.services, leaf.service),
            ("purpose", self.purposes, leaf.purpose),
        ):
            if name in event and table.get(str(event[name])) != number:
                raise ConsentRefused("proof_refused", f"log: the leaf names another {name} than the event")


def _table(body: Mapping[str, Any], name: str, key: str) -> dict[str, int]:
    listed = body.get(name)
    if not isinstance(listed, list) or len(listed) > MAX_NUMBERS:
        raise ConsentRefused("bad_answer", f"{_WHAT}: {name!r} must be a list of at most {MAX_NUMBERS}")
    try:
        found = {
            text(one, key, what=_WHAT): integer(one, "number", what=_WHAT, minimum=1)
            for one in listed
            if isinstance(one, dict)
        }
    except EncodingError as fault:
        raise ConsentRefused("bad_answer", str(fault)) from None
    if len(found) != len(listed) or len(set(found.values())) != len(found):
        raise ConsentRefused("bad_answer", f"{_WHAT}: {name!r} has two answers for one name or number")
    return found
