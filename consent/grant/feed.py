"""The feed (ADR 0009, D7): what a service is told of its grants without asking, and asks for again.

Sequences count one service's items without a gap: who has seen n expects n + 1 next, and asks
``GET /feed?after=n`` where it gets something else.
"""

from dataclasses import dataclass
from typing import Any

from consent import spec
from consent.errors import MessageError
from consent.grant.lifecycle import State
from consent.signed_message import exact, reading, sign_by_kid, verify_by_kid
from identity.codec import members
from identity.keys.public_key import PublicKey
from identity.keys.signer import Signer

MAX_ITEMS = 256

_WHAT = "feed"
_STATES = frozenset(state.word for state in State)


@dataclass(frozen=True, slots=True)
class FeedItem:
    sequence: int
    grant_id: str
    state: str
    counter: int
    at: int
    status_uri: str
    status_index: int

    def to_json(self) -> dict[str, Any]:
        return {
            "sequence": self.sequence,
            "grant_id": self.grant_id,
            "state": self.state,
            "counter": self.counter,
            "at": self.at,
            "status": {"uri": self.status_uri, "idx": self.status_index},
        }


@dataclass(frozen=True, slots=True)
class Feed:
    consent: str
    service: str
    id: str
    issued: int
    first: int
    """The sequence of the first item; without items, that of the next one there will be."""
    items: tuple[FeedItem, ...]


def sign_feed(feed: Feed, signer: Signer) -> str:
    claims = {
        "iss": feed.consent,
        "aud": feed.service,
        "jti": feed.id,
        "iat": feed.issued,
        "first": feed.first,
        "items": [item.to_json() for item in feed.items],
    }
    return sign_by_kid(claims, signer, typ=spec.TYP_FEED)


def verify_feed(compact: str, *, consent_key: PublicKey, consent: str, service: str) -> Feed:
    """Raises MessageError. That items come again, and in which order, is the receiver's to see by their sequences."""
    message = verify_by_kid(compact, lambda _: consent_key, typ=spec.TYP_FEED, what=_WHAT)
    claims = message.claims
    exact(claims, _WHAT, frozenset({"iss", "aud", "jti", "iat", "first", "items"}))
    if (claims["iss"], claims["aud"]) != (consent, service):
        raise MessageError(f"{_WHAT}: of another consent service or for another service")
    items = claims["items"]
    if not isinstance(items, list) or len(items) > MAX_ITEMS:
        raise MessageError(f"{_WHAT}: items must be a list of at most {MAX_ITEMS}")
    with reading(_WHAT):
        feed = Feed(
            consent=consent,
            service=service,
            id=members.identifier(claims, "jti", what=_WHAT),
            issued=members.integer(claims, "iat", what=_WHAT),
            first=members.integer(claims, "first", what=_WHAT, minimum=1),
            items=tuple(map(_item, items)),
        )
    if [item.sequence for item in feed.items] != list(range(feed.first, feed.first + len(feed.items))):
        raise MessageError(f"{_WHAT}: its items are not in one row from the first")
    return feed


def _item(value: Any) -> FeedItem:
    if not isinstance(value, dict):
        raise MessageError(f"{_WHAT}: an item is an object")
    exact(value, _WHAT, frozenset({"sequence", "grant_id", "state", "counter", "at", "status"}))
    status = members.mapping(value, "status", what=_WHAT)
    exact(status, _WHAT, frozenset({"uri", "idx"}))
    state = members.text(value, "state", what=_WHAT, max_length=16)
    if state not in _STATES:
        raise MessageError(f"{_WHAT}: a state that does not exist")
    return FeedItem(
        sequence=members.integer(value, "sequence", what=_WHAT, minimum=1),
        grant_id=members.identifier(value, "grant_id", what=_WHAT),
        state=state,
        counter=members.integer(value, "counter", what=_WHAT, minimum=1),
        at=members.integer(value, "at", what=_WHAT),
        status_uri=members.text(status, "uri", what=_WHAT),
        status_index=members.integer(status, "idx", what=_WHAT),
    )
