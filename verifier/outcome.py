"""How a request ends, and what comes of it."""

from dataclasses import dataclass
from typing import Any

from verifier.sessions import State

EXPIRED = ("request_expired", "nobody answered the request in its time")
OTHER_SESSION = ("other_session", "the answer came back in another browser session than the one that asked")
"""Code and description."""


@dataclass(frozen=True, slots=True)
class Result:
    """What was disclosed, for whoever asked."""

    claims: dict[str, list[dict[str, Any]]]
    issuers: dict[str, list[str]]
    """Beside each of ``claims``: an identifier counts together with its issuer (section 14.4)."""
    level: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request stands, without any claim."""

    state: State
    error: str | None = None
    error_description: str | None = None
