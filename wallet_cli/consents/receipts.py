"""Receipts (WIRE C9): fetched, opened with the grant's opening key, verified under the pinned log key, kept."""

from typing import Any

from consent.errors import ConsentError
from consent.grant.opening import open_opening
from consent.grant.receipt import UnverifiedReceipt, parse_served
from consent.ledger.receipt import VerifiedReceipt, verify_receipt
from consent.spec import MEDIA_RECEIPT
from identity.codec.members import identifier, text
from identity.errors import EncodingError
from identity.keys.agreement import AgreementPrivateKey
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.public_log import key_for
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused
from wallet_cli.store import consents
from wallet_cli.store.consents import HeldGrant

MAX_RECEIPTS = 100_000
"""Of one grant: more than the uses a grant can have."""

_WHAT = "receipt"


def describe(at: OpenAccount, grant_id: str) -> dict[str, Any]:
    """What the consent service holds of a grant: ``GET /me/grants/{id}``. Raises NetworkError."""
    what = "grant"
    return at.caller.get(f"{at.base}/me/grants/{grant_id}").expect(200, what=what).object(what=what)


def opening_of(at: OpenAccount, description: dict[str, Any], grant_id: str) -> AgreementPrivateKey:
    """The key that opens this grant's events (WIRE C15). Raises ConsentRefused."""
    try:
        sealed = text(description, "opening", what="grant")
        return open_opening(at.view_key, sealed, grant_id=grant_id)
    except (EncodingError, ConsentError) as fault:
        raise ConsentRefused("proof_refused", str(fault)) from None


def keep(errand: Errand, at: OpenAccount, grant: HeldGrant) -> bool:
    """Whether the receipt of the grant itself is kept now: False while its leaf is only promised.

    Raises ConsentRefused ``proof_refused`` where it proves something else, NetworkError.
    """
    if grant.receipt is not None:
        return True
    description = describe(at, grant.grant_id)
    receipt_id = _receipt_id(description)
    if receipt_id is None:
        return False
    address = f"{at.base}/me/receipts/{receipt_id}"
    answer = at.caller.get(address, accept=MEDIA_RECEIPT, language=errand.texts.language).expect(200, what=_WHAT)
    try:
        served = parse_served(answer.object(what=_WHAT))
        if served.proof is None:
            return False
        opened = served.opened(opening_of(at, description, grant.grant_id), grant_id=grant.grant_id, counter=1)
        found = verify(opened, at.account.log_vkey)
    except ConsentError as fault:
        raise ConsentRefused("proof_refused", str(fault)) from None
    require_of(found, grant)
    with errand.store.transaction():
        consents.set_receipt(errand.store, grant.grant_id, opened.to_json())
    return True


def verify(receipt: UnverifiedReceipt, pinned: str) -> VerifiedReceipt:
    """Offline. Raises ConsentError."""
    signed_checkpoint = receipt.proof.partition("\n\n")[2]
    return verify_receipt(receipt, log_vkey=key_for(pinned, signed_checkpoint).format())


def require_of(found: VerifiedReceipt, grant: HeldGrant) -> None:
    """Exactly the grant that this wallet signed, for the service it was signed for. Raises ConsentRefused."""
    if found.receipt.head.grant != grant.grant_jws or found.service != grant.service:
        raise ConsentRefused("proof_refused", f"{_WHAT}: about another grant than the one given")


def _receipt_id(description: dict[str, Any]) -> str | None:
    listed = description.get("receipts")
    if not isinstance(listed, list) or len(listed) > MAX_RECEIPTS:
        raise ConsentRefused("bad_answer", "grant: 'receipts' must be a list")
    for one in listed:
        if isinstance(one, dict) and one.get("counter") == 1:
            try:
                return identifier(one, "id", what=_WHAT)
            except EncodingError as fault:
                raise ConsentRefused("bad_answer", str(fault)) from None
    return None
