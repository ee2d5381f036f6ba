"""``wallet consent disclose``: opening one permission's record for an auditor."""

from wallet_cli import errand
from wallet_cli.consents import account, case_file, held, timeline
from wallet_cli.errors import WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import history, key_file


def disclose(call: Invocation) -> None:
    """It is asked: whoever gets the file sees everything that happened with this permission."""
    with errand.begun(call) as work:
        held.refresh(work)
        grant = held.find(work.store, call.arguments.id)
        at = next((one for one in account.all_held(work) if one.account.consent == grant.consent), None)
        if at is None:
            raise WalletError("no_account", "account: none at the consent service of this permission")
        found = timeline.read(work, at)
        own = sorted(
            (entry for entry in found.entries if entry.grant_id == grant.grant_id),
            key=lambda entry: (entry.leaf_index is None, entry.leaf_index or 0),
        )
        for finding in found.findings:
            if finding.grant_id == grant.grant_id:
                work.alarm(f"finding.{finding.code}", id=finding.grant_id)
        content = case_file.make(work, at, grant, own)
        work.say("case.what", service=held.service_name(work, grant), events=len(own))
        call.confirm(call.texts("case.ask", path=call.arguments.to))
        key_file.write(call.arguments.to, content + b"\n")
        with work.store.transaction():
            history.record(work.store, "disclosed", grant.service, [grant.grant_id], now=work.now)
        work.say("case.written", path=call.arguments.to)
    call.terminal.result({"grant_id": grant.grant_id, "events": len(own), "file": str(call.arguments.to)})
