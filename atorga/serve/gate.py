"""The enforcement point for a data holder's own code, from the same configuration file as ``atorga serve holder``.

Its ``[register]`` names no ``url``: the attributes' types, categories, purposes and resolutions stand
there, and the code answers. Two forms:

    with open_gate(Path("holder.toml"), find=row_of) as gate:       # any code
        answer = gate.release(request, read)                        # request: the body of POST /data
        gate.app                                                    # ASGI: what wallets ask here, all but /data

    app = enforced(existing_app, Path("holder.toml"))               # an ASGI application; see [upstream]

[upstream]                              # for ``enforced`` only
find = "/residents?nif={claim}"         # answers an object, or 404
key = "id"                              # its member that names the row
read = "/residents/{row}"
[upstream.members]                      # attribute → member of that answer, by dots
"income.band" = "income.amount"
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from atorga.serve.holder import Own, assemble, lifespan_of
from atorga.serve.holder_settings import HolderSettings, settings
from atorga.serve.holder_tables import Given
from atorga.serve.settings import ConfigurationError, Profile, Table, load
from consent.errors import ConsentError, RegisterFault
from consent.holder.app import holder_app
from consent.holder.gate import Gate
from consent.holder.source import Key, RowOf
from consent.holder.upstream import Application, EnforcedApp, Paths, Upstream
from identity.clock import Clock
from identity.randomness import Random


@contextmanager
def open_gate(
    configuration: Path,
    *,
    find: RowOf,
    profile: Profile = "production",
    clock: Clock = time.time,
    random: Random = secrets.token_bytes,
) -> Iterator[Gate]:
    """A gate for any code; while it is open, threads declare, and send what is owed. Raises ConfigurationError.

    ``find`` gives the row that the declared claim's value names, or None.
    """
    made, types, rest = _read(configuration, profile)
    rest.done()
    assembled = assemble(made, profile=profile, clock=clock, random=random, own=Own(find, _nothing))
    with assembled.running():
        yield Gate(assembled.services, find=find, types=types, reductions=made.holding.reductions)


def enforced(
    app: Application,
    configuration: Path,
    *,
    profile: Profile = "production",
    clock: Clock = time.time,
    random: Random = secrets.token_bytes,
) -> EnforcedApp:
    """An ASGI application that serves a data holder's addresses before ``app``. Raises ConfigurationError."""
    made, types, rest = _read(configuration, profile)
    upstream = Upstream(app, _paths(rest.table("upstream"), types))
    rest.done()
    assembled = assemble(made, profile=profile, clock=clock, random=random, own=Own(upstream.find, upstream.values))
    return EnforcedApp(holder_app(assembled.services, lifespan=lifespan_of(assembled)), app)


def _read(configuration: Path, profile: Profile) -> tuple[HolderSettings, Mapping[str, str], Table]:
    head, rest = load(configuration, profile=profile)
    made = settings(head, rest)
    if not isinstance(made.holding.register, Given):
        raise ConfigurationError("[register] url: a database stands here; serve it with atorga serve holder")
    return made, made.holding.register.types, rest


def _paths(table: Table, types: Mapping[str, str]) -> Paths:
    members = table.table("members")
    try:
        paths = Paths(
            table.text("find"), table.text("key"), table.text("read"), {name: members.text(name) for name in types}
        )
    except ConsentError as fault:
        raise ConfigurationError(f"[upstream]: {fault}") from None
    members.done()
    table.done()
    return paths


def _nothing(_: Key, __: tuple[str, ...]) -> dict[str, Any]:
    raise RegisterFault("register: each call of the gate says how to read")
