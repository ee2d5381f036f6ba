"""The options of the auditor's commands, apart from the audits themselves: the help must not wait for them."""

import argparse
from pathlib import Path

LANGUAGES = ("es", "ca", "en")

CASE = "case"
"""``atorga audit case FILE``."""


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The sub-commands ``audit``, ``reconcile`` and ``explorer``."""
    audit = commands.add_parser(
        "audit",
        help="replay the public log and say whether its city keeps its word",
        usage="%(prog)s URL --vkey K [options]\n       %(prog)s case FILE --vkey K [--json] [--lang L]",
    )
    audit.add_argument(
        "url", metavar="URL", help="address of the consent service (http for this machine only); or: case, and a file"
    )
    audit.add_argument("file", nargs="?", type=Path, metavar="FILE", help="a case that its resident or officers opened")
    _log(audit)
    audit.add_argument("--quorum", type=int, metavar="N", help="fail unless so many of the witnesses cosigned")
    audit.add_argument(
        "--policy", type=Path, metavar="FILE", help="fail unless the quorum of this file (C2SP tlog-policy) cosigned"
    )
    audit.add_argument(
        "--wait", type=float, default=5.0, metavar="SECONDS", help="how long to wait for the quorum (default: 5)"
    )
    audit.add_argument("--state", type=Path, metavar="DIR", help="keep the checkpoints seen here, and compare them")
    audit.add_argument(
        "--mirror", type=Path, metavar="DIR",
        help="keep a copy of the whole log here: fetches what is new, and is what is replayed",
    )  # fmt: skip
    audit.add_argument(
        "--checkpoint", action="append", default=[], type=Path, metavar="FILE",
        help="a checkpoint or receipt proof that somebody else was shown; repeatable",
    )  # fmt: skip
    audit.add_argument(
        "--promise", action="append", default=[], type=Path, metavar="FILE",
        help="log promises, one a line: was each kept in time? repeatable",
    )  # fmt: skip
    audit.add_argument(
        "--latency", action="store_true", help="tell when a first attempt after a withdrawal was refused"
    )
    audit.add_argument(
        "--period", action="append", default=[], metavar="NAME", help="read this earlier period too; repeatable"
    )
    _words(audit)

    reconcile = commands.add_parser(
        "reconcile", help="hold data holders' signed daily counts and roots against the public log"
    )
    reconcile.add_argument("url", metavar="URL", help="address of the consent service")
    _log(reconcile)
    reconcile.add_argument("--registry", required=True, metavar="URL|FILE", help="the signed list of parties")
    reconcile.add_argument(
        "--anchor", required=True, type=Path, metavar="PEM", help="the list's root, learnt elsewhere"
    )
    reconcile.add_argument(
        "--roots", metavar="FILE", type=Path, help="statements, as of GET /journal-roots (default: asked at URL)"
    )
    reconcile.add_argument(
        "--records", action="append", default=[], type=Path, metavar="FILE",
        help="what a data holder's operator printed by `atorga holder records DAY`; repeatable",
    )  # fmt: skip
    reconcile.add_argument("--mirror", type=Path, metavar="DIR", help="read and extend this copy of the log")
    reconcile.add_argument("--day", action="append", default=[], metavar="YYYY-MM-DD", help="only this day; repeatable")
    _words(reconcile)

    explorer = commands.add_parser("explorer", help="the auditor's own pages about a log, served to this machine only")
    explorer.add_argument("--log", required=True, metavar="URL", help="address of the consent service")
    _log(explorer)
    explorer.add_argument("--mirror", type=Path, required=True, metavar="DIR", help="the auditor's copy of the log")
    explorer.add_argument("--port", type=int, default=8190, metavar="P", help="on 127.0.0.1 (default: 8190)")


def _log(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--vkey", required=True, metavar="K", help="the log's key, learnt elsewhere than at URL")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="a witness's key; repeatable")


def _words(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one object as the only line on stdout")
    parser.add_argument("--lang", choices=LANGUAGES, help="language (default: of this machine)")
