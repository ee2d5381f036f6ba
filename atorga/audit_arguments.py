"""The options of ``atorga audit``, apart from the audit itself: the help must not wait for it."""

import argparse
from pathlib import Path

LANGUAGES = ("es", "ca", "en")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The sub-command ``audit``."""
    parser = commands.add_parser("audit", help="replay the public log and say whether its city keeps its word")
    parser.add_argument("url", metavar="URL", help="address of the consent service (http for this machine only)")
    parser.add_argument("--vkey", required=True, metavar="K", help="the log's key, learnt elsewhere than at URL")
    parser.add_argument("--witness", action="append", default=[], metavar="VKEY", help="a witness's key; repeatable")
    parser.add_argument("--quorum", type=int, metavar="N", help="fail unless so many of the witnesses cosigned")
    parser.add_argument(
        "--wait", type=float, default=5.0, metavar="SECONDS", help="how long to wait for the quorum (default: 5)"
    )
    parser.add_argument("--state", type=Path, metavar="DIR", help="keep the checkpoints seen here, and compare them")
    parser.add_argument(
        "--checkpoint", action="append", default=[], type=Path, metavar="FILE",
        help="a checkpoint or receipt proof that somebody else was shown; repeatable",
    )  # fmt: skip
    parser.add_argument(
        "--period", action="append", default=[], metavar="NAME", help="read this earlier period too; repeatable"
    )
    parser.add_argument("--json", action="store_true", help="one object as the only line on stdout")
    parser.add_argument("--lang", choices=LANGUAGES, help="language (default: of this machine)")
