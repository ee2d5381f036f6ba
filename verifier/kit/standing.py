"""How a grant stands now, asked in the two ways the consent service offers: introspection, and status lists.

A status list says nothing about which of its grants somebody wanted to know of; introspection is about
one. Neither permits anything: the data holder's answer does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Any
from urllib.parse import urlencode

from consent import spec
from consent.caller.client import Client
from consent.errors import MessageError, PeerUnavailable
from consent.procedure.published import address
from consent.signed_message import exact, reading
from identity.clock import Clock
from identity.codec import members
from identity.errors import IdentityError, StatusUnavailable, TrustError
from identity.keys.public_key import PublicKey
from identity.status import spec as status_spec
from identity.status.token import MAX_TOKEN_BYTES, VerifiedStatusList, verify_status_list
from identity.trust.registry import Party
from verifier.kit.feed import ToldState

_WHAT = "introspection"

USABLE, ENDED, PAUSED = "usable", "ended", "paused"
_WORDS = {status_spec.VALID: USABLE, status_spec.INVALID: ENDED, status_spec.SUSPENDED: PAUSED}

DEFAULT_TTL_SECONDS = 10.0
"""Of a list that says none: as long as the consent service's own."""

MAX_LISTS = 64
"""Kept at once; each has up to 2**20 grants."""


@dataclass(frozen=True, slots=True)
class Active:
    """The grant may be used now. ``terms``: attribute → its resolution."""

    expires: int
    counter: int
    terms: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Copy:
    verified: VerifiedStatusList
    until: float


class Standing:
    """Threads may share one."""

    def __init__(self, party: str, *, consent: Callable[[], Party], client: Client, clock: Clock) -> None:
        self._party = party
        self._consent = consent
        self._client = client
        self._clock = clock
        self._lock = Lock()
        self._copies: dict[str, _Copy] = {}

    def introspect(self, grant_id: str) -> Active | None:
        """None: it may not be used now, or is not this service's. Raises PeerUnavailable, MessageError."""
        consent = self._consent()
        answer = self._client.post_proven_body(
            f"{address(consent)}/introspect", urlencode({"token": grant_id}).encode(), media_type=spec.MEDIA_FORM
        )
        if answer.status != 200:
            raise PeerUnavailable(f"consent service: it answered {answer.status} to an introspection")
        return self._read(answer.object(), consent.id)

    def _read(self, value: dict[str, Any], consent: str) -> Active | None:
        if value.get("active") is False:
            exact(value, _WHAT, frozenset({"active"}))
            return None
        exact(value, _WHAT, frozenset({"active", "iss", "client_id", "exp", "counter", "terms"}))
        if value["active"] is not True or (value["iss"], value["client_id"]) != (consent, self._party):
            raise MessageError(f"{_WHAT}: of another consent service or about another service's grant")
        with reading(_WHAT):
            terms = members.mapping(value, "terms", what=_WHAT)
            return Active(
                members.integer(value, "exp", what=_WHAT),
                members.integer(value, "counter", what=_WHAT, minimum=1),
                {
                    name: members.text(members.mapping(terms, name, what=_WHAT), "resolution", what=_WHAT)
                    for name in terms
                },
            )

    def status(self, told: ToldState) -> str:
        """``usable``, ``ended`` or ``paused``, by the list that the feed named.

        Raises StatusUnavailable where it is not known: then nobody may assume anything.
        """
        try:
            verified = self._list(told.status_uri)
        except PeerUnavailable as fault:
            raise StatusUnavailable(str(fault)) from None
        found = verified.get(told.status_index)
        if found not in _WORDS:
            raise StatusUnavailable("status list: it says nothing of this grant")
        return _WORDS[found]

    def _list(self, uri: str) -> VerifiedStatusList:
        now = self._clock()
        with self._lock:
            kept = self._copies.get(uri)
        if kept is not None and now < kept.until:
            kept.verified.require_current(int(now))
            return kept.verified
        consent = self._consent()
        if not uri.startswith(f"{address(consent)}/status/"):
            raise StatusUnavailable("status list: its address is not the consent service's")
        answer = self._client.get(uri, max_bytes=MAX_TOKEN_BYTES)
        if answer.status != 200 or not answer.body.isascii():
            raise PeerUnavailable(f"consent service: it answered {answer.status} for a status list")

        def key_for(header: Mapping[str, Any], _: str) -> PublicKey:
            if header.get("kid") != consent.public_key.thumbprint:
                raise TrustError("status list: not signed by the consent service's key")
            return consent.public_key

        try:
            verified = verify_status_list(answer.body.decode("ascii"), uri=uri, key_for=key_for, now=int(now))
        except IdentityError as fault:
            raise StatusUnavailable(str(fault)) from None
        with self._lock:
            if len(self._copies) >= MAX_LISTS:
                self._copies.clear()
            ttl = verified.ttl if verified.ttl is not None else DEFAULT_TTL_SECONDS
            self._copies[uri] = _Copy(verified, now + ttl)
        return verified
