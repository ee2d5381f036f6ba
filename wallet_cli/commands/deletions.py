"""``wallet consent deletions``: by when who read deletes what they read, and who is late."""

from wallet_cli import errand
from wallet_cli.consents import account, deletions
from wallet_cli.consents.deletions import Deletion
from wallet_cli.errand import Errand
from wallet_cli.invocation import Invocation
from wallet_cli.terminal import plain


def run(call: Invocation) -> None:
    """Being late is said in red; it is the service's failure, not this command's."""
    with errand.begun(call) as work:
        found = [one for at in account.all_held(work) for one in deletions.read(work, at)]
        if not found:
            work.say("deletion.none")
        for one in found:
            _say(work, one)
    call.terminal.result({"deletions": [one.to_json() for one in found]})


def _say(work: Errand, one: Deletion) -> None:
    names = {} if one.service is None else work.trust.name_of(one.service)
    service = plain(work.texts.pick(names) or one.service or one.grant_id)
    if one.state == deletions.OVERDUE:
        work.alarm("deletion.overdue", service=service, id=one.grant_id, date=work.texts.date(one.due))
    elif one.deleted_at is not None:
        work.say("deletion.received", service=service, id=one.grant_id, date=work.texts.date(one.deleted_at))
    elif one.fault is None:
        work.say("deletion.due", service=service, id=one.grant_id, date=work.texts.date(one.due))
    if one.fault is not None:
        work.alarm("deletion.wrong", service=service, id=one.grant_id)
        work.terminal.warn(f"  ({plain(one.fault)})")
