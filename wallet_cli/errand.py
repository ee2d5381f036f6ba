"""One command at work: its call, the open store, the network, and whom this wallet believes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wallet_cli.invocation import PROFILE, SANDBOX, Invocation
from wallet_cli.network import Network
from wallet_cli.store.database import Store
from wallet_cli.terminal import Terminal
from wallet_cli.texts import Texts
from wallet_cli.trust.whom import Trust
from wallet_cli.world import World


@dataclass(slots=True)
class Errand:
    call: Invocation
    store: Store
    network: Network
    trust: Trust
    sandbox: bool

    @property
    def world(self) -> World:
        return self.call.world

    @property
    def terminal(self) -> Terminal:
        return self.call.terminal

    @property
    def texts(self) -> Texts:
        return self.call.texts

    @property
    def now(self) -> int:
        return self.call.world.now

    def say(self, key: str, /, **values: object) -> None:
        self.terminal.say(self.texts(key, **values))

    def alarm(self, key: str, /, **values: object) -> None:
        self.terminal.alarm(self.texts(key, **values))

    def progress(self, key: str, done: int, of: int) -> None:
        """Of work that a person waits for; of a single step nothing is said."""
        if of > 1:
            self.terminal.progress(self.texts(key, done=done, of=of) if done < of else "")

    def warn(self, key: str, /, **values: object) -> None:
        self.terminal.warn(self.texts(key, **values))


@contextmanager
def begun(call: Invocation) -> Iterator[Errand]:
    """For commands that ask other parties; first knocks again at doors that never answered a withdrawal or an act."""
    from wallet_cli.consents import acts, withdraw

    with call.store() as store:
        network = call.network(store)
        sandbox = store.setting(PROFILE) == SANDBOX
        errand = Errand(call, store, network, Trust(store, network, call.world.clock, sandbox=sandbox), sandbox)
        for outcome in withdraw.knock_again(network, store):
            errand.warn("withdraw.arrived", id=outcome.grant_id)
        acts.knock_again(errand)
        yield errand
