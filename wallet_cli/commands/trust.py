"""``wallet trust add``: an anchor, the signed list of parties, or an issuer known by its address."""

from hashlib import sha256

from wallet_cli import errand
from wallet_cli.errand import Errand
from wallet_cli.errors import UsageFault
from wallet_cli.invocation import Invocation
from wallet_cli.store import history, trust
from wallet_cli.terminal import plain


def add(call: Invocation) -> None:
    arguments = call.arguments
    if arguments.use and not arguments.anchor:
        raise UsageFault("usage", "--as: goes with an anchor only")
    with errand.begun(call) as work:
        if arguments.registry:
            _registry(work, arguments.registry)
        elif arguments.issuer:
            _issuer(work, arguments.issuer)
        else:
            _anchors(work, arguments.anchor, (arguments.use,) if arguments.use else trust.USES)


def _anchors(work: Errand, source: str, uses: tuple[trust.Use, ...]) -> None:
    from wallet_cli.trust import anchors

    found = anchors.read(anchors.fetch(work.network, source))
    with work.store.transaction():
        for der in found:
            trust.add_anchor(work.store, der, uses, now=work.now)
            history.record(work.store, "trusted", anchors.owner(der), now=work.now)
    for der in found:
        work.say("trust.anchor", owner=plain(anchors.owner(der)), fingerprint=sha256(der).hexdigest())
    if work.sandbox:
        work.warn("trust.stands_in")
    work.terminal.result({"anchors": [sha256(der).hexdigest() for der in found], "uses": list(uses)})


def _registry(work: Errand, url: str) -> None:
    from wallet_cli.trust import signed_list

    found = signed_list.add(work.network, work.store, url, now=work.now)
    with work.store.transaction():
        history.record(work.store, "trusted", url, now=work.now)
    count = len(found.parties)
    work.terminal.say(work.texts.count("trust.registry", count, until=work.texts.date(found.expires)))
    work.terminal.result({"registry": url, "version": found.version, "parties": count})


def _issuer(work: Errand, url: str) -> None:
    from identity.errors import FetchError
    from identity.fetch import require_permitted
    from wallet_cli.errors import NetworkError

    try:
        require_permitted(url, allow_loopback_http=work.sandbox)
    except FetchError as fault:
        raise NetworkError("address_refused", str(fault)) from None
    with work.store.transaction():
        trust.add_issuer(work.store, url, now=work.now)
        history.record(work.store, "trusted", url, now=work.now)
    work.say("trust.issuer", issuer=plain(url))
    work.terminal.result({"issuer": url})
