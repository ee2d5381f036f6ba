"""The ``atorga`` command. Each sub-command imports what it needs when it runs."""

import argparse
import sys
from collections.abc import Sequence


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="atorga", description="Run, show and audit Atorga.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="the story, told step by step on this machine")
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    parser().parse_args(arguments)
    from atorga.town import demo

    return demo.run(sys.stdout)
