"""A city whose status lists can be fetched."""

import json
from typing import Any

from identity.status.checker import StatusChecker
from identity.status.status_list import StatusList
from identity.status.token import sign_status_list
from identity.trust.registry import VerifiedRegistry
from tests.unit.identity.trust.conftest import ISS, NOW, Answers, Certified, City, Clock

PREFIX = f"{ISS}/status/"
ONE, TWO = f"{PREFIX}1", f"{PREFIX}2"


def statuses(*revoked: int, bits: int = 1, size: int = 64, value: int = 1) -> StatusList:
    made = StatusList(bits, size)
    for index in revoked:
        made.set(index, value)
    return made


class StatusCity(City):
    """Lists `ONE` and `TWO`, published under the prefix that the list of parties names."""

    def __init__(self) -> None:
        super().__init__()
        self.registry_list = self.verified(self.issuer_entry(), exp=NOW + 30 * 86_400)

    def token(
        self, uri: str = ONE, *revoked: int, by: Certified | None = None, of: StatusList | None = None, **dates: Any
    ) -> str:
        signing = by or self.status
        dates = {"iat": NOW, "exp": NOW + 3_600, "ttl": 60} | dates
        return sign_status_list(
            of or statuses(*revoked), uri=uri, signer=signing.signer, x5c=self.chain(signing), **dates
        )

    def answers(self) -> Answers:
        aggregation = json.dumps({"status_lists": [ONE, TWO]})
        return Answers({PREFIX: aggregation, ONE: self.token(ONE, 5), TWO: self.token(TWO, 6)})

    def checker(
        self, answers: Answers, clock: Clock, *, listed: VerifiedRegistry | None = None, **more: Any
    ) -> StatusChecker:
        registry = listed or self.registry_list
        return StatusChecker(lambda: registry, [self.root.der], answers, clock, **more)
