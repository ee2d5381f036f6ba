"""The authorization endpoint: a pushed request, answered by an e-ID card (WIRE C7).

1. The wallet pushes its request; what comes through a browser later only names it (RFC 9126).
2. Whoever opens the authorization address gets a session of their own: the wallet itself, a
   browser showing the page, or a card program that serves another wallet's flow.
3. A session gets a challenge bound to the key that will receive the credentials: the DPoP key of
   the request (purpose ``issue``), or without one its code challenge (``issue+pkce``).
4. The first card that signs a challenge of any session ends the request. Only that session learns
   where the flow goes on: a page that waits never receives the code, else whoever opened the
   address first could wait for somebody else's card.
"""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode, urlsplit

from identity.card import challenge as card_challenge
from identity.card.verify import VerifiedCard
from identity.clock import Clock
from identity.codec import base64url
from identity.codec.members import exact_members, identifier, mapping
from identity.errors import CardError, EncodingError, ProtocolError
from identity.issuer import sealing
from identity.issuer.claims import Sources
from identity.issuer.offers import Offers
from identity.issuer.person import Person, Subject, format_subject
from identity.issuer.store.requests import NewAuthorizationCode, PushedRequest, RequestStore
from identity.issuer.tenant import Tenant
from identity.openid4vci import authorization_request, redirect
from identity.openid4vci.form import required
from identity.openid4vci.spec import (
    ACCESS_DENIED,
    INVALID_DPOP_PROOF,
    INVALID_REQUEST,
    ISSUER_STATE,
    REQUEST_URI_PREFIX,
    description,
)
from identity.randomness import Random

REQUEST_SECONDS = 600
"""Finding a card, its reader and its PIN; the most that RFC 9126 section 2.2 speaks of."""

CODE_SECONDS = 60
"""A wallet redeems at once (RFC 9700 section 2.1.1 wants it short)."""

SESSION_BYTES = 16
INVALID_SESSION = "invalid_session"

MAX_LOGIN_BYTES = 16_384
"""A token has at most 10,000 characters."""

CheckCard = Callable[[Mapping[str, Any], str, str], VerifiedCard]
"""From a Web eID token, our origin and the nonce: who holds the card. Raises CardError, CardStatusUnavailable."""


@dataclass(frozen=True, slots=True)
class View:
    """What opening the authorization address shows."""

    session: str
    new_cookie: str | None = field(repr=False)
    """To be set; None where the session has its cookie."""
    binding: str
    url: str = field(repr=False)
    """The authorization address, to be given to a card program."""


@dataclass(frozen=True, slots=True)
class Done:
    """A card has answered; the flow goes on where it was."""


class Authorization:
    def __init__(
        self,
        tenant: Tenant,
        store: RequestStore,
        offers: Offers,
        sources: Sources,
        check_card: CheckCard,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._tenant = tenant
        self._store = store
        self._offers = offers
        self._sources = sources
        self._check_card = check_card
        self._clock = clock
        self._random = random

    @property
    def origin(self) -> str:
        parts = urlsplit(self._tenant.issuer)
        return f"{parts.scheme}://{parts.netloc}"

    def push(self, form: Mapping[str, str], *, proof_thumbprint: str | None) -> dict[str, Any]:
        """Step 1. ``proof_thumbprint`` is the key of a DPoP proof beside the request. Raises ProtocolError."""
        request = authorization_request.parse(form, issuer=self._tenant.issuer, policy=self._tenant.redirect_policy)
        configurations = self._tenant.wanted(request)
        if request.issuer_state is not None:
            offered = self._offers.offered(request.issuer_state)
            # It may come from anybody (section 5.1.3): it can narrow what is given, and nothing else.
            if offered is None or not set(configurations) <= set(offered):
                raise ProtocolError(
                    INVALID_REQUEST, f"{ISSUER_STATE}: no offer of ours, too old, or for less than this"
                )
        if None not in (request.dpop_jkt, proof_thumbprint) and request.dpop_jkt != proof_thumbprint:
            # RFC 9449 section 10.1
            raise ProtocolError(INVALID_DPOP_PROOF, "DPoP proof: by another key than dpop_jkt names")
        handle = sealing.fresh(self._random)
        now = int(self._clock())
        self._store.push(
            PushedRequest(
                request_hash=sealing.name(handle),
                client_id=request.client_id,
                redirect_uri=request.redirect_uri,
                state=request.state,
                code_challenge=request.code_challenge,
                jkt=request.dpop_jkt or proof_thumbprint,
                configurations=configurations,
                by_details=request.details is not None,
                expires=now + REQUEST_SECONDS,
            ),
            now=now,
        )
        return {"request_uri": f"{REQUEST_URI_PREFIX}{handle}", "expires_in": REQUEST_SECONDS}

    def open(self, query: Mapping[str, str], *, cookie: str | None) -> View | Done:
        """Step 2. Raises ProtocolError; nothing is ever sent to an address that a query names."""
        what = "authorization request"
        client_id = required(query, "client_id", what=what)
        request_uri = required(query, "request_uri", what=what)
        handle = request_uri.removeprefix(REQUEST_URI_PREFIX)
        request = None
        if request_uri.startswith(REQUEST_URI_PREFIX):
            request = self._store.get(sealing.name(handle), now=int(self._clock()))
        if request is None or request.client_id != client_id:
            raise ProtocolError(INVALID_REQUEST, f"{what}: request_uri is not one of ours, or too old")
        if request.done:
            return Done()
        url = f"{self._tenant.at.authorize}?{urlencode({'client_id': client_id, 'request_uri': request_uri})}"
        if cookie is not None:
            session = self._store.session_of_cookie(request.request_hash, sealing.name(cookie))
            if session is not None:
                return View(base64url.encode(session), None, _binding(request), url)
        fresh, session = sealing.fresh(self._random), self._random(SESSION_BYTES)
        if not self._store.open_session(request.request_hash, session=session, cookie_hash=sealing.name(fresh)):
            raise ProtocolError(INVALID_REQUEST, f"{what}: was opened too often; begin again in your wallet")
        return View(base64url.encode(session), fresh, _binding(request), url)

    def challenge(self, body: Mapping[str, Any], *, cookie: str | None) -> dict[str, Any]:
        """Step 3. Raises ProtocolError."""
        session = _session(body, required_members={"session"})
        request = self._request(session, cookie)
        if not self._store.count_challenge(base64url.decode(session)):
            raise ProtocolError(INVALID_SESSION, "card session: too many challenges; begin again in your wallet")
        made = card_challenge.make_challenge(
            self._random,
            binding=_binding(request),
            issuer=self._tenant.issuer,
            purpose="issue" if request.jkt is not None else "issue+pkce",
            session=session,
        )
        card_challenge.issue(self._store, made, now=self._clock())
        return card_challenge.format_challenge(made)

    def login(self, body: Mapping[str, Any], *, cookie: str | None) -> str:
        """Step 4: where the flow goes on. Raises ProtocolError, CardError, and what the sources raise.

        The challenge is spent before the token is looked at, so that one answer is all it gets.
        """
        session = _session(body, required_members={"session", "token"})
        request = self._request(session, cookie)
        spent = card_challenge.spend(self._store, session=session, now=self._clock())
        if spent.binding != _binding(request) or spent.issuer != self._tenant.issuer:
            raise CardError("card challenge: of another request")
        try:
            token = mapping(body, "token", what="card login")
        except EncodingError as fault:
            raise CardError(str(fault)) from None
        person = Person.from_card(self._check_card(token, self.origin, spent.nonce))
        try:
            for name in request.configurations:
                self._sources.require_available(self._tenant.types[name], person)
        except ProtocolError as fault:
            # The card is good, its holder cannot have this: the wallet is told (RFC 6749 section 4.1.2.1).
            self._require_open(self._store.close(request.request_hash))
            return self._back(request, {"error": ACCESS_DENIED, "error_description": description(fault.description)})
        return self._back(request, {"code": self._code(request, person)})

    def _code(self, request: PushedRequest, person: Person) -> str:
        code, now = sealing.fresh(self._random), int(self._clock())
        new = NewAuthorizationCode(
            code_hash=sealing.name(code),
            sealed=sealing.seal(code, format_subject(Subject(person)), self._random),
            expires=now + CODE_SECONDS,
        )
        self._require_open(self._store.finish(request, new, now=now))
        return code

    def _back(self, request: PushedRequest, parameters: dict[str, str]) -> str:
        """The client's own address, as it was pushed, with ``state`` and ``iss`` (RFC 9207)."""
        if request.state is not None:
            parameters["state"] = request.state
        return redirect.with_parameters(request.redirect_uri, {**parameters, "iss": self._tenant.issuer})

    def _request(self, session: str, cookie: str | None) -> PushedRequest:
        found = self._store.request_of_session(base64url.decode(session), now=int(self._clock()))
        given = sealing.name(cookie or "")
        # One refusal for all: which sessions exist is nobody's business.
        if found is None or cookie is None or not hmac.compare_digest(found[1], given):
            raise ProtocolError(INVALID_SESSION, "card session: unknown, too old, or without its cookie")
        self._require_open(not found[0].done)
        return found[0]

    @staticmethod
    def _require_open(is_open: bool) -> None:
        if not is_open:
            raise ProtocolError(INVALID_REQUEST, "authorization request: has been answered already")


def _binding(request: PushedRequest) -> str:
    if request.jkt is not None:
        return request.jkt
    return base64url.encode(sha256(request.code_challenge.encode("ascii")).digest())


def _session(body: Mapping[str, Any], *, required_members: set[str]) -> str:
    try:
        exact_members(body, what="card session", required=required_members)
        return identifier(body, "session", what="card session")
    except EncodingError as fault:
        raise ProtocolError(INVALID_REQUEST, str(fault)) from None
