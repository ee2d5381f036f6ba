"""The rent subsidy: asking for a permission, and reading a datum under it, as the service does.

The desk holds the kit with the service's key, and what the service's procedure needs. Whatever is
asked beyond its declaration the consent service refuses.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from threading import Event
from typing import Any

from consent.errors import ConsentError, LedgerConflict, MessageError
from consent.grant.detail import Term
from consent.procedure.declaration import PurposeDeclaration
from identity.errors import IdentityError
from identity.trust.registry import VerifiedRegistry
from verifier.errors import DeskClosed, NotAsked
from verifier.kit.kit import ConsentKit
from verifier.kit.outcome import AlreadyWithdrawn, Asked, Declined, Given, Lapsed, Pending, Refused, Released

RETRY_SECONDS = 1.0
"""The services of a city start side by side; whoever comes first waits for the others."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the procedure needs."""

    holder: str
    attributes: tuple[str, ...]
    resolution: str
    days: int


@dataclass(frozen=True, slots=True)
class Permission:
    """How a request stands: ``pending``, ``given``, ``refused``, ``expired`` or ``withdrawn``."""

    state: str
    grant_id: str | None = None


class ServiceDesk:
    """One service's permissions."""

    def __init__(
        self,
        kit: ConsentKit,
        declaration: PurposeDeclaration,
        need: Need,
        *,
        registry: Callable[[], VerifiedRegistry],
        now: Callable[[], float],
    ) -> None:
        self.kit = kit
        self.need = need
        self._declaration = declaration
        self._registry = registry
        self._now = now

    @property
    def service(self) -> str:
        return self.kit.party

    def name_of(self, party: str) -> Mapping[str, str]:
        """Language → name, as the signed list has it. Raises DeskClosed."""
        try:
            return self._registry().party(party, now=self._now()).name
        except IdentityError as fault:
            raise DeskClosed(str(fault)) from None

    def declare(self, stop: Event) -> bool:
        """Registers the service's declaration, until it is registered or refused, or ``stop`` is set."""
        while not stop.is_set():
            try:
                self.kit.declare(self._declaration)
            except LedgerConflict:
                return False
            except (ConsentError, IdentityError):
                stop.wait(RETRY_SECONDS)
            else:
                return True
        return False

    def ask(
        self,
        *,
        holder: str | None = None,
        attributes: tuple[str, ...] | None = None,
        purpose: str | None = None,
        resolution: str | None = None,
        days: int | None = None,
    ) -> Asked:
        """What is not said is as the procedure needs it.

        Raises NotAsked where the consent service refuses the request, DeskClosed where it cannot be asked.
        """
        term = Term(resolution or self.need.resolution, optional=False)
        detail = self.kit.detail(
            self._declaration,
            holder=holder or self.need.holder,
            terms=dict.fromkeys(attributes or self.need.attributes, term),
            days=days or self.need.days,
        )
        if purpose is not None:
            detail = replace(detail, purpose=purpose)
        try:
            return self.kit.ask(detail)
        except MessageError as fault:
            raise NotAsked(str(fault)) from None
        except (ConsentError, IdentityError) as fault:
            raise DeskClosed(str(fault)) from None

    def standing(self, request_id: str) -> Permission:
        """Raises DeskClosed."""
        try:
            answer = self.kit.answer(request_id)
        except (ConsentError, IdentityError) as fault:
            raise DeskClosed(str(fault)) from None
        match answer:
            case Pending():
                return Permission("pending")
            case Given(grant):
                return Permission("given", grant.grant_id)
            case AlreadyWithdrawn(grant_id):
                return Permission("withdrawn", grant_id)
            case Declined():
                return Permission("refused")
            case Lapsed():
                return Permission("expired")

    def read(self, grant_id: str, attribute: str | None = None) -> Released | Refused:
        """One attribute, the procedure's first where none is named. Raises nothing: what is not proven is refused."""
        with suppress(ConsentError, IdentityError):
            # A grant that was given and not yet asked for is taken now.
            self.kit.take_answers()
        return self.kit.read(grant_id, (attribute or self.need.attributes[0],))


def value_of(read: Released | Refused) -> Any:
    """The one value that was released; None where nothing was."""
    return next(iter(read.attributes.values()), None) if isinstance(read, Released) else None
