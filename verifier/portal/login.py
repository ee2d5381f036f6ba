"""Logging in: what is asked for, and how a browser gets at the answer (DESIGN section 4, OpenID4VP 1.0 section 14.2).

Link and QR code carry different requests of one attempt, so that the way of the answer is known:

 same device    the wallet gets ``redirect_uri`` with a fresh response code; only the browser session
                that began the attempt completes it, once. In another one the attempt is refused.
 cross device   the page that shows the code completes it; whoever shows the code may not be who
                scanned it, so the login has level low and says so.

The page that waits learns that there is an answer, never what it says.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from identity.formats.sd_jwt_vc.spec import FORMAT
from identity.openid4vp.dcql import ClaimsQuery, CredentialQuery, DcqlQuery
from verifier.acceptance import AllOf, Checked, Flow, IssuedBy, Procedure
from verifier.asked import Asked
from verifier.errors import RequestUnknown
from verifier.outcome import Outcome, Result
from verifier.portal.texts import in_every_language
from verifier.presentations import Presentations
from verifier.sealing import Sealing
from verifier.sessions import State

PAIRWISE = "pairwise"
RESIDENCY = "residency"

LOGIN = "portal-login"
"""The procedure, as requests name it."""

DONE_PATH = "/login/done"


def login_query(*, party: str, pairwise_vct: str, residency_vct: str) -> DcqlQuery:
    """What the procedure needs: who it is to this portal alone, and which district office is theirs."""
    return DcqlQuery(
        (
            CredentialQuery(
                PAIRWISE, FORMAT, {"vct_values": [pairwise_vct]}, (ClaimsQuery(None, ("ids", party), None),)
            ),
            CredentialQuery(
                RESIDENCY, FORMAT, {"vct_values": [residency_vct]}, (ClaimsQuery(None, ("district",), None),)
            ),
        )
    )


def login_procedure(*, issuer: str) -> Procedure:
    """An identifier counts together with its issuer, so one issuer's are taken (section 14.4)."""
    return Procedure(LOGIN, AllOf((Checked(), IssuedBy(frozenset({issuer})))), in_every_language("login.purpose"))


class Standing(StrEnum):
    WAITING = "waiting"
    ANSWERED = "answered"
    """On this device: the wallet has opened the page that goes on."""
    READY = "ready"
    """Across devices: this browser may go on."""
    REFUSED = "refused"
    OVER = "over"
    """Unknown, read or expired: a new attempt is needed."""


@dataclass(frozen=True, slots=True)
class Links:
    same_device: str
    cross_device: str


class Login:
    def __init__(
        self, presentations: Presentations, sealing: Sealing, *, url: str, query: DcqlQuery, procedure: Procedure
    ) -> None:
        """``procedure`` is registered with ``presentations``."""
        self._presentations = presentations
        self._sealing = sealing
        self._url = url
        self._query = query
        self._procedure = procedure

    def new_attempt(self) -> str:
        return self._presentations.new_secret()

    def links(self, attempt: str) -> Links:
        """The same ones for the same attempt, however often its page is shown."""
        return Links(
            self._begin(attempt, Flow.SAME_DEVICE, f"{self._url}{DONE_PATH}"),
            self._begin(attempt, Flow.CROSS_DEVICE, None),
        )

    def standing(self, attempt: str) -> tuple[Standing, str | None]:
        """How it stands, and the code of a refusal."""
        try:
            same = self._presentations.outcome(attempt, Flow.SAME_DEVICE)
            cross = self._presentations.outcome(attempt, Flow.CROSS_DEVICE)
        except RequestUnknown:
            return Standing.OVER, None
        return _standing(same, cross)

    def complete_same_device(self, attempt: str | None, code: str) -> dict[str, Any]:
        """What the login disclosed. Raises RequestUnknown, OtherSession."""
        return _knowledge(self._presentations.complete_same_device(attempt, code))

    def complete_cross_device(self, attempt: str) -> dict[str, Any]:
        """Raises RequestUnknown."""
        return _knowledge(self._presentations.complete_cross_device(attempt))

    def _begin(self, attempt: str, flow: Flow, return_uri: str | None) -> str:
        asked = Asked(procedure=self._procedure.id, query=self._query, flow=flow, return_uri=return_uri)
        return self._presentations.begin(asked, handle=self._sealing.secret(flow, attempt), reader=attempt)


def _standing(same: Outcome, cross: Outcome) -> tuple[Standing, str | None]:
    if cross.state == State.VERIFIED:
        return Standing.READY, None
    if same.state == State.VERIFIED:
        return Standing.ANSWERED, None
    for outcome in (same, cross):
        if outcome.state == State.REFUSED:
            return Standing.REFUSED, outcome.error
    if State.READ in (same.state, cross.state):
        return Standing.OVER, None
    return Standing.WAITING, None


def _knowledge(result: Result) -> dict[str, Any]:
    """For the page that shows it: every claim that was disclosed, with its issuer, and nothing else."""
    learnt = [
        {"path": list(path), "value": value, "issuer": issuer}
        for query_id, several in result.claims.items()
        for claims, issuer in zip(several, result.issuers[query_id], strict=True)
        for path, value in _leaves((), claims)
    ]
    return {"level": result.level, "learnt": learnt}


def _leaves(path: tuple[str, ...], claims: dict[str, Any]) -> list[tuple[tuple[str, ...], Any]]:
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, value in claims.items():
        if isinstance(value, dict) and value:
            found.extend(_leaves((*path, name), value))
        else:
            found.append(((*path, name), value))
    return found
