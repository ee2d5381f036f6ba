"""``wallet init``: a new encrypted store."""

from wallet_cli import passphrase
from wallet_cli.errors import StoreError
from wallet_cli.invocation import HAIP, PROFILE, SANDBOX, Invocation
from wallet_cli.store import database, key_file


def run(call: Invocation) -> None:
    sandbox: bool = call.arguments.sandbox
    secret = call.passphrase("ask.new_passphrase")
    if not sandbox and len(secret.decode("utf-8", "replace")) < passphrase.MIN_CHARACTERS:
        raise StoreError(
            "passphrase_short", f"passphrase: fewer than {passphrase.MIN_CHARACTERS} characters; nothing was made"
        )
    if _typed_at_terminal(call):
        again = call.terminal.ask_secret(call.texts("ask.passphrase_again"))
        if again is None or again.encode("utf-8") != secret:
            raise StoreError("passphrase_differs", "passphrase: the two entries differ; nothing was made")
    database.create(
        call.folder,
        secret,
        settings={PROFILE: SANDBOX if sandbox else HAIP, "created": str(call.world.now)},
        random=call.world.random,
        memory_kib=call.world.argon2id_memory_kib or key_file.MEMORY_KIB,
    )
    call.terminal.say(call.texts("init.done", folder=call.folder))
    call.terminal.say(call.texts("init.sandbox" if sandbox else "init.keep"))
    call.terminal.result({"store": str(call.folder), "profile": SANDBOX if sandbox else HAIP})


def _typed_at_terminal(call: Invocation) -> bool:
    return (
        getattr(call.arguments, "passphrase_fd", None) is None
        and passphrase.PASSPHRASE_FILE_VARIABLE not in call.world.environment
    )
