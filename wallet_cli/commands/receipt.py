"""``wallet receipt verify FILE``: whether a receipt is right, without asking anybody."""

from consent.errors import ConsentError
from consent.grant.receipt import MAX_RECEIPT_BYTES, UnverifiedReceipt, parse_receipt
from consent.signed_message import verify_by_jwk
from consent.spec import TYP_GRANT
from wallet_cli.consents import explain, receipts
from wallet_cli.errors import ConsentRefused, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import consents
from wallet_cli.terminal import plain


def verify(call: Invocation) -> None:
    """Under the log key that this wallet pinned; a key in the file would prove nothing."""
    receipt = _read(call)
    with call.store() as store:
        account = consents.account(store, _consent_service(receipt))
        if account is None:
            raise ConsentRefused("receipt_invalid", "receipt: this wallet has no account there, so no pinned key")
        try:
            found = receipts.verify(receipt, account.log_vkey)
        except ConsentError as fault:
            raise ConsentRefused("receipt_invalid", str(fault)) from None
        mine = next((one for one in consents.grants(store) if one.grant_id == found.grant_id), None)
        if mine is not None:
            receipts.require_of(found, mine)
    name = plain(call.texts.pick(found.receipt.head.controller.name) or found.service)
    call.terminal.say(call.texts("receipt.valid", kind=call.texts(f"kind.{found.logged.leaf.kind.word}"), service=name))
    for line in explain.given_lines(call.texts, found.detail):
        call.terminal.say("  " + line)
    call.terminal.say(call.texts("receipt.logged", index=found.logged.index, time=plain(str(receipt.event["time"]))))
    call.terminal.say(call.texts("receipt.mine" if mine is not None else "receipt.not_mine"))
    call.terminal.result(
        {
            "state": "valid",
            "grant_id": found.grant_id,
            "kind": found.logged.leaf.kind.word,
            "counter": found.logged.leaf.counter,
            "leaf_index": found.logged.index,
            "time": receipt.event["time"],
            "service": found.service,
            "held": mine is not None,
        }
    )


def _read(call: Invocation) -> UnverifiedReceipt:
    path = call.arguments.file
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_RECEIPT_BYTES + 1)
    except OSError as fault:
        raise WalletError("io_failed", f"receipt: {path}: {fault.strerror}") from None
    try:
        return parse_receipt(content)
    except ConsentError as fault:
        raise ConsentRefused("receipt_invalid", str(fault)) from None


def _consent_service(receipt: UnverifiedReceipt) -> str:
    try:
        return str(verify_by_jwk(receipt.head.grant, typ=TYP_GRANT, what="receipt: grant").claims.get("aud"))
    except ConsentError as fault:
        raise ConsentRefused("receipt_invalid", str(fault)) from None
