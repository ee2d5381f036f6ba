"""The ``atorga`` command. Each sub-command imports what it needs when it runs."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from atorga import audit_arguments, catalogue_commands, holder_commands, issuer_commands, officers_commands
from wallet_cli.id_arguments import shield, unshield

DEFAULT_PORT_BASE = 8100


def parser() -> argparse.ArgumentParser:
    root = argparse.ArgumentParser(prog="atorga", description="Run, show and audit Atorga.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    demo = commands.add_parser("demo", help="the story, told step by step on this machine")
    demo.add_argument("--data", type=Path, help="keep the city and its files here (default: a new folder)")

    serve = commands.add_parser("serve", help="one service of a city")
    serve.add_argument("service", choices=("issuer", "consent", "holder", "verifier", "portal", "witness", "ocsp"))
    serve.add_argument("--config", type=Path, required=True, metavar="FILE", help="its configuration (TOML)")
    serve.add_argument("--profile", choices=("production", "sandbox"), default="production")
    serve.add_argument("--check", action="store_true", help="say whether the configuration is right; serve nothing")
    serve.add_argument("--with-parent", action="store_true", help="end when the process that started it ends")

    serve.add_argument("--worker", action="store_true", help="one of several on one port; the service starts these")

    audit_arguments.add(commands)
    issuer_commands.add_parser(commands)
    holder_commands.add_parser(commands)
    catalogue_commands.add_parsers(commands)
    officers_commands.add_parser(commands)

    town = commands.add_parser("town", help="a sandbox city on this machine, until SIGTERM")
    town.add_argument("--json", action="store_true", help="one line of JSON on stdout when it is ready")
    town.add_argument("--data", type=Path, help="its folder, kept and reopened (default: ./data/town)")
    town.add_argument(
        "--port-base", type=int, metavar="N", help=f"first of 20 ports (default: {DEFAULT_PORT_BASE}, or what it had)"
    )
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    given = unshield(parser().parse_args(shield(sys.argv[1:] if arguments is None else arguments)))
    from atorga import import_names

    if (fault := import_names.clash()) is not None:
        print(fault, file=sys.stderr)
        return 2
    if given.command == "serve" and given.check:
        import secrets
        import time

        from atorga.serve import checking

        return checking.run(
            given.service, given.config, profile=given.profile, clock=time.time, random=secrets.token_bytes
        )
    if given.command == "serve":
        from atorga.serve import process

        return process.run(
            given.service, given.config, profile=given.profile, with_parent=given.with_parent, worker=given.worker
        )
    if given.command == "issuer":
        return issuer_commands.run(given)
    if given.command in ("vocabulary", "procedures"):
        return catalogue_commands.run(given)
    if given.command == "officers":
        return officers_commands.run(given)
    if given.command == "holder":
        return holder_commands.run(given)
    if given.command == "audit":
        from atorga import audit

        return audit.run(given)
    if given.command == "reconcile":
        from atorga import reconcile

        return reconcile.run(given)
    if given.command == "explorer":
        from atorga.explorer.command import run as explore

        return explore(given)
    if given.command == "town":
        from atorga.town import command

        return command.run(data=given.data, port_base=given.port_base, as_json=given.json)
    from atorga.town import demo

    return demo.run(sys.stdout, data=given.data)
