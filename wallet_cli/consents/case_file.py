"""A case file (`consent.ledger.case`): one grant opened for an auditor, by its resident's consent.

It holds the receipt and every event of the grant with its salt and its proof, so it shows what
happened with this one grant, and nothing of any other. The proofs are made here, from the log's own
tiles, and the file is read back as an auditor reads it before it is written.
"""

from consent.errors import ConsentError
from consent.grant.receipt import parse_receipt_object
from consent.ledger.case import CaseEvent, parse_case, resident_case, verify_case
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.entry import Entry
from wallet_cli.consents.log_periods import PeriodLogs
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, WalletError
from wallet_cli.store.consents import HeldGrant

_FIRST = 1


def make(errand: Errand, at: OpenAccount, grant: HeldGrant, entries: list[Entry]) -> bytes:
    """``entries``: of this grant, proved. Raises WalletError, ConsentRefused, NetworkError."""
    if grant.receipt is None:
        raise WalletError("receipt_missing", "case: the receipt of the permission is not here yet")
    log = PeriodLogs(errand.network, at.base, at.account.log_vkey)
    events: list[CaseEvent] = []
    for done, entry in enumerate(entries, start=1):
        if entry.leaf_index is None:
            raise WalletError("not_logged_yet", f"case: event {entry.counter} is only promised to the log")
        if entry.counter != _FIRST:
            events.append(CaseEvent(entry.event, entry.salt, log.prove(entry.leaf_index)))
        errand.progress("progress.case", done, len(entries))
    try:
        content = resident_case(parse_receipt_object(grant.receipt), events).format()
        verify_case(parse_case(content), log_vkey=at.account.log_vkey)
    except ConsentError as fault:
        raise ConsentRefused("proof_refused", str(fault)) from None
    return content
