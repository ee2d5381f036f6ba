"""A wallet in a test: its terminal is strings, its network is a function, its clock stands still."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from wallet_cli.main import main
from wallet_cli.terminal import Terminal
from wallet_cli.world import World

NOW = 1_795_315_010
PASSPHRASE = "a sentence to remember"


class Keyboard(io.StringIO):
    """A person at a terminal who has these answers ready."""

    def isatty(self) -> bool:
        return True


@dataclass
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


@dataclass
class Wallet:
    folder: Path
    passphrase_file: Path
    transport: httpx.BaseTransport | None = None
    now: float = NOW
    environment: dict[str, str] = field(default_factory=dict)
    opened: list[str] = field(default_factory=list)
    """Addresses that the wallet showed in a browser."""
    browser: Callable[[str], object] | None = None

    def run(self, *arguments: str, typed: str | None = None) -> Result:
        """``typed``: lines a person types; None = nobody is there."""
        out, err = io.StringIO(), io.StringIO()
        stdin = io.StringIO() if typed is None else Keyboard(typed)
        world = World(
            Terminal(stdin=stdin, stdout=out, stderr=err),
            clock=lambda: self.now,
            transport=self.transport,
            environment={
                "WALLET_PASSPHRASE_FILE": str(self.passphrase_file),
                "LANG": "en_GB.UTF-8",
                **self.environment,
            },
            browser=self.browser or self.opened.append,
            argon2id_memory_kib=64,
        )
        code = main(["--store", str(self.folder), *arguments], world=world)
        return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture
def bare_wallet(tmp_path: Path) -> Wallet:
    """A wallet command without a store yet."""
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    return Wallet(tmp_path / "store", passphrase)


@pytest.fixture
def wallet(bare_wallet: Wallet) -> Wallet:
    """With a sandbox store."""
    assert bare_wallet.run("init", "--sandbox").code == 0
    return bare_wallet


def no_network(request: httpx.Request) -> httpx.Response:
    raise AssertionError(f"a request left: {request.method} {request.url}")


Handler = Callable[[httpx.Request], httpx.Response]
