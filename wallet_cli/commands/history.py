"""``wallet history``: what the resident did with this wallet."""

from wallet_cli.invocation import Invocation
from wallet_cli.store import history
from wallet_cli.terminal import plain


def run(call: Invocation) -> None:
    with call.store() as store:
        entries = history.entries(store)
    if not entries:
        call.terminal.say(call.texts("history.empty"))
    for entry in entries:
        call.terminal.say(
            call.texts(
                "history.line",
                moment=call.texts.moment(entry.time),
                act=call.texts(f"act.{entry.act}"),
                party=plain(entry.party),
            )
        )
        if entry.names:
            call.terminal.say("    " + ", ".join(call.texts.claim(name) for name in entry.names))
    call.terminal.result(
        {
            "history": [
                {"time": entry.time, "act": entry.act, "party": entry.party, "names": list(entry.names)}
                for entry in entries
            ]
        }
    )
