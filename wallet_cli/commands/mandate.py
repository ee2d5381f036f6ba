"""``wallet mandate …``: acting for somebody else, and who may act for the owner of this wallet.

Whatever is done for somebody else says so first, on every screen.
"""

from typing import Any

from wallet_cli import errand
from wallet_cli.consents import account, foreign, freeze, give, labels, mandates
from wallet_cli.consents.account import OpenAccount
from wallet_cli.consents.foreign import ForeignGrant
from wallet_cli.consents.mandates import Given
from wallet_cli.consents.parties import CONSENT
from wallet_cli.errand import Errand
from wallet_cli.errors import ConsentRefused, UsageFault, WalletError
from wallet_cli.invocation import Invocation
from wallet_cli.store import history
from wallet_cli.store import mandates as stored
from wallet_cli.store.consents import Account
from wallet_cli.store.mandates import HeldMandate
from wallet_cli.terminal import plain


def accept(call: Invocation) -> None:
    """The mandate lies in the wallet as a credential; here a key of its own is registered for it."""
    with errand.begun(call) as work:
        parties = work.trust.parties()
        services = parties.registry.by_role(CONSENT, now=parties.now)
        if len(services) != 1:
            raise UsageFault("usage", f"mandate: the list names {len(services)} consent services, expected one")
        prepared = mandates.prepare(work, services[0])
        claims = prepared.part.held.claims
        work.say("mandate.offered", role=work.texts.label("role", str(claims.get("role"))))
        _say_scope(work, tuple(claims.get("verbs", ())), tuple(claims.get("purposes", ())), int(claims.get("until", 0)))
        call.confirm(call.texts("mandate.ask"))
        held = mandates.register(work, prepared)
        work.say("mandate.registered", id=held.id)
    call.terminal.result({"mandate_id": held.id, "verbs": list(held.verbs), "until": held.until})


def list_all(call: Invocation) -> None:
    with errand.begun(call) as work:
        own = stored.mandates(work.store)
        given = [one for at in account.all_held(work) for one in mandates.given_by(at)]
        work.say("mandate.own" if own else "mandate.own_none")
        for one in own:
            work.say("mandate.line", id=one.id, role=work.texts.label("role", one.role))
            _say_scope(work, one.verbs, one.purposes, one.until)
        work.say("mandate.given" if given else "mandate.given_none")
        for each in given:
            work.say("mandate.line", id=each.id, role=work.texts.label("role", each.role))
            _say_scope(work, each.verbs, each.purposes, each.until)
    call.terminal.result(
        {
            "acting": [Given(one.id, one.role, one.verbs, one.purposes, one.until).to_json() for one in own],
            "given": [one.to_json() for one in given],
        }
    )


def end(call: Invocation) -> None:
    """Ours, or that of somebody who acts for us. One act, no question."""
    prefix = call.arguments.id
    with errand.begun(call) as work:
        found: list[tuple[Any, str, str, str]] = []
        for one in stored.find(work.store, prefix):
            caller, base = mandates.acting(work, one)
            found.append((caller, base, one.id, one.consent))
        for at in account.all_held(work):
            given = [one for one in mandates.given_by(at) if one.id.startswith(prefix)]
            found += [(at.caller, at.base, one.id, at.account.consent) for one in given]
        if len(found) != 1:
            code = "ambiguous_id" if found else "unknown_id"
            raise WalletError(code, f"mandate: {len(found)} begin with {prefix[:32]!r}, expected one")
        mandates.end(work, *found[0])
        work.say("mandate.ended")
    call.terminal.result({"mandate_id": found[0][2], "state": "ended"})


def show(call: Invocation) -> None:
    with errand.begun(call) as work:
        mandate = _find(work)
        at = _acting(work, mandate)
        grants = [foreign.describe(at, name, str(one["state"])) for name, one in give.fetch_states(at).items()]
        _banner(work, mandate)
        if not grants:
            work.say("mandate.no_grants")
        for grant in grants:
            _say_grant(work, grant)
    call.terminal.result(
        {
            "mandate_id": mandate.id,
            "consents": [
                {"grant_id": one.grant_id, "service": one.service, "state": one.state,
                 "attributes": list(one.detail.attributes)}
                for one in grants
            ],
        }
    )  # fmt: skip


def withdraw(call: Invocation) -> None:
    """No question is asked: as with one's own."""
    with errand.begun(call) as work:
        mandate = _find(work)
        _banner(work, mandate)
        at = _acting(work, mandate)
        prefix = call.arguments.grant
        fitting = {name: one for name, one in give.fetch_states(at).items() if name.startswith(prefix)}
        if len(fitting) != 1:
            code = "ambiguous_id" if fitting else "unknown_id"
            raise WalletError(code, f"consent: {len(fitting)} begin with {prefix[:32]!r}, expected one")
        ((grant_id, said),) = fitting.items()
        outcome = foreign.withdraw(work, at, foreign.describe(at, grant_id, str(said["state"])), None)
        _record(work, mandate)
        work.say(f"withdraw.{outcome.state}", id=grant_id)
        if outcome.fault is not None:
            work.terminal.alarm(work.texts("error.proof_refused") + f"\n  ({plain(outcome.fault)})")
        work.say("withdraw.limits")
    call.terminal.result({**outcome.to_json(), "mandate_id": mandate.id})


def freeze_all(call: Invocation) -> None:
    wanted = call.arguments.until
    until = None if wanted is None else freeze.parse_until(wanted, now=call.world.now)
    with errand.begun(call) as work:
        mandate = _find(work)
        _banner(work, mandate)
        at = _acting(work, mandate)
        paused = freeze.ask(work, at, until)
        _record(work, mandate)
        work.terminal.say(work.texts.count("freeze.done", len(paused)))
        if until is not None:
            work.say("freeze.until", moment=work.texts.moment(until))
    call.terminal.result({"paused": list(paused), "until": until, "mandate_id": mandate.id})


def _find(work: Errand) -> HeldMandate:
    prefix = work.call.arguments.id
    found = stored.find(work.store, prefix)
    if len(found) != 1:
        code = "ambiguous_id" if found else "unknown_id"
        raise WalletError(code, f"mandate: {len(found)} begin with {prefix[:32]!r}, expected one")
    return found[0]


def _acting(work: Errand, mandate: HeldMandate) -> OpenAccount:
    """As the resident's own account, but that it opens nothing: what is sealed is sealed to the person themselves."""
    caller, base = mandates.acting(work, mandate)
    consent = work.trust.parties().named(mandate.consent, CONSENT)
    if consent.log_vkey is None:
        raise ConsentRefused("unknown_party", f"registry: {consent.id} is listed without its log's key")
    held = Account(mandate.consent, mandate.key, {}, consent.log_vkey, account.ACTIVE)
    return OpenAccount(consent, held, caller, base)


def _banner(work: Errand, mandate: HeldMandate) -> None:
    work.terminal.alarm(work.texts("mandate.banner", role=work.texts.label("role", mandate.role), id=mandate.id))


def _say_scope(work: Errand, verbs: tuple[str, ...], purposes: tuple[str, ...], until: int) -> None:
    words = work.texts
    work.say("mandate.verbs", what=", ".join(words.label("verb", verb) for verb in verbs))
    every = purposes == ("*",)
    shown = words("opposition.every_purpose") if every else ", ".join(labels.term(words, iri) for iri in purposes)
    work.say("mandate.purposes", what=shown)
    work.say("mandate.until", date=words.date(until))


def _say_grant(work: Errand, grant: ForeignGrant) -> None:
    names = work.trust.name_of(grant.service)
    service = plain(work.texts.pick(names) or grant.service)
    work.say("mandate.grant", id=grant.grant_id, service=service, state=work.texts.label("state", grant.state))
    what = ", ".join(labels.attribute(work.texts, name) for name in grant.detail.attributes)
    work.terminal.say("    " + what)


def _record(work: Errand, mandate: HeldMandate) -> None:
    with work.store.transaction():
        history.record(work.store, "acted_for", mandate.consent, now=work.now)
