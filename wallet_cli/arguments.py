"""The command line (WIRE section A), as one table of commands and one of global options.

Each command names the module that does it; that module is imported when it is called, so that
``wallet --help`` costs little more than Python itself.
"""

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from wallet_cli.errors import UsageFault
from wallet_cli.texts import Texts

RESOLUTION_FORM = "ATTRIBUTE=RESOLUTION"


class Formatter(argparse.HelpFormatter):
    """argparse's own words stand in no catalogue of ours; this one is given."""

    def __init__(self, prog: str, *, usage_word: str, **more: Any) -> None:
        super().__init__(prog, **more)
        self._usage_word = usage_word

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        super().add_usage(usage, actions, groups, f"{self._usage_word}: " if prefix is None else prefix)


class Parser(argparse.ArgumentParser):
    """Raises instead of leaving, so that ``--json`` also covers a wrong command line."""

    def speak(self, texts: Texts) -> "Parser":
        """Its headings in the person's language."""
        self.formatter_class = partial(Formatter, usage_word=texts("help.usage"))
        self._positionals.title, self._optionals.title = texts("help.arguments"), texts("help.options")
        for action in self._actions:
            if isinstance(action, argparse._HelpAction):
                action.help = texts("help.help")
        return self

    def error(self, message: str) -> NoReturn:
        raise UsageFault("usage", message)


def build(texts: Texts) -> Parser:
    everywhere = _global_options(texts)
    parser = Parser(prog="wallet", description=texts("help.wallet"), parents=[everywhere], allow_abbrev=False)
    command = texts("help.command")
    commands = parser.speak(texts).add_subparsers(metavar=command, required=True)

    def add(under: "argparse._SubParsersAction[Parser]", name: str, target: str | None) -> Parser:
        key = f"help.{target.replace(':', '.')}" if target else f"help.{name}"
        added = under.add_parser(
            name, help=texts(key), description=texts(key), parents=[everywhere], allow_abbrev=False
        ).speak(texts)
        if target:
            added.set_defaults(run=target)
        return added

    def group(name: str) -> "argparse._SubParsersAction[Parser]":
        return add(commands, name, None).add_subparsers(metavar=command, required=True)

    init = add(commands, "init", "init:run")
    init.add_argument("--sandbox", action="store_true", help=texts("help.sandbox"))

    accept = add(group("offer"), "accept", "offer:accept")
    accept.add_argument("uri", metavar="URI")
    accept.add_argument("--tx-code", metavar="C", help=texts("help.tx_code"))
    _card_options(accept, texts)

    present = add(commands, "present", "present:run")
    present.add_argument("uri", metavar="URI")

    add(commands, "list", "credentials:list_all")
    show = add(commands, "show", "credentials:show")
    show.add_argument("id", metavar="ID")

    login = add(group("card"), "login", "card:login")
    login.add_argument("url", metavar="AUTHORIZATION_URL")
    _card_options(login, texts)

    _consent(group("consent"), add, texts)
    timeline = add(commands, "timeline", "timeline:run")
    timeline.add_argument("--evidence", metavar="FILE", type=Path, help=texts("help.evidence"))
    add(commands, "history", "history:run")

    _mandate(group("mandate"), add, texts)

    verify = add(group("receipt"), "verify", "receipt:verify")
    verify.add_argument("file", metavar="FILE", type=Path)

    trust = add(group("trust"), "add", "trust:add")
    what = trust.add_mutually_exclusive_group(required=True)
    what.add_argument("anchor", metavar="URL|FILE", nargs="?")
    what.add_argument("--registry", metavar="URL", help=texts("help.registry"))
    what.add_argument("--issuer", metavar="URL", help=texts("help.issuer"))
    trust.add_argument("--as", dest="use", choices=("issuer", "verifier"), help=texts("help.as"))
    return parser


def _consent(
    under: "argparse._SubParsersAction[Parser]",
    add: Callable[["argparse._SubParsersAction[Parser]", str, str | None], Parser],
    texts: Texts,
) -> None:
    add(under, "list", "consent:list_all")
    show = add(under, "show", "consent:show")
    show.add_argument("id", metavar="ID")
    show.add_argument("--receipt", metavar="FILE", type=Path, help=texts("help.receipt_file"))
    grant = add(under, "grant", "consent:grant")
    grant.add_argument("uri", metavar="URI")
    _narrower(grant, texts)
    grant.add_argument("--refuse", action="store_true", help=texts("help.refuse"))
    withdraw = add(under, "withdraw", "withdrawal:run")
    _which(withdraw, texts)
    withdraw.add_argument("--attribute", metavar="A", action="append", help=texts("help.attribute"))
    _which(add(under, "pause", "pausing:pause"), texts)
    _which(add(under, "resume", "pausing:resume"), texts)
    amend = add(under, "amend", "pausing:amend")
    amend.add_argument("id", metavar="ID")
    _narrower(amend, texts)
    freeze = add(under, "freeze", "pausing:freeze_all")
    freeze.add_argument("--until", metavar="TIME", help=texts("help.until"))
    add(under, "requests", "mailbox:requests")
    _mailbox(add(under, "mailbox", "mailbox:mailbox"), texts)
    oppose = add(under, "oppose", "opposition:oppose")
    oppose.add_argument("--service", metavar="S", help=texts("help.oppose_service"))
    oppose.add_argument("--purpose", metavar="P", help=texts("help.purpose"))
    oppose.add_argument("--holder", metavar="H", help=texts("help.holder"))
    oppose.add_argument("--end", metavar="ID", help=texts("help.oppose_end"))
    add(under, "oppositions", "opposition:list_all")
    erase = add(under, "erase", "erasure:run")
    erase.add_argument("id", metavar="ID", nargs="?")
    erase.add_argument("--account", action="store_true", help=texts("help.erase_account"))
    add(under, "deletions", "deletions:run")
    add(under, "export", "export:run").add_argument(
        "--to", metavar="FILE", type=Path, required=True, help=texts("help.to")
    )
    disclose = add(under, "disclose", "case_file:disclose")
    disclose.add_argument("id", metavar="ID")
    disclose.add_argument("--to", metavar="FILE", type=Path, required=True, help=texts("help.to"))
    add(under, "notices", "told:notices")
    add(under, "recoveries", "recovery:run").add_argument("--cancel", metavar="ID", help=texts("help.recovery_cancel"))
    change = add(under, "change", "told:change")
    change.add_argument("id", metavar="ID")
    change.add_argument("--follow", action="store_true", help=texts("help.follow"))


def _mandate(
    under: "argparse._SubParsersAction[Parser]",
    add: Callable[["argparse._SubParsersAction[Parser]", str, str | None], Parser],
    texts: Texts,
) -> None:
    add(under, "accept", "mandate:accept")
    add(under, "list", "mandate:list_all")
    for name, target in (("show", "mandate:show"), ("end", "mandate:end")):
        add(under, name, target).add_argument("id", metavar="MANDATE")
    withdraw = add(under, "withdraw", "mandate:withdraw")
    withdraw.add_argument("id", metavar="MANDATE")
    withdraw.add_argument("grant", metavar="ID")
    freeze = add(under, "freeze", "mandate:freeze_all")
    freeze.add_argument("id", metavar="MANDATE")
    freeze.add_argument("--until", metavar="TIME", help=texts("help.until"))


def _mailbox(parser: Parser, texts: Texts) -> None:
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--service", metavar="S", help=texts("help.mailbox_service"))
    which.add_argument("--close", metavar="MAILBOX", help=texts("help.mailbox_close"))


def _narrower(parser: Parser, texts: Texts) -> None:
    """What makes a permission smaller than it was asked for, or than it is."""
    parser.add_argument("--drop", metavar="ATTRIBUTE", action="append", default=[], help=texts("help.drop"))
    parser.add_argument("--days", metavar="N", type=int, help=texts("help.days"))
    parser.add_argument("--max-uses", metavar="N", type=int, help=texts("help.max_uses"))
    parser.add_argument(
        "--resolution", metavar=RESOLUTION_FORM, action="append", default=[], help=texts("help.resolution")
    )


def _which(parser: Parser, texts: Texts) -> None:
    """One permission, those of a service, or all."""
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("id", metavar="ID", nargs="?")
    which.add_argument("--service", metavar="S", help=texts("help.service"))
    which.add_argument("--all", action="store_true", help=texts("help.all"))


def _card_options(parser: Parser, texts: Texts) -> None:
    parser.add_argument("--card", metavar="FILE", type=Path, help=texts("help.card_file"))
    parser.add_argument("--pin-file", metavar="FILE", type=Path, help=texts("help.pin_file"))
    parser.add_argument("--pin-fd", metavar="N", type=int, help=texts("help.pin_fd"))


def _global_options(texts: Texts) -> Parser:
    """Taken before and after the sub-command. SUPPRESS: a sub-parser's default must not undo what stood before it."""
    options = Parser(add_help=False, argument_default=argparse.SUPPRESS, allow_abbrev=False)
    options.add_argument("--json", action="store_true", help=texts("help.json"))
    options.add_argument("--yes", action="store_true", help=texts("help.yes"))
    options.add_argument("--store", metavar="DIR", type=Path, help=texts("help.store"))
    options.add_argument("--lang", choices=("es", "ca", "en"), help=texts("help.lang"))
    options.add_argument("--map", metavar="PUBLIC=LOCAL", action="append", help=texts("help.map"))
    options.add_argument("--passphrase-fd", metavar="N", type=int, help=texts("help.passphrase_fd"))
    return options


def language_asked(arguments: Sequence[str]) -> str | None:
    """The value of ``--lang`` before argparse runs: its own help is already in that language."""
    for position, argument in enumerate(arguments):
        if argument == "--lang" and position + 1 < len(arguments):
            return arguments[position + 1]
        if argument.startswith("--lang="):
            return argument.removeprefix("--lang=")
    return None
