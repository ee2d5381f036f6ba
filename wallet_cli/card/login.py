"""Proving the card to an issuer (WIRE C7), from the wallet's side.

1. The authorization address answers with a session, where to get a challenge and where to answer;
   all three at the origin we connected to.
2. The challenge comes with the fields it was made from. The wallet recomputes it: an opaque
   challenge is never signed, since it could be anybody's.
3. The purpose is one of issuance, the issuer is the one we connected to, the session is ours, and
   the binding (the key that will receive the credential) is the one the caller expects.
4. Only then is the PIN asked for.
5. The card signs the origin we connected to and the challenge; the issuer answers where to go on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from identity.card import challenge as card_challenge
from identity.card import web_eid
from identity.card.challenge import Challenge
from identity.codec.members import text
from identity.errors import CardError, EncodingError
from wallet_cli.card.software_card import SoftwareCard
from wallet_cli.errors import CardRefused
from wallet_cli.network import Network, origin

PURPOSES = ("issue", "issue+pkce")
"""Of WIRE C7's closed list, those that belong to an issuance."""


@dataclass(frozen=True, slots=True)
class CardSession:
    origin: str
    session: str
    challenge: str
    login: str


def open_session(network: Network, authorization_url: str) -> CardSession:
    """Step 1. ``network`` is a session: the issuer's cookie goes with both posts."""
    what = "card session"
    answer = network.get(authorization_url).expect(200, what=what)
    body = answer.object(what=what)
    here = origin(authorization_url)
    found = CardSession(here, _text(body, "session"), _text(body, "challenge"), _text(body, "login"))
    for url in (found.challenge, found.login):
        if origin(url) != here:
            raise CardRefused("card_challenge_refused", f"{what}: an address at another origin than {here}")
    return found


def fetch_challenge(network: Network, session: CardSession) -> Challenge:
    """Steps 2 and 3, without the binding: the caller compares it."""
    what = "card challenge"
    body = network.post_json(session.challenge, {"session": session.session}).expect(200, what=what).object(what=what)
    # 2
    try:
        found = card_challenge.parse_challenge(body)
    except CardError as fault:
        raise CardRefused("card_challenge_refused", str(fault)) from None
    # 3
    if found.session != session.session:
        raise CardRefused("card_challenge_refused", f"{what}: of another session")
    if found.purpose not in PURPOSES:
        raise CardRefused("card_challenge_refused", f"{what}: purpose is not one of {', '.join(PURPOSES)}")
    if origin(found.issuer) != session.origin:
        raise CardRefused("card_challenge_refused", f"{what}: made for another issuer than the one at {session.origin}")
    return found


def require_own_binding(challenge: Challenge, *, thumbprint: str, issuer: str) -> None:
    """Step 3 for the wallet's own offer: the credential goes to our key and to no other."""
    if challenge.purpose != "issue" or challenge.binding != thumbprint:
        raise CardRefused("card_challenge_refused", "card challenge: bound to a key that is not this wallet's")
    if challenge.issuer != issuer:
        raise CardRefused("card_challenge_refused", "card challenge: made for another issuer than the offer's")


def answer(network: Network, session: CardSession, challenge: Challenge, unlock: Callable[[], SoftwareCard]) -> str:
    """Steps 4 and 5: the address at which the flow goes on. ``unlock`` asks for the PIN."""
    card = unlock()
    token = web_eid.sign_token(
        origin=session.origin, nonce=challenge.nonce, certificate=card.certificate, private_key=card.key
    )
    what = "card login"
    body = (
        network.post_json(session.login, {"session": session.session, "token": token}).expect(200, what=what)
    ).object(what=what)
    return _text(body, "redirect_to")


def _text(body: dict[str, Any], name: str) -> str:
    try:
        return text(body, name, what="card login answer")
    except EncodingError as fault:
        raise CardRefused("bad_answer", str(fault)) from None
