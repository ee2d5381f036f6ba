"""Who this consent service is, and what of the world it is given."""

from dataclasses import dataclass

from identity.clock import Clock
from identity.keys.signer import Signer
from identity.randomness import Random


@dataclass(frozen=True, slots=True)
class Operator:
    """``signer`` is its registry key; ``url`` its public address, without a slash at its end."""

    id: str
    url: str
    signer: Signer
    clock: Clock
    random: Random

    @property
    def now(self) -> int:
        """NumericDate."""
        return int(self.clock())

    @property
    def milliseconds(self) -> int:
        return int(self.clock() * 1000)
