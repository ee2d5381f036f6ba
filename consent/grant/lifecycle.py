"""Records and their states (DESIGN §7): a state is a type, and a transition a method that only its state has.

Three kinds of record: a *consent*, from the request to its end; a *legal-basis notice*, an access
that rests on law; an *opposition* to such accesses. What has ended has no way back: its type has no
method that leads there, and a renewal is a new record under a new id.

``docs/lifecycle.md`` draws this file; ``tests/architecture/test_lifecycle.py`` holds both to one
another. The grant row keeps ``State``; its statements are held to these types by
``tests/unit/consent/grant/test_lifecycle.py``.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import ClassVar, TypeVar, get_type_hints

from consent.errors import LedgerConflict


class Actor(StrEnum):
    """Who may cause a transition."""

    RESIDENT = "resident"
    SERVICE = "service"
    HOLDER = "data holder"
    AUTHORITY = "authority"
    """Whoever keeps the signed list, an accreditor or a court: never the operator by itself."""
    TIME = "time"


@dataclass(frozen=True, slots=True)
class Cause:
    actors: tuple[Actor, ...]
    how: str
    leaf: str | None
    """The word of the leaf's kind (WIRE C6); None = no leaf of its own."""


_CAUSE = "cause"
_Method = TypeVar("_Method", bound=Callable[..., object])


def caused_by(*actors: Actor, how: str, leaf: str | None = None) -> Callable[[_Method], _Method]:
    """Marks a method as a transition."""

    def mark(method: _Method) -> _Method:
        method.__dict__[_CAUSE] = Cause(actors, how, leaf)
        return method

    return mark


class State(IntEnum):
    """States of a grant as its row keeps them (DPV consent status). All but the first two are final."""

    GIVEN = 1
    PAUSED = 2
    WITHDRAWN = 3
    REVOKED = 4
    EXPIRED = 5
    INVALIDATED = 6
    ERASED = 7

    @property
    def word(self) -> str:
        return self.name.lower()


# ── Consent ──────────────────────────────────────────────────────────────────────────────────


class Erased:
    """The keys to its events are gone; leaves and proofs stay."""

    state: ClassVar = State.ERASED


class _Ended:
    @caused_by(Actor.RESIDENT, how="`POST /me/erasure`", leaf="erase")
    def erase(self) -> Erased:
        return Erased()


class Withdrawn(_Ended):
    """Ended by the resident, or by who may act for the resident."""

    state: ClassVar = State.WITHDRAWN


class Revoked(_Ended):
    """Given back by the service."""

    state: ClassVar = State.REVOKED


class Expired(_Ended):
    """Past its end, whether or not anybody wrote that down."""

    state: ClassVar = State.EXPIRED


class Invalidated(_Ended):
    """It should not have been, or can be no longer: its service's listing was ended."""

    state: ClassVar = State.INVALIDATED


class _Live:
    @caused_by(
        Actor.RESIDENT,
        how="`POST /withdrawals` at any door, or `POST /me/grants/{id}/withdrawal`",
        leaf="withdraw",
    )
    def withdraw(self) -> Withdrawn:
        return Withdrawn()

    @caused_by(Actor.SERVICE, how="`DELETE /grants/{id}`", leaf="revoke")
    def revoke(self) -> Revoked:
        return Revoked()

    @caused_by(Actor.TIME, how="`not_after` has passed", leaf="expire")
    def expire(self) -> Expired:
        return Expired()

    @caused_by(Actor.AUTHORITY, how="the service's listing was ended", leaf="revoke")
    def invalidate(self) -> Invalidated:
        return Invalidated()


class Paused(_Live):
    """No use, until the resident resumes."""

    state: ClassVar = State.PAUSED

    @caused_by(Actor.RESIDENT, Actor.TIME, how="act `resume`, or the end of a freeze", leaf="resume")
    def resume(self) -> "Given":
        return Given()

    @caused_by(Actor.RESIDENT, how="act `amend`, or withdrawing single attributes", leaf="amend")
    def amend(self) -> "Paused":
        return self


class Given(_Live):
    """The only state in which anything may be used."""

    state: ClassVar = State.GIVEN

    @caused_by(Actor.SERVICE, how="`POST /data`, decided by `POST /uses`", leaf="use")
    def use(self) -> "Given":
        return self

    @caused_by(Actor.RESIDENT, how="act `amend`, or withdrawing single attributes", leaf="amend")
    def amend(self) -> "Given":
        return self

    @caused_by(Actor.RESIDENT, how="act `pause`, or `POST /me/freeze`", leaf="pause")
    def pause(self) -> Paused:
        return Paused()


class RenewedGiven(Given):
    """Given in the place of an earlier one: a grant of its own, with its own id.

    The row keeps ``given``: for every decision it is a grant like any other. That it renews one only
    the resident's wallet knows (``wallet_cli/consents/renewal.py``), since the log must not join them.
    """


class Refused:
    """The resident said no. The request is closed."""


class _Open:
    @caused_by(Actor.RESIDENT, how="`POST /me/grants`, decision `given`", leaf="grant")
    def give(self) -> Given:
        return Given()

    @caused_by(Actor.RESIDENT, how="`POST /me/grants`, where an earlier grant served the same purpose", leaf="grant")
    def renew(self) -> RenewedGiven:
        return RenewedGiven()

    @caused_by(Actor.RESIDENT, how="`POST /me/grants`, decision `refused`", leaf="refuse")
    def refuse(self) -> Refused:
        return Refused()

    @caused_by(Actor.TIME, how="`exp` of the request has passed")
    def lapse(self) -> Expired:
        return Expired()


class Deferred(_Open):
    """The resident said "later": nothing is sent, and the request can be answered until its end."""


class Requested(_Open):
    """Asked by a service, within what it declared."""

    @caused_by(Actor.RESIDENT, how="no answer at the wallet's question")
    def defer(self) -> Deferred:
        return Deferred()


# ── Legal-basis notice ───────────────────────────────────────────────────────────────────────


class Shown:
    """On the resident's timeline."""


class Recorded:
    """In the log; the data may be released."""

    @caused_by(Actor.TIME, how="at once, or when `visible_from` has passed")
    def show(self) -> Shown:
        return Shown()


class NotAllowed:
    """No basis that was approved, or the resident opposed: nothing is released."""


class Spooled:
    """Urgent, and the consent service was away: released first, durable at the data holder, recorded late."""

    @caused_by(Actor.HOLDER, how="`POST /notices` with `spooled`", leaf="notice")
    def deliver(self) -> Recorded:
        return Recorded()


class Announced:
    """A service says by which law it wants to read."""

    @caused_by(Actor.HOLDER, how="`POST /notices`", leaf="notice")
    def record(self) -> Recorded:
        return Recorded()

    @caused_by(Actor.AUTHORITY, Actor.RESIDENT, how="the basis is not in the approved list; an opposition is in force")
    def deny(self) -> NotAllowed:
        return NotAllowed()

    @caused_by(Actor.HOLDER, how="the basis is approved as urgent, and the consent service cannot be reached")
    def spool(self) -> Spooled:
        return Spooled()


# ── Opposition ───────────────────────────────────────────────────────────────────────────────


class OppositionEnded:
    """The resident took it back."""


class Opposed:
    """Refuses notices of a basis that may be opposed (``POST /me/oppositions``, a leaf of kind oppose)."""

    @caused_by(Actor.RESIDENT, how="`DELETE /me/oppositions/{id}`")
    def end(self) -> OppositionEnded:
        return OppositionEnded()


CONSENT: tuple[type, ...] = (
    Requested, Deferred, Refused, Given, RenewedGiven, Paused, Withdrawn, Revoked, Expired, Invalidated, Erased,
)  # fmt: skip
NOTICE: tuple[type, ...] = (Announced, Spooled, Recorded, NotAllowed, Shown)
OPPOSITION: tuple[type, ...] = (Opposed, OppositionEnded)
"""The states of each kind of record, the first one first."""


@dataclass(frozen=True, slots=True)
class Transition:
    before: type
    verb: str
    after: type
    cause: Cause


def transitions(kind: tuple[type, ...]) -> Iterator[Transition]:
    """Every way from a state of this kind to another, as the types have it."""
    for before in kind:
        for verb in sorted(dir(before)):
            cause = getattr(getattr(before, verb), _CAUSE, None)
            if isinstance(cause, Cause):
                yield Transition(before, verb, get_type_hints(getattr(before, verb))["return"], cause)


_STORED: dict[State, type] = {
    one.state: one for one in (Given, Paused, Withdrawn, Revoked, Expired, Invalidated, Erased)
}
_WAYS: dict[tuple[State, str], tuple[State, tuple[Actor, ...]]] = {
    (state, way.verb): (after_, way.cause.actors)
    for state, stored in _STORED.items()
    for way in transitions((stored,))
    for after_, reached in _STORED.items()
    if reached is way.after
}

LIVE = tuple(state for state in State if (state, "withdraw") in _WAYS)
"""What has not ended."""


def after(state: State, verb: str, *, by: Actor) -> State:
    """The state that this leads to. Raises LedgerConflict with the word of the state that forbids it."""
    found = _WAYS.get((state, verb))
    if found is None or by not in found[1]:
        raise LedgerConflict(state.word)
    return found[0]
