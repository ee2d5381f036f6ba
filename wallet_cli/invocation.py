"""One call of ``wallet``: what the command line said, and how a command opens the store and the network."""

from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wallet_cli import passphrase
from wallet_cli.errors import Declined, UsageFault
from wallet_cli.terminal import Terminal
from wallet_cli.texts import Texts
from wallet_cli.world import World

if TYPE_CHECKING:
    from wallet_cli.network import Network
    from wallet_cli.store.database import Store

STORE_VARIABLE = "WALLET_STORE"
PROFILE = "profile"
SANDBOX = "sandbox"
HAIP = "haip"
"""Outside the sandbox the wallet speaks the HAIP profile only (DESIGN section 4)."""


@dataclass(slots=True)
class Invocation:
    world: World
    texts: Texts
    arguments: Namespace

    @property
    def terminal(self) -> Terminal:
        return self.world.terminal

    @property
    def folder(self) -> Path:
        if named := getattr(self.arguments, "store", None):
            return Path(named)
        environment = self.world.environment
        if named := environment.get(STORE_VARIABLE):
            return Path(named)
        home = environment.get("XDG_DATA_HOME") or str(Path(environment.get("HOME", "~")).expanduser() / ".local/share")
        return Path(home) / "atorga-wallet"

    def passphrase(self, question: str = "ask.passphrase") -> bytes:
        return passphrase.read(
            self.terminal,
            self.world.environment,
            descriptor=getattr(self.arguments, "passphrase_fd", None),
            question=self.texts(question),
        )

    @contextmanager
    def store(self) -> "Iterator[Store]":
        from wallet_cli.store import database

        with database.opened(self.folder, self.passphrase) as store:
            if getattr(self.arguments, "map", None) and store.setting(PROFILE) != SANDBOX:
                raise UsageFault("bad_map", "--map: only a sandbox store may send a public address elsewhere")
            yield store

    def network(self, store: "Store") -> "Network":
        from wallet_cli.network import Network, parse_map

        return Network(
            sandbox=store.setting(PROFILE) == SANDBOX,
            maps=parse_map(getattr(self.arguments, "map", None) or []),
            transport=self.world.transport,
        )

    def confirm(self, question: str) -> None:
        """Goes on only by a yes. Raises Declined."""
        yes = frozenset(self.texts("answer.yes").split())
        if not self.terminal.confirm(f"{question} {self.texts('ask.yes_no')}", yes=yes):
            raise Declined("declined", "not approved at the terminal; nothing was sent")
