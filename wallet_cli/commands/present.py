"""``wallet present URI``: show somebody what they ask for, and no more (OpenID4VP 1.0)."""

from urllib.parse import urlsplit

from identity.fetch import is_loopback
from identity.openid4vp import spec
from identity.openid4vp.respond import format_response
from wallet_cli import errand
from wallet_cli.errand import Errand
from wallet_cli.errors import Declined, RequestRefused
from wallet_cli.invocation import Invocation
from wallet_cli.network import FORM, JSON
from wallet_cli.present import build, choose, copies, explain, request, warnings
from wallet_cli.present.choose import Part
from wallet_cli.present.request import Request
from wallet_cli.store import history


def run(call: Invocation) -> None:
    with errand.begun(call) as work:
        asked = request.fetch(work, call.arguments.uri)
        parts = choose.choose(work, asked.verified.query)
        explain.show_request(work, asked, parts)
        try:
            _agree(work, asked, parts)
        except Declined:
            _record(work, "declined", asked, parts)
            raise
        redirect_uri = _send(work, asked, parts)
        for part in parts:
            copies.replenish(work, part.held.credential)
    call.terminal.say(call.texts("present.done", who=explain.party_name(work, asked)))
    if redirect_uri is not None:
        call.terminal.say(call.texts("present.go_on", url=redirect_uri))
        if call.terminal.interactive and not call.terminal.json:
            call.world.browser(redirect_uri)
    call.terminal.result({"state": "presented", "redirect_uri": redirect_uri})


def _agree(work: Errand, asked: Request, parts: list[Part]) -> None:
    """Raises Declined, and RequestRefused for what no ``--yes`` approves outside a sandbox."""
    found = warnings.weigh(asked, parts)
    for key in (*found.needless, *found.think):
        work.warn(key)
    if found.needless and work.terminal.assume_yes and not work.sandbox:
        raise RequestRefused("more_than_needed", "request: more than can be needed; a person has to decide, not --yes")
    work.call.confirm(work.texts("present.ask", who=explain.party_name(work, asked)))


def _send(work: Errand, asked: Request, parts: list[Part]) -> str | None:
    """The address at which a login goes on, where it is one of the party's own. Raises NetworkError."""
    verified = asked.verified
    body = format_response(verified, build.vp_token(work, parts, audience=verified.client_id, nonce=verified.nonce))
    headers = {"Content-Type": FORM, "Accept": JSON}
    answer = work.network.send("POST", verified.response_uri, headers=headers, content=body)
    answer.expect(200, what="presentation")
    _record(work, "presented", asked, parts)
    if not answer.body.strip():
        return None
    redirect_uri = answer.object(what="presentation answer").get(spec.REDIRECT_URI)
    if redirect_uri is None:
        return None
    if not isinstance(redirect_uri, str) or not _is_own(work, asked, redirect_uri):
        work.warn("present.goes_elsewhere")
        return None
    return redirect_uri


def _is_own(work: Errand, asked: Request, url: str) -> bool:
    """The host is one of the certificate's, or the one where the answer went (OpenID4VP 1.0 section 14.2)."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
    except ValueError:
        return False
    chain = asked.verified.client.chain
    own = {(urlsplit(asked.verified.response_uri).hostname or "").lower(), *(chain.dns_names if chain else ())}
    safe = parts.scheme == "https" or (parts.scheme == "http" and work.sandbox and is_loopback(host))
    return safe and host in own and len(url) <= 2048 and url.isprintable()


def _record(work: Errand, act: history.Act, asked: Request, parts: list[Part]) -> None:
    """Names of what was shown or not shown, never a value."""
    party = asked.host if asked.party is None else asked.party.id
    names = [".".join(map(str, location)) for part in parts for location in part.claims]
    with work.store.transaction():
        history.record(work.store, act, party, names or [part.held.vct for part in parts], now=work.now)
