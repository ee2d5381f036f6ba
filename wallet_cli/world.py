"""What a command is given from outside: time, randomness, the network, the terminal, the environment."""

import os
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wallet_cli.terminal import Terminal

if TYPE_CHECKING:
    import httpx

    from identity.clock import Clock
    from identity.randomness import Random


def _open_browser(url: str) -> object:
    import webbrowser

    return webbrowser.open(url)


@dataclass(slots=True)
class World:
    """Production values by default; tests replace any of them."""

    terminal: Terminal
    clock: "Clock" = time.time
    random: "Random" = secrets.token_bytes
    transport: "httpx.BaseTransport | None" = None
    """Answers in place of the network in tests."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    browser: Callable[[str], object] = _open_browser
    """Shows an address to the person."""
    argon2id_memory_kib: int | None = None
    """Tests create stores with a cheaper key derivation; None = the production cost."""

    @property
    def now(self) -> int:
        """NumericDate."""
        return int(self.clock())
