"""``wallet offer accept URI``: receive what an issuer offers."""

from wallet_cli import errand
from wallet_cli.commands.card import require_card, unlock
from wallet_cli.errand import Errand
from wallet_cli.errors import OfferError
from wallet_cli.invocation import Invocation
from wallet_cli.network import origin
from wallet_cli.receive import accept as receiving
from wallet_cli.receive import authorization, loopback, offer
from wallet_cli.receive import issuer as issuers
from wallet_cli.receive.accept import CLIENT_ID
from wallet_cli.receive.exchange import Exchange
from wallet_cli.receive.issuer import Issuer
from wallet_cli.receive.offer import Offer
from wallet_cli.store.credentials import Credential
from wallet_cli.terminal import plain


def accept(call: Invocation) -> None:
    with errand.begun(call) as work:
        if call.arguments.card is not None:
            require_card(call, sandbox=work.sandbox)
        offered = _read(work, call.arguments.uri)
        party = work.trust.offered_by(offered.credential_issuer)
        found = issuers.discover(
            work.network, offered.credential_issuer, authorization_server=offered.authorization_server
        )
        own_name = work.texts.pick(party.name) if party is not None else work.texts.pick(found.names)
        name = plain(own_name or found.credential_issuer)
        work.say("offer.who", issuer=name, address=plain(origin(found.credential_issuer)))
        if found.credential_issuer in work.trust.unlisted:
            work.warn("offer.unlisted")
        for configuration in receiving.wanted(found, offered):
            work.terminal.say("  - " + plain(work.texts.pick(configuration.names) or configuration.vct))
        received = receiving.receive(
            work.world,
            work.network,
            work.store,
            found,
            offered,
            tx_code=_tx_code(work, offered),
            authorize=lambda exchange: _authorize(work, exchange, found, offered),
            issuer_key=work.trust.issuer_key,
            require_dpop=not work.sandbox,
        )
    for credential in received:
        call.terminal.say(call.texts("offer.received", name=_name(call, credential), id=credential.id))
    call.terminal.result({"credentials": [credential.id for credential in received]})


def _name(call: Invocation, credential: Credential) -> str:
    return plain(call.texts.pick(credential.names) or credential.type)


def _read(work: Errand, uri: str) -> Offer:
    """Outside a sandbox an offer is fetched from a listed issuer's own host only: the link is anybody's."""
    reference = offer.reference_of(uri)
    if reference is not None and not work.sandbox:
        listed = work.trust.list()
        hosts = {origin(party.issuer) for party in (listed.parties if listed else ()) if party.issuer}
        if origin(reference) not in hosts:
            raise OfferError("unknown_issuer", "offer: lies at an address of no listed issuer")
    return offer.read(uri, work.network)


def _tx_code(work: Errand, offered: Offer) -> str | None:
    """The code that came by another way; an empty one is none. Raises OfferError where it is needed and missing."""
    if offered.tx_code is None:
        return None
    given = work.call.arguments.tx_code
    if not given:
        described = offered.tx_code.description
        if described:
            work.terminal.warn(plain(described))
        given = (work.terminal.ask(work.texts("ask.tx_code")) or "").strip()
    if not given:
        raise OfferError("tx_code_missing", "offer: needs the code that was given with it (--tx-code)")
    return str(given)


def _authorize(work: Errand, exchange: Exchange, issuer: Issuer, offered: Offer) -> authorization.Code:
    with loopback.listening(work.texts("offer.back_to_wallet")) as listener:
        return authorization.obtain(
            exchange,
            issuer,
            receiving.wanted(issuer, offered),
            client_id=CLIENT_ID,
            redirect_uri=listener.redirect_uri,
            issuer_state=offered.issuer_state,
            walk=lambda url: _walk(work, exchange, issuer, url, listener),
        )


def _walk(work: Errand, exchange: Exchange, issuer: Issuer, url: str, listener: loopback.Loopback) -> str:
    """By the card; else without anybody, where the server redirects by itself; else with the person's browser."""
    if work.call.arguments.card is not None:
        return _by_card(work, exchange, issuer, url)
    person = work.terminal.interactive and not work.terminal.json
    if not person:
        returned = authorization.follow(work.network, url, listener.redirect_uri)
        if returned is None:
            raise OfferError("browser_needed", "authorization: the server shows a page; a person has to answer it")
        return returned
    if exchange.key is not None:
        from identity.card.challenge import comparison_code

        work.warn("offer.browser", code=comparison_code(exchange.key.public_key.thumbprint))
    work.world.browser(url)
    return listener.wait()


def _by_card(work: Errand, exchange: Exchange, issuer: Issuer, url: str) -> str:
    """WIRE C7 for our own offer: what the card signs gives the credential to our key and to no other."""
    from wallet_cli.card import login

    if exchange.key is None:
        raise OfferError("not_offered", "issuer: has no DPoP (RFC 9449), without which a card cannot name this wallet")
    network = work.network.session()
    session = login.open_session(network, url)
    challenge = login.fetch_challenge(network, session)
    login.require_own_binding(challenge, thumbprint=exchange.key.public_key.thumbprint, issuer=issuer.credential_issuer)
    work.warn("card.own_wallet", issuer=plain(issuer.credential_issuer))
    return login.answer(network, session, challenge, lambda: unlock(work.call))
