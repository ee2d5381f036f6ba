"""``wallet list`` and ``wallet show ID``: what is in the wallet. No network."""

from typing import TYPE_CHECKING, Any

from wallet_cli.errors import WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import credentials, trust
from wallet_cli.store.credentials import Credential
from wallet_cli.terminal import plain

if TYPE_CHECKING:
    from wallet_cli.store.database import Store


def list_all(call: Invocation) -> None:
    with call.store() as store:
        held = [_line(store, credential, call.world.now) for credential in credentials.credentials(store)]
        names = {credential.id: credential.names for credential in credentials.credentials(store)}
        called = trust.all_names(store)
    if not held:
        call.terminal.say(call.texts("list.empty"))
    for line in held:
        name = call.texts.pick(names[line["id"]]) or line["type"]
        until = call.texts.date(line["valid_until"]) if line["valid_until"] else call.texts("list.expired")
        issuer = plain(call.texts.pick(called.get(line["issuer"], {})) or line["issuer"])
        call.terminal.say(call.texts("list.line", id=line["id"], name=plain(name), issuer=issuer, until=until))
        call.terminal.say("    " + call.texts.count("list.copies", line["copies"]))
    call.terminal.result({"credentials": held})


def show(call: Invocation) -> None:
    """The values too: this is the owner's own screen."""
    from identity.formats.sd_jwt_vc import parse

    with call.store() as store:
        credential = find(store, call.arguments.id)
        line = _line(store, credential, call.world.now)
        copies = credentials.copies(store, credential.id)
        names = trust.all_names(store)
    issuer = call.texts.pick(names.get(credential.issuer, {})) or credential.issuer
    claims = parse.peek(copies[-1].body).claims if copies else {}
    call.terminal.say(f"{plain(call.texts.pick(credential.names) or credential.type)} ({credential.id})")
    call.terminal.say("  " + call.texts("show.issuer", issuer=plain(issuer)))
    for path, value in leaves(claims):
        call.terminal.say(f"  {call.texts.claim(path, lambda party: names.get(party, {}))}: {call.texts.value(value)}")
    call.terminal.say("  " + call.texts.count("list.copies", line["copies"]))
    call.terminal.result({**line, "claims": claims})


def find(store: "Store", prefix: str) -> Credential:
    found = credentials.find(store, prefix)
    if len(found) != 1:
        code = "unknown_id" if not found else "ambiguous_id"
        raise WalletError(code, f"credential: {len(found)} begin with {prefix[:32]!r}, expected one")
    return found[0]


def leaves(value: Any, path: str = "") -> list[tuple[str, Any]]:
    """(dotted path, value) of every claim that is not a technical member of the credential."""
    if isinstance(value, dict):
        found: list[tuple[str, Any]] = []
        for name, member in value.items():
            if path or name not in TECHNICAL:
                found += leaves(member, f"{path}.{name}" if path else name)
        return found
    return [(path, value)]


TECHNICAL = frozenset({"iss", "iat", "nbf", "exp", "cnf", "vct", "vct#integrity", "status", "_sd", "_sd_alg", "sub"})
"""Members of SD-JWT VC that say nothing about the person."""


def _line(store: "Store", credential: Credential, now: int) -> dict[str, Any]:
    unused = credentials.unused(store, credential.id, now=now)
    dates = [copy.valid_until for copy in credentials.copies(store, credential.id) if copy.valid_until > now]
    return {
        "id": credential.id,
        "type": credential.type,
        "issuer": credential.issuer,
        "valid_until": max(dates, default=None),
        "copies": len(unused),
    }
