"""``wallet card login AUTHORIZATION_URL``: the card speaks for a flow that another wallet began."""

from typing import TYPE_CHECKING

from wallet_cli import passphrase
from wallet_cli.errors import CardRefused, UsageFault
from wallet_cli.invocation import PROFILE, SANDBOX, Invocation
from wallet_cli.terminal import plain

if TYPE_CHECKING:
    from wallet_cli.card.software_card import SoftwareCard


def login(call: Invocation) -> None:
    """The last line on stdout is the address at which the other wallet goes on, also with ``--json``."""
    from identity.card.challenge import comparison_code
    from wallet_cli.card import login as card_login

    with call.store() as store:
        network = call.network(store).session()
        sandbox = store.setting(PROFILE) == SANDBOX
    require_card(call, sandbox=sandbox)
    session = card_login.open_session(network, call.arguments.url)
    challenge = card_login.fetch_challenge(network, session)
    call.terminal.warn(call.texts("card.other_wallet", issuer=plain(challenge.issuer)))
    call.terminal.warn(call.texts("card.compare", code=comparison_code(challenge.binding)))
    call.confirm(call.texts("card.same_code"))
    call.terminal.last_line(card_login.answer(network, session, challenge, lambda: unlock(call)))


def require_card(call: Invocation, *, sandbox: bool) -> None:
    """A software card is named, and only for the sandbox. Raises before anything is asked of anybody."""
    if call.arguments.card is None:
        raise UsageFault("card_missing", "card: none given; a software card is named with --card FILE")
    if not sandbox:
        raise CardRefused("software_card_refused", "card: a software card works in a sandbox store only")


def unlock(call: Invocation) -> "SoftwareCard":
    """The PIN is read at the last moment, used once and never tried again."""
    from wallet_cli.card import software_card

    call.terminal.warn(call.texts("card.software"))
    arguments = call.arguments
    if arguments.pin_fd is not None:
        pin = passphrase.from_descriptor(arguments.pin_fd, what="--pin-fd")
    elif arguments.pin_file is not None:
        pin = passphrase.from_file(arguments.pin_file, what="--pin-file")
    else:
        typed = call.terminal.ask_secret(call.texts("ask.pin"))
        if not typed:
            raise CardRefused("pin_missing", "card: no PIN given; type it at a terminal or use --pin-file or --pin-fd")
        pin = typed.encode("utf-8")
    return software_card.read(arguments.card, pin)
