"""One address of the consent service: who may call it, what it takes, who answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from consent.service.exchange import Exchange, Reply

Handle = Callable[[Exchange], Reply]
"""Called in a thread, since it may wait."""

HandleInLoop = Callable[[Exchange], Awaitable[Reply]]
"""A coroutine function: called in the event loop, since it never waits but for what comes back to the loop."""

KEY, PARTY, NEWCOMER, SIGNED, NOBODY = "account key", "registry key", "new key", "signed body", "anyone"
"""Who proves what: C1 by an account key, by a registry key, by the key enrolled; the body itself; nothing."""


@dataclass(frozen=True, slots=True)
class Address:
    method: str
    path: str
    proof: str
    handle: Handle | HandleInLoop
    summary: str
    takes: str | None = None
    body_optional: bool = False
    slow: bool = False
    """Waits for the log: these wait apart, so that they keep no withdrawal from its turn."""
