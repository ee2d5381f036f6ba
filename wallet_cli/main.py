"""The ``wallet`` command: arguments in, exit code out.

0 done, 1 refused or failed, 2 wrong command line (WIRE section A).
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module

from wallet_cli import arguments, texts
from wallet_cli.errors import UsageFault, WalletError
from wallet_cli.id_arguments import shield, unshield
from wallet_cli.invocation import Invocation
from wallet_cli.terminal import Terminal
from wallet_cli.texts import Texts
from wallet_cli.world import World

DONE, REFUSED, USAGE = 0, 1, 2


def main(argv: Sequence[str] | None = None, *, world: World | None = None) -> int:
    given = list(sys.argv[1:] if argv is None else argv)
    world = world or World(Terminal(colourless="NO_COLOR" in os.environ))
    asked = arguments.language_asked(given)
    words = texts.load(asked if asked in texts.LANGUAGES else texts.language_of(world.environment))
    # Known before argparse runs, so that its own complaint also comes as an object.
    world.terminal.json = "--json" in given
    try:
        parsed = unshield(arguments.build(words).parse_args(shield(given)))
        world.terminal.assume_yes = getattr(parsed, "yes", False)
        module, _, function = parsed.run.partition(":")
        getattr(import_module(f"wallet_cli.commands.{module}"), function)(Invocation(world, words, parsed))
    except WalletError as fault:
        _report(world.terminal, words, fault.code, fault.description)
        return USAGE if isinstance(fault, UsageFault) else REFUSED
    except KeyboardInterrupt:
        _report(world.terminal, words, "declined", "interrupted at the terminal")
        return REFUSED
    except BrokenPipeError:
        # Whoever read our text has read enough (``wallet history | head``).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return REFUSED
    except Exception as fault:
        code = _code_of(fault)
        if code is None:
            raise
        _report(world.terminal, words, code, str(fault))
        return REFUSED
    return DONE


def _report(terminal: Terminal, words: Texts, code: str, description: str) -> None:
    from wallet_cli.terminal import plain

    sentence = words.get(f"error.{code}") or words("error.other", code=plain(code))
    terminal.warn(f"{sentence}\n  ({plain(description)})" if description else sentence)
    terminal.result({"error": code, "error_description": description})


def _code_of(fault: Exception) -> str | None:
    """The code of an error that the rooms below the wallet raise; None for what is a mistake of ours."""
    from identity import errors as identity_errors

    if isinstance(fault, identity_errors.ProtocolError):
        return fault.code
    table: list[tuple[type[Exception], str]] = [
        (identity_errors.CredentialRevoked, "revoked"),
        (identity_errors.StatusError, "status_unavailable"),
        (identity_errors.TrustError, "untrusted"),
        (identity_errors.CardError, "card_refused"),
        (identity_errors.FetchError, "unreachable"),
        (identity_errors.IdentityError, "bad_message"),
    ]
    if "consent.errors" in sys.modules:
        from consent.errors import ConsentError

        table.append((ConsentError, "bad_message"))
    if "sqlcipher3" in sys.modules:
        from sqlcipher3 import dbapi2

        table.append((dbapi2.Error, "store_failed"))
    table.append((OSError, "io_failed"))
    return next((code for kind, code in table if isinstance(fault, kind)), None)
