"""``wallet consent pause|resume|amend|freeze``: lending less for a while, or for good, without ending it."""

from collections.abc import Callable

from consent.grant.act import Amend, Deed, Pause, Resume
from wallet_cli import errand
from wallet_cli.consents import account, acts, explain, freeze, give, held, in_force, narrow, request
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.acts import Outcome
from wallet_cli.consents.freeze import Frozen
from wallet_cli.consents.withdraw import MISSING
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, NetworkError, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store.consents import HeldGrant
from wallet_cli.terminal import plain

MakeDeed = Callable[[OpenAccount, HeldGrant], Deed]


def pause(call: Invocation) -> None:
    """No question is asked, as with a withdrawal."""
    with errand.begun(call) as work:
        outcomes = _all(work, _meant(work, "given"), lambda _, __: Pause())
    _report(call, outcomes)


def resume(call: Invocation) -> None:
    """It opens again what was closed: so it is asked."""
    with errand.begun(call) as work:
        grants = _meant(work, "paused")
        for grant in grants:
            work.say("pausing.resumes", id=grant.grant_id, service=held.service_name(work, grant))
        call.confirm(call.texts.count("pausing.ask_resume", len(grants)))
        outcomes = _all(work, grants, lambda _, __: Resume())
    _report(call, outcomes)


def amend(call: Invocation) -> None:
    arguments = call.arguments
    wishes = narrow.parse_wishes(arguments.drop, arguments.days, arguments.max_uses, arguments.resolution)
    if not (wishes.drop or wishes.days or wishes.max_uses or wishes.resolutions):
        raise UsageFault("usage", "amend: say what shall be less: --drop, --days, --max-uses or --resolution")
    with errand.begun(call) as work:
        grant = held.find(work.store, arguments.id)
        at = _account(work, grant)
        present = in_force.detail(at, grant)
        parties = work.trust.parties()
        _, declared = request.fetch_declarations(work.network, parties, at.consent)
        detail = narrow.narrow(present, wishes, request.covering(present, declared).resolutions, now=work.now)
        if detail == present:
            raise ConsentRefused("not_narrower", "amend: it allows no more than that already")
        work.say("pausing.amended")
        for line in explain.given_lines(work.texts, detail):
            work.terminal.say("  " + line)
        call.confirm(call.texts("pausing.ask_amend"))
        outcomes = _all(work, [grant], lambda _, __: Amend(detail))
    _report(call, outcomes)


def freeze_all(call: Invocation) -> None:
    """Everything that was lent, by one act. No question is asked."""
    wanted = call.arguments.until
    until = None if wanted is None else freeze.parse_until(wanted, now=call.world.now)
    frozen: list[Frozen] = []
    unanswered = 0
    with errand.begun(call) as work:
        accounts = account.all_held(work)
        if not accounts:
            raise WalletError("unknown_id", "freeze: this wallet has lent nothing yet")
        for at in accounts:
            try:
                frozen.append(freeze.freeze(work, at, until))
            except NetworkError as fault:
                unanswered += 1
                work.terminal.alarm(f"{call.texts('freeze.unanswered')}\n  ({plain(fault.description)})")
        paused = {name for one in frozen for name in one.paused}
        still_open = [name for one in frozen for name in one.still_open]
        _say_frozen(work, len(paused), still_open, until)
    if unanswered or still_open:
        raise ConsentRefused("freeze_incomplete", f"freeze: {unanswered} unanswered, {len(still_open)} still open")
    call.terminal.result({"paused": sorted(paused), "until": until})


def _say_frozen(work: Errand, paused: int, still_open: list[str], until: int | None) -> None:
    work.terminal.say(work.texts.count("freeze.done", paused))
    for grant in held.paused(work.store):
        work.say("pausing.line", id=grant.grant_id, service=held.service_name(work, grant))
    if until is None:
        work.say("freeze.until_resumed")
    else:
        work.say("freeze.until", moment=work.texts.moment(until))
    for name in still_open:
        work.alarm("freeze.still_open", id=name)
    work.say("withdraw.limits")


def _meant(work: Errand, state: str) -> list[HeldGrant]:
    """``state``: what it must be in for this act to mean something."""
    arguments = work.call.arguments
    if not held.refresh(work):
        work.warn("consent.not_fresh")
    if arguments.id:
        return [held.find(work.store, arguments.id)]
    found = [
        grant
        for grant in held.live(work.store)
        if grant.state == state and (arguments.all or held.is_called(work, grant.service, arguments.service))
    ]
    if not found:
        raise WalletError("unknown_id", f"consent: there is no permission that is {state}")
    return found


def _all(work: Errand, grants: list[HeldGrant], make_deed: MakeDeed) -> list[Outcome]:
    """One grant's refusal does not keep the others from being told."""
    outcomes: list[Outcome] = []
    refused: list[ConsentRefused] = []
    states: dict[str, dict[str, int]] = {}
    for done, grant in enumerate(grants, start=1):
        at = _account(work, grant)
        try:
            if at.account.consent not in states:
                states[at.account.consent] = _last_acts(at)
            last = states[at.account.consent].get(grant.grant_id, 0)
            outcomes.append(acts.do(work, at, grant, make_deed(at, grant), last=last))
        except ConsentRefused as fault:
            if len(grants) == 1:
                raise
            refused.append(fault)
            work.terminal.alarm(work.texts("error.act_refused") + f"\n  ({plain(fault.description)})")
        work.progress("progress.acts", done, len(grants))
    if refused and not outcomes:
        raise refused[0]
    return outcomes


def _last_acts(at: OpenAccount) -> dict[str, int]:
    """Grant id → number of its last act; empty where nobody answers: the act is then stored and sent later."""
    try:
        return {name: int(said["act"]) for name, said in give.fetch_states(at).items()}
    except NetworkError:
        return {}


def _account(work: Errand, grant: HeldGrant) -> OpenAccount:
    at = next((one for one in account.all_held(work) if one.account.consent == grant.consent), None)
    if at is None:
        raise ConsentRefused("unknown_party", "account: this wallet has none at the consent service of this permission")
    return at


def _report(call: Invocation, outcomes: list[Outcome]) -> None:
    for outcome in outcomes:
        call.terminal.say(call.texts(f"pausing.{outcome.verb}.{outcome.state}", id=outcome.grant_id))
        for door, answer in outcome.doors.items():
            words = call.texts("door.told" if answer != MISSING else f"door.answered.{MISSING}")
            line = "    " + call.texts("withdraw.door", door=call.texts(f"door.{door}"), answer=words)
            if answer == MISSING:
                call.terminal.alarm(line)
            else:
                call.terminal.say(line)
    if not all(outcome.complete for outcome in outcomes):
        call.terminal.warn(call.texts("withdraw.again"))
    if untold := [one for one in outcomes if one.state == MISSING]:
        raise ConsentRefused("act_unanswered", f"grant act: {len(untold)} of {len(outcomes)} not answered yet")
    told = [outcome.to_json() for outcome in outcomes]
    call.terminal.result(told[0] if getattr(call.arguments, "id", None) else {"acts": told})
