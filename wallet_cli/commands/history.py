"""``wallet history``: what the resident did with this wallet."""

from collections.abc import Mapping

from wallet_cli.invocation import Invocation
from wallet_cli.store import history, trust
from wallet_cli.terminal import plain


def run(call: Invocation) -> None:
    with call.store() as store:
        entries = history.entries(store)
        names = trust.all_names(store)
    if not entries:
        call.terminal.say(call.texts("history.empty"))
    for entry in entries:
        call.terminal.say(
            call.texts(
                "history.line",
                moment=call.texts.moment(entry.time),
                act=call.texts(f"act.{entry.act}"),
                party=plain(call.texts.pick(names.get(entry.party, {})) or entry.party),
            )
        )
        if entry.names:
            call.terminal.say("    " + ", ".join(_words(call, name, names) for name in entry.names))
    call.terminal.result(
        {
            "history": [
                {"time": entry.time, "act": entry.act, "party": entry.party, "names": list(entry.names)}
                for entry in entries
            ]
        }
    )


def _words(call: Invocation, name: str, names: Mapping[str, Mapping[str, str]]) -> str:
    """Our word for an attribute or a credential type, else for a claim, else the name itself."""
    known = call.texts.get(f"attribute.{name}") or call.texts.get(f"type.{name}")
    return known or call.texts.claim(name, lambda party: names.get(party, {}))
